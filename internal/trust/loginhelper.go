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

// askedHelper is what a helper said that it keeps.
func askedHelper(ref host.Ref, f host.Fact) (Login, error) {
	helper, _, _ := strings.Cut(ref.Path, " ")
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
