//go:build linux

package proxytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
)

// layApache copies Debian's tree. What listens there listens on addresses of the
// test's own, mod_ssl's included.
func (i *Instance) layApache(t testing.TB, top string) {
	t.Helper()
	testenv.Need(t, "/usr/sbin/apache2ctl")
	must(t, os.RemoveAll(i.Root))
	if out, err := exec.Command("cp", "-a", "/etc/apache2", i.Root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	i.pidFile = filepath.Join(top, "run", "apache2.pid")
	i.Neighbour = strings.Replace(i.Addr, ":7443", ":7081", 1)
	must(t, os.Remove(filepath.Join(i.Root, "sites-enabled", "000-default.conf")))
	i.Write(t, "envvars", fmt.Sprintf(`export APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data APACHE_PID_FILE=%s
export APACHE_RUN_DIR=%s/run APACHE_LOCK_DIR=%s/run APACHE_LOG_DIR=%s/log TMPDIR=%s/tmp
`, i.pidFile, top, top, top, top))
	i.Write(t, "ports.conf", fmt.Sprintf("Listen %s\n<IfModule ssl_module>\n\tListen %s\n</IfModule>\n",
		i.Neighbour, strings.Replace(i.Addr, ":7443", ":7444", 1)))
	i.Write(t, "conf-enabled/name.conf", "ServerName neighbour\n")
	i.Write(t, "sites-enabled/neighbour.conf", fmt.Sprintf(
		"<VirtualHost %s>\n\tServerName neighbour\n\tDocumentRoot %s/www\n\t<Directory %s/www>\n\t\tRequire all granted\n\t</Directory>\n</VirtualHost>\n", i.Neighbour, top, top))
	must(t, os.Mkdir(filepath.Join(top, "www"), 0o755))
	must(t, os.WriteFile(filepath.Join(top, "www", "index.html"), []byte("neighbour\n"), 0o644))
	script := fmt.Sprintf("#!/bin/sh\nexport APACHE_CONFDIR=%s\nexec /usr/sbin/apache2ctl \"$@\"\n", i.Root)
	must(t, os.WriteFile(filepath.Join(i.Bin, "apache2ctl"), []byte(script), 0o755))
}
