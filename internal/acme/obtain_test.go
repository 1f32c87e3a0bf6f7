package acme

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/testpebble"
)

// uriOf is the account of the one directory that accounts are of.
func uriOf(t *testing.T, accounts secret.String) string {
	t.Helper()
	var b book
	if err := json.Unmarshal([]byte(accounts.Reveal()), &b); err != nil {
		t.Fatal(err)
	}
	for _, a := range b {
		return a.URI
	}
	return ""
}

func TestObtainAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{})
	names := []string{"registry.test", "b.registry.test", s.Addr}
	o := by(s, names...)
	o.Profile = testpebble.Profile // left to it, this CA takes any
	first := obtain(t, o)
	leaf := leafOf(t, first, s.Root(0), names...)
	if leaf.Subject.CommonName != "" && leaf.Subject.CommonName != names[0] {
		t.Errorf("common name %q", leaf.Subject.CommonName)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore).Round(time.Hour); life != testpebble.ProfileLife {
		t.Errorf("lives %s", life)
	}
	account := uriOf(t, first.Accounts)

	// The account is used again, also without a word about terms.
	o.Accounts, o.AcceptTOS, o.KeyType, o.Replaces = first.Accounts, false, "rsa2048", first.CertPEM
	second := obtain(t, o)
	if next := leafOf(t, second, s.Root(0), names...); next.SerialNumber.Cmp(leaf.SerialNumber) == 0 || next.PublicKeyAlgorithm.String() != "RSA" {
		t.Errorf("serial %s again, key %s", next.SerialNumber, next.PublicKeyAlgorithm)
	}
	if string(second.KeyPEM) == string(first.KeyPEM) {
		t.Error("the key was used again")
	}
	if got := uriOf(t, second.Accounts); got != account {
		t.Errorf("account %s, then %s", account, got)
	}

	// What was replaced already is no obstacle, nor what this CA does not know.
	for _, replaced := range [][]byte{first.CertPEM, s.CA} {
		o.Replaces = replaced
		leafOf(t, obtain(t, o), s.Root(0), names...)
	}
	// The listener is closed.
	ln, err := net.Listen("tcp", o.Challenge.Addr)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

func TestAccountThatGotLost(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{})
	o := by(s, "registry.test")
	first := obtain(t, o)
	account := uriOf(t, first.Accounts)

	// The file has the key alone: the CA knows whose it is.
	o.AcceptTOS = false
	o.Accounts = secret.New(strings.Replace(first.Accounts.Reveal(), account, "", 1))
	again := obtain(t, o)
	if got := uriOf(t, again.Accounts); got != account {
		t.Errorf("account %s, then %s", account, got)
	}

	// Another CA at the same address, as it were: the key is registered anew.
	other := testpebble.New(t, testpebble.Options{})
	o = by(other, "registry.test")
	o.Accounts = secret.New(strings.ReplaceAll(first.Accounts.Reveal(), host(s.Directory), host(other.Directory)))
	moved := obtain(t, o)
	if !strings.Contains(moved.Accounts.Reveal(), other.Addr) || strings.Contains(moved.Accounts.Reveal(), s.Addr) {
		t.Error("the account is not the other CA's")
	}

	// An account there leaves the one here alone.
	o.Accounts = first.Accounts
	both := obtain(t, o)
	for _, want := range []string{account, other.Directory} {
		if !strings.Contains(both.Accounts.Reveal(), want) {
			t.Errorf("no account of %s", want)
		}
	}

	o.Accounts = secret.New("{")
	_, err := Obtain(t.Context(), o)
	want(t, err, false, "the file of ACME accounts does not parse", "restore it")
}

func host(directory string) string {
	return strings.TrimSuffix(strings.TrimPrefix(directory, "https://"), "/dir")
}

func TestTermsAndBinding(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{EAB: true})
	o := by(s, "registry.test")
	o.AcceptTOS = false
	r, err := Obtain(t.Context(), o)
	want(t, err, true, "terms of service", "--accept-tos")
	if !r.Accounts.Empty() {
		t.Error("an account was kept that is none")
	}
	o.AcceptTOS = true
	_, err = Obtain(t.Context(), o)
	want(t, err, true, "external account binding", "--eab-kid")
	o.EAB = EAB{KID: "kid-9", HMAC: secret.New(testpebble.EABKey)}
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "(unauthorized)", "--eab-kid")
	o.EAB.KID = testpebble.EABKeyID
	leafOf(t, obtain(t, o), s.Root(0), "registry.test")
}

func TestProfilesAndChains(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{AlternateRoots: 2})
	o := by(s, "registry.test")
	o.Profile = testpebble.ShortLived
	short := obtain(t, o)
	leaf := leafOf(t, short, s.Root(0), "registry.test")
	if life := leaf.NotAfter.Sub(leaf.NotBefore).Round(time.Hour); life != testpebble.ShortLivedLife {
		t.Errorf("lives %s", life)
	}
	o.Accounts, o.Profile = short.Accounts, "classic"
	_, err := Obtain(t.Context(), o)
	want(t, err, true, `no profile "classic"`, "--profile takes default, shortlived")

	o.Profile = ""
	for n := range 3 {
		o.PreferredChain = parseLeaf(s.Root(n)).Subject.CommonName
		leafOf(t, obtain(t, o), s.Root(n), "registry.test")
	}
	var told story
	o.PreferredChain, o.Say = "Another Root", told.say
	r, err := Obtain(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	leafOf(t, r, s.Root(0), "registry.test")
	if !strings.Contains(told.String(), `warning: no chain leads to "Another Root"`) {
		t.Errorf("told %s", &told)
	}
}

// What another serves on port 80 has the name looked at; a folder there has the
// answer, and nothing later.
func TestWebroot(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	folder := t.TempDir()
	ln, err := net.Listen("tcp", net.JoinHostPort(s.Addr, strconv.Itoa(s.HTTPPort)))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(folder))}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })

	o := by(s, "registry.test", "b.test")
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "cannot be answered on "+o.Challenge.Addr, "--challenge-addr")

	o.Challenge.Webroot = filepath.Join(folder, "missing")
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "missing", "regctl apply")

	elsewhere := t.TempDir()
	o.Challenge.Webroot = elsewhere
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "registry.test: "+s.Addr, "port 80 of registry.test")
	want(t, err, false, "(unauthorized); likewise b.test", "")

	o.Challenge.Webroot = folder
	leafOf(t, obtain(t, o), s.Root(0), "registry.test", "b.test")
	for _, dir := range []string{folder, elsewhere} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v %v", dir, left, err)
		}
	}
}

func TestRefusedName(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{Blocked: []string{"blocked.test"}})
	o := by(s, "blocked.test", "registry.test")
	r, err := Obtain(t.Context(), o)
	want(t, err, false, "rejectedIdentifier", "another CA")
	if uriOf(t, r.Accounts) == "" {
		t.Error("the account that was made is lost")
	}
	// A name that is in no DNS.
	s.NoSuchNames()
	o.Names, o.Accounts = []string{"gone.test"}, r.Accounts
	_, err = Obtain(t.Context(), o)
	want(t, err, false, "gone.test: "+s.Addr, "gone.test")
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{})
	o := by(s, "registry.test")
	r := obtain(t, o)
	leaf := parseLeaf(r.CertPEM)
	if got := s.Status(leaf.SerialNumber); got != "Valid" {
		t.Errorf("status %s", got)
	}
	o.Accounts = r.Accounts
	for range 2 { // the second time it is revoked already
		if err := Revoke(t.Context(), o, r.FullchainPEM, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Status(leaf.SerialNumber); got != "Revoked" {
		t.Errorf("status %s", got)
	}
	// Without the account, the certificate's own key will do.
	second := obtain(t, o)
	o.Accounts = secret.String{}
	if err := Revoke(t.Context(), o, second.CertPEM, second.KeyPEM); err != nil {
		t.Fatal(err)
	}
	if got := s.Status(parseLeaf(second.CertPEM).SerialNumber); got != "Revoked" {
		t.Errorf("status %s", got)
	}
	want(t, Revoke(t.Context(), o, second.CertPEM, nil), true, "nobody here may revoke", "accounts")
	want(t, Revoke(t.Context(), o, nil, nil), true, "no certificate", "")
	// Nor is it revoked by a key that has no right to.
	third := obtain(t, o)
	err := Revoke(t.Context(), o, third.CertPEM, second.KeyPEM)
	want(t, err, false, s.Addr, "")
}

// The end of the call's context ends it wherever it is, and nothing stays behind.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{})
	for _, at := range []string{"registering", "ordering", "asking the CA to look"} {
		ctx, cancel := context.WithCancel(t.Context())
		o := by(s, "registry.test")
		o.Say = func(line string) {
			if strings.Contains(line, at) {
				cancel()
			}
		}
		began := time.Now()
		_, err := Obtain(ctx, o)
		if !errors.Is(err, context.Canceled) || time.Since(began) > patience {
			t.Errorf("%s: %v after %s", at, err, time.Since(began))
		}
		ln, err := net.Listen("tcp", o.Challenge.Addr)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		ln.Close()
	}
}
