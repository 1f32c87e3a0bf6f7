package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/spec"
)

// ImageOptions say what image is wanted of a registry.
type ImageOptions struct {
	Ref, Base, LinuxBinary, Version string
	BakeCerts                       bool
	// Docker is the engine that the image is built in, or is asked about Base: nil for
	// none.
	Docker *engine.Docker
	// Fetch has Docker pull a Base that it has not got.
	Fetch bool
}

// OwnImage is what an image is built of, and what people must know of it.
type OwnImage struct {
	Context  image.Context
	Files    []image.ContextFile
	Warnings []string
	// Run are the flags of docker run that bring in what is not in it.
	Run []string
}

// OwnImage gives the image that runs as this registry does, or, where there is none,
// as a plain one over HTTP. Secrets are in it with BakeCerts alone.
func (r *Registry) OwnImage(ctx context.Context, o ImageOptions) (*OwnImage, error) {
	if o.BakeCerts && !r.Exists() {
		return nil, fault.Usage("regctl init --no-start makes one without starting it", "--bake-certs: there is no registry in %s whose certificate that could be", r.Dir)
	}
	out := &OwnImage{Context: image.Context{Ref: o.Ref, Version: o.Version, Exe: o.LinuxBinary, Base: o.Base}}
	s := r.imageSpec(o)
	place := dockerPlace(r.Dir, s)
	if err := out.start(ctx, o, &place); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	secrets := renderSecrets{mirror: r.shownMirrorPassword(s)}
	if o.BakeCerts { // without it the registry makes one up
		http, err := r.placed("secrets", "http")
		if err != nil {
			return nil, err
		}
		secrets.http = strings.TrimSpace(string(http))
	}
	var err error
	if secrets.storage, err = r.secretsFor(s); err != nil {
		return nil, err
	}
	if o.Base != "" && len(secrets.storage) > 0 {
		return nil, fault.Usage("leave --base out", "--base: the storage's keys are nothing that regctl puts into somebody else's image")
	}
	config, err := Render(s, place, secrets)
	if err != nil {
		return nil, err
	}
	if !o.BakeCerts && !bytes.Equal(config, distconfig.Mask(config)) {
		return nil, fault.Usage("--bake-certs bakes them in; or leave them out of the registry's settings and mount a config.yml that has them",
			"config.yml holds secrets, which would be readable by all who can pull the image")
	}
	out.Context.Serve = []image.ContextFile{{Name: "config.yml", Mode: 0o644, Data: config}}
	if o.BakeCerts {
		out.Context.Serve[0].Mode = 0o600
		out.Warnings = append(out.Warnings, "the private key and whatever else is secret in it is readable by all who can pull "+o.Ref+": push it only where nobody else can")
	}
	if err := r.besideConfig(s, place, o, out); err != nil {
		return nil, err
	}
	out.Files, err = out.Context.Files()
	return out, err
}

// start settles what the image is made around.
func (i *OwnImage) start(ctx context.Context, o ImageOptions, place *Place) (err error) {
	c := &i.Context
	if o.Base == "" {
		if c.Exe == "" {
			c.Exe, err = image.Executable()
		}
		return err
	}
	about, err := i.base(ctx, o)
	if err != nil {
		return err
	}
	place.Flavour = distconfig.Stock3
	if about.Major == 2 {
		place.Flavour = distconfig.Stock2
	}
	c.Entrypoint, c.Command, c.Env, c.BaseUser = about.Entrypoint, about.Args, about.Env, about.User
	return nil
}

// base asks the engine how the base is started, or else takes it for one of Docker
// Hub's or of distribution's own, which both understand the same command.
func (i *OwnImage) base(ctx context.Context, o ImageOptions) (engine.Stock, error) {
	if o.Docker != nil {
		if o.Fetch {
			if err := o.Docker.Fetch(ctx, o.Base); err != nil {
				return engine.Stock{}, fault.Fail("load it by hand (docker load), or leave --base out: regctl brings a registry along", "--base: %w", err)
			}
		}
		if seen, err := (engine.Images{Docker: o.Docker}).Look(ctx, o.Base); err != nil {
			return engine.Stock{}, err
		} else if seen.Exists {
			return o.Docker.InspectStock(ctx, o.Base, containerConfig)
		}
	}
	guess := engine.Stock{Major: 3, Args: []string{"serve", containerConfig}, Env: engine.StockEnv()}
	if flavourOf(o.Base) == distconfig.Stock2 {
		guess.Major = 2
	}
	i.Warnings = append(i.Warnings, fmt.Sprintf("no engine here has %s to look at: it is taken for version %d, and for one that starts by %q", o.Base, guess.Major, "serve "+containerConfig))
	return guess, nil
}

// imageSpec is the registry's spec for a container that regctl does not run.
func (r *Registry) imageSpec(o ImageOptions) spec.Spec {
	s := r.Spec
	if !r.Exists() {
		s.Hosts, s.TLS.Mode = []string{"localhost"}, spec.TLSNone
	}
	s.Runtime, s.Image, s.LinuxBinary = spec.RuntimeDocker, o.Base, ""
	s.Bind, s.AddHosts, s.Storage.Volume = "", nil, ""
	s.Proxy = spec.Default().Proxy // whoever runs it puts one in front or does not
	return s
}

// beside is a file in serve/ that config.yml needs, by its name in both places.
type beside struct {
	name   string
	needed bool
	secret bool // it is in the image with BakeCerts alone, and else to be mounted
}

func besides(s spec.Spec, own bool) []beside {
	tls := s.TLS.Mode != spec.TLSNone
	return []beside{
		{mirrorCA, own && s.Mirror.CACert != "", false},
		{"token-ca.pem", s.Auth.TokenRootCA != "", false},
		{"token-jwks.json", s.Auth.TokenJWKS != "", false},
		{"tls/current/crt", tls, true},
		{"tls/current/key", tls, true},
		{"htpasswd", s.Auth.HasUsers(), true},
		{"token.key", own && s.Auth.Builtin(), true},
		{servedSecrets, own && s.Storage.Remote(), true},
	}
}

// besideConfig adds the files that config.yml names, or where they are to be mounted.
func (r *Registry) besideConfig(s spec.Spec, place Place, o ImageOptions, out *OwnImage) error {
	own := place.Flavour == distconfig.Embedded
	serve := &out.Context.Serve
	if own {
		data, err := extraStep{spec: s, place: place}.render(extraFile{})
		if err != nil {
			return err
		}
		*serve = append(*serve, image.ContextFile{Name: "regctl-serve.yaml", Mode: 0o644, Data: data})
	}
	if s.TLS.Mode != spec.TLSNone && o.BakeCerts {
		*serve = append(*serve, image.ContextFile{Name: "tls/", Mode: 0o755}, image.ContextFile{Name: "tls/current/", Mode: 0o755})
	}
	for _, f := range besides(s, own) {
		if !f.needed || f.name == servedSecrets && !r.has(f.name) { // the platform's own may do
			continue
		}
		if f.secret && !o.BakeCerts {
			mount, _, _ := strings.Cut(f.name, "/") // of a pair the folder, whose link is swapped
			out.mount(r.Dir.Join("serve", mount), containerServe+"/"+mount)
			continue
		}
		data, err := r.placed("serve", filepath.FromSlash(f.name))
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if f.secret && f.name != "tls/current/crt" {
			mode = 0o600
		}
		*serve = append(*serve, image.ContextFile{Name: f.name, Mode: mode, Data: data})
	}
	if own && len(out.Run) > 0 && r.state.UID != image.User { // what is mounted is that user's
		out.Run = append(out.Run, "--user", fmt.Sprintf("%d:%d", r.state.UID, r.state.GID))
	}
	return nil
}

func (i *OwnImage) mount(from, to string) {
	if v := from + ":" + to + ":ro"; !slices.Contains(i.Run, v) {
		i.Run = append(i.Run, "-v", v)
	}
}

func (r *Registry) has(served string) bool {
	data, err := readFile(r.Dir.Join("serve", served))
	return err == nil && data != nil
}

// placed reads what init or apply wrote.
func (r *Registry) placed(parts ...string) ([]byte, error) {
	path := r.Dir.Join(parts...)
	data, err := readFile(path)
	if err == nil && data == nil {
		err = fault.Fail("regctl apply makes it", "%s is missing", path)
	}
	return data, err
}
