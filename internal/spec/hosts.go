package spec

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// NormalizeHosts writes DNS names and IP addresses in the one form that the rest
// of regctl expects: lower case, no trailing dot, no brackets, internationalised
// names in punycode, addresses as RFC 5952 has them; doubles go, order stays.
// What is neither a name nor an address is a usage fault. It accepts its own
// output.
func NormalizeHosts(hosts []string) ([]string, error) {
	var out []string
	for _, given := range hosts {
		host, problem := normalizeHost(given)
		if problem != nil {
			return nil, problem.error()
		}
		if !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out, nil
}

const aloneHint = "give the name alone: registry.test; the port goes to --port"

// normalizeHost returns one host in its normal form, or what is wrong with it.
func normalizeHost(given string) (string, *finding) {
	bad := func(hint, why string) (string, *finding) {
		return "", newFinding("hosts", hint, "%q %s", given, why)
	}
	host, bracketed := given, false
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host, bracketed = host[1:len(host)-1], true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return normalizeAddr(given, addr.Unmap())
	}
	switch {
	case host == "":
		return bad("give a DNS name or an IP address: registry.test", "is no host")
	case strings.Contains(host, "://"):
		return bad(withoutURL(host), "is a URL, not a host")
	case bracketed || strings.HasPrefix(host, "[") && !strings.Contains(host, "]") || strings.Count(host, ":") > 1 && !strings.Contains(host, "]"):
		return bad("for example 2001:db8::10 or [2001:db8::10]", "is a malformed IPv6 address")
	case strings.ContainsAny(host, ":[]"):
		return bad(aloneHint, "is more than a host")
	case strings.Contains(host, "/"):
		return bad(aloneHint, "has a / in it, which no host has")
	case strings.ContainsAny(host, " \t\r\n,"):
		return bad("give one name at a time: --host registry.test --host 192.168.1.10", "is more than one host")
	case strings.Contains(host, "*"):
		return bad("name each host", "is a wildcard, which no client can connect to")
	}
	return normalizeName(given, host)
}

func normalizeAddr(given string, addr netip.Addr) (string, *finding) {
	switch {
	case addr.Zone() != "":
		return "", newFinding("hosts", "give an address that is good on every link, or a DNS name", "%q has a zone, which means something on this machine alone", given)
	case addr.IsUnspecified():
		return "", newFinding("hosts", "give an address that clients can reach; --bind says where to listen", "%q is no address that clients can reach", given)
	case addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "", newFinding("hosts", "give this machine's own address", "%q is an address of many machines", given)
	}
	return addr.String(), nil
}

// label is one part of a DNS name as Docker's image references allow it
// (distribution/reference); an underscore is not in it.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func normalizeName(given, host string) (string, *finding) {
	bad := func(why string) (string, *finding) {
		return "", newFinding("hosts", "letters, digits and hyphens, parts joined by single dots: registry.test", "%q is no DNS name: %s", given, why)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.IndexFunc(name, func(r rune) bool { return r > 127 }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return bad("it has no form in ASCII")
		}
		name = ascii
	}
	if len(name) > 253 {
		return bad("it is longer than 253 characters")
	}
	parts := strings.Split(name, ".")
	for _, part := range parts {
		switch {
		case part == "":
			return bad("it has an empty part")
		case len(part) > 63:
			return bad("a part is longer than 63 characters")
		case strings.Contains(part, "_"):
			return bad("it has an underscore, which Docker does not take in a registry's name")
		case !label.MatchString(part):
			return bad(part + " is not letters, digits and inner hyphens")
		}
	}
	if last := parts[len(parts)-1]; strings.Trim(last, "0123456789") == "" {
		return "", newFinding("hosts", "four numbers from 0 to 255: 192.168.1.10", "%q is no IPv4 address, and no DNS name ends in a number", given)
	}
	return name, nil
}

// withoutURL is the hint for somebody who gave a URL.
func withoutURL(given string) string {
	u, err := url.Parse(given)
	if err != nil || u.Hostname() == "" {
		return aloneHint
	}
	hint := "give the name alone: " + u.Hostname()
	if u.Port() != "" {
		hint += " --port " + u.Port()
	}
	return hint
}
