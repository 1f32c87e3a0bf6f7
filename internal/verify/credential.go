package verify

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/regctl/regctl/internal/secret"
)

// credential is what a pull shows the registry; without a user, nothing.
type credential struct {
	registry string // as image references name it
	user     string
	password secret.String
}

func (c credential) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(c.user + ":" + c.password.Reveal()))
}

// dockerConfig is Docker's config.json, which podman takes as its auth file too. It
// is never left out: the client's own credentials must not decide the outcome.
func (c credential) dockerConfig() []byte {
	type auth struct {
		Auth string `json:"auth"`
	}
	auths := map[string]auth{}
	if c.user != "" {
		auths[c.registry] = auth{c.basic()}
	}
	return marshal(map[string]any{"auths": auths})
}

// curlConfig is a file for curl -K with the header that the Docker API takes a
// credential by.
func (c credential) curlConfig() []byte {
	login := map[string]string{}
	if c.user != "" {
		login = map[string]string{"username": c.user, "password": c.password.Reveal(), "serveraddress": c.registry}
	}
	return fmt.Appendf(nil, "header = \"X-Registry-Auth: %s\"\n", base64.URLEncoding.EncodeToString(marshal(login)))
}

// header is a line of hosts.toml's table header.
func (c credential) header() []byte {
	if c.user == "" {
		return nil
	}
	return fmt.Appendf(nil, "  Authorization = \"Basic %s\"\n", c.basic())
}

func (c credential) none() []byte { return nil }

func marshal(v any) []byte {
	data, _ := json.Marshal(v) // strings and maps of them
	return data
}
