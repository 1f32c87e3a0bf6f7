package proxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
)

// Where other distributions' nginx reads its sites from: Red Hat's and nginx.org's
// conf.d, Alpine's http.d, SUSE's vhosts.d.
func TestNginxElsewhere(t *testing.T) {
	for _, dir := range []string{"conf.d", "http.d", "vhosts.d"} {
		t.Run(dir, func(t *testing.T) {
			i := proxytest.New(t, proxy.Nginx)
			t.Setenv("PATH", i.Bin+":"+os.Getenv("PATH"))
			must(t, os.RemoveAll(filepath.Join(i.Root, "sites-available")))
			must(t, os.RemoveAll(filepath.Join(i.Root, "sites-enabled")))
			must(t, os.MkdirAll(filepath.Join(i.Root, dir), 0o755))
			text, err := os.ReadFile(filepath.Join(i.Root, "nginx.conf"))
			must(t, err)
			// In the main context as well, as Debian has it for modules.
			i.Write(t, "nginx.conf", "include modules.d/*.conf;\n"+
				strings.Replace(includes.ReplaceAllString(string(text), ""), "http {", "http {\n\tinclude "+dir+"/*.conf;", 1))
			must(t, os.MkdirAll(filepath.Join(i.Root, "modules.d"), 0o755))
			i.Run(t)
			_, err = install(t, proxy.Nginx, siteFor(i, nil, nil, upstream(t, t.TempDir(), "tcp")))
			must(t, err)
			if _, err := os.Stat(filepath.Join(i.Root, dir, "regctl-test.conf")); err != nil {
				t.Error(err)
			}
			ask(t, client(nil, i.Addr, false), "GET", "http://"+name+":7443/v2/", nil, nil, 200)
		})
	}
}

// redHat is an httpd.conf as Red Hat has it: no folder of modules that could be linked
// to, and sites in conf.d.
const redHat = `ServerRoot "%[1]s"
ServerName neighbour
Include conf.modules.d/*.conf
User www-data
Group www-data
PidFile %[2]s/run/httpd.pid
ErrorLog %[2]s/log/error.log
Listen %[3]s
IncludeOptional conf.d/*.conf
`

func TestApacheElsewhere(t *testing.T) {
	i := proxytest.New(t, proxy.Apache)
	top := filepath.Dir(i.Root)
	i.Root = filepath.Join(top, "httpd")
	for _, dir := range []string{"conf", "conf.d", "conf.modules.d"} {
		must(t, os.MkdirAll(filepath.Join(i.Root, dir), 0o755))
	}
	i.Write(t, "conf/httpd.conf", fmt.Sprintf(redHat, i.Root, top, i.Neighbour))
	load := func(modules string) {
		var text strings.Builder
		for _, module := range strings.Fields(modules) {
			fmt.Fprintf(&text, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
		}
		i.Write(t, "conf.modules.d/00-base.conf", text.String())
	}
	must(t, os.Remove(filepath.Join(i.Bin, "apache2ctl")))
	script := fmt.Sprintf("#!/bin/sh\nexec /usr/sbin/apache2 -f %s/conf/httpd.conf \"$@\"\n", i.Root)
	must(t, os.WriteFile(filepath.Join(i.Bin, "httpd"), []byte(script), 0o755))
	t.Setenv("PATH", i.Bin+":"+os.Getenv("PATH"))
	load("mpm_event authz_core proxy proxy_http env headers")
	i.RunAs(t, filepath.Join(top, "run", "httpd.pid"), "httpd", "-k", "start")

	ca := newAuthority(t)
	cert, key := ca.issue(t)
	site := siteFor(i, cert, key, upstream(t, t.TempDir(), "tcp"))
	server, err := proxy.Find(t.Context(), proxy.Apache)
	must(t, err)
	err = proxy.Preflight(t.Context(), server, site)
	if err == nil || !strings.Contains(err.Error(), "ssl_module") || !strings.Contains(fault.Hint(err), "mod_ssl") {
		t.Errorf("without mod_ssl: %v, hint %q", err, fault.Hint(err))
	}
	load("mpm_event authz_core proxy proxy_http env headers socache_shmcb ssl")
	before := steptest.Tree(t, i.Root)
	receipts, err := install(t, proxy.Apache, site)
	must(t, err)
	if _, err := os.Stat(filepath.Join(i.Root, "conf.d", "regctl-test.conf")); err != nil {
		t.Error(err)
	}
	ask(t, client(ca.cert, i.Addr, false), "GET", "https://"+name+":7443/v2/", nil, nil, 200)
	must(t, step.Undo(t.Context(), local(t), receipts))
	if after := steptest.Tree(t, i.Root); after != before {
		t.Errorf("the tree is\n%s\nwas\n%s", after, before)
	}
}
