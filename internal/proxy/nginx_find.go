package proxy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// findNginx reads nginx -V and nginx -T.
func findNginx(ctx context.Context) (Server, error) {
	path, ok := look("nginx")
	if !ok {
		return Server{}, notInstalled(Nginx)
	}
	s := Server{Command: []string{path}}
	_, about, err := s.run(ctx, "-V")
	if err != nil {
		return s, fmt.Errorf("nginx -V: %w", err)
	}
	if m := regexp.MustCompile(`(?m)^nginx version: \S+/(\S+)`).FindStringSubmatch(about); m != nil {
		s.Version = m[1]
	}
	dump, said, err := s.run(ctx, "-T")
	if err != nil {
		return s, nginxBroken(said, err)
	}
	names, files := nginxDump(dump)
	if len(names) == 0 {
		return s, fmt.Errorf("nginx -T: it named no configuration file")
	}
	s.Conf = names[0]
	s.Root = filepath.Dir(s.Conf)
	main := include(files[s.Conf], files, s.Root, 0)
	built := nginxBuilt(about)
	s.noHTTP2 = !strings.Contains(about, "--with-http_v2_module")
	s.readNginxMain(main, built)
	for _, http := range find(main, "http") {
		s.Listens = append(s.Listens, nginxListens(http.block)...)
		if s.SiteDir == "" {
			s.SiteDir, s.EnabledDir = nginxSiteDir(http.block, s.Root)
		}
	}
	if s.SiteDir == "" {
		hint := fmt.Sprintf("put `include %s/conf.d/*.conf;` into http { } of %s", s.Root, s.Conf)
		return s, fault.Fail(hint, "%s includes no folder of sites", s.Conf)
	}
	return s, s.isTheRunning()
}

// isTheRunning refuses an nginx that was started with another configuration: its master
// has its arguments in its title.
func (s Server) isTheRunning() error {
	pid := runningPID(s.PIDFile)
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if pid == 0 || err != nil {
		return nil //nolint:nilerr // it does not run
	}
	words := strings.Fields(string(bytes.Trim(title, "\x00")))
	for i, word := range words[:max(0, len(words)-1)] {
		if conf := words[i+1]; word == "-c" && filepath.IsAbs(conf) && conf != s.Conf {
			return fault.Fail("start it with the usual file, or put first on PATH an nginx that names the same one",
				"the nginx that runs (pid %d) reads %s, and %s names %s", pid, conf, s.Command[0], s.Conf)
		}
	}
	return nil
}

// readNginxMain reads what stands outside of http: see ngx_core_module.
func (s *Server) readNginxMain(main []directive, built map[string]string) {
	prefix := built["prefix"]
	s.User, s.Group = built["user"], built["group"]
	if s.User == "" {
		s.User = "nobody"
	}
	for _, d := range find(main, "user") {
		s.User, s.Group = d.arg(1), d.arg(2)
	}
	s.PIDFile = absolute(prefix, built["pid-path"])
	for _, d := range find(main, "pid") {
		s.PIDFile = absolute(prefix, d.arg(1))
	}
	s.ErrorLog = built["error-log-path"]
	for _, d := range find(main, "error_log") {
		s.ErrorLog = d.arg(1)
	}
	if s.ErrorLog == "stderr" || strings.Contains(s.ErrorLog, ":") {
		s.ErrorLog = ""
	} else {
		s.ErrorLog = absolute(prefix, s.ErrorLog)
	}
}

// nginxBuilt are the --NAME=VALUE arguments of configure.
func nginxBuilt(about string) map[string]string {
	built := map[string]string{"prefix": "/usr/local/nginx", "pid-path": "logs/nginx.pid", "error-log-path": "logs/error.log"}
	for _, m := range regexp.MustCompile(`--([a-z-]+)=('[^']*'|\S+)`).FindAllStringSubmatch(about, -1) {
		built[m[1]] = strings.Trim(m[2], "'")
	}
	return built
}

// nginxSiteDir finds where http includes a file of our name from. Debian's pair of
// folders is preferred: its people look there first.
func nginxSiteDir(http []directive, root string) (sites, enabled string) {
	for _, d := range find(http, "include") {
		pattern := absolute(root, d.arg(1))
		dir := filepath.Dir(pattern)
		if !isDir(dir) || pattern == filepath.Join(dir, "regctl-x.conf") || !matches(pattern, filepath.Join(dir, "regctl-x.conf")) {
			continue
		}
		if available := filepath.Join(filepath.Dir(dir), "sites-available"); filepath.Base(dir) == "sites-enabled" && isDir(available) {
			return available, dir
		}
		if sites == "" {
			sites = dir
		}
	}
	return sites, ""
}

// nginxListens are the addresses of all servers.
func nginxListens(http []directive) []Listen {
	var all []Listen
	for _, server := range find(http, "server") {
		listens := find(server.block, "listen")
		if len(listens) == 0 {
			all = append(all, Listen{Address: "*:80", File: server.file, Ours: isOurs(server.file)})
		}
		on := find(server.block, "http2")
		var names []string
		for _, d := range find(server.block, "server_name") {
			names = append(names, d.args[1:]...)
		}
		for _, d := range listens {
			l := Listen{Address: nginxAddress(d.arg(1)), File: server.file, Names: names, Ours: isOurs(server.file), HTTP2: len(on) > 0 && on[0].arg(1) == "on"}
			for _, flag := range d.args[min(2, len(d.args)):] {
				switch flag {
				case "ssl":
					l.TLS = true
				case "http2":
					l.HTTP2 = true
				case "ipv6only=off":
					l.dual = true
				case "quic": // UDP: nothing that a site of ours would share
					l.Address = "quic:" + l.Address
				}
			}
			all = append(all, l)
		}
	}
	return all
}

// nginxAddress brings the argument of listen into one form: see
// ngx_http_core_module, listen.
func nginxAddress(arg string) string {
	switch {
	case strings.HasPrefix(arg, "unix:"):
		return arg
	case !strings.Contains(arg, ":") && isNumber(arg):
		return "*:" + arg
	case !strings.Contains(arg, ":"), strings.HasSuffix(arg, "]"):
		arg += ":80"
	}
	if rest, ok := strings.CutPrefix(arg, "0.0.0.0:"); ok {
		return "*:" + rest
	}
	return arg
}

// broken finds the file that nginx complains of, as in "[emerg] MESSAGE in FILE:LINE".
var broken = regexp.MustCompile(`(?m)\[emerg\] (?:\d+#\d+: )?(.*?)(?: in (/[^\n]*):(\d+))?$`)

// nginxBroken is the error for a configuration that nginx does not take.
func nginxBroken(said string, err error) error {
	m := broken.FindStringSubmatch(said)
	if m == nil {
		said, _, _ = strings.Cut(strings.TrimSpace(said), "\n")
		return fault.Fail("`nginx -t` says more", "nginx does not take its own configuration: %s (%w)", said, err)
	}
	if strings.Contains(m[1], "server_names_hash") {
		return fault.Fail("put `server_names_hash_bucket_size 128;` into http { } of nginx.conf", "nginx does not take a name that long: %s", m[1])
	}
	if m[2] == "" {
		return fault.Fail("`nginx -t` says more; mend that and run the same command again",
			"nginx does not take its own configuration: %s", m[1])
	}
	whose := "it is not regctl's: mend it until `nginx -t` passes, and run the same command again"
	if isOurs(m[2]) {
		whose = "it is regctl's own site"
	}
	return fault.Fail(whose, "nginx does not take its own configuration: %s:%s: %s", m[2], m[3], m[1])
}
