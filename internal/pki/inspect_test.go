package pki

import (
	"encoding/pem"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testenv"
)

func TestInspect(t *testing.T) {
	m := makePair(t, config("ecdsa384", "registry.test", "192.0.2.10", "::1"))
	ca, err := Inspect(m.ca)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := Inspect(m.leaf)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || leaf.IsCA || leaf.Issuer != ca.Subject || ca.Issuer != ca.Subject || leaf.KeyType != "ecdsa384" {
		t.Errorf("%+v\n%+v", ca, leaf)
	}
	if got := leaf.SANs(); !slices.Equal(got, []string{"registry.test", "192.0.2.10", "::1"}) {
		t.Errorf("SANs %v", got)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life != 365*day {
		t.Errorf("life %v", life)
	}
}

// TestInspectAsOpenSSL holds serial and fingerprint against openssl's own output.
func TestInspectAsOpenSSL(t *testing.T) {
	testenv.Need(t, "openssl")
	m := makePair(t, config("", "registry.test"))
	out, err := exec.CommandContext(t.Context(), "openssl", "x509", "-in", writeFile(t, "leaf", m.leaf), "-noout", "-text", "-fingerprint", "-sha256").CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	info, err := Inspect(m.leaf)
	if err != nil {
		t.Fatal(err)
	}
	if got := regexp.MustCompile(`Serial Number:\s+(\S+)`).FindStringSubmatch(string(out)); got == nil || got[1] != info.Serial {
		t.Errorf("openssl prints serial %v, we %s", got, info.Serial)
	}
	if !strings.Contains(string(out), "Fingerprint="+info.Fingerprint) {
		t.Errorf("openssl has not %s:\n%s", info.Fingerprint, out)
	}
}

func TestInspectRefuses(t *testing.T) {
	m := makePair(t, config("", "registry.test"))
	block, _ := pem.Decode(m.leaf)
	damaged := strings.Replace(string(m.leaf), "MII", "AAA", 1)
	for name, data := range map[string][]byte{"empty": nil, "a key": m.key, "DER": block.Bytes, "damaged": []byte(damaged)} {
		_, err := Inspect(data)
		if err == nil || fault.Hint(err) == "" {
			t.Errorf("%s: %v, hint %q", name, err, fault.Hint(err))
		}
		if !NeedsRenewal(data, now) {
			t.Errorf("%s: needs no renewal", name)
		}
	}
}

func TestNeedsRenewal(t *testing.T) {
	c := config("", "registry.test")
	c.CertDays = 90
	leaf := makePair(t, c).leaf
	due := now.Add(-backdate + 60*day)
	if info, _ := Inspect(leaf); !info.RenewAfter().Equal(due) {
		t.Errorf("renew after %v, want %v", info.RenewAfter(), due)
	}
	if NeedsRenewal(leaf, due.Add(-1)) || !NeedsRenewal(leaf, due) || !NeedsRenewal(leaf, due.Add(365*day)) {
		t.Error("want renewal from two thirds of the life on")
	}
}
