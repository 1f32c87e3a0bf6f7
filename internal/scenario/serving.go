package scenario

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// serving is what runs the registry, and what stands in front of it.
func serving(s spec.Spec, p Place) []step.Step {
	switch {
	case s.ProxyOnHost() && s.Proxy.Kind == spec.ProxyNginx:
		return behindNginx(s, p)
	case s.ProxyOnHost():
		return behindApache(s, p)
	case s.Proxied():
		return behindImage(s, p)
	}
	return direct(s, p)
}

// direct is a registry that clients reach by itself: a site that it had must free the
// port first, and its socket goes when nobody listens on it any more.
func direct(_ spec.Spec, p Place) []step.Step {
	sites, rest := p.Withdrawn, []step.Step(nil)
	if i := slices.IndexFunc(sites, func(s step.Step) bool { return !isFront(s.Reads()[0].Kind) }); i >= 0 { // see withdrawn
		sites, rest = sites[:i], sites[i:]
	}
	return join(sites, p.Runtime, rest)
}

// withdrawn takes away what was made for a proxy and is wanted no more, the sites first.
func (r *Registry) withdrawn(p Place) []step.Step {
	var sites, rest []step.Step
	for _, known := range slices.Backward(r.state.Receipts) {
		switch ref := known.Ref; {
		case isSite(ref.Kind) && ref.Kind != siteKind(r.Spec),
			ref == proxyRef(r.Spec) && r.Spec.Proxy.Image == "":
			sites = append(sites, away{ref})
		case r.forProxy(ref) && !wantedForProxy(r.Spec, p, ref):
			rest = append(rest, away{ref})
		case isSurplus(r.Spec, ref):
			rest = append(rest, away{ref})
		}
	}
	return join(sites, rest)
}

// forProxy reports whether a thing was made for a proxy.
func (r *Registry) forProxy(ref host.Ref) bool {
	folder := r.Dir.Join("proxy")
	switch ref.Kind {
	case kindSocketFolder, kindChallengeFolder, engine.KindNetwork:
		return true
	case host.Dir:
		return r.isOurs(ref.Path, folder)
	case host.File:
		base := strings.TrimPrefix(filepath.Base(ref.Path), "regctl-"+r.Spec.Name)
		return base == ".htpasswd" || base == ".htgroup" || statedir.SameFolder(filepath.Dir(ref.Path), folder)
	}
	return false
}

func wantedForProxy(s spec.Spec, p Place, ref host.Ref) bool {
	switch {
	case ref.Kind == kindSocketFolder:
		return isSocketWanted(s, ref.Path)
	case ref.Kind == kindChallengeFolder:
		return acmeWebroot(s) != ""
	case ref.Kind == engine.KindNetwork:
		return s.Proxied() && !s.Socket()
	case p.Front == nil:
		return false
	case ref.Kind == host.Dir:
		return true
	case !s.ProxyOnHost():
		base := filepath.Base(ref.Path)
		return base == "nginx.conf" || base == "tls.pem" && s.TLS.Mode != spec.TLSNone || base == "htpasswd" && s.ProxyAsks()
	case filepath.Ext(ref.Path) == ".htgroup":
		return s.ProxyAsks() && s.Proxy.HasGroups() && ref.Path == p.Front.server.GroupsPath(s.Name)
	case filepath.Ext(ref.Path) == ".htpasswd":
		return s.ProxyAsks() && ref.Path == p.Front.server.UsersPath(s.Name)
	}
	return filepath.Base(ref.Path) == s.Proxy.Kind+".conf"
}

// isFront reports whether a thing of that kind holds the port.
func isFront(kind host.Kind) bool { return isSite(kind) || kind == engine.KindContainer }

// away is the step that takes one thing of ours away.
type away struct{ ref host.Ref }

func (a away) Name() string      { return a.ref.String() }
func (a away) Reads() []host.Ref { return []host.Ref{a.ref} }

func (a away) Plan(seen host.Facts) (step.Change, error) {
	now := seen[a.ref]
	if !now.Exists || now.Foreign != "" {
		return step.Change{}, nil
	}
	why := "(the proxy has no use for it any more)\n"
	if isSite(a.ref.Kind) {
		why = "(with its link and certificate; checked and reloaded)\n"
	}
	target := a.ref.Path
	switch a.ref.Kind {
	case engine.KindContainer, engine.KindNetwork, engine.KindImage:
		target = a.ref.String()
	case kindNodeImage:
		target = onNodes(a.ref)
	}
	return step.Change{
		Items: []step.Item{{Target: target, Action: host.Remove, Diff: why}},
		Ops:   []host.Op{{Ref: a.ref, Action: host.Remove, Before: now.Hash()}},
	}, nil
}

// frontHandlers are the kinds of thing that a proxy needs.
func frontHandlers() map[host.Kind]host.Handler {
	handlers := proxy.Handlers()
	handlers[kindSocketFolder] = socketFolders{}
	handlers[kindChallengeFolder] = challengeFolders{}
	return handlers
}
