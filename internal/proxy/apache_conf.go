package proxy

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// apacheConf is what the files of an Apache's configuration say of its addresses and
// sites. Sections that a condition leaves out are left out here.
type apacheConf struct {
	root    string // ServerRoot, which relative paths are under
	modules map[string]bool
	defines map[string]bool

	includes []string // the patterns of Include and IncludeOptional outside of any site
	listens  []Listen
	hosts    []*virtualHost
}

// virtualHost is one <VirtualHost>.
type virtualHost struct {
	addresses []string
	names     []string
	tls       bool
	cert, key string // files
	file      string
}

// read adds a file.
func (c *apacheConf) read(text, file string) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	off := 0 // how many sections deep it is in what does not count
	var host *virtualHost
	for line := range strings.Lines(text) {
		words := apacheWords(line)
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(words[0])
		switch {
		case strings.HasPrefix(name, "</"):
			off = max(0, off-1)
			if name == "</virtualhost>" && off == 0 {
				host = nil
			}
		case strings.HasPrefix(name, "<"):
			if off > 0 || !c.holds(name, strings.TrimSuffix(strings.Join(words[1:], " "), ">")) {
				off++
			} else if off = 0; name == "<virtualhost" {
				host = c.addHost(words[1:], file)
			}
		case off == 0:
			c.directive(name, words[1:], host, file)
		}
	}
}

// holds reports whether what stands in a section counts; of one that is no condition
// it does.
func (c *apacheConf) holds(section, arg string) bool {
	arg, not := strings.CutPrefix(strings.TrimSpace(arg), "!")
	switch section {
	case "<ifmodule":
		return c.modules[moduleName(arg)] != not
	case "<ifdefine":
		return c.defines[arg] != not
	}
	return true
}

// moduleName is the name of LoadModule for either name that IfModule takes.
func moduleName(name string) string {
	if base, ok := strings.CutSuffix(name, ".c"); ok {
		return strings.TrimPrefix(base, "mod_") + "_module"
	}
	return name
}

func (c *apacheConf) addHost(args []string, file string) *virtualHost {
	host := &virtualHost{file: file}
	for _, arg := range args {
		if arg = strings.TrimSuffix(arg, ">"); arg != "" {
			host.addresses = append(host.addresses, apacheAddress(arg))
		}
	}
	c.hosts = append(c.hosts, host)
	return host
}

func (c *apacheConf) directive(name string, args []string, host *virtualHost, file string) {
	if len(args) == 0 {
		return
	}
	switch name {
	case "listen":
		c.listens = append(c.listens, Listen{Address: apacheAddress(args[0]), File: file, Ours: isOurs(file)})
	case "include", "includeoptional":
		if host == nil {
			c.includes = append(c.includes, absolute(c.root, args[0]))
		}
	case "define":
		c.defines[args[0]] = true
	case "servername", "serveralias":
		if host != nil {
			for _, arg := range args {
				arg = arg[strings.Index(arg, "://")+1:]
				name, _, _ := strings.Cut(strings.TrimPrefix(arg, "//"), ":")
				host.names = append(host.names, name)
			}
		}
	case "sslcertificatefile":
		if host != nil {
			host.cert = absolute(c.root, args[0])
		}
	case "sslcertificatekeyfile":
		if host != nil {
			host.key = absolute(c.root, args[0])
		}
	case "sslengine":
		if host != nil {
			host.tls = !strings.EqualFold(args[0], "off")
		}
	}
}

// sites are the addresses with what is served there: one for each site, and one for
// an address without any.
func (c *apacheConf) sites() []Listen {
	all := c.listens
	for _, host := range c.hosts {
		for _, address := range host.addresses {
			all = append(all, Listen{Address: address, Names: host.names, TLS: host.tls, HTTP2: true, File: host.file, Ours: isOurs(host.file), vhost: true})
		}
	}
	return all
}

// checkPairs finds a site whose certificate and key do not belong together: configtest
// does not look, and at the next reload Apache would end.
func (c *apacheConf) checkPairs() error {
	for _, host := range c.hosts {
		if !host.tls || host.cert == "" {
			continue
		}
		key := host.key
		if key == "" {
			key = host.cert
		}
		certPEM, err := os.ReadFile(host.cert)
		if err != nil {
			continue // the server may read what we may not, and has said that it can
		}
		keyPEM, err := os.ReadFile(key)
		if err != nil {
			continue
		}
		// One that is encrypted, or of a kind that Go does not know, is not judged.
		if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil && strings.Contains(err.Error(), "does not match") {
			return fault.Fail("it is not regctl's: mend it before anything reloads Apache, and run the same command again",
				"%s: %s and %s do not belong together, and Apache would end at a reload", host.file, host.cert, key)
		}
	}
	return nil
}

// apacheAddress brings the argument of Listen or VirtualHost into one form.
func apacheAddress(arg string) string {
	arg = strings.TrimPrefix(strings.TrimPrefix(arg, "https://"), "http://")
	switch {
	case isNumber(arg):
		return "*:" + arg
	case strings.HasPrefix(arg, "_default_"):
		return "*" + strings.TrimPrefix(arg, "_default_")
	case strings.HasPrefix(arg, "0.0.0.0:"):
		return "*" + strings.TrimPrefix(arg, "0.0.0.0")
	}
	return arg
}

// apacheWords splits a line, as ap_getword_conf does; none for a comment.
func apacheWords(line string) []string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return nil
	}
	var words []string
	for line != "" {
		word, rest := line, ""
		if quote := line[0]; quote == '"' || quote == '\'' {
			word, rest, _ = strings.Cut(line[1:], string(quote))
		} else if i := strings.IndexAny(line, " \t"); i >= 0 {
			word, rest = line[:i], line[i:]
		}
		words = append(words, word)
		line = strings.TrimSpace(rest)
	}
	return words
}

// apacheSiteDir picks where a site of our name is included from. Debian's pair of
// folders is preferred, then those that are for sites by their name.
func (c *apacheConf) siteDir() (sites, enabled string) {
	best := -1
	for _, pattern := range c.includes {
		dir := filepath.Dir(pattern)
		if !isDir(dir) || !strings.ContainsAny(filepath.Base(pattern), "*?[") || !matches(pattern, filepath.Join(dir, "regctl-x.conf")) {
			continue
		}
		rank := map[string]int{"sites-enabled": 3, "vhosts.d": 2, "conf.d": 1}[filepath.Base(dir)]
		switch filepath.Base(dir) {
		case "mods-enabled", "conf.modules.d", "conf-enabled":
			continue
		}
		if rank > best {
			best, sites, enabled = rank, dir, ""
			if available := filepath.Join(filepath.Dir(dir), "sites-available"); rank == 3 && isDir(available) {
				sites, enabled = available, dir
			}
		}
	}
	return sites, enabled
}
