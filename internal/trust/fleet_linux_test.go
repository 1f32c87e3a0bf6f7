package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/testfleet"
)

// newCA is a CA's certificate.
func newCA(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func login(t *testing.T, f *testfleet.Fleet, h *testfleet.Host) *host.SSH {
	t.Helper()
	h.Run("until test -s /run/sshd.pid; do sleep 0.05; done") // it listens
	s, err := host.DialSSH(t.Context(), host.Target{Given: h.Name, Host: h.Name}, host.SSHOptions{
		ConfigFile: f.SSHConfig(), ConnectTimeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// onHost plans for a real host and carries it out.
func onHost(t *testing.T, h host.Host, plan func(Client, []host.Entry) ([]Placement, error)) []Placement {
	t.Helper()
	seen, err := h.Look(t.Context(), append(Reads(), host.LedgerRef()))
	if err != nil {
		t.Fatal(err)
	}
	placed, err := plan(SeenClient(seen), host.ParseLedger(seen[host.LedgerRef()]))
	if err != nil {
		t.Fatal(err)
	}
	carryOut(t, h, steps(placed))
	return placed
}

func trustOn(t *testing.T, h host.Host, r Registry, stores []Store, opts Options) []Placement {
	t.Helper()
	return onHost(t, h, func(c Client, _ []host.Entry) ([]Placement, error) { return Plan(r, c, stores, opts) })
}

func untrustOn(t *testing.T, h host.Host, opts Options, registries ...Registry) []Placement {
	t.Helper()
	return onHost(t, h, func(c Client, entries []host.Entry) ([]Placement, error) {
		var addresses []string
		for _, r := range registries {
			addresses = append(addresses, r.Address())
		}
		return Undo(c, entries, addresses, opts)
	})
}

// sameTree compares a host with what it was. What the OS makes of its certificates is
// compared by the certificates.
func sameTree(t *testing.T, h *testfleet.Host, before testfleet.Tree, certs string) {
	t.Helper()
	diff := slices.DeleteFunc(before.Diff(h.Tree()), func(line string) bool {
		// Hooks of the OS's tool write below /var/lib.
		return strings.HasPrefix(line[2:], "/etc/ssl/certs/ca-certificates.crt ") || strings.HasPrefix(line[2:], "/var/lib/ca-certificates-java/") || strings.HasPrefix(line[2:], "/var/lib/dpkg/")
	})
	if len(diff) > 0 {
		t.Errorf("%s is not as before:\n%s", h.Name, strings.Join(diff, "\n"))
	}
	if got := bundle(h); got != certs {
		t.Errorf("%s: the bundle holds other certificates", h.Name)
	}
}

func bundle(h *testfleet.Host) string {
	data, err := h.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, c := range certificates(data) {
		all = append(all, string(c))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// TestOnAHost has two registries on a real host, in files and folders that they share,
// leave in either order.
func TestOnAHost(t *testing.T) {
	fleet := testfleet.New(t, testfleet.Hosts(1)...)
	h := fleet.Host(0)
	s := login(t, fleet, h)
	// The anchors of the machine below are not the host's; of the public CAs a few will do.
	h.Run("grep '^[a-z]' /etc/ca-certificates.conf | head -n 5 >/tmp/few; cat /tmp/few >/etc/ca-certificates.conf; rm /tmp/few; update-ca-certificates --fresh")
	one := Registry{Host: "one.test", Port: 5000, CA: newCA(t, "one")}
	two := Registry{Host: "two.test", Port: 443, CA: append(newCA(t, "two"), newCA(t, "three")...)}
	stores := []Store{Docker, Podman, BuildKit, OS}
	opts := Options{MapHost: fleet.Gateway()}
	before, certs := h.Tree(), bundle(h)
	for _, out := range [][]Registry{{one, two}, {two, one}} {
		trustOn(t, s, one, stores, opts)
		trustOn(t, s, two, stores, opts)
		for _, r := range []Registry{one, two} {
			again, err := step.Plan(t.Context(), s, steps(trustOn(t, s, r, stores, opts)))
			if err != nil || !again.Empty() {
				t.Errorf("a second plan is not empty: %v %+v", err, again.Items())
			}
		}
		if got := h.Run("grep -c regctl /etc/hosts; ls /etc/docker/certs.d /usr/local/share/ca-certificates"); !strings.HasPrefix(got, "2\n") {
			t.Errorf("on the host: %s", got)
		}
		untrustOn(t, s, opts, out[0])
		untrustOn(t, s, opts, out[0])
		h.Run("test -e /etc/docker/certs.d/" + out[1].Address() + "/ca.crt")
		untrustOn(t, s, opts, out[1])
		sameTree(t, h, before, certs)
	}
}
