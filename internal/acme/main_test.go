package acme

import (
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testpebble"
)

// patience is for what should happen at once, on a machine that is busy.
const patience = 30 * time.Second

// story collects what Say is told.
type story struct {
	mu    sync.Mutex
	lines []string
}

func (s *story) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// by makes options for a server, which look for http-01's listener where it looks.
func by(s *testpebble.Server, names ...string) Options {
	return Options{
		Directory: s.Directory, CA: s.CA, AcceptTOS: true, Email: "admin@registry.test", Names: names,
		Challenge: Challenge{Kind: HTTP01, Addr: net.JoinHostPort(s.Addr, strconv.Itoa(s.HTTPPort))},
	}
}

func obtain(t *testing.T, o Options) Result {
	t.Helper()
	var told story
	o.Say = told.say
	r, err := Obtain(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\nhint: %s\n%s", err, fault.Hint(err), &told)
	}
	return r
}

// leafOf checks that the chain leads to a root of the server's, for all names, and
// returns the leaf.
func leafOf(t *testing.T, r Result, root []byte, names ...string) *x509.Certificate {
	t.Helper()
	if got := string(r.CertPEM) + string(r.ChainPEM); strings.ReplaceAll(got, "\n", "") != strings.ReplaceAll(string(r.FullchainPEM), "\n", "") {
		t.Error("the full chain is not the leaf and its chain")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	between.AppendCertsFromPEM(r.ChainPEM)
	leaf := parseLeaf(r.CertPEM)
	if leaf == nil {
		t.Fatal("no leaf")
	}
	for _, name := range names {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between}); err != nil {
			t.Error(err)
		}
	}
	return leaf
}

// want checks an error's text and hint, and whose fault it is.
func want(t *testing.T, err error, usage bool, text, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %q", text)
	}
	if !strings.Contains(err.Error(), text) || !strings.Contains(fault.Hint(err), hint) || fault.IsUsage(err) != usage {
		t.Errorf("%v\nhint: %s\nusage: %t; want %q, %q, %t", err, fault.Hint(err), fault.IsUsage(err), text, hint, usage)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}
