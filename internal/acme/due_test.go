package acme

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/testpebble"
)

func due(t *testing.T, o Options, leaf []byte) DueDate {
	t.Helper()
	d, err := Due(t.Context(), o, leaf)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDue(t *testing.T) {
	t.Parallel()
	s := testpebble.New(t, testpebble.Options{})
	o := by(s, "registry.test")
	r := obtain(t, o)
	leaf := parseLeaf(r.CertPEM)

	usual := due(t, o, r.FullchainPEM)
	if usual.Source != FromCA || usual.Fallback != nil || usual.At.Before(leaf.NotBefore) || usual.At.After(leaf.NotAfter) {
		t.Errorf("due %+v", usual)
	}
	if again := due(t, o, r.CertPEM); !again.At.Equal(usual.At) {
		t.Errorf("due %s, then %s", usual.At, again.At)
	}
	if in := time.Until(usual.AskAgain); in < 5*time.Hour || in > 7*time.Hour {
		t.Errorf("ask again in %s", in)
	}

	// The CA wants it renewed at once, and says why.
	start := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	window := `{"suggestedWindow": {"start": %q, "end": %q}, "explanationURL": "https://ca.test/why"}`
	s.SetRenewalInfo(r.CertPEM, fmt.Sprintf(window, start.Format(time.RFC3339), start.Add(time.Minute).Format(time.RFC3339)))
	if d := due(t, o, r.CertPEM); d.Source != FromCA || d.At.Before(start) || d.At.After(start.Add(time.Minute)) || d.Explanation != "https://ca.test/why" {
		t.Errorf("due %+v", d)
	}

	// What makes no sense is not believed.
	info, err := pki.Inspect(r.CertPEM)
	if err != nil {
		t.Fatal(err)
	}
	late := leaf.NotAfter.Add(time.Hour)
	for _, answer := range []string{
		"garbage", "{}", "null",
		fmt.Sprintf(window, start.Format(time.RFC3339), start.Add(-time.Minute).Format(time.RFC3339)),
		fmt.Sprintf(window, late.Format(time.RFC3339), late.Add(time.Minute).Format(time.RFC3339)),
	} {
		s.SetRenewalInfo(r.CertPEM, answer)
		d := due(t, o, r.CertPEM)
		if d.Source != FromLifetime || !d.At.Equal(info.RenewAfter()) || d.Fallback == nil || !strings.Contains(d.Fallback.Error(), s.Addr) {
			t.Errorf("%s: due %+v", answer, d)
		}
	}
	if _, err := Due(t.Context(), o, []byte("no certificate")); err == nil {
		t.Error("what is no certificate has a due date")
	}
}

func TestDueWithoutRenewalInformation(t *testing.T) {
	o, _ := ca(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"newAccount": "https://a.test/a", "newOrder": "https://a.test/o", "newNonce": "https://a.test/n"}`)
	})
	d := due(t, o, o.CA)
	if d.Source != FromLifetime || d.Fallback == nil || !strings.Contains(d.Fallback.Error(), "has no renewal information") {
		t.Errorf("due %+v", d)
	}
	o.Directory = "nonsense"
	if d := due(t, o, o.CA); d.Source != FromLifetime || d.Fallback == nil {
		t.Errorf("due %+v", d)
	}
}

// The name of RFC 9773's own example, section 4.1.
func TestRenewalID(t *testing.T) {
	block, _ := pem.Decode([]byte(exampleLeaf))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := renewalID(leaf), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Certificates are spread over a window, and none falls out of it.
func TestMoment(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const window = 24 * time.Hour
	quarters := make([]int, 4)
	for i := range 400 {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		at := moment(&x509.Certificate{Raw: sum[:]}, start, start.Add(window))
		if at.Before(start) || at.After(start.Add(window)) {
			t.Fatalf("%s", at)
		}
		quarters[at.Sub(start)*4/(window+1)]++
	}
	for i, n := range quarters {
		if n < 60 {
			t.Errorf("quarter %d has %d of 400", i, n)
		}
	}
}

const exampleLeaf = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`
