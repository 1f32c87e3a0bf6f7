// Package canary has a running registry serve an image that nobody has seen yet, so
// that a client's pull of it proves what the client trusts.
package canary

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/statedir"
)

// Options say what to open. The zero Lifetime is an hour.
type Options struct {
	// Address is the registry as clients name it: HOST:PORT, see spec.Address.
	Address string
	// Lifetime ends the canary of a command that was killed.
	Lifetime time.Duration
	// Secret is what the registries share that are to serve it: each tells by the name
	// that it was asked for by who knows the secret. Empty has the one at the directory
	// look at a file there.
	Secret secret.String
	// Credential makes a user and password that open the canary alone, for a
	// registry that asks for some.
	Credential bool
}

// Ref is an open canary.
type Ref struct {
	Name       string // to pull: ADDRESS/regctl/canary:TAG
	Repository string // regctl/canary, or below it
	Tag        string
	// Digests are what a pull may report: of the OCI's index, and of Docker's list,
	// which engines up to 18.09 get.
	Digests []string
	// User and Password are empty unless Options.Credential was set. Never put the
	// password into an argument.
	User     string
	Password secret.String
}

// Open has the registry at d, which is locked, serve a fresh canary from now on. The
// caller must call closer in the end, also after an interrupt; calling it again does
// nothing. What a killed command left open is replaced. A registry that is not the
// embedded one does not look at the file.
func Open(d statedir.Dir, o Options) (ref Ref, closer func() error, err error) {
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	if !o.Secret.Empty() {
		ref, err = signed(o)
		return ref, func() error { return nil }, err
	}
	state, err := statedir.LoadState(d)
	if err != nil {
		return Ref{}, nil, err
	}
	file := canaryimage.File{
		Version: canaryimage.Version,
		Tag:     strings.ToLower(rand.Text()),
		Nonce:   rand.Text(),
		Expires: time.Now().Add(o.Lifetime).UTC().Truncate(time.Second),
	}
	ref = Ref{Repository: canaryimage.Repository, Tag: file.Tag}
	ref.Name = o.Address + "/" + ref.Repository + ":" + ref.Tag
	if o.Credential {
		password := rand.Text()
		ref.User, ref.Password = canaryimage.User, secret.New(password)
		file.Credential = canaryimage.Credential(canaryimage.User, password)
	}
	image, err := canaryimage.New(file.Nonce)
	if err != nil {
		return Ref{}, nil, err
	}
	ref.Digests = []string{image.Index.String(), image.DockerIndex.String()}
	data, err := file.Marshal()
	if err != nil {
		return Ref{}, nil, err
	}
	closer, err = put(d, host.Fact{Exists: true, Data: data, Mode: 0o600, UID: state.UID, GID: state.GID})
	return ref, closer, err
}

// signed is a canary that ends by itself.
func signed(o Options) (ref Ref, err error) {
	var nonce [10]byte
	_, _ = rand.Read(nonce[:]) // never fails
	word, password := canaryimage.Sign(o.Secret.Reveal(), nonce, time.Now().Add(o.Lifetime))
	ref = Ref{Repository: canaryimage.Repository + "/" + word, Tag: canaryimage.SignedTag}
	ref.Name = o.Address + "/" + ref.Repository + ":" + ref.Tag
	if o.Credential {
		ref.User, ref.Password = canaryimage.User, secret.New(password)
	}
	file, _ := canaryimage.Signed(o.Secret.Reveal(), word)
	image, err := canaryimage.New(file.Nonce)
	if err == nil {
		ref.Digests = []string{image.Index.String(), image.DockerIndex.String()}
	}
	return ref, err
}

// put writes the file and returns what removes it, unless another has replaced it.
func put(d statedir.Dir, want host.Fact) (func() error, error) {
	ref := host.Ref{Kind: host.File, Path: d.Canary()}
	local := host.NewLocal(nil)
	_, err := local.Do(context.Background(), []host.Op{{Ref: ref, Action: host.Create, Want: want, Before: host.AnyBefore}})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Fail("make the registry whole with `regctl apply`", "the registry has nowhere to be told of a canary: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := local.Do(context.Background(), []host.Op{{Ref: ref, Action: host.Remove, Before: want.Hash()}})
		var changed *host.ChangedError
		if errors.As(err, &changed) {
			return nil // not ours any more
		}
		return err
	}, nil
}

// Remove ends whatever canary there is, and clears away what a killed command was
// writing. d is locked.
func Remove(d statedir.Dir) error {
	folder := filepath.Dir(d.Canary())
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host.Failed("read", folder, err)
	}
	files := []string{d.Canary()}
	for _, e := range entries {
		if temp, _ := filepath.Match(host.TempPattern, e.Name()); temp {
			files = append(files, filepath.Join(folder, e.Name()))
		}
	}
	for _, path := range files {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return host.Failed("remove", path, err)
		}
	}
	return nil
}
