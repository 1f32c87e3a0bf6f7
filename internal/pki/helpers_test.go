package pki

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// now is a fixed whole second, for certificates know no smaller unit; it is close
// to the real time because openssl and certtool judge by that.
var now = time.Now().UTC().Truncate(time.Second)

func config(keyType string, hosts ...string) Config {
	return Config{Hosts: hosts, KeyType: keyType, CertDays: 365, CADays: 3650, Name: "registry", Now: now}
}

// made is a CA and a leaf under it.
type made struct{ ca, caKey, leaf, key []byte }

func makePair(t *testing.T, c Config) made {
	t.Helper()
	ca, caKey, err := NewCA(c)
	if err != nil {
		t.Fatal(err)
	}
	leaf, key, err := Issue(ca, caKey, c)
	if err != nil {
		t.Fatal(err)
	}
	return made{ca, caKey, leaf, key}
}

// rogue is a leaf that the CA's key signed for hosts it may not sign for.
func (m made) rogue(t *testing.T, c Config) (leaf, key []byte) {
	t.Helper()
	ca, signer, err := loadCA(m.ca, m.caKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, key, err = issue(ca, signer, c)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, key
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
