package proxy

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// findApache asks the server itself for its files, modules, user and pid file. Debian's
// and SUSE's apache2ctl brings the environment that their configuration needs; Red Hat's
// apachectl takes no arguments, and there it is httpd that is asked.
func findApache(ctx context.Context) (Server, error) {
	path, ok := look("apache2ctl", "httpd", "httpd2")
	if !ok {
		return Server{}, notInstalled(Apache)
	}
	s := Server{Kind: Apache, Command: []string{path}}
	about, _, err := s.run(ctx, "-v")
	if err != nil {
		return s, fmt.Errorf("%s -v: %w", path, err)
	}
	if m := regexp.MustCompile(`Apache/(\S+)`).FindStringSubmatch(about); m != nil {
		s.Version = m[1]
	}
	out, said, err := s.run(ctx, "-t", "-D", "DUMP_INCLUDES", "-D", "DUMP_RUN_CFG", "-D", "DUMP_MODULES")
	if err != nil {
		return s, apacheBroken(said+out, err)
	}
	conf, files := s.readApacheDump(out)
	if len(files) == 0 {
		return s, fmt.Errorf("%s: it named no configuration file", path)
	}
	s.Conf = files[0]
	s.Root = filepath.Dir(s.Conf)
	s.files, s.texts = files, map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, err
		}
		s.texts[file] = string(text)
		conf.read(string(text), file)
	}
	if err := conf.checkPairs(); err != nil {
		return s, err
	}
	s.Listens = conf.sites()
	s.SiteDir, s.EnabledDir = conf.siteDir()
	if s.SiteDir == "" {
		hint := fmt.Sprintf("make the folder %s/conf.d and put `IncludeOptional %s/conf.d/*.conf` into %s", s.Root, s.Root, s.Conf)
		return s, fault.Fail(hint, "%s includes no folder of sites", s.Conf)
	}
	for _, pattern := range conf.includes {
		if dir := filepath.Dir(pattern); filepath.Base(dir) == "mods-enabled" && isDir(filepath.Join(filepath.Dir(dir), "mods-available")) {
			s.ModulesDir = dir
		}
	}
	return s, s.readModules()
}

var (
	dumpedFile   = regexp.MustCompile(`^ +\((?:\*|\d+)\) (.+)$`)
	dumpedModule = regexp.MustCompile(`^ (\w+_module) \((?:static|shared)\)$`)
	dumpedValue  = regexp.MustCompile(`^(ServerRoot|Main ErrorLog|PidFile|Define|User|Group): "?([^"]*)"?(.*)$`)
)

// readApacheDump reads what -t -D DUMP_… prints, and answers the files in order.
func (s *Server) readApacheDump(out string) (*apacheConf, []string) {
	conf := &apacheConf{modules: map[string]bool{}, defines: map[string]bool{}}
	var files []string
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if m := dumpedFile.FindStringSubmatch(line); m != nil {
			if !slices.Contains(files, m[1]) {
				files = append(files, m[1])
			}
		} else if m := dumpedModule.FindStringSubmatch(line); m != nil {
			conf.modules[m[1]] = true
		} else if m := dumpedValue.FindStringSubmatch(line); m != nil {
			s.setDumped(conf, m[1], m[2], line)
		}
	}
	s.Modules = maps.Clone(conf.modules)
	if s.PIDFile != "" {
		s.PIDFile = absolute(conf.root, s.PIDFile)
	}
	if s.ErrorLog != "" {
		s.ErrorLog = absolute(conf.root, s.ErrorLog)
	}
	return conf, files
}

var dumpedID = regexp.MustCompile(`name="([^"]*)" id=(\d+)`)

func (s *Server) setDumped(conf *apacheConf, key, value, line string) {
	switch key {
	case "ServerRoot":
		conf.root = value
	case "Main ErrorLog":
		if !strings.HasPrefix(value, "|") && !strings.HasPrefix(value, "syslog") {
			s.ErrorLog = value
		}
	case "PidFile":
		s.PIDFile = value
	case "Define":
		if !strings.HasPrefix(value, definePrefix) { // those come to be as our sites are read
			conf.defines[value] = true
		}
	case "User", "Group":
		m := dumpedID.FindStringSubmatch(line)
		if m == nil {
			return
		}
		id, _ := strconv.Atoi(m[2]) // digits
		if key == "User" {
			s.User, s.UID = m[1], id
		} else {
			s.Group, s.GID = m[1], id
		}
	}
}

// syntaxError finds the innermost file that Apache complains of.
var syntaxError = regexp.MustCompile(`Syntax error on line (\d+) of ([^:\n]+):\s*([^\n]*)`)

// apacheBroken is the error for a configuration that Apache does not take.
func apacheBroken(said string, err error) error {
	m := innermost(said)
	if m == nil {
		for line := range strings.Lines(said) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "AH00558") {
				return fault.Fail("`apachectl configtest` says more", "Apache does not take its own configuration: %s", line)
			}
		}
		return fault.Fail("`apachectl configtest` says more", "Apache does not take its own configuration: %w", err)
	}
	whose := "it is not regctl's: mend it until `apachectl configtest` passes, and run the same command again"
	if isOurs(m[2]) {
		whose = "it is regctl's own site"
	}
	return fault.Fail(whose, "Apache does not take its own configuration: %s:%s: %s", m[2], m[1], m[3])
}

// innermost follows "Syntax error on line N of FILE: Syntax error on line …".
func innermost(said string) []string {
	m := syntaxError.FindStringSubmatch(said)
	for m != nil {
		deeper := syntaxError.FindStringSubmatch(m[3])
		if deeper == nil {
			return m
		}
		m = deeper
	}
	return nil
}
