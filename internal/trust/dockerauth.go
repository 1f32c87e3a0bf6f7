package trust

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/regctl/regctl/internal/secret"
)

// DockerAuth is one login in the config.json of Docker's client, as docker login
// writes it where no credential helper keeps it: auths.ADDRESS.auth, base64 of
// user:password (docker/cli, cli/config/configfile). Docker's client writes the
// whole file anew, sorted and with tabs, whenever it logs in or out; Remove finds
// the entry after that too.
//
// Its Part is the address alone, so FromPart's editor can Remove and no more.
type DockerAuth struct {
	Address string
	Login
	// Replace changes the login that is there for the address, since that is ours.
	// Another's is refused.
	Replace bool
}

// authHead and authTail are around the entry in a file that we make: the layout is
// Docker's own, but for the newline at the end.
const (
	authHead = "{\n\t\"auths\": {\n\t\t"
	authTail = "\n\t}\n}\n"
)

const configHint = "mend the file first: docker cannot read it either"

// Part implements Editor.
func (d DockerAuth) Part() string { return partName("docker-auth", d.Address) }

// Has implements Editor.
func (d DockerAuth) Has(data []byte) bool {
	doc, err := d.parse(data)
	return err == nil && doc.entry >= 0 && doc.login().is(d.Login)
}

// of is the login that a file has for the address.
func (d DockerAuth) of(data []byte) Login {
	doc, err := d.parse(data)
	if err != nil || doc.entry < 0 {
		return Login{}
	}
	login, _ := doc.login().plain() // a login that is no such thing has no user
	return login
}

// Apply implements Editor.
func (d DockerAuth) Apply(data []byte) ([]byte, error) {
	doc, err := d.parse(data)
	if err != nil {
		return data, err
	}
	text := string(data)
	switch {
	case doc.entry >= 0 && doc.login().is(d.Login):
		return data, nil
	case doc.entry >= 0:
		return d.replace(data, doc)
	case doc.blank:
		return []byte(authHead + d.member("\n\t\t") + authTail + text), nil
	case doc.auths < 0:
		return settled(data, doc.top.add(text, `"auths": {`+d.member("")+`}`), d, decodeObject)
	case len(doc.logins.Members) == 0:
		// The space tells an object that was there from one that we made.
		return settled(data, doc.logins.add(text, " "+d.member("")), d, decodeObject)
	}
	return settled(data, doc.logins.add(text, d.member(doc.logins.gap())), d, decodeObject)
}

// member is our entry; gap is the white space in front of it.
func (d DockerAuth) member(gap string) string {
	key, auth := quote(d.Address)+": ", `"auth": `+quote(d.auth())
	nl := strings.LastIndexByte(gap, '\n')
	if nl < 0 {
		return key + "{" + auth + "}"
	}
	indent := gap[nl+1:] // two levels deep
	return key + "{" + gap + indent[:len(indent)/2] + auth + gap + "}"
}

// replace changes the login in an entry of ours, which holds nothing else.
func (d DockerAuth) replace(data []byte, doc dockerConfig) ([]byte, error) {
	at := doc.logins.Members[doc.entry]
	entry, ok := at.Value.Value.(*hujson.Object)
	if d.Replace && ok && len(entry.Members) == 1 && doc.login().Auth != "" && doc.logins.name(doc.entry) == d.Address {
		auth := entry.Members[0].Value
		return splice(string(data), auth.StartOffset, auth.EndOffset, quote(d.auth())), nil
	}
	return data, refuse(lineAt(data, at.Name.StartOffset), "run docker logout "+d.Address+" there first, as that user",
		"another login for %s is there", d.Address)
}

// Remove implements Editor.
func (d DockerAuth) Remove(data []byte) ([]byte, error) {
	doc, err := d.parse(data)
	if err != nil || doc.entry < 0 || doc.logins.name(doc.entry) != d.Address {
		return data, err
	}
	text, it := string(data), doc.logins.Members[doc.entry]
	if len(doc.logins.Members) > 1 {
		return doc.logins.cut(text, doc.entry), nil
	}
	from, to := it.Name.StartOffset, it.Value.EndOffset
	if rest, ok := strings.CutPrefix(text, authHead+text[from:to]+authTail); ok {
		return []byte(rest), nil
	}
	auths := doc.top.Members[doc.auths].Value
	switch before := string(it.Name.BeforeExtra); {
	case before == "" && len(it.Value.AfterExtra) == 0:
		return doc.top.cut(text, doc.auths), nil // we made the object
	case before == " ":
		return splice(text, from-1, to, ""), nil
	}
	return splice(text, auths.StartOffset, auths.EndOffset, "{}"), nil // as docker logout leaves it
}

// dockerConfig is what an edit must know of a config.json.
type dockerConfig struct {
	blank  bool
	top    object
	auths  int // index of the key, -1 without
	logins object
	entry  int // index of the address's, -1 without
	data   []byte
}

func (d DockerAuth) parse(data []byte) (dockerConfig, error) {
	doc := dockerConfig{auths: -1, entry: -1, data: data}
	var err error
	if doc.top, doc.blank, err = parseObject(data, configHint); err != nil || doc.blank {
		return doc, err
	}
	if doc.auths, err = doc.top.find(data, "auths"); err != nil || doc.auths < 0 {
		return doc, err
	}
	value := doc.top.Members[doc.auths].Value
	logins, ok := value.Value.(*hujson.Object)
	if !ok {
		return doc, refuse(lineAt(data, value.StartOffset), `write it as an object: "auths": {}`, "auths is not an object")
	}
	doc.logins = object{logins, value.StartOffset}
	if doc.entry, err = doc.logins.find(data, d.Address); err != nil || doc.entry >= 0 {
		return doc, err
	}
	for i := range logins.Members { // Docker's client does so too
		if hostOf(doc.logins.name(i)) == d.Address {
			doc.entry = i
		}
	}
	return doc, nil
}

func (doc dockerConfig) login() dockerLogin {
	value := doc.logins.Members[doc.entry].Value
	var l dockerLogin
	_ = json.Unmarshal(doc.data[value.StartOffset:value.EndOffset], &l) // what is no login is another's
	return l
}

// hostOf is the registry that an old key such as https://HOST/v1/ means (docker/cli,
// credentials.ConvertToHostname).
func hostOf(key string) string {
	if strings.Contains(key, "://") {
		if u, err := url.Parse(key); err == nil && u.Hostname() != "" {
			return u.Host
		}
	}
	host, _, _ := strings.Cut(key, "/")
	return host
}

// dockerLogin is an entry of auths.
type dockerLogin struct {
	Auth, Username, Password     string
	IdentityToken, RegistryToken string
}

// plain gives the user and password; ok is false for an entry that is more or less.
func (l dockerLogin) plain() (login Login, ok bool) {
	if l.IdentityToken != "" || l.RegistryToken != "" {
		return Login{}, false
	}
	if l.Auth == "" {
		return Login{l.Username, secret.New(l.Password)}, l.Username != ""
	}
	text, err := base64.StdEncoding.DecodeString(l.Auth)
	user, password, ok := strings.Cut(string(text), ":")
	return Login{user, secret.New(strings.Trim(password, "\x00"))}, err == nil && ok && user != ""
}

func (l dockerLogin) is(want Login) bool {
	login, ok := l.plain()
	return ok && login == want
}

func decodeObject(data []byte) (any, error) {
	if blankJSON(data) {
		return nil, nil
	}
	var all any
	err := json.Unmarshal(data, &all)
	return all, err
}
