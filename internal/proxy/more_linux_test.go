package proxy_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
	"github.com/regctl/regctl/internal/testenv"
)

// A proxy that does not run is started for the site, and stopped when that is undone.
func TestServerIsStarted(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		notOurs(t)
		i := proxytest.New(t, kind)
		t.Setenv("PATH", i.Bin+":"+os.Getenv("PATH"))
		before := steptest.Tree(t, i.Root)
		receipts, err := install(t, kind, siteFor(i, nil, nil, upstream(t, t.TempDir(), "tcp")))
		must(t, err)
		ask(t, client(nil, i.Addr, false), "GET", "http://"+name+":7443/v2/", nil, nil, 200)
		must(t, step.Undo(t.Context(), local(t), receipts))
		if i.PID() != 0 {
			t.Error("it still runs")
		}
		if after := steptest.Tree(t, i.Root); after != before {
			t.Errorf("the tree is\n%s\nwas\n%s", after, before)
		}
	})
}

// notOurs keeps the test from starting the machine's own proxy by its init system.
func notOurs(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("needs a machine without systemd")
	}
}

// The groups of distribution's recipe for Apache.
func TestGroups(t *testing.T) {
	i := proxytest.Start(t, proxy.Apache)
	ca := newAuthority(t)
	cert, key := ca.issue(t)
	server, err := proxy.Find(t.Context(), proxy.Apache)
	must(t, err)
	site := siteFor(i, cert, key, upstream(t, t.TempDir(), "tcp"))
	site.UsersFile, site.GroupsFile = server.UsersPath(site.Name), server.GroupsPath(site.Name)
	writeUsers(t, server, site, "alice", "bob", "carol")
	must(t, os.WriteFile(site.GroupsFile, []byte("pusher: alice\npuller: bob\n"), 0o640))
	must(t, os.Chown(site.GroupsFile, 0, server.GID))
	_, err = install(t, proxy.Apache, site)
	must(t, err)
	for user, want := range map[string]struct{ get, post int }{
		"alice": {200, 202}, "bob": {200, 401}, "carol": {401, 401},
	} {
		c := client(ca.cert, i.Addr, true)
		base := "https://" + user + ":secret@" + name + ":7443/v2/"
		ask(t, c, "GET", base, nil, nil, want.get)
		ask(t, c, "POST", base+"some/app/blobs/uploads/", nil, nil, want.post)
	}
}

// Two registries behind one Apache, of which the first brought the modules and the
// address, and leaves first.
func TestSharedModules(t *testing.T) {
	i := proxytest.Start(t, proxy.Apache)
	before := steptest.Tree(t, i.Root)
	ca := newAuthority(t)
	cert, key := ca.issue(t)
	one := siteFor(i, cert, key, upstream(t, t.TempDir(), "tcp"))
	two := one
	two.Name, two.Hosts = "second", []string{"two." + name}
	first, err := install(t, proxy.Apache, one)
	must(t, err)
	second, err := install(t, proxy.Apache, two)
	must(t, err)
	must(t, step.Undo(t.Context(), local(t), first))
	c := client(ca.cert, i.Addr, true)
	c.Transport.(*http.Transport).TLSClientConfig.ServerName = name // the certificate is the other's
	ask(t, c, "GET", "https://two."+name+":7443/v2/", nil, nil, 200)
	must(t, step.Undo(t.Context(), local(t), second))
	if after := withoutModules(steptest.Tree(t, i.Root)); after != withoutModules(before) {
		t.Errorf("the tree is\n%s\nwas\n%s", after, before)
	}
}

// withoutModules leaves out the links to modules, which stay where two have needed them.
func withoutModules(tree string) string {
	var kept strings.Builder
	for line := range strings.Lines(tree) {
		if !strings.HasPrefix(line, "mods-enabled") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// What a container's nginx is given is one that nginx takes.
func TestContainerFile(t *testing.T) {
	testenv.Need(t, "/usr/sbin/nginx")
	i := proxytest.New(t, proxy.Nginx)
	cert, key := newAuthority(t).issue(t)
	site := siteFor(i, cert, key, "127.0.0.1:1", "unix:/run/registry.sock")
	site.UsersFile, site.Webroot, site.PlainListen = "/etc/nginx/users", "/var/www", []string{i.Plain}
	pem := filepath.Join(i.Root, "site.pem")
	must(t, os.WriteFile(pem, site.PEM(), 0o600))
	text, err := proxy.RenderContainer(site, pem)
	must(t, err)
	i.Write(t, "container.conf", fmt.Sprintf("pid %s/pid;\n%s", i.Root, text))
	out, err := exec.Command("/usr/sbin/nginx", "-t", "-c", filepath.Join(i.Root, "container.conf")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "[warn]") {
		t.Errorf("%v\n%s", err, out)
	}
}

// nginx's table of names takes about 50 letters unless it is told otherwise.
func TestLongName(t *testing.T) {
	i := proxytest.Start(t, proxy.Nginx)
	site := siteFor(i, nil, nil, "127.0.0.1:1")
	// It makes one only where two share an address.
	i.Write(t, "sites-enabled/other", fmt.Sprintf("server {\n\tlisten %s;\n\tserver_name other.test;\n}\n", i.Addr))
	site.Hosts = []string{strings.Repeat("long.", 20) + "test"}
	if err := tryInstall(t, proxy.Nginx, site); err == nil || !strings.Contains(fault.Hint(err), "server_names_hash_bucket_size") {
		t.Errorf("error is %v, hint %q", err, fault.Hint(err))
	}
}

// A site beside ours that takes IPv4 by its socket of IPv6.
func TestDualStackNeighbour(t *testing.T) {
	i := proxytest.New(t, proxy.Nginx)
	i.Write(t, "sites-enabled/dual", "server {\n\tlisten [::]:7445 ipv6only=off;\n\tserver_name other.test;\n}\n")
	t.Setenv("PATH", i.Bin+":"+os.Getenv("PATH"))
	server, err := proxy.Find(t.Context(), proxy.Nginx)
	must(t, err)
	site := siteFor(i, nil, nil, "127.0.0.1:1")
	site.Listen = []string{"7445"}
	text, err := proxy.Render(server, site)
	must(t, err)
	if strings.Contains(string(text), "listen 7445;") || !strings.Contains(string(text), "listen [::]:7445;") {
		t.Errorf("the site is\n%s", text)
	}
}
