package main_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testpebble"
)

// TestLetsEncryptInTrouble has a CA fail in several ways. Files and service stay as
// they were, and status tells of it.
func TestLetsEncryptInTrouble(t *testing.T) {
	bin := build(t)
	var answer atomic.Pointer[http.HandlerFunc]
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))

	// What comes to nothing the first time leaves nothing.
	garbage := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	answer.Store(&garbage)
	begun := newRun(t, bin, "acme-never")
	begun.refuses(t, "not JSON", "init", "--tls", "letsencrypt", "--runtime", "process", "--host", "registry.test", "--port", begun.port,
		"--accept-tos", "--acme-server", server.URL+"/dir", "--acme-ca", ca, "--challenge-addr", "127.0.0.1:0")
	if _, err := os.Stat(begun.dir); !os.IsNotExist(err) {
		t.Errorf("a failed init left %s: %v", begun.dir, err)
	}

	pebble := testpebble.New(t, testpebble.Options{})
	a := newACME(t, newRun(t, bin, "acme-trouble"), pebble, "--runtime", "process")
	a.args = append(a.args, a.http01()...)
	a.must(t, a.args...)
	leaf, life := a.leaf(t), a.life(t)
	before := a.hashes(t)

	// The same registry, whose CA has gone bad.
	spec := filepath.Join(a.dir, "regctl.yaml")
	text := strings.Replace(string(read(t, spec)), a.ca.Directory, server.URL+"/dir", 1)
	write(t, spec, text)
	write(t, filepath.Join(a.dir, "secrets", "acme-ca.pem"), string(read(t, ca)))
	before["secrets/acme-ca.pem"] = string(read(t, ca))
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		handler http.HandlerFunc
		text    string
	}{
		{status(429, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many of it","status":429}`), "too many of it (rateLimited)"},
		{status(500, "oops"), "HTTP 500"},
		{garbage, "not JSON"},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "does not answer"},
		{func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
			_, _ = io.WriteString(w, `{"newAccount": "https://a.test/a", "newOrder": "https://a.test/o", "newNonce": "https://a.test/n"}`)
		}, "this machine's clock says"},
	} {
		answer.Store(&c.handler)
		a.refuses(t, c.text, "cert", "renew", "--force")
		if now := a.leaf(t); now.SerialNumber.Cmp(leaf.SerialNumber) != 0 || a.life(t) != life {
			t.Errorf("%s: what is served changed", c.text)
		}
		for path, was := range a.hashes(t) {
			if before[path] != was {
				t.Errorf("%s: %s changed", c.text, path)
			}
		}
		if out := a.must(t, "status"); !strings.Contains(out, "the last attempt to renew the certificate") || !strings.Contains(out, c.text) {
			t.Errorf("status does not tell:\n%s", out)
		}
	}
}

// TestLetsEncryptElsewhere has the CA look for the answer where the name leads, which is
// somebody else's: a line and a hint, and files and service as they were.
func TestLetsEncryptElsewhere(t *testing.T) {
	ca := testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	a := newACME(t, newRun(t, build(t), "acme-elsewhere"), ca, "--runtime", "process")
	a.args = append(a.args, a.http01()...)
	a.must(t, a.args...)
	const there = "127.0.0.3"
	elsewhere, err := net.Listen("tcp", net.JoinHostPort(there, strconv.Itoa(ca.HTTPPort)))
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = other.Serve(elsewhere) }()
	t.Cleanup(func() { _ = other.Close() })
	ca.SetAddress("registry.test", there)
	a.usesUp(t)
	leaf, life, before := a.leaf(t), a.life(t), a.hashes(t)
	a.refuses(t, "registry.test", "cert", "renew", "--force")
	if now := a.leaf(t); now.SerialNumber.Cmp(leaf.SerialNumber) != 0 || a.life(t) != life {
		t.Error("what is served changed")
	}
	for path, was := range a.hashes(t) {
		if before[path] != was {
			t.Errorf("%s changed", path)
		}
	}
}

// usesUp renews where that is to be refused, which may succeed: told not to, Pebble uses one
// authorization of a hundred again, and asks for no proof.
func (a *acmeRun) usesUp(t *testing.T) {
	t.Helper()
	if err := a.command("cert", "renew", "--force", "--quiet").Run(); err == nil {
		t.Log("Pebble used an authorization again")
	}
}

// hashes are the files that a renewal may change, by their paths.
func (r *run) hashes(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"secrets", "certs", "serve"} {
		err := filepath.WalkDir(filepath.Join(r.dir, dir), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				rel, _ := filepath.Rel(r.dir, path)
				all[rel] = string(read(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestLetsEncryptRefuses looks for what is wrong before any CA is asked.
func TestLetsEncryptRefuses(t *testing.T) {
	r := newRun(t, build(t), "acme-refuses")
	for _, c := range []struct {
		want  string
		flags []string
	}{
		{"--tls letsencrypt needs --host", nil},
		{"use --challenge http-01 or --challenge dns-01", []string{"--host", "registry.example.org", "--challenge", "tls-alpn-01"}},
		{"public internet alone", []string{"--host", "registry.test"}},
		{"tls.dnsProvider", []string{"--host", "registry.example.org", "--challenge", "dns-01"}},
		{"tls.challenge", []string{"--host", "registry.example.org", "--challenge", "http"}},
		{"want a URL", []string{"--host", "registry.example.org", "--acme-server", "http://ca.test"}},
	} {
		cmd := r.command(append([]string{"init", "--tls", "letsencrypt", "--runtime", "process", "--port", r.port}, c.flags...)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), c.want) {
			t.Errorf("init %v: exit status %d\n%s\nwant 2 and %q", c.flags, code, out, c.want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := newACME(t, r, testpebble.New(t, testpebble.Options{}), "--runtime", "process", "--challenge-addr", l.Addr().String())
	a.refuses(t, "the challenge cannot be answered on "+l.Addr().String(), a.args...)
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("left %s: %v", r.dir, err)
	}
}

// TestLetsEncryptChallenges proves names by the registry's own port, which goes on
// serving meanwhile, with an account that the CA has bound and a certificate of six
// days; and has a DNS provider tell why it does not.
func TestLetsEncryptChallenges(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "acme-alpn-"+runtime)
		port, _ := strconv.Atoi(r.port)
		ca := testpebble.New(t, testpebble.Options{Addr: "127.0.0.1", TLSPort: port, EAB: true, ReuseAuthz: -1})
		a := newACME(t, r, ca, "--runtime", runtime, "--challenge", "tls-alpn-01", "--challenge-forwarded", "--profile", testpebble.ShortLived)
		a.refuses(t, "bind", a.args...)
		hmac := filepath.Join(t.TempDir(), "hmac")
		write(t, hmac, testpebble.EABKey+"\n")
		a.args = append(a.args, "--eab-kid", testpebble.EABKeyID, "--eab-hmac-file", hmac)
		a.must(t, a.args...)
		first, life := a.leaf(t), a.life(t)
		if days := first.NotAfter.Sub(first.NotBefore).Hours() / 24; days > 6.1 {
			t.Errorf("%s lives %.1f days", testpebble.ShortLived, days)
		}
		a.must(t, "cert", "renew", "--force")
		if now := a.leaf(t); now.SerialNumber.Cmp(first.SerialNumber) == 0 || a.life(t) != life {
			t.Error("not renewed, or restarted")
		}
		if left, _ := filepath.Glob(filepath.Join(a.dir, "serve", "ctl", "acme*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestLetsEncryptByDNS proves names by a script that tells the challenge test server, of
// which it has the address by its credentials file. A staging directory is tried first.
func TestLetsEncryptByDNS(t *testing.T) {
	testenv.Need(t, "sh", "curl")
	dir := t.TempDir()
	script, credentials := filepath.Join(dir, "hook"), filepath.Join(dir, "dns")
	ca, staging := testpebble.New(t, testpebble.Options{ReuseAuthz: -1}), testpebble.New(t, testpebble.Options{ReuseAuthz: -1})
	write(t, script, `#!/bin/sh
set -e
for api in $API; do
	case $1 in
	present) curl -sf -d "{\"host\": \"$2\", \"value\": \"$3\"}" "$api/set-txt" ;;
	cleanup) curl -sf -d "{\"host\": \"$2\"}" "$api/clear-txt" ;;
	esac
done
`)
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, credentials, "EXEC_PATH="+script+"\nAPI='"+ca.Names+" "+staging.Names+"'\nEXEC_POLLING_INTERVAL=0\n")
	a := newACME(t, newRun(t, build(t), "acme-dns"), ca, "--runtime", "process", "--acme-staging", staging.Directory,
		"--challenge", "dns-01", "--dns-provider", "exec", "--dns-credentials-file", credentials, "--dns-resolver", ca.DNS)
	a.must(t, a.args...)
	first, account := a.leaf(t), a.account(t)
	a.asCertbot(t, first)
	write(t, filepath.Join(a.dir, "secrets", "acme-ca.pem"), string(ca.CA)+string(staging.CA))
	before := a.hashes(t)
	if out := a.must(t, "cert", "renew", "--dry-run"); !strings.Contains(out, "staging issued it, and it is kept nowhere") {
		t.Errorf("cert renew --dry-run:\n%s", out)
	}
	if log := staging.Log(); !strings.Contains(log, "Issued certificate") {
		t.Errorf("the staging directory issued nothing:\n%s", log)
	}
	for path, was := range a.hashes(t) {
		if before[path] != was {
			t.Errorf("the dry run changed %s", path)
		}
	}
	a.must(t, "cert", "renew", "--force")
	if now := a.leaf(t); now.SerialNumber.Cmp(first.SerialNumber) == 0 || a.account(t) != account {
		t.Errorf("not renewed, or by another account: %s", a.account(t))
	}

	write(t, script, "#!/bin/sh\necho \"$ZONE says no to $1 $2\" >&2\nexit 1\n")
	write(t, filepath.Join(a.dir, "secrets", "dns-credentials"), "EXEC_PATH="+script+"\nZONE='the zone'\n")
	a.usesUp(t)
	a.refuses(t, "the zone says no to present _acme-challenge.", "cert", "renew", "--force")
}

// TestLetsEncryptBegunAgain has a first init fail after the CA gave it an account, and
// then after it gave a certificate: the next one goes on with both.
func TestLetsEncryptBegunAgain(t *testing.T) {
	ca := testpebble.New(t, testpebble.Options{Blocked: []string{"blocked.test"}})
	a := newACME(t, newRun(t, build(t), "acme-again"), ca, "--runtime", "process")
	a.args = append(a.args, a.http01()...)
	a.refuses(t, "blocked.test", append(a.args, "--host", "blocked.test")...)
	kept := func(name string) bool {
		info, err := os.Stat(filepath.Join(a.dir, "secrets", name))
		return err == nil && info.Mode().Perm() == 0o600
	}
	if !kept("acme") || kept("acme-ordered") {
		t.Error("not the account alone was kept, 0600")
	}
	a.must(t, "destroy", "--yes")
	if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
		t.Errorf("destroy left %s: %v", a.dir, err)
	}

	a.refuses(t, "blocked.test", append(a.args, "--host", "blocked.test")...)
	account := a.account(t)
	foreign := newBrought(t)
	a.refuses(t, "does not lead to", append(a.args, "--ca-cert", foreign.ca)...)
	if a.account(t) != account || !kept("acme-ordered") {
		t.Errorf("account %s, then %s; the certificate is kept: %v", account, a.account(t), kept("acme-ordered"))
	}
	a.must(t, a.args...)
	a.asCertbot(t, a.leaf(t))
	if issued := strings.Count(ca.Log(), "Issued certificate"); issued != 1 || a.account(t) != account {
		t.Errorf("%d certificates were issued, want 1; account %s, then %s", issued, account, a.account(t))
	}
	if _, err := os.Stat(filepath.Join(a.dir, "secrets", "acme-ordered")); !os.IsNotExist(err) {
		t.Errorf("what was put to use is still kept: %v", err)
	}
	if out := a.must(t, "plan"); !strings.Contains(out, "nothing to do") {
		t.Errorf("plan after init:\n%s", out)
	}
	a.must(t, "destroy", "--yes")
	if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
		t.Errorf("destroy left %s: %v", a.dir, err)
	}
}
