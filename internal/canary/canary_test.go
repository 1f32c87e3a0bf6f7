package canary

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/embedded-registry/canaryimage"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/testenv"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// registry is a directory whose registry is of that user.
func registry(t *testing.T, uid int) statedir.Dir {
	t.Helper()
	d := statedir.Dir(t.TempDir())
	must(t, os.MkdirAll(filepath.Dir(d.Canary()), 0o700))
	must(t, statedir.Save(d, statedir.State{Name: "registry", Phase: statedir.PhaseReady, UID: uid, GID: uid}))
	return d
}

// start serves d with users that nobody knows the password of.
func start(t *testing.T, d statedir.Dir) (addr string) {
	t.Helper()
	must(t, os.WriteFile(d.Join("serve", "htpasswd"), []byte("nobody:*\n"), 0o600))
	must(t, os.WriteFile(d.ServeConfig(), fmt.Appendf(nil, `version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: '127.0.0.1:0', secret: s}
auth: {htpasswd: {realm: r, path: %q}}
`, d.Data(), d.Join("serve", "htpasswd")), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- embeddedregistry.Serve(ctx, embeddedregistry.Options{
			ConfigPath: d.ServeConfig(), Log: io.Discard, Ready: func(a net.Addr) { ready <- a.String() },
		})
	}()
	t.Cleanup(func() { cancel(); <-done }) //nolint:errcheck // it ended
	select {
	case addr = <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("not ready")
	}
	return addr
}

func TestOpenIsServedUntilClosed(t *testing.T) {
	d := registry(t, os.Getuid())
	addr := start(t, d)
	var digests []string
	for range 3 { // one after the other: nothing of the last one is served
		ref, closer, err := Open(d, Options{Address: addr, Credential: true})
		must(t, err)
		parsed, err := name.ParseReference(ref.Name)
		must(t, err)
		auth := remote.WithAuth(&authn.Basic{Username: ref.User, Password: ref.Password.Reveal()})
		index, err := remote.Index(parsed, auth)
		must(t, err)
		must(t, validate.Index(index))
		dgst, err := index.Digest()
		must(t, err)
		if dgst.String() != ref.Digests[0] || slices.Contains(digests, ref.Digests[0]) {
			t.Errorf("pulled %s, said %v, before %v", dgst, ref.Digests, digests)
		}
		digests = append(digests, ref.Digests...)
		docker, err := remote.Get(parsed.Context().Digest(ref.Digests[1]), auth)
		if err != nil || docker.MediaType != types.DockerManifestList {
			t.Errorf("for old engines: %+v, %v", docker, err)
		}
		if _, err := remote.Index(parsed); err == nil {
			t.Error("pulled without the credential")
		}
		must(t, closer())
		must(t, closer())
		if _, err := remote.Index(parsed, auth); err == nil {
			t.Error("pulled after it was closed")
		}
	}
	left, err := os.ReadDir(filepath.Dir(d.Canary()))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestOpenWritesForTheServingUser(t *testing.T) {
	testenv.Need(t, "root")
	d := registry(t, 65532)
	before := time.Now()
	ref, closer, err := Open(d, Options{Address: "registry.test:5000", Lifetime: time.Minute})
	must(t, err)
	if ref.Name != "registry.test:5000/regctl/canary:"+ref.Tag || ref.User != "" || !ref.Password.Empty() {
		t.Errorf("%+v", ref)
	}
	path := host.Ref{Kind: host.File, Path: d.Canary()}
	facts, err := host.NewLocal(nil).Look(t.Context(), []host.Ref{path})
	must(t, err)
	fact := facts[path]
	if fact.Mode != 0o600 || fact.UID != 65532 || fact.GID != 65532 {
		t.Errorf("mode %s, owner %d:%d", fact.Mode, fact.UID, fact.GID)
	}
	file, err := canaryimage.Parse(fact.Data)
	if err != nil || file.Expires.Before(before) || file.Expires.After(time.Now().Add(time.Minute)) || file.Credential != "" {
		t.Errorf("%s, %v", fact.Data, err)
	}
	must(t, closer())
}

// A canary that a killed command left is replaced; its late closer leaves ours.
func TestOpenAfterAnother(t *testing.T) {
	d := registry(t, os.Getuid())
	_, first, err := Open(d, Options{Credential: true})
	must(t, err)
	_, second, err := Open(d, Options{Credential: true})
	must(t, err)
	must(t, first())
	if _, err := os.Stat(d.Canary()); err != nil {
		t.Error("the first took the second's away")
	}
	must(t, second())
	if _, err := os.Stat(d.Canary()); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	_, _, err = Open(d, Options{})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(d.Canary()), ".regctl-1-0000000a.tmp"), nil, 0o600))
	must(t, Remove(d))
	must(t, Remove(d))
	if left, err := os.ReadDir(filepath.Dir(d.Canary())); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestOpenWithoutAPlace(t *testing.T) {
	d := statedir.Dir(t.TempDir())
	_, _, err := Open(d, Options{})
	if err == nil || !strings.Contains(err.Error(), d.Canary()) || fault.Hint(err) == "" {
		t.Errorf("%v, hint %q", err, fault.Hint(err))
	}
}
