package host

import (
	"net"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// Target is where to log in, as it was given. User "" and Port 0 are for the options
// and ssh_config(5) to fill in; Host may be an alias of that file.
type Target struct {
	Given string
	User  string
	Host  string
	Port  int
}

const targetHint = "give a host as [user@]host[:port], as [user@][v6]:port or as an alias of ssh_config"

// ParseTarget reads [user@]host[:port], [user@][v6]:port, a bare IPv6 address or an
// alias of ssh_config.
func ParseTarget(text string) (Target, error) {
	t := Target{Given: text}
	rest := text
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		if t.User, rest = text[:i], text[i+1:]; t.User == "" {
			return Target{}, fault.Usage(targetHint, "%q names no user before the @", text)
		}
	}
	host, port, hasPort := rest, "", false
	switch {
	case strings.HasPrefix(rest, "["):
		end := strings.IndexByte(rest, ']')
		if end < 0 || (rest[end+1:] != "" && rest[end+1] != ':') {
			return Target{}, fault.Usage(targetHint, "%q has no ] where one belongs", text)
		}
		host = rest[1:end]
		port, hasPort = strings.CutPrefix(rest[end+1:], ":")
	case strings.Count(rest, ":") == 1:
		host, port, hasPort = strings.Cut(rest, ":")
	case strings.Contains(rest, ":") && parseIP(rest) == nil:
		return Target{}, fault.Usage(targetHint, "%q is no IPv6 address", text)
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Target{}, fault.Usage(targetHint, "%q: %q is no port", text, port)
		}
		t.Port = int(n)
	}
	// A name that begins with a dash would be an option of ssh.
	if host == "" || strings.HasPrefix(host, "-") || strings.HasPrefix(t.User, "-") ||
		strings.ContainsFunc(t.User+host, func(r rune) bool { return r <= ' ' || strings.ContainsRune("'\"`$\\;&<>|(){}\x7f/", r) }) {
		return Target{}, fault.Usage(targetHint, "%q is no host to log in to", text)
	}
	t.Host = host
	return t, nil
}

// parseIP takes a zone too: fe80::1%eth0.
func parseIP(s string) net.IP {
	address, _, _ := strings.Cut(s, "%")
	return net.ParseIP(address)
}
