package trust

import (
	"net/netip"
	"slices"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/step"
)

// Plan says what makes a client trust a registry. stores are those named by the
// operator; none means Detect's. An error means that the host fails with nothing
// touched; the same holds for an error of a step's own Plan, which looks at the
// files.
func Plan(r Registry, c Client, stores []Store, opts Options) ([]Placement, error) {
	var placed []Placement
	if len(stores) == 0 {
		if stores = Detect(r, c); len(stores) == 0 {
			return nil, fault.Fail("--store docker places the CA for a Docker that comes later, --store os for the programs of the system",
				"there is no container runtime")
		}
		opts.Record = true
	}
	if opts.Record && !r.Plain && len(r.CA) == 0 {
		placed, stores = unplaced(stores), nil
	}
	all, err := choose(c, stores, opts)
	if err != nil {
		return nil, err
	}
	var passed []string // warnings of what was left out
	for _, one := range all {
		if opts.Beside && one.single {
			continue
		}
		p, err := one.plan(r, c, opts)
		switch {
		case err == nil:
			placed = append(placed, p)
		case withoutDocker(err, all):
			passed = append(passed, "passed over: "+err.Error())
		default:
			return nil, err
		}
	}
	if len(passed) > 0 && len(placed) > 0 {
		placed[0].Warnings = append(placed[0].Warnings, passed...)
	}
	if opts.MapHost != "" {
		p, err := mapHost(r, c, opts)
		if err != nil {
			return nil, err
		}
		placed = append([]Placement{p}, placed...)
	}
	if opts.Login != nil {
		p, err := loginStore(r, c, opts)
		if err != nil {
			return nil, err
		}
		placed = append(placed, p)
	}
	chain(placed)
	return placed, nil
}

// unplaced are runtimes that trust the registry already, by the public CAs: nothing is
// done about them, and their pulls are to prove it.
func unplaced(stores []Store) []Placement {
	var placed []Placement
	for _, s := range stores {
		placed = append(placed, Placement{Store: s, Effect: Now})
	}
	return placed
}

// mapHost keeps the registry's line in /etc/hosts. dockerd takes up to 5 s to see it.
func mapHost(r Registry, c Client, opts Options) (Placement, error) {
	p := Placement{Store: MapHost, Path: "/etc/hosts", Effect: Now}
	addr, err := netip.ParseAddr(opts.MapHost)
	if err != nil {
		return p, fault.Usage("--map-host takes the registry's IP address", "%q is not an IP address", opts.MapHost)
	}
	if _, err := netip.ParseAddr(r.Host); err == nil {
		return p, fault.Usage("leave --map-host away", "the registry is reached by its address, which needs no line in /etc/hosts")
	}
	if !c.root() {
		return p, fault.Fail("log in as root or as a user with sudo", "/etc/hosts is root's")
	}
	p.Steps = []step.Step{Edit{Path: p.Path, Mode: 0o644, Editor: HostsLine{r.Address(), r.Host, addr.String()}}}
	return p, nil
}

// chain has the edits of one file build on each other, and leaves out what an
// earlier store does already.
func chain(placed []Placement) {
	edits := map[string][]Editor{}
	for _, p := range placed {
		for _, s := range p.Steps {
			if e, ok := s.(Edit); ok {
				edits[e.Path] = append(edits[e.Path], e.Editor)
			}
		}
	}
	seen := map[string]int{}
	done := map[string]bool{}
	for i := range placed {
		var steps []step.Step
		for _, s := range placed[i].Steps {
			switch one := s.(type) {
			case Edit:
				n := seen[one.Path]
				one.prior, one.later = edits[one.Path][:n], edits[one.Path][n+1:]
				seen[one.Path]++
				s = one
			default:
				if done[s.Name()] {
					continue
				}
				done[s.Name()] = true
			}
			steps = append(steps, s)
		}
		placed[i].Steps = slices.Clip(steps)
	}
}
