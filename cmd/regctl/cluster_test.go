package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testredis"
)

// TestCluster runs two registries behind nginx with one Redis, and takes one or the
// other away from those who use them.
func TestCluster(t *testing.T) {
	testenv.Need(t, "root", "docker", "redis-server")
	bin := build(t)
	cache := testredis.Start(t, bridge(t))
	proxytest.Start(t, proxy.Nginx)
	c := &clusterRun{run: newRun(t, bin, "cl"), cache: cache}
	c.must(t, "init", "--tls", "none", "--host", "127.0.0.1", "--proxy", "nginx", "--port", c.port, "--runtime", "docker",
		"--replicas", "2", "--redis", "redis://"+cache.Addr, "--redis-password-file", cache.PasswordFile)
	if found := c.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
	c.keepsPassword(t)
	c.crossesOver(t)
	c.rolls(t)
	c.outlives(t)
	c.mendsSecret(t)
	c.shrinks(t)
	c.must(t, "destroy", "--yes")
	left, err := filepath.Glob("/var/lib/regctl-proxy/" + c.name + "*")
	if err != nil || len(left) > 0 {
		t.Errorf("destroy left %v, %v", left, err)
	}
	if ids := enginetest.Docker(t, "", "ps", "-aq", "--filter", "label=io.regctl.registry="+c.name); ids != "" {
		t.Errorf("destroy left containers: %s", ids)
	}
}

type clusterRun struct {
	*run
	cache testredis.Server
}

// second is what the engine calls the second replica.
func (c *clusterRun) second() string { return c.name + "-2" }

// keepsPassword demands that the password is shown nowhere and lies where it should.
func (c *clusterRun) keepsPassword(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"config", "render"}, {"plan"}, {"status", "-o", "json"}, {"doctor"}} {
		out, _ := c.command(args...).CombinedOutput() // doctor finds plain HTTP
		if bytes.Contains(out, []byte(c.cache.Password)) {
			t.Errorf("%v tells the password:\n%s", args, out)
		}
	}
	kept := filepath.Join(c.dir, "secrets", "redis")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 || strings.TrimSpace(string(read(t, kept))) != c.cache.Password {
		t.Errorf("%s: %v, %v", kept, info, err)
	}
	if out := c.must(t, "config", "render", "--show-secrets"); !strings.Contains(out, c.cache.Password) {
		t.Errorf("config render --show-secrets:\n%s", out)
	}
}

// replica is a client of the nth registry itself, which it knows as "registry", and of
// whom that sends it to.
func (c *clusterRun) replica(n int) *http.Client {
	folder := "/var/lib/regctl-proxy/" + c.name
	if n > 1 {
		folder += fmt.Sprintf("@%d", n)
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "registry:80" {
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(folder, "registry.sock"))
		},
	}}
}

func send(t *testing.T, client *http.Client, method, url string, body []byte, want int) (location string, got []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %s, %v; want %d\n%s", method, url, resp.Status, err, want, got)
	}
	return resp.Header.Get("Location"), got
}

// crossesOver begins an upload on one registry, goes on and ends it on the other, and reads
// it from the first.
func (c *clusterRun) crossesOver(t *testing.T) {
	t.Helper()
	one, two := c.replica(1), c.replica(2)
	half := bytes.Repeat([]byte("half"), 64<<10)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(append(bytes.Clone(half), half...)))
	at, _ := send(t, one, http.MethodPost, "http://registry/v2/crosses/blobs/uploads/", nil, http.StatusAccepted)
	at, _ = send(t, one, http.MethodPatch, at, half, http.StatusAccepted)
	at, _ = send(t, two, http.MethodPatch, at, half, http.StatusAccepted)
	send(t, two, http.MethodPut, at+"&digest="+digest, nil, http.StatusCreated)
	if _, got := send(t, one, http.MethodGet, "http://registry/v2/crosses/blobs/"+digest, nil, http.StatusOK); fmt.Sprintf("sha256:%x", sha256.Sum256(got)) != digest {
		t.Errorf("%d bytes came back of %d, or others", len(got), 2*len(half))
	}
	if keys := strings.Join(c.cache.Keys(t), " "); !strings.Contains(keys, digest) {
		t.Errorf("the Redis knows of %q, and not of %s", keys, digest)
	}
}

// crew are engines' pushes and pulls without pause.
func (c *clusterRun) crew(n int) *crew {
	all := &crew{run: c.run}
	for i := range n {
		all.workers = append(all.workers, &worker{anew: func() {}, once: func(context.Context) error {
			p, err := push("", fmt.Sprintf("127.0.0.1:%s/%s-%d", c.port, c.name, i))
			if err == nil {
				err = p.pull("")
			}
			return err
		}})
	}
	return all
}

// rolls restarts all of them under load: by restart, and by a setting that needs one.
func (c *clusterRun) rolls(t *testing.T) {
	t.Helper()
	before := c.lives(t)
	crew := c.crew(3)
	stop := crew.work(t)
	c.must(t, "restart")
	c.change(t, "# config:", "config: {log: {level: info}}\n# config:")
	c.must(t, "apply")
	crew.round(t)
	stop()
	for i, after := range c.lives(t) {
		if after == before[i] {
			t.Errorf("replica %d was not restarted", i+1)
		}
	}
}

func (c *clusterRun) lives(t *testing.T) []string {
	t.Helper()
	return strings.Fields(enginetest.Docker(t, "", "inspect", "--format", "{{.State.StartedAt}}", c.name, c.second()))
}

// outlives kills a registry in the middle of eight pushes: each ends well, what is in
// storage is what its digest says, status tells, and start mends.
func (c *clusterRun) outlives(t *testing.T) {
	t.Helper()
	const pushes, most = 8, 5 // docker sends no more at once
	before := c.uploads(t)
	var all sync.WaitGroup
	pushed := make([]pushed, pushes)
	for i := range pushed {
		all.Go(func() {
			var err error
			if pushed[i], err = pushOf("", fmt.Sprintf("127.0.0.1:%s/%s-%d", c.port, c.name, i), 8<<20); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, "most pushes are in the middle of theirs", func() bool { return c.uploads(t)-before > most/2 })
	enginetest.Docker(t, "", "kill", c.second())
	all.Wait()
	c.sound(t, 3*pushes)
	for _, p := range pushed {
		if err := p.pull(""); err != nil {
			t.Error(err)
		}
	}
	if s := c.clusterStatus(t); s.State != "degraded" || !s.Healthy || !strings.Contains(s.Detail, c.second()) {
		t.Errorf("with one replica: %+v", s)
	}
	c.must(t, "start")
	if s := c.clusterStatus(t); s.State != "running" || !s.Healthy {
		t.Errorf("after start: %+v", s)
	}
}

// uploads is how many blobs have begun to come.
func (c *clusterRun) uploads(t *testing.T) int {
	t.Helper()
	begun, err := filepath.Glob(filepath.Join(c.dir, "data/docker/registry/v2/repositories/*/_uploads/*/data"))
	if err != nil {
		t.Fatal(err)
	}
	return len(begun)
}

// sound demands that there are so many blobs, manifests among them, and that each is
// what its digest says.
func (c *clusterRun) sound(t *testing.T, least int) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(c.dir, "data/docker/registry/v2/blobs/sha256/*/*/data"))
	if err != nil || len(blobs) < least {
		t.Errorf("%d blobs in storage, want %d; %v", len(blobs), least, err)
	}
	for _, blob := range blobs {
		if got, want := fmt.Sprintf("%x", sha256.Sum256(read(t, blob))), filepath.Base(filepath.Dir(blob)); got != want {
			t.Errorf("blob %s has digest %s", want, got)
		}
	}
}

type clusterStatus struct {
	State, Detail, Redis string
	Healthy              bool
	Replicas             int
	Warnings             []string
}

func (c *clusterRun) clusterStatus(t *testing.T) (s clusterStatus) {
	t.Helper()
	out, _ := c.command("status", "-o", "json").Output() // it exits with the state's own status
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return s
}

// mendsSecret gives one replica another secret, which doctor and status tell of, and start
// takes back.
func (c *clusterRun) mendsSecret(t *testing.T) {
	t.Helper()
	file := filepath.Join(c.dir, "serve", "config.yml")
	was := read(t, file)
	secret := strings.TrimSpace(string(read(t, filepath.Join(c.dir, "secrets", "http"))))
	for _, text := range [][]byte{bytes.ReplaceAll(was, []byte(secret), []byte("another-secret")), was} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(text, was) {
			break
		}
		enginetest.Docker(t, "", "restart", c.second())
		c.answers(t, 2)
	}
	if out, err := c.command("doctor").CombinedOutput(); err == nil || !strings.Contains(string(out), c.second()+" runs with another HTTP secret") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if s := c.clusterStatus(t); !strings.Contains(strings.Join(s.Warnings, "\n"), "another HTTP secret") {
		t.Errorf("status: %+v", s)
	}
	if out := c.must(t, "start"); strings.Contains(out, "nothing to do") {
		t.Errorf("start left it:\n%s", out)
	}
	c.crossesOver(t)
	if s := c.clusterStatus(t); len(s.Warnings) > 0 {
		t.Errorf("status warns still: %q", s.Warnings)
	}
}

func (c *clusterRun) answers(t *testing.T, n int) {
	t.Helper()
	until(t, fmt.Sprintf("replica %d answers", n), func() bool {
		resp, err := c.replica(n).Get("http://registry/v2/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so after a minute that %s", what)
		}
	}
}

// change puts new in the place of old in regctl.yaml.
func (c *clusterRun) change(t *testing.T, old, new string) {
	t.Helper()
	file := filepath.Join(c.dir, "regctl.yaml")
	was := string(read(t, file))
	if !strings.Contains(was, old) {
		t.Fatalf("%s has no %q:\n%s", file, old, was)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(was, old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shrinks goes back to one registry, which has all that both took.
func (c *clusterRun) shrinks(t *testing.T) {
	t.Helper()
	p, err := push("", "127.0.0.1:"+c.port+"/"+c.name)
	if err != nil {
		t.Fatal(err)
	}
	c.change(t, "replicas: 2", "replicas: 1")
	c.must(t, "apply")
	if err := p.pull(""); err != nil {
		t.Error(err)
	}
	if ids := enginetest.Docker(t, "", "ps", "-aq", "--filter", "name=^"+c.second()+"$"); ids != "" {
		t.Errorf("%s is still there", c.second())
	}
	if _, err := os.Stat("/var/lib/regctl-proxy/" + c.name + "@2"); !os.IsNotExist(err) {
		t.Errorf("its socket's folder: %v", err)
	}
}
