package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/testenv"
)

// TestNginx replays the walkthrough's twelfth row with a real nginx that serves another
// site too, and a docker of another machine.
func TestNginx(t *testing.T) { proxied(t, proxy.Nginx) }

// TestApache is the same by Apache.
func TestApache(t *testing.T) { proxied(t, proxy.Apache) }

func proxied(t *testing.T, kind proxy.Kind) {
	testenv.Need(t, "root", "docker", "dockerd")
	bin := build(t)
	client := enginetest.DockerdWithEtc(t, "registry.test")
	runtimes(t, func(t *testing.T, runtime string) {
		server := proxytest.Start(t, kind)
		before := tree(t, server.Root)
		p := &proxiedRun{run: newRun(t, bin, "px"+runtime), kind: string(kind), client: client, server: server}
		p.told(t, firstPhrase, "init", "--proxy", p.kind, "--host", "registry.test", "--port", p.port, "--runtime", runtime,
			"--auth", "htpasswd", "--user", "alice", "--password-stdin")
		p.trusted(t)
		p.transcript(t)
		p.onlyBySocket(t, runtime)
		p.locations(t)
		p.renews(t)
		p.askedAtProxy(t)
		p.movesAway(t)
		p.must(t, "destroy", "--yes")
		if after := tree(t, server.Root); after != before {
			t.Errorf("destroy left of %s's files\n%s\nof\n%s", kind, after, before)
		}
		if _, err := os.Stat(p.socketDir()); !os.IsNotExist(err) {
			t.Errorf("destroy left %s: %v", p.socketDir(), err)
		}
		p.neighbour(t)
	})
}

const firstPhrase, secondPhrase = "pa55-phrase-one", "pa55-phrase-two"

type proxiedRun struct {
	*run
	kind   string
	client enginetest.Client
	server *proxytest.Instance
}

func (p *proxiedRun) socketDir() string { return "/var/lib/regctl-proxy/" + p.name }

// trusted gives the other machine's docker the CA.
func (p *proxiedRun) trusted(t *testing.T) {
	t.Helper()
	folder := filepath.Join(p.client.Etc, "docker", "certs.d", "registry.test:"+p.port)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.crt"), read(t, filepath.Join(p.dir, "certs", "ca.crt")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// docker is a docker command of the other machine, with logins of its own.
func (p *proxiedRun) docker(t *testing.T) dockerClient {
	return dockerClient{config: t.TempDir(), repository: "registry.test:" + p.port + "/" + p.name, sock: p.client.Sock}
}

// groups has Apache tell who may push from who may pull, and ends that again.
func (p *proxiedRun) groups(t *testing.T) {
	t.Helper()
	before := string(read(t, filepath.Join(p.dir, "regctl.yaml")))
	p.change(t, "authAt: proxy\n", "authAt: proxy\n  pushers: [alice]\n  pullers: [carol]\n")
	p.must(t, "apply")
	p.told(t, secondPhrase, "user", "add", "carol", "--password-stdin")
	carol := p.docker(t)
	if err := carol.login("carol", secondPhrase); err != nil {
		t.Error(err)
	}
	if _, err := carol.push(); err == nil {
		t.Error("carol, who may pull, pushes")
	}
	if code := p.asked(t, "carol", secondPhrase); code != http.StatusOK {
		t.Errorf("carol is answered %d", code)
	}
	p.must(t, "user", "remove", "carol", "--yes")
	if err := os.WriteFile(filepath.Join(p.dir, "regctl.yaml"), []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(t, "apply")
	if left, _ := filepath.Glob(filepath.Join(p.server.Root, "regctl-*.htgroup")); len(left) > 0 {
		t.Errorf("without groups there is %v", left)
	}
}

func (p *proxiedRun) neighbour(t *testing.T) {
	t.Helper()
	if said := p.server.AskNeighbour(t); said != "200 neighbour" {
		t.Errorf("the neighbour's site answers %q", said)
	}
}

// transcript is the post's: push, login, push, pull.
func (p *proxiedRun) transcript(t *testing.T) {
	t.Helper()
	alice := p.docker(t)
	if _, err := alice.push(); err == nil || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("a push before login: %v", err)
	}
	if err := alice.login("alice", secondPhrase); err == nil || !strings.Contains(err.Error(), "unauthorized") && !strings.Contains(err.Error(), "401") {
		t.Errorf("a login with a wrong password: %v", err)
	}
	if err := alice.login("alice", firstPhrase); err != nil {
		t.Fatal(err)
	}
	alice.pushes(t, "alice, logged in")
	p.neighbour(t)
	if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
}

// onlyBySocket looks for another way to the registry than its proxy's.
func (p *proxiedRun) onlyBySocket(t *testing.T, runtime string) {
	t.Helper()
	socket := filepath.Join(p.socketDir(), "registry.sock")
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%s: %v, %v; want mode 0660", socket, info, err)
	}
	if folder, err := os.Stat(p.socketDir()); err != nil || folder.Mode().Perm() != 0o750 {
		t.Errorf("%s: %v, %v; want mode 0750", p.socketDir(), folder, err)
	}
	if runtime != "docker" {
		return
	}
	found := enginetest.Docker(t, "", "inspect", "--format", "{{json .HostConfig.PortBindings}} {{.NetworkSettings.IPAddress}}", p.name)
	bindings, address, _ := strings.Cut(found, " ")
	if bindings != "{}" {
		t.Errorf("the container publishes %s", bindings)
	}
	// This machine is on the same bridge as the other containers.
	if conn, err := net.DialTimeout("tcp", address+":5000", 2*time.Second); err == nil {
		_ = conn.Close()
		t.Errorf("the container listens on %s:5000", address)
	}
}

// web is a client of HTTP that trusts the registry and knows where it is.
func (p *proxiedRun) web(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read(t, filepath.Join(p.dir, "certs", "ca.crt")))
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+p.port)
		},
	}}
	return c
}

// asked is what /v2/ answers user.
func (p *proxiedRun) asked(t *testing.T, user, password string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "https://registry.test:"+p.port+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := p.web(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Values("Docker-Distribution-Api-Version"); len(got) != 1 || got[0] != "registry/2.0" {
		t.Errorf("Docker-Distribution-Api-Version: %q", got)
	}
	return resp.StatusCode
}

// locations demands that the registry sends clients on to where they came from.
func (p *proxiedRun) locations(t *testing.T) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "https://registry.test:"+p.port+"/v2/"+p.name+"/blobs/uploads/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", firstPhrase)
	resp, err := p.web(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusAccepted || !strings.HasPrefix(to, "https://registry.test:"+p.port+"/v2/") {
		t.Errorf("an upload begins with %s, Location %q", resp.Status, to)
	}
}

// renews demands that the proxy serves a renewed certificate at once.
func (p *proxiedRun) renews(t *testing.T) {
	t.Helper()
	p.must(t, "cert", "renew", "--force")
	var shown struct {
		ServedMatches *bool `json:"servedMatches"`
		Served        struct{ By string }
	}
	if err := json.Unmarshal([]byte(p.out(t, "cert", "show", "-o", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.ServedMatches == nil || !*shown.ServedMatches || !strings.HasPrefix(shown.Served.By, "pid ") {
		t.Errorf("cert show: %+v", shown)
	}
	p.neighbour(t)
}

// askedAtProxy moves the question for the password to the proxy, with users that come
// and go.
func (p *proxiedRun) askedAtProxy(t *testing.T) {
	t.Helper()
	p.change(t, "kind: "+p.kind, "authAt: proxy\n  kind: "+p.kind)
	p.must(t, "apply")
	alice, bob := p.docker(t), p.docker(t)
	if _, err := alice.push(); err == nil || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("a push before login: %v", err)
	}
	p.told(t, secondPhrase, "user", "add", "bob", "--password-stdin")
	if err := bob.login("bob", secondPhrase); err != nil {
		t.Error(err)
	}
	bob.pushes(t, "bob, let in by "+p.kind)
	p.told(t, firstPhrase, "user", "passwd", "bob", "--password-stdin")
	if code := p.asked(t, "bob", secondPhrase); code != http.StatusUnauthorized {
		t.Errorf("bob's old password: %d", code)
	}
	if code := p.asked(t, "bob", firstPhrase); code != http.StatusOK {
		t.Errorf("bob's new password: %d", code)
	}
	p.must(t, "user", "remove", "bob", "--yes")
	if code := p.asked(t, "bob", firstPhrase); code != http.StatusUnauthorized {
		t.Errorf("bob, who was removed: %d", code)
	}
	if code, said := p.fails(t, "user", "passwd", "alice", "--grace", "1h"); code != 2 || !strings.Contains(said, "hint:") {
		t.Errorf("--grace: exit status %d\n%s", code, said)
	}
	path := filepath.Join(p.server.Root, "regctl-"+p.name+".htpasswd")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%s: %v, %v", path, info, err)
	}
	if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
	if p.kind == spec.ProxyApache {
		p.groups(t)
	}
	p.change(t, "authAt: proxy\n", "")
	p.must(t, "apply")
	if code := p.asked(t, "", ""); code != http.StatusUnauthorized {
		t.Errorf("nobody, asked by the registry again: %d", code)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", path, err)
	}
}

// change edits regctl.yaml.
func (p *proxiedRun) change(t *testing.T, old, text string) {
	t.Helper()
	path := filepath.Join(p.dir, "regctl.yaml")
	data := read(t, path)
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("regctl.yaml has no %q:\n%s", old, data)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(text), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tree lists a folder's files with their modes and content.
func tree(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %s", strings.TrimPrefix(path, root), info.Mode())
		if info.Mode().IsRegular() {
			fmt.Fprintf(&out, " %q", read(t, path))
		}
		out.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
