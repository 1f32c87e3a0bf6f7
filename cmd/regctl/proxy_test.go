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
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testpebble"
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

// movesAway has the registry serve by itself and by the proxy again, on one port.
func (p *proxiedRun) movesAway(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"none", p.kind} {
		p.change(t, "kind: ", "kind: "+kind+" # was ")
		p.must(t, "apply")
		if code := p.asked(t, "alice", firstPhrase); kind == p.kind && code != http.StatusOK {
			t.Errorf("alice, by %s: %d", kind, code)
		}
		alice := p.docker(t)
		if err := alice.login("alice", firstPhrase); err != nil {
			t.Fatal(err)
		}
		alice.pushes(t, "alice, by "+kind)
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan:\n%s", found)
		}
		p.neighbour(t)
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

// TestStockBehindNginx has a stock image on a port of 127.0.0.1: nobody else on the
// engine reaches it, and who forges a packet for that port, which before Engine 28
// arrives, is asked for a password like everybody.
func TestStockBehindNginx(t *testing.T) {
	testenv.Need(t, "root", "docker", "ip", "nsenter", "curl")
	server := proxytest.Start(t, proxy.Nginx)
	r := newRun(t, build(t), "pxstock")
	image := enginetest.Name(t, "") + ":3"
	enginetest.Registry3(t, "", image)
	p := &proxiedRun{run: r, kind: "nginx", server: server}
	p.told(t, firstPhrase, "init", "--image", image, "--proxy", "nginx", "--host", "registry.test", "--port", p.port,
		"--auth", "htpasswd", "--user", "alice", "--password-stdin")
	if code := p.asked(t, "alice", firstPhrase); code != http.StatusOK {
		t.Errorf("alice: %d", code)
	}
	if code := p.asked(t, "", ""); code != http.StatusUnauthorized {
		t.Errorf("nobody: %d", code)
	}
	p.locations(t)
	before := p.started(t, "")
	p.renews(t)
	if now := p.started(t, ""); now != before {
		t.Errorf("a renewal, which is the proxy's alone, made %v of %v", now, before)
	}
	p.unreachable(t)
	network := "regctl-" + p.name
	p.must(t, "destroy", "--yes")
	if found := enginetest.Docker(t, "", "network", "ls", "-q", "--filter", "name="+network); found != "" {
		t.Errorf("destroy left the network %s", network)
	}
}

// unreachable tries to reach the registry from another container, and from a neighbour
// of this machine that sends packets for 127.0.0.1.
func (p *proxiedRun) unreachable(t *testing.T) {
	t.Helper()
	found := enginetest.Docker(t, "", "inspect", "--format",
		`{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{range $p, $b := .HostConfig.PortBindings}}{{range $b}}{{.HostIp}} {{.HostPort}}{{end}}{{end}}`, p.name)
	fields := strings.Fields(found)
	if len(fields) != 3 || fields[1] != "127.0.0.1" {
		t.Fatalf("address, and where it is published: %q", found)
	}
	if out, err := exec.Command("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "http://"+fields[0]+":5000/v2/").CombinedOutput(); string(out) != "401" {
		t.Fatalf("from this machine itself: %s, %v: what follows would prove nothing", out, err)
	}
	other := enginetest.Name(t, "")
	enginetest.Import(t, "", other+":tiny", map[string][]byte{"/tiny": read(t, enginetest.Tiny(t))})
	enginetest.Docker(t, "", "run", "-d", "--name", other, other+":tiny", "/tiny")
	pid := enginetest.Docker(t, "", "inspect", "--format", "{{.State.Pid}}", other)
	if out, err := exec.Command("nsenter", "--net=/proc/"+pid+"/ns/net", "curl", "-s", "-m", "2", "http://"+fields[0]+":5000/v2/").CombinedOutput(); err == nil {
		t.Errorf("another container reaches it: %s", out)
	}
	code := forged(t, "http://127.0.0.1:"+fields[2]+"/v2/")
	if code != "000" && code != "401" {
		t.Errorf("a forged packet for 127.0.0.1:%s is answered %s", fields[2], code)
	}
}

// forged asks from a namespace beside this machine that has a route for 127.0.0.1 to
// it, as anybody on the segment could have, and gives the status; 000 without an answer.
func forged(t *testing.T, url string) string {
	t.Helper()
	id := strconv.Itoa(os.Getpid())
	ns, link := "pxns"+id, "pxv"+id
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ip("netns", "add", ns)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", ns)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", link).Run() })
	ip("addr", "add", "198.18.77.1/30", "dev", link)
	ip("link", "set", link, "up")
	ip("-n", ns, "addr", "add", "198.18.77.2/30", "dev", "eth0")
	ip("-n", ns, "link", "set", "eth0", "up")
	// lo stays down: 127.0.0.1 is no address of its own there.
	script := `ip rule add pref 1 to 127.0.0.1 lookup 99 && ip rule del pref 0 && ip rule add pref 10 lookup local &&
ip route add 127.0.0.1 via 198.18.77.1 dev eth0 src 198.18.77.2 table 99 &&
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet && echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet &&
exec curl -s -m 3 -o /dev/null -w '%{http_code}' "$0"`
	out, err := exec.Command("ip", "netns", "exec", ns, "sh", "-c", script, url).CombinedOutput()
	t.Logf("forged: %s, %v", out, err)
	return string(out)
}

// TestFromNginxToApache moves a registry that is at work from the one to the other and
// back, on one port, and keeps the passwords asked for by whichever is in front.
func TestFromNginxToApache(t *testing.T) {
	nginx, apache := proxytest.Start(t, proxy.Nginx), proxytest.Start(t, proxy.Apache)
	before := tree(t, nginx.Root) + tree(t, apache.Root)
	p := &proxiedRun{run: newRun(t, build(t), "pxmove"), kind: "nginx", server: nginx}
	p.told(t, firstPhrase, "init", "--proxy", "nginx", "--host", "registry.test", "--port", p.port, "--runtime", "process",
		"--auth", "htpasswd", "--auth-at", "proxy", "--user", "alice", "--password-stdin")
	for _, kind := range []string{"nginx", "apache", "nginx"} {
		if kind != p.kind {
			p.change(t, "kind: "+p.kind, "kind: "+kind)
			p.kind = kind
			p.must(t, "apply")
		}
		if nobody, alice := p.asked(t, "", ""), p.asked(t, "alice", firstPhrase); nobody != http.StatusUnauthorized || alice != http.StatusOK {
			t.Errorf("%s: nobody %d, alice %d", kind, nobody, alice)
		}
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan behind %s:\n%s", kind, found)
		}
	}
	var status struct {
		Proxy struct{ Kind, AuthAt, Site string }
	}
	if err := json.Unmarshal([]byte(p.out(t, "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if got := status.Proxy; got.Kind != "nginx" || got.AuthAt != "proxy" || !strings.HasPrefix(got.Site, nginx.Root) {
		t.Errorf("status: %+v", got)
	}
	p.must(t, "destroy", "--yes")
	if after := tree(t, nginx.Root) + tree(t, apache.Root); after != before {
		t.Errorf("destroy left\n%s\nof\n%s", after, before)
	}
}

// nginxImage makes an image of this machine's nginx.
func nginxImage(t *testing.T) string {
	t.Helper()
	testenv.Need(t, "docker", "/usr/sbin/nginx", "ldd")
	files := map[string][]byte{"/usr/sbin/nginx": read(t, "/usr/sbin/nginx")}
	libraries, err := exec.Command("ldd", "/usr/sbin/nginx").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files[word] = read(t, word)
		}
	}
	image := enginetest.Name(t, "") + ":nginx"
	enginetest.Import(t, "", image, files, "ENV PATH=/usr/sbin:/usr/bin", `CMD ["nginx"]`)
	return image
}

// TestProxyImage has the proxy in a container too.
func TestProxyImage(t *testing.T) {
	testenv.Need(t, "root", "docker")
	bin, image := build(t), nginxImage(t)
	for name, flags := range map[string][]string{
		"embedded, registry asks": nil,
		"embedded, proxy asks":    {"--auth-at", "proxy"},
	} {
		t.Run(name, func(t *testing.T) { imaged(t, bin, image, flags...) })
	}
	t.Run("stock, proxy asks", func(t *testing.T) {
		stock := enginetest.Name(t, "") + ":3"
		enginetest.Registry3(t, "", stock)
		imaged(t, bin, image, "--auth-at", "proxy", "--image", stock)
	})
}

func imaged(t *testing.T, bin, image string, flags ...string) {
	p := &proxiedRun{run: newRun(t, bin, "pximage"), kind: "nginx"}
	p.told(t, firstPhrase, append([]string{
		"init", "--proxy", "nginx", "--proxy-image", image, "--host", "registry.test", "--port", p.port,
		"--auth", "htpasswd", "--user", "alice", "--password-stdin",
	}, flags...)...)
	check := func(password string) {
		t.Helper()
		if nobody, alice := p.asked(t, "", ""), p.asked(t, "alice", password); nobody != http.StatusUnauthorized || alice != http.StatusOK {
			t.Errorf("nobody %d, alice %d", nobody, alice)
		}
	}
	check(firstPhrase)
	if ports := enginetest.Docker(t, "", "port", p.name); ports != "" {
		t.Errorf("the registry's own container publishes %s", ports)
	}
	p.locations(t)
	before := p.started(t, "")
	p.must(t, "cert", "renew", "--force")
	if matches := p.must(t, "cert", "show", "-o", "json"); !strings.Contains(matches, `"servedMatches": true`) {
		t.Errorf("cert show: %s", matches)
	}
	p.told(t, secondPhrase, "user", "passwd", "alice", "--password-stdin")
	check(secondPhrase)
	if now := p.started(t, ""); now != before {
		t.Errorf("%v became %v", before, now)
	}
	if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
	if len(flags) == 0 {
		p.withoutImage(t, image)
	}
	p.must(t, "destroy", "--yes")
	p.noContainer(t)
	if found := enginetest.Docker(t, "", "network", "ls", "-q", "--filter", "name=regctl-"+p.name); found != "" {
		t.Error("destroy left the network")
	}
}

// TestACMEThroughProxy has a proxy that holds the port of http-01 answer a real ACME
// server: before there is a certificate, and for renewals.
func TestACMEThroughProxy(t *testing.T) {
	ca := testpebble.New(t, testpebble.Options{})
	bin := build(t)
	for _, kind := range []proxy.Kind{proxy.Nginx, proxy.Apache} {
		t.Run(string(kind), func(t *testing.T) {
			server := proxytest.New(t, kind)
			t.Setenv("PATH", server.Bin+":"+os.Getenv("PATH"))
			challenge := net.JoinHostPort(ca.Addr, strconv.Itoa(ca.HTTPPort))
			other := "server {\n\tlisten " + challenge + ";\n\tserver_name other.test;\n\treturn 200 other;\n}\n"
			if kind == proxy.Apache {
				other = "Listen " + challenge + "\n<VirtualHost " + challenge + ">\n\tServerName other.test\n\tRedirect 404 /\n</VirtualHost>\n"
			}
			server.Write(t, "sites-enabled/other.conf", other)
			server.Run(t)
			before := tree(t, server.Root)
			a := newACME(t, newRun(t, bin, "pxacme"), ca, "--proxy", string(kind), "--runtime", "process", "--challenge-addr", challenge)
			a.must(t, a.args...)
			first := a.leaf(t)
			a.must(t, "cert", "renew", "--force")
			if second := a.leaf(t); second.SerialNumber.Cmp(first.SerialNumber) == 0 {
				t.Error("after a renewal the same certificate is served")
			}
			if left, err := os.ReadDir("/var/lib/regctl-acme/" + a.name); err != nil || len(left) > 0 {
				t.Errorf("answers are left: %v, %v", left, err)
			}
			if found := a.must(t, "plan"); !strings.Contains(found, "nothing to do") {
				t.Errorf("plan:\n%s", found)
			}
			a.must(t, "destroy", "--yes")
			if after := tree(t, server.Root); after != before {
				t.Errorf("destroy left\n%s\nof\n%s", after, before)
			}
			if _, err := os.Stat("/var/lib/regctl-acme/" + a.name); !os.IsNotExist(err) {
				t.Errorf("the folder of challenges is left: %v", err)
			}
		})
	}
}

// TestProxyRefuses demands that what cannot succeed behind nginx fails in words and
// leaves nothing.
func TestProxyRefuses(t *testing.T) {
	server := proxytest.Start(t, proxy.Nginx)
	bin := build(t)
	p := &proxiedRun{run: newRun(t, bin, "pxfails"), kind: "nginx", server: server}
	init := []string{"init", "--proxy", "nginx", "--host", "registry.test", "--port", p.port, "--runtime", "process"}
	nothing := func(what, words string, args ...string) {
		t.Helper()
		code, said := p.fails(t, args...)
		if code != 1 || !strings.Contains(said, words) || !strings.Contains(said, "hint: ") {
			t.Errorf("%s: exit status %d\n%s", what, code, said)
		}
		for _, path := range []string{p.dir, p.socketDir(), filepath.Join(server.Root, "sites-available", "regctl-"+p.name+".conf")} {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("%s: %s is left: %v", what, path, err)
			}
		}
	}
	server.Write(t, "sites-enabled/broken.conf", "server { nonsense; }\n")
	nothing("a broken neighbour", "broken.conf", init...)
	if err := os.Remove(filepath.Join(server.Root, "sites-enabled", "broken.conf")); err != nil {
		t.Fatal(err)
	}
	held, err := net.Listen("tcp", ":"+p.port)
	if err != nil {
		t.Fatal(err)
	}
	nothing("a port that is held", p.port, init...)
	_ = held.Close()
	p.neighbour(t)

	p.must(t, init...)
	server.Write(t, "sites-enabled/broken.conf", "server { nonsense; }\n")
	p.must(t, "stop") // which is no concern of nginx's
	if err := os.Remove(filepath.Join(server.Root, "sites-enabled", "broken.conf")); err != nil {
		t.Fatal(err)
	}
	var status struct {
		State string
		Proxy struct{ Running bool }
	}
	if err := json.Unmarshal([]byte(p.out(t, "status", "-o", "json")), &status); err != nil || status.State != "stopped" || !status.Proxy.Running {
		t.Errorf("status of a stopped registry: %+v, %v", status, err)
	}
	p.must(t, "start")
	p.must(t, "status", "--check")
	p.movesNowhere(t)
	other := &run{bin, p.name, filepath.Join(t.TempDir(), "reg"), p.port}
	if code, said := other.fails(t, init...); code != 1 || !strings.Contains(said, "another registry") {
		t.Errorf("a second registry of that name: exit status %d\n%s", code, said)
	}
	p.must(t, "status", "--check")
}

// withoutImage moves the registry out from behind its proxy's container and back.
func (p *proxiedRun) withoutImage(t *testing.T, image string) {
	t.Helper()
	path := filepath.Join(p.dir, "regctl.yaml")
	behind := read(t, path)
	text := bytes.Replace(behind, []byte("kind: nginx"), []byte("kind: none"), 1)
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.Contains(line, "image: "+image) })
	for _, text := range []string{strings.Join(lines, "\n"), string(behind)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.must(t, "apply")
		if code := p.asked(t, "alice", secondPhrase); code != http.StatusOK {
			t.Errorf("alice: %d", code)
		}
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan:\n%s", found)
		}
		if n, want := len(p.containers(t)), 1+strings.Count(text, "kind: nginx"); n != want {
			t.Errorf("%d containers, want %d", n, want)
		}
	}
}

// movesNowhere wants the port that another program holds, by itself and by the proxy: both
// are refused, and the registry stays as it is.
func (p *proxiedRun) movesNowhere(t *testing.T) {
	t.Helper()
	held, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	port := strconv.Itoa(held.Addr().(*net.TCPAddr).Port)
	path := filepath.Join(p.dir, "regctl.yaml")
	was := read(t, path)
	p.change(t, "port: "+p.port, "port: "+port)
	if code, said := p.fails(t, "apply"); code != 1 || !strings.Contains(said, port) {
		t.Errorf("to a port that is held: exit status %d\n%s", code, said)
	}
	p.change(t, "kind: nginx", "kind: none")
	if code, said := p.fails(t, "apply"); code != 1 || !strings.Contains(said, port) {
		t.Errorf("without nginx to a port that is held: exit status %d\n%s", code, said)
	}
	if err := os.WriteFile(path, was, 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(t, "status", "--check")
	if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
}
