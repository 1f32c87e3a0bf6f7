package fleet

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/regctl/regctl/internal/fault"
)

// MaxHosts is the most that lists may come to. More is a slip in a range.
const MaxHosts = 1 << 16

const (
	example      = "[user@]host[:port], [2001:db8::1]:22, 10.0.0.[1-20] or node[01-10].lan; several with commas between"
	rangeExample = "as in 10.0.0.[1-20], node[01-10].lan or node[1,3,7-9]"
)

// Expand lists the hosts that lists name: separated by commas, each as
// [user@]host[:port] with IPv6 addresses in brackets where a port follows, ranges
// written out. The order is theirs; of two that mean the same (see Key) the first
// stays. What it returns it also takes. Anything else is a usage fault, as is a list
// of nobody.
func Expand(lists []string) ([]string, error) {
	var c collector
	for _, list := range lists {
		if err := c.add(list); err != nil {
			return nil, err
		}
	}
	return c.result()
}

// collector gathers hosts, each once.
type collector struct {
	hosts []string
	seen  map[string]bool
}

func (c *collector) add(list string) error {
	for _, entry := range split(list) {
		err := expand(entry, func(host string) error {
			key, err := parse(host)
			if err != nil {
				return err
			}
			if c.seen == nil {
				c.seen = map[string]bool{}
			}
			if !c.seen[key.String()] {
				c.seen[key.String()] = true
				c.hosts = append(c.hosts, host)
			}
			if len(c.hosts) > MaxHosts {
				return fault.Usage("give fewer at a time, and see that no range is longer than meant", "more than %d hosts", MaxHosts)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) result() ([]string, error) {
	if len(c.hosts) == 0 {
		return nil, fault.Usage(example, "no hosts are named")
	}
	return c.hosts, nil
}

// split cuts a list at the commas that are in no brackets.
func split(list string) (entries []string) {
	depth, start := 0, 0
	cut := func(end int) {
		if entry := strings.TrimSpace(list[start:end]); entry != "" {
			entries = append(entries, entry)
		}
		start = end + 1
	}
	for i, r := range list {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ',' && depth <= 0:
			cut(i)
		}
	}
	cut(len(list))
	return entries
}

// target is a host taken apart.
type target struct {
	user, host, port string
}

const sshPort = "22"

// String is the same for all ways to write the same target.
func (t target) String() string {
	var s strings.Builder
	if t.user != "" {
		s.WriteString(t.user + "@")
	}
	switch {
	case t.port == "" || t.port == sshPort:
		s.WriteString(t.host)
	case strings.Contains(t.host, ":"):
		s.WriteString("[" + t.host + "]:" + t.port)
	default:
		s.WriteString(t.host + ":" + t.port)
	}
	return s.String()
}

// Key is the one form of a host as Expand returns it: names in lower case, addresses
// as RFC 5952 writes them, port 22 left out. Another user is another key. What is no
// host is returned as it is.
func Key(host string) string {
	t, err := parse(host)
	if err != nil {
		return host
	}
	return t.String()
}

// parse reads one host, ranges written out.
func parse(given string) (target, error) {
	var t target
	rest := given
	if scheme, _, url := strings.Cut(given, "://"); url {
		return target{}, fault.Usage(example, "\"%s://…\" is a URL, not a host", scheme) // the rest may hold a password
	}
	if at := strings.LastIndexByte(given, '@'); at >= 0 {
		t.user, rest = given[:at], given[at+1:]
		if err := checkUser(t.user, rest); err != nil {
			return target{}, err
		}
	}
	var err error
	if t.host, t.port, err = hostPort(given, rest); err != nil {
		return target{}, err
	}
	if t.host, err = canonical(given, t.host); err != nil {
		return target{}, err
	}
	if t.port != "" {
		n, err := strconv.ParseUint(t.port, 10, 16)
		if err != nil || n == 0 {
			return target{}, fault.Usage("a port is a number from 1 to 65535", "%q: %q is no port", given, t.port)
		}
		t.port = strconv.FormatUint(n, 10)
	}
	return t, nil
}

// checkUser never repeats what may be a password.
func checkUser(user, host string) error {
	if name, _, colon := strings.Cut(user, ":"); colon {
		return fault.Usage("leave it out and add --ask-pass: others on this machine see what is on a command line", "\"%s:***@%s\" has a password in it", name, host)
	}
	if user == "" || user[0] == '-' || strings.ContainsAny(user, "/[]") || strings.ContainsFunc(user, unprintable) {
		return fault.Usage(example, "%q is no user", user)
	}
	return nil
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// hostPort cuts the port off. A host with several colons is an IPv6 address.
func hostPort(given, rest string) (host, port string, err error) {
	if inner, bracketed := strings.CutPrefix(rest, "["); bracketed {
		host, after, closed := strings.Cut(inner, "]")
		port, colon := strings.CutPrefix(after, ":")
		switch {
		case !closed, after != "" && !colon, colon && port == "":
			return "", "", fault.Usage("as in [2001:db8::1]:22", "%q is malformed", given)
		case !strings.Contains(host, ":"):
			return "", "", fault.Usage("a range is written "+rangeExample+"; brackets are for those and for IPv6 addresses", "%q: [%s] is neither a range nor an IPv6 address", given, host)
		}
		return host, port, nil
	}
	if strings.Count(rest, ":") > 1 {
		return rest, "", nil
	}
	host, port, colon := strings.Cut(rest, ":")
	if colon && port == "" {
		return "", "", fault.Usage(example, "%q has no port after the colon", given)
	}
	return host, port, nil
}

// canonical checks a name or address. An alias of ssh_config may have more in it than
// a DNS name, but nothing that a shell or ssh itself would take for something else.
func canonical(given, host string) (string, error) {
	bad := func(hint, why string) (string, error) {
		return "", fault.Usage(hint, "%q %s", given, why)
	}
	if addr, err := netip.ParseAddr(host); err == nil && !strings.ContainsFunc(addr.Zone(), unusual) {
		return addr.String(), nil
	}
	switch {
	case host == "":
		return bad(example, "names no host")
	case strings.Contains(host, ":"):
		return bad("as in 2001:db8::1 or [2001:db8::1]:22", "is no IPv6 address")
	case strings.Contains(host, "/"):
		return bad(unslashed(host), "has a / in it, which no host has")
	case strings.ContainsAny(host, "*?"):
		return bad("name each, or write a range "+rangeExample, "is a pattern, and there is no list to match it with")
	case strings.ContainsFunc(host, unicode.IsSpace):
		return bad("put commas between hosts, or each on its line in a --hosts-file", "is more than one host")
	case strings.Trim(host, "0123456789.") == "" && strings.Contains(host, "."):
		return bad("four numbers from 0 to 255, without zeros before them: 192.168.1.10", "is no IPv4 address")
	case host[0] == '-' || host[0] == '.' || strings.ContainsFunc(host, unusual):
		return bad(example, "is no host")
	}
	return strings.ToLower(host), nil
}

// unusual is what no name of a host or of a network interface has.
func unusual(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
}

// unslashed is the hint for somebody who gave a network.
func unslashed(host string) string {
	if p, err := netip.ParsePrefix(host); err == nil && p.Addr().Is4() && p.Bits() == 24 {
		parts := strings.SplitAfter(p.Masked().Addr().String(), ".")
		return fmt.Sprintf("a network is written as a range: %s[1-254]", strings.Join(parts[:3], ""))
	}
	return example
}
