package scenario

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// pair is the certificate and key that a plan ends with, for the proxy's own copy.
type pair struct {
	crt, key []byte
	// late says that both are made when the plan is carried out.
	late bool
}

// noted has the proxy learn which pair a step puts in place.
func noted(s step.Step, p Place) step.Step {
	if p.Front == nil {
		return s
	}
	return notedPair{s, p}
}

type notedPair struct {
	step.Step
	place Place
}

func (n notedPair) Reads() []host.Ref { return append(n.Step.Reads(), currentPair(n.place)...) }

func (n notedPair) Plan(seen host.Facts) (step.Change, error) {
	crt, key := currentFacts(n.place, seen)
	now := n.place.Front.pair
	*now = pair{crt: crt.Data, key: key.Data}
	change, err := n.Step.Plan(seen)
	now.take(change.Ops)
	if inner := change.Make; inner != nil {
		now.late = true
		change.Make = func(ctx context.Context) ([]host.Op, error) {
			ops, err := inner(ctx)
			now.take(ops)
			return ops, err
		}
	}
	return change, err
}

// take finds a pair among the files that ops write.
func (p *pair) take(ops []host.Op) {
	for _, op := range ops {
		if op.Kind != host.File || op.Action == host.Remove || filepath.Base(filepath.Dir(filepath.Dir(op.Path))) != "tls" {
			continue
		}
		switch filepath.Base(op.Path) {
		case "crt":
			p.crt = op.Want.Data
		case "key":
			p.key = op.Want.Data
		}
	}
}

// frontSite is the step that keeps the proxy's site, in which the pair goes by value: the
// proxy is to read nothing in DIR.
type frontSite struct {
	spec  spec.Spec
	place Place
}

// siteSteps are none with --no-start: a site with nothing behind it only disturbs.
func siteSteps(s spec.Spec, p Place) []step.Step {
	if p.Front == nil || len(p.Runtime) == 0 {
		return nil
	}
	return []step.Step{frontSite{spec: s, place: p}}
}

func (f frontSite) Name() string { return "site of " + f.spec.Proxy.Kind }

// inner are the steps for one pair.
func (f frontSite) inner(use pair) ([]step.Step, error) {
	return proxy.Steps(f.place.Front.server, f.place.front(f.spec, use))
}

// Reads does not depend on the pair.
func (f frontSite) Reads() []host.Ref {
	steps, err := f.inner(f.place.Front.unmade)
	if err != nil {
		return nil // Plan says why
	}
	var refs []host.Ref
	for _, s := range steps {
		refs = append(refs, s.Reads()...)
	}
	return refs
}

func (f frontSite) Plan(seen host.Facts) (step.Change, error) {
	now := f.place.Front.pair
	if !now.late {
		return f.plan(seen, *now)
	}
	change, err := f.plan(seen, f.place.Front.unmade)
	change.Make = lateOps(func() (step.Change, error) { return f.plan(seen, *now) })
	return change, err
}

// lateOps plans once the pair is made.
func lateOps(plan func() (step.Change, error)) func(context.Context) ([]host.Op, error) {
	return func(context.Context) ([]host.Op, error) {
		change, err := plan()
		return change.Ops, err
	}
}

func (f frontSite) plan(seen host.Facts, use pair) (whole step.Change, err error) {
	steps, err := f.inner(use)
	if err != nil {
		return whole, err
	}
	for _, s := range steps {
		change, err := s.Plan(seen)
		if err != nil {
			return whole, err
		}
		whole.Items = append(whole.Items, change.Items...)
		whole.Ops = append(whole.Ops, change.Ops...)
	}
	return whole, nil
}

// renderedSite keeps a copy of the site in DIR/proxy, for whoever manages the proxy's
// files by other means.
func renderedSite(s spec.Spec, p Place) []step.Step {
	if p.Front == nil {
		return nil
	}
	text, err := proxy.Render(p.Front.server, p.front(s, p.Front.unmade))
	if err != nil {
		return nil // siteSteps says why
	}
	return []step.Step{
		step.MakeDir{Path: p.Dir.Join("proxy"), Mode: 0o700, UID: ourUID(), GID: ourGID()},
		step.WriteFile{Path: renderedPath(p.Dir.Join("proxy"), s.Proxy.Kind), Data: text, Mode: 0o644, UID: ourUID(), GID: ourGID()},
	}
}

func renderedPath(folder, kind string) string { return filepath.Join(folder, kind+".conf") }

// usersAtProxy is --auth-at proxy: the proxy's own copy of the file of users.
func usersAtProxy(s spec.Spec, p Place) []step.Step {
	if p.Front == nil || !s.ProxyAsks() {
		return nil
	}
	if !s.ProxyOnHost() {
		return []step.Step{usersCopy{p, imageUsers(p), p.UID, p.GID}}
	}
	server := p.Front.server
	steps := []step.Step{usersCopy{p, server.UsersPath(s.Name), ourUID(), server.GID}}
	if s.Proxy.HasGroups() {
		groups := "pusher: " + strings.Join(s.Proxy.Pushers, " ") + "\npuller: " + strings.Join(s.Proxy.Pullers, " ") + "\n"
		steps = append(steps, step.WriteFile{Path: server.GroupsPath(s.Name), Data: []byte(groups), Mode: 0o640, UID: ourUID(), GID: server.GID})
	}
	return steps
}

// usersCopy keeps the copy: root's, and readable for the workers.
type usersCopy struct {
	place    Place
	path     string
	uid, gid int
}

func (u usersCopy) Name() string { return u.path }

func (u usersCopy) Reads() []host.Ref {
	return []host.Ref{fileRef(u.path), fileRef(u.place.Dir.Htpasswd())}
}

func (u usersCopy) Plan(seen host.Facts) (step.Change, error) {
	data := u.place.Users
	if data == nil {
		data = seen[fileRef(u.place.Dir.Htpasswd())].Data
	}
	return step.WriteFile{Path: u.path, Data: data, Mode: 0o640, UID: u.uid, GID: u.gid, Mask: maskUsers}.Plan(seen)
}

// answersThrough waits until the registry answers by way of its proxy.
func answersThrough(s spec.Spec, p Place) []step.Step {
	if p.Front == nil || len(p.Runtime) == 0 {
		return nil
	}
	refs := append(replicaRefs(s, p), frontSite{spec: s, place: p}.Reads()...)
	return []step.Step{engine.WaitStep{Endpoint: ownEndpoint(s), Container: p.Runs.Path, After: refs}}
}

// Between a registry that asks for passwords and a proxy that does there must be no
// moment at which neither asks: whoever is to ask begins before the other ends.

// asksFirst waits until the registry asks, before the site may cease to.
func asksFirst(s spec.Spec, p Place) []step.Step {
	hidden := !s.ProxyOnHost() && !s.Socket() // and a stock image reads it when it starts
	if p.Front == nil || len(p.Runtime) == 0 || s.ProxyAsks() || s.Auth.Mode == spec.AuthNone || hidden {
		return nil
	}
	return []step.Step{engine.WaitStep{
		Endpoint: behind(s), Container: p.Runs.Path, Asks: true,
		After: []host.Ref{fileRef(p.Dir.ServeExtra()), fileRef(p.Dir.ServeConfig())},
	}}
}

// asksLast reports whether asksNoMore has what the registry reads of passwords.
func asksLast(s spec.Spec, p Place) bool {
	return p.Front != nil && len(p.Runtime) > 0 && s.ProxyAsks()
}

// asksNoMore has the registry cease to ask once the site does.
func asksNoMore(s spec.Spec, p Place) []step.Step {
	if !asksLast(s, p) {
		return nil
	}
	return []step.Step{serveExtra(s, p)}
}
