package trust

import (
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// loginHelper keeps a login with a credential helper of Docker's client.
type loginHelper struct{ loginPlace }

func (l loginHelper) ref() host.Ref { return host.CredentialRef(l.helper, l.address, l.user) }
func (l loginHelper) part() string  { return partName("docker-auth-helper", l.address, l.helper) }

// Name implements step.Step.
func (l loginHelper) Name() string { return "docker-credential-" + l.helper }

// Reads implements step.Step.
func (l loginHelper) Reads() []host.Ref { return append(l.owned(), l.ref()) }

// Plan implements step.Step.
func (l loginHelper) Plan(seen host.Facts) (step.Change, error) {
	if err := l.check(seen); err != nil {
		return step.Change{}, err
	}
	old := seen[l.ref()]
	is, err := askedHelper(l.ref(), old)
	if err != nil || is == l.want {
		return step.Change{}, err
	}
	action := host.Create
	if is.User != "" {
		if !old.Edit.Has(l.part()) || old.Edit.Others && is.User != l.want.User {
			return step.Change{}, fault.Fail("run docker logout "+l.address+" there first, as "+l.user,
				"%s keeps another login for %s", l.Name(), l.address)
		}
		action = host.Change
	}
	return step.Change{
		Items: []step.Item{{Target: l.Name(), Action: action, Diff: fmt.Sprintf("(login of %s for %s)\n", l.want.User, l.address)}},
		Ops: []host.Op{{
			Ref: l.ref(), Action: action, Want: host.CredentialFact(l.address, l.want.User, l.want.Password),
			Before: old.Hash(), Part: l.part(),
		}},
	}, nil
}

// forgetLogin has a helper forget what the client's ledger has as ours.
type forgetLogin struct {
	ref  host.Ref
	part string
}

// Name implements step.Step.
func (f forgetLogin) Name() string { return "docker-credential-" + helperIn(f.ref) }

// Reads implements step.Step.
func (f forgetLogin) Reads() []host.Ref { return []host.Ref{f.ref} }

// Plan implements step.Step. The login of somebody who has logged in since stays, and
// so does what a helper keeps that has gone.
func (f forgetLogin) Plan(seen host.Facts) (step.Change, error) {
	old := seen[f.ref]
	if !old.Edit.Has(f.part) {
		return step.Change{}, nil
	}
	// The op is carried out for the ledger's sake, even if nothing is there.
	op := host.Op{Ref: f.ref, Action: host.Remove, Before: old.Hash(), Part: f.part}
	c := step.Change{Ops: []host.Op{op}}
	if !old.Exists || old.Foreign == host.NoHelper {
		return c, nil
	}
	is, err := askedHelper(f.ref, old)
	if err != nil {
		return step.Change{}, err
	}
	if old.Edit.Others {
		c.Ops[0].Want = host.Fact{Exists: true}
		return c, nil
	}
	registry, _ := PartOf(f.part)
	c.Items = []step.Item{{Target: f.Name(), Action: host.Remove, Diff: fmt.Sprintf("(login of %s for %s)\n", is.User, registry)}}
	return c, nil
}

func helperIn(ref host.Ref) string {
	helper, _, _ := strings.Cut(ref.Path, " ")
	return helper
}

// askedHelper is what a helper said that it keeps.
func askedHelper(ref host.Ref, f host.Fact) (Login, error) {
	helper := helperIn(ref)
	hint := "see that docker-credential-" + helper + " works there for that user, or take it out of their .docker/config.json"
	if f.Foreign != "" {
		return Login{}, fault.Fail(hint, "docker-credential-%s: %s", helper, f.Foreign)
	}
	user, password, err := host.ParseCredential(f)
	if err != nil {
		return Login{}, fault.Fail(hint, "docker-credential-%s: %w", helper, err)
	}
	return Login{user, password}, nil
}
