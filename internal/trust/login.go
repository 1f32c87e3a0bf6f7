package trust

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/step"
)

// Login is what docker login is told.
type Login struct {
	User     string
	Password secret.String
}

func (l Login) auth() string {
	return base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password.Reveal()))
}

// check refuses what the Authorization header of HTTP (RFC 7617) cannot carry.
func (l Login) check() error {
	control := func(c rune) bool { return c < ' ' || c == 0x7f }
	switch {
	case l.User == "" || strings.Contains(l.User, ":") || strings.ContainsFunc(l.User, control):
		return fault.Usage("give --login the name of a user", "%q is not the name of a user", l.User)
	case l.Password.Empty():
		return fault.Usage("give the password on standard input, with --password-stdin", "there is no password for %s", l.User)
	case strings.ContainsFunc(l.Password.Reveal(), control):
		return fault.Usage("give the password alone on standard input, on one line", "the password for %s has a control character in it", l.User)
	}
	return nil
}

// LoginReads lists what SeenClient must be given besides, for Options.Login.
func LoginReads() []host.Ref { return []host.Ref{host.LoginDockerConfigRef()} }

// loginStore stores the credentials where Docker's client of the user who logged in looks
// for them: with the credential helper that its config.json names, else in that file,
// which podman reads too.
func loginStore(r Registry, c Client, opts Options) (Placement, error) {
	p := Placement{Store: LoginStore, Effect: Now}
	if err := opts.Login.check(); err != nil {
		return p, err
	}
	if c.DockerConfig == nil {
		return p, errors.New("config.json of the user who logged in has not been read")
	}
	at := loginPlace{r.Address(), *opts.Login, c.Login, c.LoginUID, c.LoginGID, c.LoginHome, ""}
	if at.home == "" {
		return p, fault.Fail("log in as a user who has a home in /etc/passwd", "the home of %s is not known", at.user)
	}
	p.Path = at.config()
	if what := c.DockerConfig.Foreign; what != "" {
		return p, &host.ForeignError{Ref: host.Ref{Kind: host.Source, Path: p.Path}, What: what}
	}
	var err error
	var forAll bool
	if at.helper, forAll, err = helperOf(c.DockerConfig.Data, at.address); err != nil {
		return p, named(p.Path, err)
	}
	if at.helper != "" {
		if forAll && c.there(Podman) {
			p.Warnings = []string{fmt.Sprintf("podman is not logged in by this: it asks the helpers in credHelpers of %s, and not credsStore", p.Path)}
		}
		p.Path = "docker-credential-" + at.helper
		p.Steps = []step.Step{loginHelper{at}}
		return p, nil
	}
	reader := "whoever reads that file"
	if mode := c.DockerConfig.Mode; mode&0o077 != 0 {
		reader = fmt.Sprintf("every user whom its mode %04o lets read it", mode)
	}
	p.Warnings = []string{fmt.Sprintf("the password is base64 in %s: %s has it; a credential helper avoids that", p.Path, reader)}
	p.Steps = []step.Step{keepDir{at.dir(), 0o700, at.uid, at.gid, at.address}, loginFile{at}}
	return p, nil
}

// helperOf is the credential helper for a registry, "" for none (docker/cli,
// configfile.getConfiguredCredentialStore). forAll is one that keeps every login.
func helperOf(data []byte, address string) (name string, forAll bool, err error) {
	if err := plainJSON(data, configHint); err != nil || blankJSON(data) {
		return "", false, err
	}
	var config struct {
		CredsStore  string
		CredHelpers map[string]string
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", false, refuse(0, configHint, "credsStore is not a text, or credHelpers not an object of texts")
	}
	name, own := config.CredHelpers[address]
	if !own {
		name = config.CredsStore
	}
	if name != "" && !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`).MatchString(name) {
		return "", false, refuse(0, "mend credsStore or credHelpers there, or log in on that host by docker login", "%q is not the name of a credential helper", name)
	}
	return name, !own, nil
}

// loginPlace is where a user's login to a registry belongs.
type loginPlace struct {
	address  string
	want     Login
	user     string // who logged in to the client
	uid, gid int
	home     string
	helper   string
}

func (l loginPlace) dir() string    { return l.home + "/.docker" }
func (l loginPlace) config() string { return l.dir() + "/config.json" }

// Name implements step.Step.
func (l loginPlace) Name() string { return l.config() }

// owned are what must be the user's own: root would write there.
func (l loginPlace) owned() []host.Ref {
	return []host.Ref{
		{Kind: host.Dir, Path: l.home + "/."}, // the folder itself, where home is a symlink
		{Kind: host.Dir, Path: l.dir()},
		{Kind: host.Edit, Path: l.config()},
	}
}

// check refuses a place that is not the user's, and a config.json that names another
// helper by now.
func (l loginPlace) check(seen host.Facts) error {
	for i, ref := range l.owned() {
		fact := seen[ref]
		path := strings.TrimSuffix(ref.Path, "/.")
		switch {
		case i == 0 && !fact.Exists:
			return fault.Fail("make it, or log in as a user who has a home", "%s, the home of %s, is not there", path, l.user)
		case fact.Foreign != "":
			return &host.ForeignError{Ref: host.Ref{Kind: ref.Kind, Path: path}, What: fact.Foreign}
		case fact.Exists && fact.UID != l.uid:
			return fault.Fail("chown it to "+l.user+", or log in as the user whose it is",
				"%s does not belong to %s, whose login it would hold", path, l.user)
		}
	}
	config := seen[host.Ref{Kind: host.Edit, Path: l.config()}]
	helper, _, err := helperOf(config.Data, l.address)
	if err != nil {
		return named(l.config(), err)
	}
	if helper != l.helper {
		return &host.ChangedError{Ref: host.Ref{Kind: host.File, Path: l.config()}}
	}
	return nil
}

// loginFile keeps a login in config.json.
type loginFile struct{ loginPlace }

// Reads implements step.Step.
func (l loginFile) Reads() []host.Ref { return l.owned() }

// Plan implements step.Step. A login of ours is changed, unless somebody else may
// have put theirs in its place.
func (l loginFile) Plan(seen host.Facts) (step.Change, error) {
	if err := l.check(seen); err != nil {
		return step.Change{}, err
	}
	auth := DockerAuth{Address: l.address, Login: l.want}
	old := seen[host.Ref{Kind: host.Edit, Path: l.config()}]
	auth.Replace = old.Edit.Has(auth.Part()) && (!old.Edit.Others || auth.of(old.Data).User == l.want.User)
	return Edit{Path: l.config(), Mode: 0o600, UID: l.uid, GID: l.gid, Editor: auth}.Plan(seen)
}
