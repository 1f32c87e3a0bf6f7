package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"github.com/regctl/regctl/internal/fault"
)

// knownKeys checks host keys against known_hosts files. There is no way around it:
// at most a host that is in none of them is written down.
type knownKeys struct {
	acceptNew, readOnly bool

	mu  sync.Mutex
	dbs map[string]*knownDB // by the names of their files
}

// knownDB is a set of files: those of usual lines by our index, others by the library.
type knownDB struct {
	index   *knownIndex
	library *knownhosts.HostKeyDB
}

func (db *knownDB) algorithms(e endpoint) []string {
	if db.index != nil {
		return db.index.algorithms(e)
	}
	return db.library.HostKeyAlgorithms(e.keyName())
}

func (db *knownDB) check(e endpoint, remote net.Addr, key ssh.PublicKey) error {
	if db.index != nil {
		return db.index.check(e, key)
	}
	return db.library.HostKeyCallback()(e.keyName(), remote, key)
}

func (k *knownKeys) db(files []string) (*knownDB, error) {
	key := strings.Join(files, "\n")
	if db, ok := k.dbs[key]; ok {
		return db, nil
	}
	there := slices.DeleteFunc(slices.Clone(files), func(file string) bool {
		info, err := os.Stat(file)
		return err != nil || !info.Mode().IsRegular() // /dev/null is a usual one
	})
	db := &knownDB{}
	var ok bool
	if db.index, ok = newKnownIndex(there); !ok {
		library, err := knownhosts.NewDB(there...)
		if err != nil {
			return nil, fault.Usage("mend that line, or remove it", "known_hosts: %w", err)
		}
		db.library = library
	}
	if k.dbs == nil {
		k.dbs = map[string]*knownDB{}
	}
	k.dbs[key] = db
	return db, nil
}

// algorithms are those by which the host is to prove who it is: of the kinds of key
// that known_hosts has of it, lest it choose another and seem to have changed.
func (k *knownKeys) algorithms(e endpoint) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	db, err := k.db(e.knownHosts)
	if err != nil {
		return nil, err
	}
	if algorithms := db.algorithms(e); len(algorithms) > 0 {
		return algorithms, nil
	}
	// Of a host that is not known a certificate proves nothing.
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}, nil
}

// check returns the callback for one endpoint. What it finds wrong is also kept in
// problem, since the handshake's own error wraps it in text.
func (k *knownKeys) check(e endpoint, problem *error) ssh.HostKeyCallback {
	return func(_ string, remote net.Addr, key ssh.PublicKey) error {
		*problem = k.checkKey(e, remote, key)
		return *problem
	}
}

func (k *knownKeys) checkKey(e endpoint, remote net.Addr, key ssh.PublicKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	db, err := k.db(e.knownHosts)
	if err != nil {
		return err
	}
	err = db.check(e, remote, key)
	var revoked *xknownhosts.RevokedError
	var mismatch *xknownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return fault.Fail("the host must have a new key", "%s: its host key is revoked in %s:%d",
			e.given.Given, revoked.Revoked.Filename, revoked.Revoked.Line)
	case knownhosts.IsHostUnknown(err):
		if k.acceptNew && k.readOnly {
			return nil
		}
		if k.acceptNew {
			return k.record(e, key)
		}
		return fault.Fail("compare the fingerprint on the host itself (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then log in once with ssh "+
			"or add --accept-new-host-keys", "%s: its host key is not in known_hosts (%s %s)", e.given.Given, key.Type(), ssh.FingerprintSHA256(key))
	case errors.As(err, &mismatch) && len(mismatch.Want) > 0:
		want := mismatch.Want[0]
		return fault.Fail(fmt.Sprintf("somebody may be listening in; if the host was set up anew, run ssh-keygen -R '%s' -f %s",
			knownhosts.Normalize(e.keyName()), want.Filename),
			"%s: its host key has changed (%s %s, but %s:%d says otherwise)",
			e.given.Given, key.Type(), ssh.FingerprintSHA256(key), want.Filename, want.Line)
	}
	return fault.Fail("", "%s: host key: %w", e.given.Given, err)
}

// record writes a new host down in the user's own file.
func (k *knownKeys) record(e endpoint, key ssh.PublicKey) error {
	if len(e.knownHosts) == 0 {
		return fault.Usage("name one with --known-hosts", "%s: there is no known_hosts file to record its key in", e.given.Given)
	}
	path := e.knownHosts[0]
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Failed("make", filepath.Dir(path), err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Failed("write", path, err)
	}
	line := knownhosts.Line([]string{knownhosts.Normalize(e.keyName())}, key) + "\n"
	err = errors.Join(appendLine(f, line), f.Close())
	if err != nil {
		return Failed("write", path, err)
	}
	k.recorded(e, path, line)
	return nil
}

// recorded has the files read again, or spares that: of a fleet that is all new each
// host would read what those before it wrote.
func (k *knownKeys) recorded(e endpoint, path, line string) {
	this := strings.Join(e.knownHosts, "\n")
	db := k.dbs[this]
	if db == nil || db.index == nil || !db.index.record(e, path, line) {
		k.dbs = nil
		return
	}
	k.dbs = map[string]*knownDB{this: db}
}

// appendLine begins a line of its own where the last has no end.
func appendLine(f *os.File, line string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	last := make([]byte, 1)
	if size := info.Size(); size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = "\n" + line
		}
	}
	_, err = f.WriteAt([]byte(line), info.Size())
	return err
}
