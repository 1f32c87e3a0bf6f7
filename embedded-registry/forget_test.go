package embeddedregistry

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rediscache "github.com/distribution/distribution/v3/registry/storage/cache/redis"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testredis"
)

// remembersIn is a configuration with that Redis, whose images are in that folder.
func remembersIn(cache testredis.Server, data string) string {
	return fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}, cache: {blobdescriptor: redis}}
redis: {addrs: [%q], password: %q}
http: {addr: '127.0.0.1:0', secret: s}
`, data, cache.Addr, cache.Password)
}

func openCache(t *testing.T, config string) *SharedCache {
	t.Helper()
	c, err := OpenSharedCache([]byte(config), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Of what distribution itself put there exactly what is named goes, in every repository,
// and nothing of what others have.
func TestForget(t *testing.T) {
	t.Parallel()
	server := testredis.StartTLS(t, "127.0.0.1")
	client := server.Client(t)
	provider := rediscache.NewRedisBlobDescriptorCacheProvider(client)
	repositories := []string{"a", "team/app"}
	var gone, stays []string
	for i := range 2*forgetBatch + 2 {
		d := digest.FromString(fmt.Sprint(i))
		for _, name := range repositories {
			scoped, err := provider.RepositoryScoped(name)
			if err == nil {
				err = scoped.SetDescriptor(t.Context(), d, oci.Descriptor{Digest: d, Size: 1, MediaType: "a/b"})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			gone = append(gone, d.String())
		} else {
			stays = append(stays, d.String())
		}
	}
	for _, key := range []string{"session", "blobs", "repository::", "my::" + gone[0], "repository::a::blobs::", "::blobs"} {
		if err := client.Set(t.Context(), key, "another's", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.DeleteFunc(server.Keys(t), func(key string) bool {
		at := strings.LastIndex(key, "sha256:")
		return at >= 0 && slices.Contains(gone, key[at:]) && !strings.HasPrefix(key, "my")
	})

	cache := openCache(t, fmt.Sprintf("storage: {cache: {blobdescriptor: redis}}\nredis: {addrs: [%q], password: %q, tls: {rootcas: [%q]}}\n",
		server.Addr, server.Password, server.CA))
	for range 2 {
		if err := cache.Forget(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if got := server.Keys(t); !slices.Equal(got, want) {
			t.Errorf("%d keys are left, want %d", len(got), len(want))
		}
	}
	slices.Sort(stays)
	for _, name := range repositories {
		members, err := client.SMembers(t.Context(), "repository::"+name+"::blobs").Result()
		slices.Sort(members)
		if err != nil || !slices.Equal(members, stays) {
			t.Errorf("%s has %d members, want %d; %v", name, len(members), len(stays), err)
		}
	}
}

func TestOpenSharedCache(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t, "127.0.0.1")
	for name, config := range map[string]string{
		"registry 2": fmt.Sprintf("storage: {cache: {blobdescriptor: redis}}\nredis: {addr: %q, password: %q, db: 3, dialtimeout: 500ms}\n", server.Addr, server.Password),
		"layerinfo":  fmt.Sprintf("storage: {cache: {layerinfo: redis}}\nredis: {addrs: [%q], password: %q}\n", server.Addr, server.Password),
	} {
		if err := openCache(t, config).Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := OpenSharedCache([]byte(plain), nil); c != nil || err != nil {
		t.Errorf("without a Redis: %v %v", c, err)
	}
	if _, err := OpenSharedCache([]byte("storage: {cache: {blobdescriptor: redis}}\n"), nil); !fault.IsUsage(err) {
		t.Errorf("without an address: %v", err)
	}
	if _, err := OpenSharedCache([]byte("storage: {cache: {blobdescriptor: redis}}\nredis: {addrs: [x], tls: {rootcas: [/nowhere]}}\n"), nil); err == nil {
		t.Error("a CA that is not there is no matter")
	}
}

// While they are read-only, registries neither ask the Redis nor put there what is asked
// of them, one that starts meanwhile among them; what was collected is known to none of
// them after.
func TestCollectedBlobsLeaveRedis(t *testing.T) {
	t.Parallel()
	server, data := testredis.Start(t, "127.0.0.1"), filepath.Join(t.TempDir(), "data")
	config := remembersIn(server, data)
	s := serve(t, config)
	kept, img := image(t), image(t)
	pushes(t, s, "a/app:kept", kept)
	for _, l := range must(img.Layers()) {
		if err := remote.WriteLayer(refOf(t, s, "a/app:1").Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	lost := must(last(t, img).Digest()).String()
	layer := "/v2/a/app/blobs/" + lost
	asks := func(from *served, want int, known bool) {
		t.Helper()
		if got := do(t, http.DefaultClient, http.MethodHead, "http://"+from.addr+layer); got.status != want {
			t.Errorf("HEAD: %d, want %d", got.status, want)
		}
		if strings.Contains(strings.Join(server.Keys(t), " "), lost) != known {
			t.Errorf("the Redis knows it: %v", !known)
		}
	}
	asks(s, http.StatusOK, true)

	readonly := func(dir string) { write(t, filepath.Join(dir, "ctl", ReadonlyName), `{"nonce": "n"}`) }
	readonly(s.dir)
	if w, ok := writesOf(t, s, "n"); !ok || w != (Writes{Readonly: true, Uncached: true}) {
		t.Fatalf("%+v %v", w, ok)
	}
	o := CollectOptions{Data: data, DryRun: true}
	var gone []string
	o.Gone = func(d string) { gone = append(gone, d) }
	dry, err := Collect(t.Context(), o)
	if err != nil || !slices.Contains(gone, lost) || slices.Contains(gone, digestOf(t, kept)) {
		t.Fatalf("%v, gone are %v", err, gone)
	}
	if err := openCache(t, config).Forget(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	asks(s, http.StatusOK, false)
	asks(serve(t, config, func(dir string, _ *Options) { readonly(dir) }), http.StatusOK, false)
	o.DryRun = false
	if done, err := Collect(t.Context(), o); err != nil || done != dry {
		t.Errorf("counted %+v, removed %+v, %v", dry, done, err)
	}
	if err := os.Remove(filepath.Join(s.dir, "ctl", ReadonlyName)); err != nil {
		t.Fatal(err)
	}
	if w, ok := writesOf(t, s, "n"); !ok || w != (Writes{}) {
		t.Errorf("%+v %v", w, ok)
	}
	asks(s, http.StatusNotFound, false)
	if err := whole(t, s, "a/app:kept"); err != nil {
		t.Error(err)
	}
	pushes(t, s, "a/app:1", img)
	if err := whole(t, s, "a/app:1"); err != nil {
		t.Error(err)
	}
	asks(s, http.StatusOK, true)
}

// A read that has still to put into the Redis what it found counts as under way, until
// it answers; one that sends a blob has nothing to do with it any more.
func TestReadsThatFillAreCounted(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t, "127.0.0.1")
	client := server.Client(t)
	s := serve(t, strings.Replace(remembersIn(server, filepath.Join(t.TempDir(), "data")), "redis: {", "redis: {readtimeout: 1m, ", 1))
	readonly := filepath.Join(s.dir, "ctl", ReadonlyName)
	write(t, readonly, `{"nonce": "n"}`)
	underWay := func(want int) {
		t.Helper()
		wait(t, fmt.Sprintf("%d requests under way", want), func() bool {
			w, ok := writesOf(t, s, "n")
			return ok && w.UnderWay == want
		})
	}
	underWay(0)
	if err := os.Remove(readonly); err != nil {
		t.Fatal(err)
	}
	big := must(random.Layer(16<<20, "application/vnd.oci.image.layer.v1.tar"))
	if err := remote.WriteLayer(refOf(t, s, "a/app:1").Context(), big); err != nil {
		t.Fatal(err)
	}
	if err := client.FlushAll(t.Context()).Err(); err != nil { // of the test's own
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), "client", "pause", "60000", "write").Err(); err != nil {
		t.Fatal(err)
	}
	answered, goOn, got := make(chan struct{}), make(chan struct{}), make(chan int64, 1)
	go func() {
		defer close(got)
		resp, err := http.Get("http://" + s.addr + "/v2/a/app/blobs/" + must(big.Digest()).String())
		close(answered)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		<-goOn
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			t.Error(err)
		}
		got <- n
	}()
	underWay(1)
	write(t, readonly, `{"nonce": "n"}`)
	if w, ok := writesOf(t, s, "n"); !ok || w != (Writes{Readonly: true, UnderWay: 1, Uncached: true}) {
		t.Errorf("%+v %v", w, ok)
	}
	if err := client.Do(t.Context(), "client", "unpause").Err(); err != nil {
		t.Fatal(err)
	}
	<-answered
	underWay(0)
	close(goOn)
	if n := <-got; n != must(big.Size()) {
		t.Errorf("%d bytes came", n)
	}
}
