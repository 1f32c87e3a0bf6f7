package host

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

func publicKeys(t testing.TB) []ssh.PublicKey {
	t.Helper()
	var keys []ssh.PublicKey
	for i := range 4 {
		var public crypto.PublicKey
		var err error
		switch i {
		case 0:
			var key *rsa.PrivateKey
			key, err = rsa.GenerateKey(nil, 2048)
			public = &key.PublicKey
		case 1:
			var key *ecdsa.PrivateKey
			key, err = ecdsa.GenerateKey(elliptic.P256(), nil)
			public = &key.PublicKey
		default:
			public, _, err = ed25519.GenerateKey(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// verdict is what a check came to.
func verdict(err error) string {
	var mismatch *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case err == nil:
		return "known"
	case errors.As(err, &revoked):
		return fmt.Sprintf("revoked in line %d", revoked.Revoked.Line)
	case errors.As(err, &mismatch):
		var lines []string
		for _, want := range mismatch.Want {
			lines = append(lines, fmt.Sprintf("%s:%d", filepath.Base(want.Filename), want.Line))
		}
		return "lines of another key: " + strings.Join(lines, " ")
	}
	return err.Error()
}

// Whatever the lines are, the answers are the library's.
func TestKnownIndexAgreesWithTheLibrary(t *testing.T) {
	keys := publicKeys(t)
	names := []string{"a.test", "10.0.0.1", "2001:db8::1", "b.test"}
	endpoints := []endpoint{
		{host: "a.test", port: 22},
		{host: "a.test", port: 2222},
		{host: "A.test", port: 22},
		{host: "x", port: 22, keyAlias: "b.test"},
		{host: "10.0.0.1", port: 22},
		{host: "2001:db8::1", port: 22},
		{host: "2001:db8::1", port: 2222},
		{host: "c.test", port: 22},
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same cases every time
	name := func() string {
		name := names[random.IntN(len(names))]
		if random.IntN(3) == 0 {
			name = net.JoinHostPort(name, "2222")
		}
		return knownhosts.Normalize(name)
	}
	odd := []string{"@revoked * ", "@cert-authority *.test ", "*.test ", "a.tes? ", "!a.test,* ", "|2|a|b ", "[a.test ", "@other x ", "a.test ssh-rsa "}
	indexed := 0
	for range 600 {
		usual := true
		var files []string
		for i := range 1 + random.IntN(2) {
			text := ""
			for range random.IntN(6) {
				key := keys[random.IntN(len(keys))]
				line := xknownhosts.Line([]string{name()}, key)
				switch random.IntN(8) {
				case 0, 1:
					line = xknownhosts.HashHostname(name()) + " " + key.Type() + " " + strings.Fields(line)[2] + "\tcomment"
				case 2:
					line = name() + ",," + line
				case 3:
					line = " # " + line
				case 4:
					if random.IntN(4) == 0 {
						line, usual = odd[random.IntN(len(odd))]+strings.SplitN(line, " ", 2)[1], false
					}
				}
				text += line + "\n"
			}
			files = append(files, filepath.Join(t.TempDir(), fmt.Sprint(i)))
			if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		index, ok := newKnownIndex(files)
		if ok != usual {
			t.Fatalf("indexed: %v\n%s", ok, read(t, files))
		}
		if !ok {
			continue
		}
		indexed++
		library, err := knownhosts.NewDB(files...)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range endpoints {
			if got, want := index.algorithms(e), library.HostKeyAlgorithms(e.keyName()); !slices.Equal(got, want) {
				t.Errorf("%s: algorithms %v, the library's are %v\n%s", e.keyName(), got, want, read(t, files))
			}
			for _, key := range keys {
				got := verdict(index.check(e, key))
				want := verdict(library.HostKeyCallback()(e.keyName(), &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 22}, key))
				if got != want {
					t.Errorf("%s: %s, the library says %s\n%s", e.keyName(), got, want, read(t, files))
				}
			}
		}
	}
	if indexed < 100 {
		t.Errorf("only %d were compared", indexed)
	}
}

func read(t testing.TB, files []string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "== %s\n%s", filepath.Base(file), data)
	}
	return all.String()
}

// A host that was recorded is known from then on, and no other.
func TestRecordedHostsAreKnown(t *testing.T) {
	keys := publicKeys(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	k := &knownKeys{acceptNew: true}
	at := func(host string) endpoint { return endpoint{host: host, port: 22, knownHosts: []string{file}} }
	for i := range 3 {
		for _, host := range []string{"a.test", "b.test"} {
			err := k.checkKey(at(host), &net.TCPAddr{}, keys[1])
			if err != nil {
				t.Errorf("%s, time %d: %v", host, i, err)
			}
		}
	}
	err := k.checkKey(at("b.test"), &net.TCPAddr{}, keys[2])
	if err == nil || !strings.Contains(err.Error(), file+":2 says otherwise") {
		t.Errorf("another key: %v", err)
	}
	if got := strings.Count(read(t, []string{file}), "\n"); got != 3 { // and a heading
		t.Errorf("known_hosts:\n%s", read(t, []string{file}))
	}
}

func BenchmarkKnownHosts(b *testing.B) {
	key := publicKeys(b)[3]
	for _, hashed := range []bool{false, true} {
		var text strings.Builder
		for i := range 1000 {
			name := fmt.Sprintf("10.0.%d.%d", i/250, i%250)
			if hashed {
				name = xknownhosts.HashHostname(name)
			}
			fmt.Fprintf(&text, "%s %s", name, ssh.MarshalAuthorizedKey(key))
		}
		file := filepath.Join(b.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("1000 lines, hashed %v", hashed), func(b *testing.B) {
			k := &knownKeys{}
			for i := 0; b.Loop(); i++ {
				e := endpoint{host: fmt.Sprintf("10.0.%d.%d", i/250%4, i%250), port: 22, knownHosts: []string{file}}
				if i%1000 == 0 {
					k = &knownKeys{} // each host once
				}
				if _, err := k.algorithms(e); err != nil {
					b.Fatal(err)
				}
				if err := k.checkKey(e, &net.TCPAddr{}, key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
