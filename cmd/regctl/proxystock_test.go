package main_test

import (
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
)

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
