//go:build linux

package proxytest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
)

// nginxConf is Debian's, but for the paths: http's directives that a site inherits are
// there to be overridden.
const nginxConf = `user www-data;
worker_processes auto;
pid %[1]s/run/nginx.pid;
error_log %[1]s/log/error.log;

events {
	worker_connections 768;
}

http {
	sendfile on;
	tcp_nopush on;
	default_type application/octet-stream;
	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
	access_log %[1]s/log/access.log;
	gzip on;
	client_body_temp_path %[1]s/tmp/body;
	proxy_temp_path %[1]s/tmp/proxy;
	fastcgi_temp_path %[1]s/tmp/fastcgi;
	uwsgi_temp_path %[1]s/tmp/uwsgi;
	scgi_temp_path %[1]s/tmp/scgi;
	include %[1]s/etc/conf.d/*.conf;
	include %[1]s/etc/sites-enabled/*;
}
`

func (i *Instance) layNginx(t testing.TB, top string) {
	t.Helper()
	testenv.Need(t, "/usr/sbin/nginx")
	i.pidFile = filepath.Join(top, "run", "nginx.pid")
	i.Write(t, "nginx.conf", fmt.Sprintf(nginxConf, top))
	i.Write(t, "sites-enabled/neighbour", fmt.Sprintf(
		"server {\n\tlisten unix:%s;\n\tserver_name neighbour;\n\tlocation / {\n\t\treturn 200 neighbour;\n\t}\n}\n", i.Neighbour))
	script := fmt.Sprintf("#!/bin/sh\nexec /usr/sbin/nginx -p %s -c %s/nginx.conf \"$@\"\n", top, i.Root)
	must(t, os.WriteFile(filepath.Join(i.Bin, "nginx"), []byte(script), 0o755))
}
