package scenario

import (
	"bytes"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// extraFile is regctl-serve.yaml: what distribution has no key for. The embedded
// registry watches it; what must have a restart is in config.yml too.
type extraFile struct {
	HTTP2 bool       `yaml:"http2"`
	Auth  *extraAuth `yaml:"auth,omitempty"`
	// MirrorCA is the file beside it with the CA of a mirror's upstream.
	MirrorCA string `yaml:"mirrorCA,omitempty"`
}

type extraAuth struct {
	Realm string `yaml:"realm"`
	// DockerGateway says that the address of Docker's gateway tells nobody apart.
	DockerGateway bool    `yaml:"dockerGateway,omitempty"`
	Grace         []grace `yaml:"grace,omitempty"`
	// Token has the registry give out and demand tokens.
	Token *extraToken `yaml:"token,omitempty"`
}

type extraToken struct {
	Service string      `yaml:"service"`
	Issuer  string      `yaml:"issuer"`
	Rules   []spec.Rule `yaml:"rules"`
}

// grace is a hash that is good until some time beside the one in htpasswd.
type grace struct {
	User  string    `yaml:"user"`
	Hash  string    `yaml:"hash"`
	Until time.Time `yaml:"until"`
}

// extraStep keeps regctl-serve.yaml, and in it what `user passwd --grace` left, which
// no regctl.yaml says: until it is over, or changed by change.
type extraStep struct {
	spec   spec.Spec
	place  Place
	change func([]grace) []grace // nil: none
}

func serveExtra(s spec.Spec, p Place) step.Step { return extraStep{spec: s, place: p} }

func (e extraStep) ref() host.Ref     { return fileRef(e.place.Dir.ServeExtra()) }
func (e extraStep) Name() string      { return e.ref().Path }
func (e extraStep) Reads() []host.Ref { return []host.Ref{e.ref()} }

func (e extraStep) Plan(seen host.Facts) (step.Change, error) {
	var old extraFile
	_ = yaml.Unmarshal(seen[e.ref()].Data, &old) // a damaged one is written anew
	data, err := e.render(old)
	if err != nil {
		return step.Change{}, err
	}
	return step.WriteFile{
		Path: e.ref().Path, Data: data, Mode: 0o600, UID: e.place.UID, GID: e.place.GID, Mask: maskHashes,
	}.Plan(seen)
}

// render gives the file's text; old is what it was.
func (e extraStep) render(old extraFile) ([]byte, error) {
	want := extraFile{HTTP2: e.spec.HTTP2}
	if e.spec.Mirror.CACert != "" {
		want.MirrorCA = mirrorCA
	}
	if e.spec.Auth.HasUsers() && e.spec.Image == "" && !e.spec.ProxyAsks() {
		want.Auth = &extraAuth{Realm: e.spec.Auth.RealmOrDefault(), DockerGateway: e.spec.Runtime != spec.RuntimeProcess && !e.spec.Socket()}
		if old.Auth != nil {
			want.Auth.Grace = unexpired(old.Auth.Grace, e.place.Now)
		}
		if e.spec.Auth.Builtin() {
			want.Auth.Token = &extraToken{e.spec.Address(), "regctl/" + e.spec.Name, e.spec.Auth.Rules}
		}
		if e.change != nil {
			want.Auth.Grace = e.change(want.Auth.Grace)
		}
	}
	var data bytes.Buffer
	data.WriteString("# What the embedded registry reads beside config.yml; written by regctl.\n")
	encoder := yaml.NewEncoder(&data)
	encoder.SetIndent(2)
	err := encoder.Encode(want)
	return data.Bytes(), err
}

func unexpired(all []grace, now time.Time) (left []grace) {
	for _, g := range all {
		if now.Before(g.Until) {
			left = append(left, g)
		}
	}
	return left
}

// maskHashes keeps password hashes out of diffs.
func maskHashes(data []byte) []byte { return bcryptHash.ReplaceAll(data, []byte(secret.Mask)) }
