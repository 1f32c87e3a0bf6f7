package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/testenv"
)

// authority is a CA of somebody else, for chains that regctl does not make.
type authority struct {
	cert *x509.Certificate
	pem  []byte
	key  crypto.Signer
}

// sign makes a certificate under a, or a root when a is nil.
func (a *authority) sign(t *testing.T, template x509.Certificate) *authority {
	t.Helper()
	key, err := newKey("ecdsa256")
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = newSerial()
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = now.Add(-day), now.Add(30*day)
	}
	template.BasicConstraintsValid = true
	parent, signer := &template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, encodeCert(der), key}
}

func (a *authority) keyPEM(t *testing.T) []byte {
	t.Helper()
	data, err := encodeKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func name(cn string) pkix.Name { return pkix.Name{CommonName: cn} }

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestCheckPair(t *testing.T) {
	const host = "registry.test"
	var none *authority
	root := none.sign(t, x509.Certificate{Subject: name("root"), IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	middle := root.sign(t, x509.Certificate{Subject: name("middle"), IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	impostor := none.sign(t, x509.Certificate{Subject: name("middle"), IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	old := root.sign(t, x509.Certificate{Subject: name("old"), IsCA: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-9 * day), NotAfter: now.Add(-day)})
	leaf := middle.sign(t, x509.Certificate{Subject: name("leaf"), DNSNames: []string{host, "*.wild.test"}})
	bare := middle.sign(t, x509.Certificate{Subject: name(host)})
	client := middle.sign(t, x509.Certificate{Subject: name("c"), DNSNames: []string{host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	stale := old.sign(t, x509.Certificate{Subject: name("stale"), DNSNames: []string{host}})
	key := leaf.keyPEM(t)

	for _, tc := range []struct {
		name      string
		cert, key []byte
		hosts     []string
		at        time.Time
		want      string // "" when the pair is good
	}{
		{"leaf alone", leaf.pem, key, []string{host}, now, ""},
		{"with its chain", join(leaf.pem, middle.pem), key, []string{host, "a.wild.test"}, now, ""},
		{"with its root too", join(leaf.pem, middle.pem, root.pem), key, []string{host}, now, ""},
		{"chain reversed", join(middle.pem, leaf.pem), key, []string{host}, now, "wrong order: the key belongs to CN=leaf"},
		{"chain out of order", join(leaf.pem, root.pem, middle.pem), key, []string{host}, now, "wrong order: certificate 2 (CN=root) did not issue certificate 1"},
		{"another of the same name", join(leaf.pem, impostor.pem), key, []string{host}, now, "did not sign certificate 1"},
		{"another's key", leaf.pem, bare.keyPEM(t), []string{host}, now, "does not belong to the certificate (CN=leaf)"},
		{"swapped", key, leaf.pem, []string{host}, now, "the key and the certificate are swapped"},
		{"key in the certificate's file", join(leaf.pem, key), key, []string{host}, now, "holds a private key too"},
		{"no key", leaf.pem, nil, []string{host}, now, "no private key in PEM"},
		{"name not covered", leaf.pem, key, []string{host, "other.test"}, now, "does not cover other.test, only registry.test, *.wild.test"},
		{"address not covered", leaf.pem, key, []string{"192.0.2.1"}, now, "does not cover 192.0.2.1"},
		{"bare common name", bare.pem, bare.keyPEM(t), []string{host}, now, `only the common name "registry.test": Docker refuses that since Go 1.15`},
		{"expired", leaf.pem, key, []string{host}, now.Add(31 * day), "CN=leaf expired on"},
		{"not yet valid", leaf.pem, key, []string{host}, now.Add(-2 * day), "CN=leaf is not valid before"},
		{"expired intermediate", join(stale.pem, old.pem), stale.keyPEM(t), []string{host}, now, "CN=old expired on"},
		{"for clients", client.pem, client.keyPEM(t), []string{host}, now, "not meant for servers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := CheckPair(tc.cert, tc.key, tc.hosts, tc.at)
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if fault.Hint(err) == "" || !fault.IsUsage(err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: hint %q, usage %v", err, fault.Hint(err), fault.IsUsage(err))
			}
		})
	}
}

func TestCheckPairTakesOurOwn(t *testing.T) {
	hosts := []string{"registry.test", "192.0.2.10", "::1"}
	for _, keyType := range []string{"ecdsa256", "rsa2048", "ed25519"} {
		m := makePair(t, config(keyType, hosts...))
		if err := CheckPair(m.leaf, m.key, hosts, now); err != nil {
			t.Errorf("%s: %v", keyType, err)
		}
		if err := CheckPair(join(m.leaf, m.ca), m.key, hosts, now); err != nil {
			t.Errorf("%s with its CA: %v", keyType, err)
		}
	}
}

// TestCheckPairFromOpenSSL takes keys and certificates in every form that openssl
// writes them, the post's own command among them.
func TestCheckPairFromOpenSSL(t *testing.T) {
	testenv.Need(t, "openssl")
	openssl := func(args ...string) []byte {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "openssl", args...).Output()
		if err != nil {
			t.Fatalf("openssl %s: %v", strings.Join(args, " "), err)
		}
		return out
	}
	selfSigned := func(keyFile string, more ...string) []byte {
		return openssl(append([]string{"req", "-x509", "-new", "-sha256", "-days", "365", "-subj", "/CN=registry.test", "-key", keyFile}, more...)...)
	}
	san := []string{"-addext", "subjectAltName=DNS:registry.test"}
	hosts := []string{"registry.test"}
	at := time.Now().Add(time.Minute)

	rsaKey := openssl("genrsa", "2048")
	rsaFile := writeFile(t, "rsa", rsaKey)
	good := selfSigned(rsaFile, san...)
	keys := map[string][]byte{
		"PKCS#8": rsaKey,
		"PKCS#1": openssl("rsa", "-traditional", "-in", rsaFile),
	}
	for form, key := range keys {
		if err := CheckPair(good, key, hosts, at); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
	ecKey := openssl("ecparam", "-name", "secp384r1", "-genkey")
	if err := CheckPair(selfSigned(writeFile(t, "ec", ecKey), san...), ecKey, hosts, at); err != nil {
		t.Errorf("SEC 1 behind EC PARAMETERS: %v", err)
	}
	for form, key := range map[string][]byte{
		"PKCS#8": openssl("pkcs8", "-topk8", "-in", rsaFile, "-passout", "pass:x"),
		"PKCS#1": openssl("rsa", "-traditional", "-aes128", "-in", rsaFile, "-passout", "pass:x"),
	} {
		err := CheckPair(good, key, hosts, at)
		if err == nil || !strings.Contains(err.Error(), "encrypted") || fault.Hint(err) == "" {
			t.Errorf("encrypted %s: %v", form, err)
		}
	}
	if err := CheckPair(selfSigned(rsaFile), rsaKey, hosts, at); err == nil || !strings.Contains(err.Error(), "Go 1.15") {
		t.Errorf("the post's certificate: %v", err)
	}
	block, _ := pem.Decode(good)
	if err := CheckPair(block.Bytes, rsaKey, hosts, at); err == nil || !strings.Contains(err.Error(), "DER") {
		t.Errorf("DER: %v", err)
	}
}

func TestCheckUseRefusesSHA1(t *testing.T) {
	old := &x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA, RawIssuer: []byte("a"), RawSubject: []byte("b")}
	if err := checkUse([]*x509.Certificate{old}); err == nil || !strings.Contains(err.Error(), "SHA1-RSA") {
		t.Errorf("got %v", err)
	}
	old.RawIssuer = old.RawSubject // nobody checks a root's own signature
	if err := checkUse([]*x509.Certificate{old}); err != nil {
		t.Error(err)
	}
}
