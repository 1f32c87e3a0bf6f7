package proxy

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/regctl/regctl/internal/pki"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := udiff.Unified(path, "rendered", string(want), string(got)); diff != "" {
		t.Errorf("differs (write it with -update):\n%s", diff)
	}
}

// pair is a certificate with its key: what they hold is in no site's text.
func pair(t *testing.T) (cert, key []byte) {
	t.Helper()
	config := pki.Config{Hosts: []string{"registry.test"}, CertDays: 1, CADays: 2, Now: time.Now()}
	ca, caKey, err := pki.NewCA(config)
	if err == nil {
		cert, key, err = pki.Issue(ca, caKey, config)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestRender(t *testing.T) {
	cert, key := pair(t)
	nginx := Server{Kind: Nginx, Version: "1.22.1", Root: "/etc/nginx", SiteDir: "/etc/nginx/conf.d", IPv6: true}
	newer := nginx
	newer.Version = "1.26.0"
	apache := Server{
		Kind: Apache, Version: "2.4.62", Root: "/etc/apache2", SiteDir: "/etc/apache2/sites-available",
		EnabledDir: "/etc/apache2/sites-enabled", ModulesDir: "/etc/apache2/mods-enabled",
		available: map[string]module{
			"ssl":     {needs: []string{"setenvif", "socache_shmcb"}, files: []string{"ssl.load", "ssl.conf"}},
			"headers": {files: []string{"headers.load"}}, "setenvif": {files: []string{"setenvif.load"}},
		},
		linked: map[string]bool{"setenvif.load": true},
		Listens: []Listen{
			{Address: "*:80", File: "/etc/apache2/ports.conf"},
			{Address: "*:443", File: "/etc/apache2/sites-enabled/other.conf", vhost: true},
		},
		files: []string{"/etc/apache2/ports.conf"},
		texts: map[string]string{"/etc/apache2/ports.conf": "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n"},
	}
	plain := Site{Name: "registry", Hosts: []string{"registry.test"}, Listen: []string{"80"}, Upstreams: []string{"127.0.0.1:5001"}}
	full := Site{
		Name: "registry", Hosts: []string{"registry.test", "10.0.0.1", "2001:db8::1"}, Listen: []string{"443"}, Cert: cert, Key: key,
		Upstreams: []string{"127.0.0.1:5001", "unix:/run/regctl/registry/2.sock"}, Realm: "Registry realm",
		UsersFile: "/etc/nginx/regctl-registry.htpasswd", Webroot: "/var/lib/regctl-acme/registry",
	}
	grouped := full
	grouped.UsersFile, grouped.GroupsFile = "/etc/apache2/regctl-registry.htpasswd", "/etc/apache2/regctl-registry.htgroup"
	elsewhere := full
	elsewhere.Listen = []string{"10.0.0.1:8443"}
	for name, site := range map[string]Site{"plain": plain, "full": full} {
		got, err := Render(nginx, site)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "nginx-"+name+".conf", got)
	}
	for name, r := range map[string]struct {
		server Server
		site   Site
	}{
		"nginx-newer": {newer, elsewhere}, "apache-plain": {apache, plain}, "apache-full": {apache, grouped}, "apache-elsewhere": {apache, elsewhere},
	} {
		got, err := Render(r.server, r.site)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".conf", got)
	}
	got, err := RenderContainer(full, "/etc/nginx/regctl/registry.pem")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nginx-container.conf", got)
}

// Before 1.25.1 a site may not turn HTTP/2 on for those that share its address.
func TestSharedAddress(t *testing.T) {
	shared := []Listen{{Address: "*:443", TLS: true, File: "/etc/nginx/conf.d/other.conf"}}
	for _, tt := range []struct {
		server Server
		want   string
	}{
		{Server{Version: "1.22.1", Listens: shared}, "443 ssl"},
		{Server{Version: "1.22.1"}, "443 ssl http2"},
		{Server{Version: "1.25.1", Listens: shared}, "443 ssl"},
		{Server{Version: "1.22.1", noHTTP2: true}, "443 ssl"},
		{Server{Version: "1.22.1", IPv6: true, Listens: shared}, "443 ssl,[::]:443 ssl http2"},
		{Server{Version: "1.25.1", IPv6: true, Listens: []Listen{{Address: "[::]:443", TLS: true, dual: true}}}, "[::]:443 ssl"},
	} {
		tt.server.Kind = Nginx
		if got := strings.Join(nginxArgs(tt.server, []string{"443"}, true), ","); got != tt.want {
			t.Errorf("nginx %s beside %v listens on %q, want %q", tt.server.Version, tt.server.Listens, got, tt.want)
		}
	}
}

func TestInstallHints(t *testing.T) {
	for release, want := range map[string][2]string{
		"ID=debian\n": {"apt-get install -y nginx", "apt-get install -y apache2"},
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"":           {"apt-get install -y nginx", "apt-get install -y apache2"},
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n":    {"dnf install -y nginx", "dnf install -y httpd mod_ssl"},
		"ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n": {"zypper install -y nginx", "zypper install -y apache2"},
		"ID=alpine\n": {"apk add nginx", "apk add apache2 apache2-ssl apache2-proxy apache2-http2"},
		"ID=arch\n":   {"pacman -S --noconfirm nginx", "pacman -S --noconfirm apache"},
		"":            {"install nginx with this distribution's package manager", "install apache with this distribution's package manager"},
	} {
		if got := [2]string{installHint(Nginx, release), installHint(Apache, release)}; got != want {
			t.Errorf("%q: %q, want %q", release, got, want)
		}
	}
}
