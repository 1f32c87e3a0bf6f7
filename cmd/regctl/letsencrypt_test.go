package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/testpebble"
)

// acmeRun is a registry whose certificate a real ACME server signs.
type acmeRun struct {
	*run
	ca   *testpebble.Server
	args []string // of init
}

// newACME makes one that has yet to be begun.
func newACME(t *testing.T, r *run, ca *testpebble.Server, more ...string) *acmeRun {
	t.Helper()
	files := t.TempDir()
	write(t, filepath.Join(files, "acme-ca.pem"), string(ca.CA))
	write(t, filepath.Join(files, "root.pem"), string(ca.Root(0)))
	return &acmeRun{r, ca, append([]string{
		"init", "--tls", "letsencrypt", "--host", "registry.test", "--host", "b.registry.test", "--port", r.port,
		"--email", "admin@registry.test", "--accept-tos", "--acme-server", ca.Directory,
		"--acme-ca", filepath.Join(files, "acme-ca.pem"), "--ca-cert", filepath.Join(files, "root.pem"),
	}, more...)}
}

func (a *acmeRun) http01() []string {
	return []string{"--challenge-addr", net.JoinHostPort(a.ca.Addr, strconv.Itoa(a.ca.HTTPPort))}
}

// refuses demands that a command fails with one error line and one hint.
func (r *run) refuses(t *testing.T, text string, args ...string) {
	t.Helper()
	cmd := r.command(append(args, "--quiet")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	said := strings.TrimSpace(stderr.String())
	if err == nil || !strings.Contains(said, text) || !strings.Contains(said, "\nhint: ") || strings.Count(said, "\n") != 1 {
		t.Fatalf("regctl %s: %v\n%s\nwant %q and a hint", strings.Join(args, " "), err, said, text)
	}
}

// leaf is what the registry serves, checked against the CA's root for both names.
func (a *acmeRun) leaf(t *testing.T) *x509.Certificate {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.ca.Root(0))
	var leaf *x509.Certificate
	for _, name := range []string{"registry.test", "b.registry.test"} {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", net.JoinHostPort("127.0.0.1", a.port), &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		leaf = conn.ConnectionState().PeerCertificates[0]
		_ = conn.Close()
	}
	return leaf
}

// account is the URI of the account.
func (a *acmeRun) account(t *testing.T) string {
	t.Helper()
	var book map[string]struct{ URI string }
	if err := json.Unmarshal(read(t, filepath.Join(a.dir, "secrets", "acme")), &book); err != nil {
		t.Fatal(err)
	}
	if book[a.ca.Directory].URI == "" {
		t.Fatalf("no account with %s", a.ca.Directory)
	}
	return book[a.ca.Directory].URI
}

// asCertbot demands the four files of certs/live, of the pair that is served.
func (a *acmeRun) asCertbot(t *testing.T, leaf *x509.Certificate) {
	t.Helper()
	live := filepath.Join(a.dir, "certs", "live", "registry.test")
	cert, chain := read(t, filepath.Join(live, "cert.pem")), read(t, filepath.Join(live, "chain.pem"))
	full, key := read(t, filepath.Join(live, "fullchain.pem")), read(t, filepath.Join(live, "privkey.pem"))
	if !bytes.Equal(full, append(bytes.Clone(cert), chain...)) {
		t.Error("fullchain.pem is not cert.pem and chain.pem")
	}
	if block, rest := pem.Decode(cert); block == nil || len(rest) > 0 || !bytes.Equal(block.Bytes, leaf.Raw) {
		t.Error("cert.pem is not the leaf that is served")
	}
	if err := pki.CheckPair(full, key, []string{"registry.test", "b.registry.test"}, time.Now()); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"certs/live/registry.test/privkey.pem", "secrets/acme", "secrets/acme-ca.pem"} {
		if info, err := os.Stat(filepath.Join(a.dir, secret)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", secret, info, err)
		}
	}
}

// TestLetsEncrypt takes a certificate of a real ACME server through its life.
func TestLetsEncrypt(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		a := newACME(t, newRun(t, bin, "acme-"+runtime), testpebble.New(t, testpebble.Options{}), "--runtime", runtime)
		a.args = append(a.args, a.http01()...)
		if out := a.must(t, append(a.args, "--dry-run")...); !strings.Contains(out, "ordered from "+a.ca.Directory) {
			t.Errorf("init --dry-run does not say what it would order:\n%s", out)
		}
		if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
			t.Errorf("init --dry-run left %s: %v", a.dir, err)
		}
		a.must(t, a.args...)
		first, account := a.leaf(t), a.account(t)
		a.asCertbot(t, first)
		if out := a.must(t, "plan"); !strings.Contains(out, "nothing to do") {
			t.Errorf("plan after init:\n%s", out)
		}
		a.healthy(t)
		a.must(t, "cert", "show")

		// Unattended renewal has our copies alone.
		for i, arg := range a.args {
			if arg == "--acme-ca" || arg == "--ca-cert" {
				if err := os.Remove(a.args[i+1]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if out := a.must(t, "cert", "renew"); !strings.Contains(out, "says the CA") {
			t.Errorf("cert renew does not say when:\n%s", out)
		}
		if out := a.must(t, "cert", "renew", "--dry-run", "--force"); !strings.Contains(out, "would order") {
			t.Errorf("cert renew --dry-run:\n%s", out)
		}
		if now := a.leaf(t); now.SerialNumber.Cmp(first.SerialNumber) != 0 {
			t.Error("cert renew renewed what was not due")
		}
		life := a.life(t)
		a.must(t, "cert", "renew", "--force")
		second := a.leaf(t)
		if second.SerialNumber.Cmp(first.SerialNumber) == 0 || a.account(t) != account {
			t.Errorf("serial %s, then %s; account %s, then %s", first.SerialNumber, second.SerialNumber, account, a.account(t))
		}
		a.asCertbot(t, second)
		// The CA wants it replaced at once, which the timer's command notices.
		a.ca.SetRenewalInfo(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Raw}),
			`{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}}`)
		a.must(t, "cert", "renew")
		third := a.leaf(t)
		if third.SerialNumber.Cmp(second.SerialNumber) == 0 {
			t.Error("the CA said at once, and nothing was renewed")
		}
		if now := a.life(t); now != life {
			t.Errorf("%s became %s: it was restarted", life, now)
		}
		if out := a.must(t, "plan"); !strings.Contains(out, "nothing to do") {
			t.Errorf("plan after cert renew:\n%s", out)
		}

		a.must(t, "destroy", "--yes", "--revoke")
		if status := a.ca.Status(third.SerialNumber); status != "Revoked" {
			t.Errorf("after destroy --revoke the certificate is %s", status)
		}
		if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
			t.Errorf("destroy left %s: %v", a.dir, err)
		}
	})
}

// TestKilledRenewByACME kills cert renew in the middle of orders. No pair on disk or in
// service has parts that do not fit, the same command works again, and nothing of a
// challenge stays.
func TestKilledRenewByACME(t *testing.T) {
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "killed-acme-"+runtime)
		port, err := strconv.Atoi(r.port)
		if err != nil {
			t.Fatal(err)
		}
		ca := testpebble.New(t, testpebble.Options{Addr: "127.0.0.1", TLSPort: port, ReuseAuthz: -1})
		a := newACME(t, r, ca, "--runtime", runtime, "--challenge", "tls-alpn-01", "--challenge-forwarded")
		a.must(t, a.args...)
		account := a.account(t)
		start := time.Now()
		a.must(t, "cert", "renew", "--force")
		whole := time.Since(start)

		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan error, 1)
		go func() { watched <- a.watchPair(ctx) }()
		for range 5 {
			moment := a.killedAt(t, whole, "cert", "renew", "--force")
			a.must(t, "cert", "renew")
			a.must(t, "cert", "show")
			a.noHalfFile(t)
			if out := a.must(t, "plan"); !strings.Contains(out, "nothing to do") {
				t.Fatalf("killed after %v: plan after cert renew:\n%s", moment, out)
			}
		}
		a.must(t, "cert", "renew", "--force")
		a.asCertbot(t, a.leaf(t))
		if left, _ := filepath.Glob(filepath.Join(a.dir, "serve", "ctl", "acme*")); len(left) > 0 || a.account(t) != account {
			t.Errorf("left %v; account %s, before %s", left, a.account(t), account)
		}
		stop()
		if err := <-watched; err != nil {
			t.Error(err)
		}
		a.must(t, "destroy", "--yes")
		if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
			t.Errorf("destroy left %s: %v", a.dir, err)
		}
	})
}

// TestLetsEncryptByApply has a registry of its own CA go over to an ACME server, which
// clients trust already, and come back, with no restart.
func TestLetsEncryptByApply(t *testing.T) {
	r := newRun(t, build(t), "acme-apply")
	r.must(t, "init", "--host", "registry.test", "--host", "b.registry.test", "--port", r.port, "--runtime", "process")
	spec := filepath.Join(r.dir, "regctl.yaml")
	own, life := string(read(t, spec)), r.life(t)
	ca := testpebble.New(t, testpebble.Options{})
	a := newACME(t, r, ca)
	root := filepath.Join(t.TempDir(), "acme-ca.pem")
	write(t, root, string(ca.CA))
	write(t, spec, strings.Replace(own, "  mode: selfsigned ", "  acceptTOS: true\n  acmeServer: "+ca.Directory+"\n  acmeCA: "+root+
		"\n  challengeAddr: "+a.http01()[1]+"\n  mode: letsencrypt ", 1))
	a.must(t, "apply")
	a.asCertbot(t, a.leaf(t))
	if out := a.must(t, "cert", "show", "-o", "json"); !strings.Contains(out, `"ca": null`) && !strings.Contains(out, `"ca":null`) {
		t.Errorf("the former CA is shown as what clients must trust:\n%s", out)
	}
	a.refuses(t, "has a certificate that clients trust already", "cert", "export")
	if out := a.must(t, "plan"); !strings.Contains(out, "nothing to do") {
		t.Errorf("plan after apply:\n%s", out)
	}
	write(t, spec, own)
	a.must(t, "apply")
	a.healthy(t)
	if now := a.life(t); now != life {
		t.Errorf("%s became %s: it was restarted", life, now)
	}
	a.must(t, "destroy", "--yes")
	if _, err := os.Stat(a.dir); !os.IsNotExist(err) {
		t.Errorf("destroy left %s: %v", a.dir, err)
	}
}
