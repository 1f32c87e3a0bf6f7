package scenario

import (
	"context"
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/step"
)

// renewedLeaf is certificates for cert renew: a new leaf under the CA that is there,
// for the names that the old one has. What has changed in regctl.yaml is for apply.
type renewedLeaf struct {
	certificates
	force bool
}

func (l renewedLeaf) Name() string { return "renewed certificate" }

func (l renewedLeaf) Plan(seen host.Facts) (step.Change, error) {
	crt, key := seen[l.caCert()], seen[l.caKey()]
	if !crt.Exists || !key.Exists {
		_, err := l.needCA(seen) // says which one is missing
		if err == nil {
			err = fault.Fail("restore both from a backup; or regctl apply makes a new CA, which every client must then be told to trust",
				"%s and %s are missing", l.caCert().Path, l.caKey().Path)
		}
		return step.Change{}, err
	}
	if err := caFault(l.place.Dir.Certs(), pki.CheckCA(crt.Data, key.Data, l.place.Now)); err != nil {
		return step.Change{}, err
	}
	hosts, why := l.due(seen)
	if why == "" && !l.force {
		return step.Change{}, nil
	}
	if why == "" {
		why = "asked for"
	}
	current := currentLink(l.place)
	return step.Change{
		Items: []step.Item{{
			Target: current.Path, Action: action(seen[current]),
			Diff: fmt.Sprintf("(new %s key and leaf for %s, %d days: %s)", l.spec.TLS.KeyType, strings.Join(hosts, ", "), l.spec.TLS.CertDays, why),
		}},
		Make: func(context.Context) ([]host.Op, error) { return l.issue(seen, false, hosts) },
	}, nil
}

// due gives the names for the new leaf and why one is needed, "" while it is not.
func (l renewedLeaf) due(seen host.Facts) (hosts []string, why string) {
	crt, key := currentFacts(l.place, seen)
	if !crt.Exists {
		return l.spec.Hosts, "there is none"
	}
	hosts = l.names(crt.Data)
	if err := pki.CheckPair(crt.Data, key.Data, hosts, l.place.Now); err != nil {
		return hosts, err.Error()
	}
	switch {
	case !pki.IssuedBy(crt.Data, seen[l.caCert()].Data):
		return hosts, "another CA issued it than the one that clients trust"
	case pki.NeedsRenewal(crt.Data, l.place.Now):
		return hosts, "two thirds of its life are over"
	}
	return hosts, ""
}

// names are those of the leaf in use, wherever in its file it is; without one, those
// of regctl.yaml.
func (l renewedLeaf) names(chain []byte) []string {
	infos, _ := pki.InspectAll(chain) // what does not parse has no names
	for _, info := range infos {
		if sans := info.SANs(); len(sans) > 0 && !sameNames(sans, l.spec.Hosts) {
			return sans
		}
	}
	return l.spec.Hosts // also where they are the same, in the operator's order
}
