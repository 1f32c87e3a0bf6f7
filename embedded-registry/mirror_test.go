package embeddedregistry

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
)

// upstream is the way to a registry, which counts what passes and can be closed.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	gets []string // paths of what was fetched
}

// inFront opens a way to the registry at addr, on a port of its own or the one given.
func inFront(t *testing.T, addr, at string) *upstream {
	t.Helper()
	u := &upstream{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path != "/v2/" {
			u.mu.Lock()
			u.gets = append(u.gets, r.URL.Path)
			u.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	if at != "" {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		u.Listener.Close()
		u.Listener = ln
	}
	u.Start()
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) fetched() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.gets)
}

func (u *upstream) addr() string { return u.Listener.Addr().String() }

func mirrorOf(u *upstream, more string) string {
	return plain + "proxy: {remoteurl: '" + u.URL + "'" + more + "}\n"
}

func refTo(t *testing.T, addr, what string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(addr + "/" + what)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// pushImage puts a random image there.
func pushImage(t *testing.T, addr, what string, o ...remote.Option) v1.Image {
	t.Helper()
	img, err := random.Image(2000, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(refTo(t, addr, what), img, o...); err != nil {
		t.Fatal(err)
	}
	return img
}

// pullWhole reads every byte of an image, which checks its digests.
func pullWhole(t *testing.T, addr, what string, o ...remote.Option) error {
	t.Helper()
	img, err := remote.Image(refTo(t, addr, what), o...)
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
	}
	_, err = img.RawConfigFile()
	return err
}

// What was pulled once is fetched no more, and pulled while the upstream is away:
// by a mirror that saw it go, and by one that starts meanwhile.
func TestMirrorWithoutItsUpstream(t *testing.T) {
	real := serve(t, plain)
	up := inFront(t, real.addr, "")
	pushImage(t, up.addr(), "a/b:1")
	s := serve(t, mirrorOf(up, ""))
	pull := func(what string) {
		t.Helper()
		if err := pullWhole(t, s.addr, what); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, s.log)
		}
	}
	before := up.fetched()
	pull("a/b:1")
	first := up.fetched()
	if first != before+5 { // the manifest, the configuration, three layers
		t.Errorf("the first pull fetched %v", up.gets[before:])
	}
	pull("a/b:1")
	if up.fetched() != first {
		t.Errorf("the second pull fetched %v", up.gets[first:])
	}

	back := up.addr()
	up.Close()
	pull("a/b:1")
	s.stop(t)
	config, err := os.ReadFile(filepath.Join(s.dir, "config.yml"))
	if err != nil {
		t.Fatal(err)
	}
	s = serve(t, string(config))
	pull("a/b:1")
	missing := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/a/b/manifests/2")
	if missing.status != http.StatusServiceUnavailable || !strings.Contains(missing.body, "not stored in this mirror") {
		t.Errorf("what is not stored: %d %s", missing.status, missing.body)
	}
	wait(t, "the log to tell", func() bool { return strings.Contains(s.log.String(), "while the upstream is away") })

	inFront(t, real.addr, back)
	pushImage(t, back, "a/b:2")
	wait(t, "the upstream to be found again", func() bool {
		return do(t, http.DefaultClient, "HEAD", "http://"+s.addr+"/v2/a/b/manifests/2").status == http.StatusOK
	})
	pull("a/b:2")
}

// A push is told what is wrong with it, and nothing is deleted.
func TestMirrorTakesNoPush(t *testing.T) {
	up := inFront(t, serve(t, plain).addr, "")
	s := serve(t, mirrorOf(up, ""))
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	err = remote.Write(refTo(t, s.addr, "a:1"), img)
	if err == nil || !strings.Contains(err.Error(), "UNSUPPORTED: this registry is a mirror of "+up.URL) {
		t.Errorf("push: %v", err)
	}
	if got := do(t, http.DefaultClient, "DELETE", "http://"+s.addr+"/v2/a/manifests/1"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("delete: %d %s", got.status, got.body)
	}
}

// A private upstream is asked with the credential, also by a mirror that started
// before it, and nobody else needs one.
func TestMirrorOfAPrivateUpstream(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	real := serve(t, plain, func(dir string, _ *Options) {
		write(t, filepath.Join(dir, "htpasswd"), "puller:"+string(hash)+"\n")
		write(t, filepath.Join(dir, extraName), "auth: {realm: up}\n")
	})
	up := inFront(t, real.addr, "")
	pushImage(t, up.addr(), "a/b:1", remote.WithAuth(&authn.Basic{Username: "puller", Password: "secret"}))
	at := up.addr()
	up.Close()
	const login = ", username: puller, password: "
	s, wrong := serve(t, mirrorOf(up, login+"secret")), serve(t, mirrorOf(up, login+"wrong"))
	head := func(s *served) int {
		return do(t, http.DefaultClient, "HEAD", "http://"+s.addr+"/v2/a/b/manifests/1").status
	}
	if got := head(s); got != http.StatusServiceUnavailable {
		t.Errorf("before the upstream is there: %d", got)
	}
	inFront(t, real.addr, at)
	wait(t, "the credential to open the upstream", func() bool { return head(s) == http.StatusOK })
	if err := pullWhole(t, s.addr, "a/b:1"); err != nil {
		t.Error(err)
	}
	wait(t, "the upstream to refuse", func() bool { return head(wrong) == http.StatusNotFound })
}

// A network that swallows everything costs the time of one question, not one for
// each request.
func TestMirrorOfAnUpstreamThatHangs(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // connections are made and never answered
	s := serve(t, plain+"proxy: {remoteurl: 'http://"+ln.Addr().String()+"'}\n")
	if got := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/a/manifests/1"); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestMirrorOfNoURL(t *testing.T) {
	for _, url := range []string{"docker.io", "ftp://x", "http://", "http://a b"} {
		if err := Check([]byte(plain + "proxy: {remoteurl: '" + url + "'}\n")); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

// A copy goes when its time is over, and is fetched again when it is asked for.
func TestMirrorExpires(t *testing.T) {
	real := serve(t, plain)
	up := inFront(t, real.addr, "")
	img := pushImage(t, up.addr(), "a/b:1")
	s := serve(t, mirrorOf(up, ", ttl: 2s"))
	if err := pullWhole(t, s.addr, "a/b:1"); err != nil {
		t.Fatal(err)
	}
	back := up.addr()
	up.Close()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the copy to expire", func() bool {
		return do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/a/b/manifests/"+digest.String()).status != http.StatusOK
	})
	wait(t, "the layers to go", func() bool {
		blobs, err := filepath.Glob(filepath.Join(s.dir, "data/docker/registry/v2/blobs/sha256/*/*/data"))
		return err == nil && len(blobs) <= 1 // manifests' blobs are for garbage collection
	})
	up = inFront(t, real.addr, back)
	wait(t, "it to be fetched again", func() bool { return pullWhole(t, s.addr, "a/b:1") == nil })
	if up.fetched() != 5 {
		t.Errorf("fetched %v", up.gets)
	}
}

// A layer that two repositories share goes when the first of them expires, and the
// other fetches it again: it serves no empty one.
func TestMirrorExpiresWhatIsShared(t *testing.T) {
	up := inFront(t, serve(t, plain).addr, "")
	img := pushImage(t, up.addr(), "first:1")
	if err := remote.Write(refTo(t, up.addr(), "second:1"), img); err != nil {
		t.Fatal(err)
	}
	s := serve(t, mirrorOf(up, ", ttl: 4s"))
	if err := pullWhole(t, s.addr, "first:1"); err != nil {
		t.Fatal(err)
	}
	fetched, begun := up.fetched(), time.Now()
	wait(t, "a part of the first one's time to pass", func() bool { return time.Since(begun) > time.Second })
	if err := pullWhole(t, s.addr, "second:1"); err != nil {
		t.Fatal(err)
	}
	if up.fetched() == fetched {
		t.Fatal("the second repository fetched nothing of its own")
	}
	wait(t, "the first to expire", func() bool {
		left, err := filepath.Glob(filepath.Join(s.dir, "data/docker/registry/v2/repositories/first/_layers/sha256/*/link"))
		return err == nil && len(left) == 0
	})
	fetched = up.fetched()
	if err := pullWhole(t, s.addr, "second:1"); err != nil || up.fetched() == fetched {
		t.Errorf("%v, and %d were fetched\n%s", err, up.fetched()-fetched, s.log)
	}
}
