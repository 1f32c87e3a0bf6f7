package machine

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/testenv"
)

func prefix(s string) net.Addr {
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return &net.IPNet{IP: ip, Mask: n.Mask}
}

var devices = []device{
	{"lo", true, []net.Addr{prefix("127.0.0.1/8"), prefix("::1/128")}},
	{"eth0", true, []net.Addr{prefix("192.0.2.10/24"), prefix("2001:db8::10/64"), prefix("fe80::1/64")}},
	{"eth1", false, []net.Addr{prefix("192.0.2.11/24")}},
	{"docker0", true, []net.Addr{prefix("172.17.0.1/16")}},
	{"br-0123456789ab", true, []net.Addr{prefix("172.18.0.1/16")}},
	{"virbr0", true, []net.Addr{prefix("192.168.122.1/24")}},
	{"veth12", true, []net.Addr{prefix("10.9.0.1/24")}},
	{"cni0", true, []net.Addr{prefix("10.8.0.1/24")}},
	{"lxcbr0", true, []net.Addr{prefix("10.7.0.1/24")}},
	{"wg0", true, []net.Addr{prefix("10.1.0.1/24")}},
}

func TestNames(t *testing.T) {
	const rest = " localhost 127.0.0.1 ::1 192.0.2.10 2001:db8::10 10.1.0.1"
	for name, tc := range map[string]struct {
		hostname, canonical string
		want                string
	}{
		"short and full":       {"box", "box.example.com.", "box.example.com box" + rest},
		"full alone":           {"Box.Example.com", "", "box.example.com" + rest},
		"does not resolve":     {"box", "", "box" + rest},
		"resolves to itself":   {"box", "box.", "box" + rest},
		"an alias of loopback": {"box", "localhost.localdomain.", "box" + rest},
		"not a DNS name":       {"my_box", "", "192.0.2.10 localhost 127.0.0.1 ::1 2001:db8::10 10.1.0.1"},
		"full name is none":    {"box", "my_box.example.com", "box" + rest},
		"localhost":            {"localhost", "", "192.0.2.10 localhost 127.0.0.1 ::1 2001:db8::10 10.1.0.1"},
		"none":                 {"", "", "192.0.2.10 localhost 127.0.0.1 ::1 2001:db8::10 10.1.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := source{
				hostname: func() (string, error) { return tc.hostname, nil },
				canonical: func(context.Context, string) (string, error) {
					if tc.canonical == "" {
						return "", errors.New("no such host")
					}
					return tc.canonical, nil
				},
				interfaces: func() ([]device, error) { return devices, nil },
			}
			got, err := s.names(t.Context())
			if err != nil || strings.Join(got, " ") != tc.want {
				t.Errorf("got  %s, %v\nwant %s", strings.Join(got, " "), err, tc.want)
			}
		})
	}
}

// TestSilentResolver asks a name server that never answers.
func TestSilentResolver(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", silent.LocalAddr().String())
	}}
	s := source{
		hostname:   func() (string, error) { return "no-such-host-of-ours", nil },
		canonical:  resolver.LookupCNAME,
		interfaces: func() ([]device, error) { return devices, nil },
	}
	start := time.Now()
	got, err := s.names(t.Context())
	if err != nil || got[0] != "no-such-host-of-ours" {
		t.Errorf("%v, %v", got, err)
	}
	if took := time.Since(start); took > 3*patience {
		t.Errorf("took %v", took)
	}
}

// TestThisMachine holds the real names against what hostname says.
func TestThisMachine(t *testing.T) {
	start := time.Now()
	got, err := Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 3*patience {
		t.Errorf("took %v", took)
	}
	t.Log(got)
	for _, want := range append(Addresses(), "localhost", "127.0.0.1", "::1") {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %v", want, got)
		}
	}
	s := spec.Default()
	s.Hosts = got
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	testenv.Need(t, "hostname")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "hostname", "-f").Output()
	if full := strings.TrimSpace(string(out)); err == nil && strings.HasPrefix(full, host) && strings.Contains(full, ".") && got[0] != full {
		t.Errorf("first is %s, hostname -f says %s", got[0], full)
	}
}
