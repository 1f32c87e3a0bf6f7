package proxy

import (
	"reflect"
	"testing"
)

func TestNginxSyntax(t *testing.T) {
	names, files := nginxDump(`nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
# configuration file /etc/nginx/nginx.conf:
user  www-data 'staff people'; # a comment; { with everything }
events { worker_connections 768; }
http {
	log_format main '$remote_addr "a;b{c}" \'quoted\'';
	map $a $b { default "x y"; ~^\.foo$ 1; }
	proxy_pass http://${up}stream/;
	content_by_lua_block { if a then b = "{}" end; }
	include conf.d/*.conf;
}
# configuration file /etc/nginx/conf.d/a.conf:
server { listen 80; }
`)
	if want := []string{"/etc/nginx/nginx.conf", "/etc/nginx/conf.d/a.conf"}; !reflect.DeepEqual(names, want) {
		t.Fatalf("files %q, want %q", names, want)
	}
	main := include(files[names[0]], files, "/etc/nginx", 0)
	if user := find(main, "user")[0]; user.arg(1) != "www-data" || user.arg(2) != "staff people" {
		t.Errorf("user is %q", user.args)
	}
	http := find(main, "http")[0].block
	var got [][]string
	for _, d := range http {
		got = append(got, d.args)
	}
	want := [][]string{
		{"log_format", "main", `$remote_addr "a;b{c}" 'quoted'`},
		{"map", "$a", "$b"},
		{"proxy_pass", "http://${up}stream/"},
		{"content_by_lua_block"},
		{"include", "conf.d/*.conf"},
		{"server"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("http has\n%q\nwant\n%q", got, want)
	}
	if server := find(http, "server")[0]; server.file != names[1] || find(server.block, "listen")[0].arg(1) != "80" {
		t.Errorf("the included server is %+v", server)
	}
	if inner := find(http, "map")[0].block; !reflect.DeepEqual(inner[1].args, []string{`~^\.foo$`, "1"}) {
		t.Errorf("the map has %q", inner[1].args)
	}
}
