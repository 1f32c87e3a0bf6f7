package scenario

import (
	"bytes"
	"regexp"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// accounts is --auth htpasswd, and whom our own token server knows: the file of users, and the link by which people find
// it. Who is in it is for the user commands to say, so one that is there stays.
func accounts(s spec.Spec, p Place) []step.Step {
	if !s.Auth.HasUsers() {
		return nil
	}
	return []step.Step{
		step.MakeDir{Path: p.Dir.Join("auth"), Mode: 0o700, UID: ourUID(), GID: ourGID()},
		usersFile{p},
		step.MakeLink{Path: p.Dir.Join("auth", "htpasswd"), Target: "../serve/htpasswd"},
	}
}

// usersFile keeps serve/htpasswd.
type usersFile struct{ place Place }

func (u usersFile) ref() host.Ref     { return fileRef(u.place.Dir.Htpasswd()) }
func (u usersFile) Name() string      { return u.ref().Path }
func (u usersFile) Reads() []host.Ref { return []host.Ref{u.ref()} }

func (u usersFile) Plan(seen host.Facts) (step.Change, error) {
	data := u.place.Users
	if data == nil {
		data = seen[u.ref()].Data // only its mode and owner are ours to mend
	}
	return step.WriteFile{
		Path: u.ref().Path, Data: data, Mode: 0o600, UID: u.place.UID, GID: u.place.GID, Mask: maskUsers,
	}.Plan(seen)
}

var bcryptHash = regexp.MustCompile(`\$2[aby]?\$\d\d\$[./A-Za-z0-9]{53}`)

// maskUsers leaves the names and hides every hash, of whatever kind. Files have ten
// thousand lines, and an expression takes twenty times as long.
func maskUsers(data []byte) []byte {
	masked := make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		text := bytes.TrimSuffix(line, []byte("\n"))
		name, hash, _ := bytes.Cut(text, []byte(":"))
		if len(name) == 0 || name[0] == '#' || len(hash) == 0 {
			masked = append(masked, line...)
			continue
		}
		masked = append(append(append(masked, name...), ':'), secret.Mask...)
		masked = append(masked, line[len(text):]...)
	}
	return masked
}
