package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/secret"
)

// Credential is a login that a credential helper of Docker's client keeps for a user:
// docker-credential-NAME, as docker/docker-credential-helpers has it. The helper runs
// as that user. What it is told and what it answers never comes in an argument or a
// file of ours, and a receipt knows the login's user name alone.
//
// An op names a Part and is recorded as one on a File is, see Entry. Remove has the
// helper forget the login, or with Want.Exists leaves it, since it is somebody else's.
//
// A Look's Fact is for ParseCredential. Its Data holds the secret: keep it nowhere.
const Credential Kind = "credential"

// NoHelper is the Fact's Foreign where that user has no such program.
const NoHelper = "not there"

// CredentialRef names the login for a registry that helper keeps for the user login.
func CredentialRef(helper, address, login string) Ref {
	return Ref{Kind: Credential, Path: helper + " " + address + " " + login}
}

// credential is what helpers read and write.
type credential struct {
	ServerURL, Username, Secret string
}

// CredentialFact is what an op wants the helper to keep.
func CredentialFact(address, user string, password secret.String) Fact {
	data, _ := json.Marshal(credential{address, user, password.Reveal()}) // strings always marshal
	return Fact{Exists: true, Data: data}
}

// ParseCredential reads what a helper keeps. No user means that it keeps nothing.
func ParseCredential(f Fact) (user string, password secret.String, err error) {
	if !f.Exists {
		return "", secret.String{}, nil
	}
	var c credential
	if json.Unmarshal(f.Data, &c) != nil {
		return "", secret.String{}, errors.New("the helper's answer is not the JSON that it should be")
	}
	return c.Username, secret.New(c.Secret), nil
}

// bare is the fact with the user name for its data.
func bare(f Fact) Fact {
	user, _, _ := ParseCredential(f) // no name is as good as none that can be read
	return Fact{Exists: f.Exists, Data: []byte(user)}
}

// conceal leaves in a receipt what may be kept.
func (r *Receipt) conceal(op Op, had Fact) {
	switch r.After {
	case "": // there is none
	case had.Hash():
		r.After = bare(had).Hash()
	default:
		r.After = bare(op.Want).Hash()
	}
	if r.Before.Exists {
		r.Before = bare(r.Before)
	}
}

// describe is a helper's failure; the secret that it was given may be in it.
func (op Op) describe(verb string, cause string) error {
	if _, password, _ := ParseCredential(op.Want); !password.Empty() {
		quoted, _ := json.Marshal(password.Reveal()) // a string always marshals
		for _, text := range []string{password.Reveal(), strings.Trim(string(quoted), `"`)} {
			cause = strings.ReplaceAll(cause, text, secret.Mask)
		}
	}
	f := append(strings.SplitN(op.Path, " ", 3), "", "")
	return fmt.Errorf("docker-credential-%s %s for %s, as %s: %s", f[0], verb, f[1], f[2], orElse(cause, "it failed without a word"))
}
