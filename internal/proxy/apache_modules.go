package proxy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// module is one that lies in mods-available.
type module struct {
	needs []string // as its "# Depends:" line has them, for a2enmod
	files []string // NAME.load, and NAME.conf where there is one
}

var depends = regexp.MustCompile(`(?m)^# Depends:(.*)$`)

// readModules reads what could be enabled by a link, and which links the sites of ours
// that are there say they have made.
func (s *Server) readModules() error {
	if s.ModulesDir == "" {
		return nil
	}
	s.available = map[string]module{}
	available := filepath.Join(filepath.Dir(s.ModulesDir), "mods-available")
	loads, err := filepath.Glob(filepath.Join(available, "*.load"))
	if err != nil {
		return err
	}
	for _, load := range loads {
		text, err := os.ReadFile(load)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(load), ".load")
		m := module{files: []string{name + ".load"}}
		if line := depends.FindStringSubmatch(string(text)); line != nil {
			m.needs = strings.Fields(line[1])
		}
		if exists(filepath.Join(available, name+".conf")) {
			m.files = append(m.files, name+".conf")
		}
		s.available[name] = m
	}
	links, err := os.ReadDir(s.ModulesDir)
	if err != nil {
		return err
	}
	s.linked = map[string]bool{}
	for _, link := range links {
		s.linked[link.Name()] = true
	}
	s.enabledBy = map[string][]string{}
	sites, err := filepath.Glob(filepath.Join(s.SiteDir, "regctl-*.conf"))
	if err != nil {
		return err
	}
	for _, site := range sites {
		if text, err := os.ReadFile(site); err == nil {
			s.enabledBy[site] = enabledModules(string(text))
		}
	}
	return nil
}

// modulesFor are the modules that a site needs, by the names of a2enmod.
func modulesFor(site Site) []string {
	all := []string{"proxy", "proxy_http", "headers", "env", "authz_core"}
	if len(site.Upstreams) > 1 {
		all = append(all, "proxy_balancer", "lbmethod_byrequests", "slotmem_shm")
	}
	if site.Cert != nil {
		all = append(all, "ssl", "socache_shmcb")
	}
	if site.UsersFile != "" {
		all = append(all, "auth_basic", "authn_core", "authn_file", "authz_user")
	}
	if site.GroupsFile != "" {
		all = append(all, "authz_groupfile")
	}
	if site.Webroot != "" {
		all = append(all, "alias")
	}
	return all
}

// links are those in mods-enabled that a site makes: for what it needs and nobody else
// has enabled. It keeps those that it made before.
func (s Server) links(site Site) []string {
	if s.ModulesDir == "" {
		return nil
	}
	wanted := modulesFor(site)
	if site.Cert != nil && !s.Modules["mpm_prefork_module"] { // HTTP/2 does not go with it
		wanted = append(wanted, "http2")
	}
	var files []string
	for i := 0; i < len(wanted); i++ { // it grows
		m := s.available[wanted[i]]
		for _, need := range m.needs {
			if !slices.Contains(wanted, need) {
				wanted = append(wanted, need)
			}
		}
		files = append(files, m.files...)
	}
	made := s.enabledBy[s.SitePath(site.Name)]
	files = slices.DeleteFunc(files, func(file string) bool {
		return s.linked[file] && !slices.Contains(made, file)
	})
	slices.Sort(files)
	return files
}

// missingModule names a module that the site needs and that nobody can enable here.
func (s Server) missingModule(site Site) error {
	for _, name := range modulesFor(site) {
		_, available := s.available[name]
		if s.Modules[name+"_module"] || available {
			continue
		}
		return fault.Fail("install it (Red Hat: dnf install mod_ssl), or take the # from its LoadModule line",
			"Apache has no %s_module", name)
	}
	return nil
}

const enabledLine = "# These modules are enabled for it: "

// enabledModules are the links that a site's file says were made for it.
func enabledModules(text string) []string {
	_, rest, ok := strings.Cut(text, enabledLine)
	if !ok {
		return nil
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Fields(line)
}
