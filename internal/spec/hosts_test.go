package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func TestNormalizeHosts(t *testing.T) {
	got, err := NormalizeHosts([]string{
		"Registry.Test.", "registry.test", "localhost", "bücher.test", "[::1]", "::1", "2001:DB8:0::10",
		"192.0.2.10", "::ffff:192.0.2.10", "a-b.3com.test", "xn--bcher-kva.test",
	})
	want := []string{"registry.test", "localhost", "xn--bcher-kva.test", "::1", "2001:db8::10", "192.0.2.10", "a-b.3com.test"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
	if again, err := NormalizeHosts(got); err != nil || !slices.Equal(again, got) {
		t.Errorf("not stable: %v, %v", again, err)
	}
}

func TestNormalizeHostsRefuses(t *testing.T) {
	for given, want := range map[string][2]string{ // problem, hint
		"":                           {"no host", "registry.test"},
		"foo_bar..x":                 {"underscore", "hyphens"},
		"foo..x":                     {"empty part", "single dots"},
		".":                          {"empty part", ""},
		"reg_istry.test":             {"underscore", "hyphens"},
		"not a name":                 {"more than one host", "one name at a time"},
		"a.test,b.test":              {"more than one host", "--host"},
		"https://registry.test":      {"URL", "give the name alone: registry.test"},
		"https://registry.test:5000": {"URL", "registry.test --port 5000"},
		"registry.test:5000":         {"more than a host", "the port goes to --port"},
		"[::1]:5000":                 {"more than a host", "the port goes to --port"},
		"registry.test/images":       {"has a /", "give the name alone"},
		"10.0.0.0/8":                 {"has a /", ""},
		"[::1":                       {"malformed IPv6", "2001:db8::10"},
		"::g":                        {"malformed IPv6", ""},
		"1:2:3":                      {"malformed IPv6", ""},
		"[registry.test]":            {"malformed IPv6", ""},
		"fe80::1%eth0":               {"zone", "DNS name"},
		"[fe80::1%eth0]":             {"zone", ""},
		"0.0.0.0":                    {"no address that clients can reach", "--bind"},
		"::":                         {"no address that clients can reach", ""},
		"224.0.0.1":                  {"many machines", ""},
		"255.255.255.255":            {"many machines", ""},
		"192.168.1.300":              {"no IPv4 address", "0 to 255"},
		"192.168.001.1":              {"no IPv4 address", ""},
		"5000":                       {"no IPv4 address", ""},
		"*.registry.test":            {"wildcard", "each host"},
		"-a.test":                    {"inner hyphens", ""},
		"a-.test":                    {"inner hyphens", ""},
		"a!.test":                    {"inner hyphens", ""},
		"a\x00.test":                 {"no DNS name", ""},
		"\u00fc\u200b\u2024.test":    {"no DNS name", ""},
		strings.Repeat("a", 64):      {"longer than 63", ""},
		strings.Repeat("a.", 130):    {"longer than 253", ""},
	} {
		_, err := NormalizeHosts([]string{"good.test", given})
		if err == nil {
			t.Errorf("%q is accepted", given)
			continue
		}
		if !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), "hosts (--host)") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", given, err)
		}
		if hint := fault.Hint(err); hint == "" || !strings.Contains(hint, want[1]) || !fault.IsUsage(err) {
			t.Errorf("%q: hint %q", given, hint)
		}
	}
}
