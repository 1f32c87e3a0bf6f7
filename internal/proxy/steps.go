package proxy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aymanbagabas/go-udiff"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Render gives the site's file.
func Render(server Server, site Site) ([]byte, error) {
	if server.Kind == Apache {
		return renderApache(server, site, server.PEMPath(site.Name))
	}
	return renderNginx(server, site, server.PEMPath(site.Name))
}

// PEM is the site's chain and key in one file.
func (s Site) PEM() []byte { return append(append([]byte{}, s.Cert...), s.Key...) }

// Steps bring the site in: its file is written and enabled, the modules that it needs
// are, the whole configuration is checked and the running server told to reload; a
// server that does not run is started, and enabled at boot. A check or reload that
// fails brings every file back, and the error says whose fault it is. Done again with
// other certificates they renew those.
func Steps(server Server, site Site) ([]step.Step, error) {
	text, err := Render(server, site)
	if err != nil {
		return nil, err
	}
	want := siteState{Text: string(text), Enabled: true}
	if pemPath(want.Text) != "" {
		want.PEM = string(site.PEM())
	}
	return []step.Step{
		siteStep{ref: siteRef(server, site.Name), want: want.fact()},
		serverStep{server.Kind},
	}, nil
}

// RemoveSteps keep the site of that registry away.
func RemoveSteps(server Server, name string) []step.Step {
	return []step.Step{siteStep{ref: siteRef(server, name)}}
}

func siteRef(server Server, name string) host.Ref {
	kind := KindNginxSite
	if server.Kind == Apache {
		kind = KindApacheSite
	}
	return host.Ref{Kind: kind, Path: server.SitePath(name)}
}

// siteStep keeps a site as wanted: there, or away.
type siteStep struct {
	ref  host.Ref
	want host.Fact
}

func (s siteStep) Name() string      { return s.ref.Path }
func (s siteStep) Reads() []host.Ref { return []host.Ref{s.ref} }

func (s siteStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref]
	if now.Foreign != "" {
		return step.Change{}, fault.Fail("move it away, or choose another --name", "%s is %s", s.ref.Path, now.Foreign)
	}
	if now.Hash() == s.want.Hash() {
		return step.Change{}, nil
	}
	old, err := siteOf(now)
	if err != nil {
		return step.Change{}, err
	}
	want, err := siteOf(s.want)
	if err != nil {
		return step.Change{}, err
	}
	op := host.Op{Ref: s.ref, Action: host.Change, Want: s.want, Before: now.Hash()}
	switch {
	case !s.want.Exists:
		op.Action = host.Remove
	case !now.Exists:
		op.Action = host.Create
	}
	return step.Change{Items: siteItems(s.ref, op.Action, old, want), Ops: []host.Op{op}}, nil
}

// siteItems are a line for each file and one for the server.
func siteItems(ref host.Ref, action host.Action, old, want siteState) []step.Item {
	var items []step.Item
	if old.Text != want.Text {
		items = append(items, step.Item{Target: ref.Path, Action: action, Diff: udiff.Unified(
			existing(ref.Path, old.Text), existing(ref.Path, want.Text), old.Text, want.Text)})
	}
	if old.PEM != want.PEM {
		item := step.Item{Target: pemPath(want.Text + old.Text), Action: host.Change, Diff: fmt.Sprintf("(secret, %d bytes)\n", len(want.PEM))}
		switch {
		case old.PEM == "":
			item.Action = host.Create
		case want.PEM == "":
			item.Action, item.Diff = host.Remove, fmt.Sprintf("(secret, %d bytes)\n", len(old.PEM))
		}
		items = append(items, item)
	}
	for _, link := range moduleLinks(ref.Path, want.Text) {
		if !slices.Contains(moduleLinks(ref.Path, old.Text), link) {
			items = append(items, step.Item{Target: link, Action: host.Create, Diff: fmt.Sprintf("(link to %s)\n", moduleTarget(link))})
		}
	}
	for _, link := range moduleLinks(ref.Path, old.Text) {
		if !slices.Contains(moduleLinks(ref.Path, want.Text), link) {
			items = append(items, step.Item{Target: link, Action: host.Remove, Diff: fmt.Sprintf("(link to %s)\n", moduleTarget(link))})
		}
	}
	if link := enabledPath(ref.Path); link != "" && old.Enabled != want.Enabled {
		items = append(items, step.Item{Target: link, Action: action, Diff: fmt.Sprintf("(link to %s)\n", linkTarget(ref.Path))})
	}
	kind := map[host.Kind]Kind{KindNginxSite: Nginx, KindApacheSite: Apache}[ref.Kind]
	return append(items, step.Item{Target: string(kind), Action: host.Restart, Diff: "(checked and reloaded)\n"})
}

func existing(path, text string) string {
	if text == "" {
		return "/dev/null"
	}
	return path
}

// serverStep keeps the server running. One that runs already is let be, as is whether
// it starts at boot.
type serverStep struct{ kind Kind }

func (s serverStep) ref() host.Ref     { return host.Ref{Kind: KindServer, Path: string(s.kind)} }
func (s serverStep) Name() string      { return string(s.kind) }
func (s serverStep) Reads() []host.Ref { return []host.Ref{s.ref()} }

func (s serverStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref()]
	var state serverState
	if !now.Exists {
		return step.Change{}, notInstalled(s.kind)
	}
	if err := json.Unmarshal(now.Data, &state); err != nil || state.Running {
		return step.Change{}, err
	}
	item := step.Item{Target: string(s.kind), Action: host.Start, Diff: "(started)\n"}
	if !state.Enabled {
		item.Diff = "(started, and at boot from now on)\n"
	}
	op := host.Op{Ref: s.ref(), Action: host.Change, Want: serverState{Running: true, Enabled: true}.fact(), Before: now.Hash()}
	return step.Change{Items: []step.Item{item}, Ops: []host.Op{op}}, nil
}
