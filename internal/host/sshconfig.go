package host

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	sshconfig "github.com/kevinburke/ssh_config"

	"github.com/regctl/regctl/internal/fault"
)

// endpoint is where and how to log in, with everything filled in.
type endpoint struct {
	given        Target
	host         string // name or address to connect to
	port         int
	user         string
	identities   []string // private keys, in order
	chosen       bool     // they were named, not the usual ones
	only         bool     // IdentitiesOnly: of the agent's keys none but these
	knownHosts   []string // files, the user's first
	keyAlias     string   // HostKeyAlias
	jumps        []string // ProxyJump, the first to log in to first
	proxyCommand string
}

// keyName is what the endpoint is called in known_hosts.
func (e endpoint) keyName() string {
	host := e.host
	if e.keyAlias != "" {
		host = e.keyAlias
	}
	return joinPort(host, e.port)
}

func joinPort(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// configs are the user's and the machine's ssh_config(5), read once.
type configs struct {
	file string // in place of both: SSHOptions.ConfigFile
	home string
	warn func(string)

	once   sync.Once
	err    error
	parsed []*sshconfig.Config
	ssh    string // the ssh that is asked where our reading does not do
}

func (c *configs) load() {
	paths := []string{filepath.Join(c.home, ".ssh", "config"), "/etc/ssh/ssh_config"}
	switch c.file {
	case "":
	case "none":
		return
	default:
		paths = []string{c.file}
	}
	var beyond []string
	for _, path := range paths {
		parsed, places, err := readConfig(path, c.home)
		if err != nil {
			c.err = err
			return
		}
		if parsed != nil {
			c.parsed = append(c.parsed, parsed)
		} else if c.file != "" {
			c.err = fault.Usage("name a file that is there with --ssh-config, or none", "%s: no such file", c.file)
			return
		}
		beyond = append(beyond, places...)
	}
	if len(beyond) == 0 {
		return
	}
	if ssh, err := exec.LookPath("ssh"); err == nil {
		c.ssh = ssh
	} else if c.warn != nil {
		c.warn(strings.Join(beyond, ", ") + ": passed over, since it takes OpenSSH's ssh to tell whether it applies, and there is none")
	}
}

// settings are the values of the keywords that matter, by keyword in lower case.
type settings map[string][]string

func (s settings) first(key string) string {
	if len(s[key]) == 0 {
		return ""
	}
	return s[key][0]
}

// repeated are the keywords whose values add up.
var keywords = []string{
	"HostName", "Port", "User", "IdentityFile", "IdentitiesOnly", "ProxyJump", "ProxyCommand", "HostKeyAlias",
	"UserKnownHostsFile", "GlobalKnownHostsFile",
}

// lookUp returns what ssh_config says about a host.
func (c *configs) lookUp(ctx context.Context, t Target) (settings, error) {
	c.once.Do(c.load)
	if c.err != nil {
		return nil, c.err
	}
	if c.ssh != "" {
		return c.askSSH(ctx, t)
	}
	s := settings{}
	for _, keyword := range keywords {
		key := strings.ToLower(keyword)
		for _, parsed := range c.parsed {
			values, err := parsed.GetAll(t.Host, keyword)
			if err != nil {
				return nil, fault.Usage("mend your ssh_config", "ssh_config about %s: %w", t.Host, err)
			}
			s[key] = append(s[key], values...)
		}
		if key != "identityfile" && len(s[key]) > 1 {
			s[key] = s[key][:1] // the first that is found holds
		}
	}
	return s, nil
}

// askSSH has OpenSSH's own ssh say what it would do.
func (c *configs) askSSH(ctx context.Context, t Target) (settings, error) {
	args := []string{"-G"}
	if c.file != "" {
		args = append(args, "-F", c.file)
	}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	if t.Port != 0 {
		args = append(args, "-p", strconv.Itoa(t.Port))
	}
	cmd := exec.CommandContext(ctx, c.ssh, append(args, "--", t.Host)...)
	var story bytes.Buffer
	cmd.Stderr = &story
	out, err := cmd.Output()
	if err != nil {
		return nil, fault.Usage("mend your ssh_config", "ssh -G %s: %s", t.Host, orElse(story.String(), err.Error()))
	}
	s := settings{}
	for line := range strings.Lines(string(out)) {
		key, value := directive(line)
		s[key] = append(s[key], value)
	}
	return s, nil
}

// expand fills in a value's tokens: those of TOKENS in ssh_config(5) that matter.
func (e endpoint) expand(text, home, self string) string {
	text = expandHome(text, home)
	return strings.NewReplacer("%%", "%", "%h", e.host, "%n", e.given.Host, "%p", strconv.Itoa(e.port),
		"%r", e.user, "%d", home, "%u", self).Replace(text)
}
