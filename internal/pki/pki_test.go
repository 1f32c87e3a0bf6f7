package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

func TestCA(t *testing.T) {
	c := config("", "registry.test", "192.0.2.10")
	m, other := makePair(t, c), makePair(t, c)
	ca, err := firstCert(m.ca)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || ca.MaxPathLen != 0 || !ca.MaxPathLenZero {
		t.Error("want a CA of path length 0")
	}
	if ca.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("key usage %b", ca.KeyUsage)
	}
	if len(ca.SubjectKeyId) != 20 || !bytes.Equal(ca.SubjectKeyId, ca.AuthorityKeyId) {
		t.Errorf("key ids %x, %x", ca.SubjectKeyId, ca.AuthorityKeyId)
	}
	if !ca.PermittedDNSDomainsCritical || !slices.Equal(ca.PermittedDNSDomains, []string{"registry.test"}) {
		t.Errorf("DNS constraints %v", ca.PermittedDNSDomains)
	}
	if got := ca.PermittedIPRanges[0].String(); got != "192.0.2.10/32" || ca.ExcludedIPRanges[0].String() != "::/0" {
		t.Errorf("IP constraints %v, excluded %v", ca.PermittedIPRanges, ca.ExcludedIPRanges)
	}
	if life := ca.NotAfter.Sub(ca.NotBefore); life != 3650*day {
		t.Errorf("life %v", life)
	}
	second, _ := Inspect(other.ca)
	if second.Subject == ca.Subject.String() {
		t.Errorf("two CAs of the same name: %s", second.Subject)
	}
}

func TestLeaf(t *testing.T) {
	for _, keyType := range []string{"", "ecdsa384", "rsa2048", "ed25519"} {
		m := makePair(t, config(keyType, "registry.test", "registry", "192.0.2.10", "2001:db8::1"))
		ca, _ := firstCert(m.ca)
		all, err := certs(m.leaf)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d certificates, %v", len(all), err)
		}
		leaf := all[0]
		if !slices.Equal(leaf.DNSNames, []string{"registry.test", "registry"}) ||
			!leaf.IPAddresses[0].Equal(net.ParseIP("192.0.2.10")) || !leaf.IPAddresses[1].Equal(net.ParseIP("2001:db8::1")) {
			t.Errorf("SANs %v %v", leaf.DNSNames, leaf.IPAddresses)
		}
		if !strings.Contains(leaf.Subject.CommonName, " ") {
			t.Errorf("common name %q could be taken for a host", leaf.Subject.CommonName)
		}
		if leaf.IsCA || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
			t.Errorf("want server authentication only, got %v", leaf.ExtKeyUsage)
		}
		want := x509.KeyUsageDigitalSignature
		if keyType == "rsa2048" {
			want |= x509.KeyUsageKeyEncipherment
		}
		if leaf.KeyUsage != want {
			t.Errorf("%s: key usage %b, want %b", keyType, leaf.KeyUsage, want)
		}
		if len(leaf.SubjectKeyId) != 20 || !bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId) {
			t.Errorf("key ids %x, %x", leaf.SubjectKeyId, leaf.AuthorityKeyId)
		}
		if leaf.SerialNumber.Sign() <= 0 || leaf.SerialNumber.BitLen() > 128 || leaf.SerialNumber.Cmp(ca.SerialNumber) == 0 {
			t.Errorf("serial %v", leaf.SerialNumber)
		}
		if block, _ := pem.Decode(m.key); block.Type != "PRIVATE KEY" {
			t.Errorf("key is %s, want PKCS#8", block.Type)
		}
	}
}

func TestValidityStaysWithinTheCA(t *testing.T) {
	c := config("", "registry.test")
	c.CADays = 10
	ca, key, err := NewCA(c)
	if err != nil {
		t.Fatal(err)
	}
	caInfo, _ := Inspect(ca)
	if !caInfo.NotBefore.Equal(now.Add(-time.Hour)) {
		t.Errorf("CA starts %v", caInfo.NotBefore)
	}
	for _, tc := range []struct {
		name       string
		at         time.Time
		start, end time.Time
	}{
		{"longer than the CA", now, now.Add(-time.Hour), caInfo.NotAfter},
		{"right at the CA's start", caInfo.NotBefore, caInfo.NotBefore, caInfo.NotAfter},
		{"later", now.Add(2 * day), now.Add(2*day - time.Hour), caInfo.NotAfter},
	} {
		c.Now = tc.at
		leaf, _, err := Issue(ca, key, c)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := Inspect(leaf)
		if !info.NotBefore.Equal(tc.start) || !info.NotAfter.Equal(tc.end) {
			t.Errorf("%s: %v to %v, want %v to %v", tc.name, info.NotBefore, info.NotAfter, tc.start, tc.end)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	c := config("", "registry.test")
	m, other := makePair(t, c), makePair(t, c)
	at := func(when time.Time) Config { c := c; c.Now = when; return c }
	for _, tc := range []struct {
		name    string
		ca, key []byte
		config  Config
		want    string
	}{
		{"another host", m.ca, m.caKey, config("", "registry.test", "evil.test"), "may not sign for evil.test"},
		{"an address", m.ca, m.caKey, config("", "192.0.2.1"), "may not sign for 192.0.2.1"},
		{"expired CA", m.ca, m.caKey, at(now.Add(3651 * day)), "the CA expired on"},
		{"clock a year slow", m.ca, m.caKey, at(now.Add(-365 * day)), "not valid before"},
		{"another CA's key", m.ca, other.caKey, c, "does not belong"},
		{"a leaf for a CA", m.leaf, m.key, c, "is not a CA"},
		{"no CA", []byte("nonsense"), m.caKey, c, "no certificate"},
		{"no key", m.ca, []byte("nonsense"), c, "no private key"},
		{"unknown key type", m.ca, m.caKey, config("dsa", "registry.test"), `unknown key type "dsa"`},
	} {
		_, _, err := Issue(tc.ca, tc.key, tc.config)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if tc.name != "a leaf for a CA" && fault.Hint(err) == "" {
			t.Errorf("%s: no hint", tc.name)
		}
	}
}

func TestCAFits(t *testing.T) {
	all := []string{"registry.test", "192.0.2.10", "2001:db8::1"}
	for _, tc := range []struct {
		hosts, want []string
		ok          bool
	}{
		{all, all, true},
		{all, []string{"registry.test"}, true},
		{all, []string{"a.registry.test"}, true},
		{all, []string{"aregistry.test"}, false},
		{all, []string{"test"}, false},
		{all, []string{"192.0.2.11"}, false},
		{all, []string{"2001:db8::2"}, false},
		{[]string{"192.0.2.10"}, []string{"registry.test"}, false},
		{[]string{"192.0.2.10"}, []string{"::1"}, false},
		{[]string{"::1"}, []string{"192.0.2.10"}, false},
		{[]string{"registry.test"}, []string{"192.0.2.10"}, false},
		{[]string{"registry.test"}, []string{"::1"}, false},
	} {
		ca, _, err := NewCA(config("", tc.hosts...))
		if err != nil {
			t.Fatal(err)
		}
		if err := CAFits(ca, tc.want); (err == nil) != tc.ok {
			t.Errorf("CA for %v, wanted %v: %v", tc.hosts, tc.want, err)
		}
	}
}

func TestLongName(t *testing.T) {
	c := config("", "registry.test")
	c.Name = strings.Repeat("x", 100)
	m := makePair(t, c)
	ca, _ := firstCert(m.ca)
	leaf, _ := firstCert(m.leaf)
	if len(ca.Subject.CommonName) > 64 || len(leaf.Subject.CommonName) > 64 {
		t.Errorf("%q, %q", ca.Subject.CommonName, leaf.Subject.CommonName)
	}
	if ok, out := verifyGo(t, m.ca, m.leaf, "registry.test"); !ok {
		t.Error(out)
	}
}
