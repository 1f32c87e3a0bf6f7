package pki

import (
	"bytes"
	"crypto/x509"
	"os/exec"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/testenv"
)

// people is a chain of somebody else's, and who does not belong to it.
type people struct{ root, middle, leaf, stranger, impostor, crossed *authority }

func newPeople(t *testing.T) people {
	t.Helper()
	ca := func(cn string) x509.Certificate {
		return x509.Certificate{Subject: name(cn), IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	}
	var none *authority
	p := people{root: none.sign(t, ca("root")), impostor: none.sign(t, ca("middle"))}
	p.middle = p.root.sign(t, ca("middle"))
	p.stranger = p.root.sign(t, ca("stranger"))
	p.leaf = p.middle.sign(t, x509.Certificate{Subject: name("leaf"), DNSNames: []string{"registry.test"}})
	p.crossed = none.sign(t, ca("elder")).cross(t, p.root)
	return p
}

// cross has a sign another authority's name and key.
func (a *authority) cross(t *testing.T, other *authority) *authority {
	t.Helper()
	template := x509.Certificate{
		SerialNumber: newSerial(), Subject: other.cert.Subject, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: other.cert.NotBefore, NotAfter: other.cert.NotAfter,
	}
	der, err := x509.CreateCertificate(nil, &template, a.cert, other.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, encodeCert(der), other.key}
}

func TestBringOrdersTheChain(t *testing.T) {
	p := newPeople(t)
	key := p.leaf.keyPEM(t)
	chain := join(p.leaf.pem, p.middle.pem)
	for _, tc := range []struct {
		name        string
		cert, chain []byte
		notes       string
	}{
		{"in order", chain, chain, ""},
		{"leaf alone", p.leaf.pem, p.leaf.pem, ""},
		{"reversed", join(p.middle.pem, p.leaf.pem), chain, "its chain was put in order"},
		{"with its root", join(chain, p.root.pem), chain, "the root CN=root is left out"},
		{"root first, one twice", join(p.root.pem, chain, p.middle.pem), chain, "the root CN=root is left out; CN=middle is there twice"},
		{"cross-signed", join(chain, p.root.pem, p.crossed.pem), join(chain, p.crossed.pem), "the root CN=root is left out"},
		{"with words between", join([]byte("subject=leaf\n"), p.leaf.pem, []byte("subject=middle\n"), p.middle.pem), chain, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pair, err := Bring(tc.cert, key, []string{"registry.test"}, now)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pair.Chain, tc.chain) {
				t.Errorf("the chain is\n%s", pair.Chain)
			}
			if got := strings.Join(pair.Notes, "; "); got != tc.notes {
				t.Errorf("notes %q, want %q", got, tc.notes)
			}
		})
	}
	root := p.root.pem
	if pair, err := Bring(join(p.middle.pem, p.leaf.pem), key, []string{"registry.test"}, now); err != nil || CheckAnchor(pair.Chain, root, now) != nil {
		t.Errorf("a repaired chain does not lead to its root: %v", err)
	}
}

func TestBringRefuses(t *testing.T) {
	p := newPeople(t)
	key := p.leaf.keyPEM(t)
	refused := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%s: %v, hint %q, want %q", name, err, fault.Hint(err), want)
		}
	}
	for _, tc := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"swapped", key, p.leaf.pem, "are swapped"},
		{"the key twice", key, key, "no certificate in PEM"},
		{"a stranger in the chain", join(p.leaf.pem, p.stranger.pem), key, "certificate 2 (CN=stranger) has no place in the chain of CN=leaf"},
		{"nobody's key", join(p.leaf.pem, p.middle.pem), p.stranger.keyPEM(t), "does not belong to the certificate (CN=leaf)"},
		{"key inside", join(p.leaf.pem, key), key, "holds a private key too"},
		{"no certificate", nil, key, "no certificate in PEM"},
		{"no key", p.leaf.pem, nil, "no private key in PEM"},
	} {
		_, err := Bring(tc.cert, tc.key, []string{"registry.test"}, now)
		refused(tc.name, err, tc.want)
	}
	chain := join(p.leaf.pem, p.middle.pem)
	refused("another CA", CheckAnchor(chain, p.stranger.pem, now), "does not lead to CN=stranger")
	refused("a CA of the same name", CheckAnchor(p.leaf.pem, p.impostor.pem, now), "does not lead to CN=middle")
	refused("no intermediate", CheckAnchor(p.leaf.pem, p.root.pem, now), "does not lead to CN=root")
	refused("no CA", CheckAnchor(chain, p.middle.sign(t, x509.Certificate{Subject: name("x")}).pem, now), "CN=x is not a CA")
	refused("the CA's key inside", CheckAnchor(chain, join(p.root.pem, p.root.keyPEM(t)), now), "holds a private key")
	refused("expired", CheckAnchor(chain, p.root.pem, now.Add(40*day)), "CN=root expired on")
}

// A certificate that its own key signed is its own anchor, as in many posts.
func TestCheckAnchorTakesASelfSignedLeaf(t *testing.T) {
	var none *authority
	leaf := none.sign(t, x509.Certificate{Subject: name("leaf"), DNSNames: []string{"registry.test"}})
	pair, err := Bring(leaf.pem, leaf.keyPEM(t), []string{"registry.test"}, now)
	if err != nil || !bytes.Equal(pair.Chain, leaf.pem) {
		t.Fatalf("%v\n%s", err, pair.Chain)
	}
	if err := CheckAnchor(pair.Chain, leaf.pem, now); err != nil {
		t.Error(err)
	}
}

// TestDecrypt opens what openssl encrypts, by every cipher that it is likely used with.
func TestDecrypt(t *testing.T) {
	testenv.Need(t, "openssl")
	p := newPeople(t)
	key := p.leaf.keyPEM(t)
	file := writeFile(t, "key", key)
	const passphrase = "öpen sesame"
	lock := func(args []string) []byte {
		t.Helper()
		args = append(args, "-in", file, "-passout", "pass:"+passphrase)
		locked, err := exec.CommandContext(t.Context(), "openssl", args...).Output()
		if err != nil {
			t.Fatalf("openssl %v: %v", args, err)
		}
		return locked
	}
	rare := lock([]string{"pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"})
	if _, err := Decrypt(rare, secret.New(passphrase)); !fault.IsUsage(err) || !strings.Contains(err.Error(), "in a way that is not known here") {
		t.Errorf("a rare way of encrypting: %v", err)
	}
	for _, args := range [][]string{
		{"pkcs8", "-topk8"},
		{"pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"},
		{"pkcs8", "-topk8", "-v2", "des3"},
		{"pkcs8", "-topk8", "-scrypt"},
		{"pkey", "-aes256"},
		{"pkey", "-traditional", "-aes128"},
		{"ec", "-des3"},
	} {
		locked := lock(args)
		if !Encrypted(locked) || Encrypted(key) {
			t.Errorf("%v: not seen to be encrypted", args)
		}
		plain, err := Decrypt(locked, secret.New(passphrase))
		if err != nil || !bytes.Equal(plain, key) {
			t.Errorf("%v: %v", args, err)
		}
		if _, err := Decrypt(locked, secret.New("wrong")); !fault.IsUsage(err) {
			t.Errorf("%v with a wrong passphrase: %v", args, err)
		}
		if _, err := Bring(p.leaf.pem, locked, []string{"registry.test"}, now); err == nil || !strings.Contains(err.Error(), "encrypted with a passphrase") {
			t.Errorf("%v not opened: %v", args, err)
		}
	}
}
