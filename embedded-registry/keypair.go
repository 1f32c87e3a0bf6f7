package embeddedregistry

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/sirupsen/logrus"
)

// A keyPair serves the certificate and key that lie at two paths, as they are at
// each handshake. Where they lie in one folder, and a symlink to it is swapped by
// rename, both come from the same side of the swap; in any case they must fit each
// other, so a mixed pair is never served. A pair that cannot be read leaves the
// last good one in use, and is logged once.
type keyPair struct {
	certFile, keyFile string

	mu    sync.Mutex
	stamp stamp // of the files that were last looked at, good or bad
	good  *tls.Certificate
}

// A stamp tells one state of the two files from another without reading them.
type stamp struct{ cert, key os.FileInfo }

func (s stamp) equal(o stamp) bool { return sameFile(s.cert, o.cert) && sameFile(s.key, o.key) }

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func newKeyPair(certFile, keyFile string) (*keyPair, error) {
	p := &keyPair{certFile: certFile, keyFile: keyFile}
	p.stamp = p.look()
	good, err := p.load()
	p.good = good
	return p, err
}

// get is tls.Config.GetCertificate. Where nothing changed it costs two stats.
func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.look()
	if now.equal(p.stamp) {
		return p.good, nil
	}
	p.stamp = now // taken before reading: a change meanwhile is seen the next time
	fresh, err := p.load()
	if err != nil && !p.look().equal(now) {
		return p.good, nil // swapped meanwhile
	}
	if err != nil {
		logrus.Errorf("keeping the certificate in use: %v", err)
		return p.good, nil
	}
	p.good = fresh
	logrus.Infof("certificate changed: serving serial %s", fresh.Leaf.SerialNumber.Text(16))
	return fresh, nil
}

// look never fails: a file that is missing has a stamp too.
func (p *keyPair) look() (s stamp) {
	s.cert, _ = os.Stat(p.certFile)
	s.key, _ = os.Stat(p.keyFile)
	return s
}

// load follows the symlink that the certificate's folder may be once, so that a key
// beside it comes from the same folder even if the link changes between the reads.
// Links further up are left alone: the way there may lead through /proc/self/fd.
func (p *keyPair) load() (*tls.Certificate, error) {
	certFile, keyFile := p.certFile, p.keyFile
	dir := filepath.Dir(certFile)
	if target, err := os.Readlink(dir); err == nil && dir == filepath.Dir(keyFile) {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(dir), target)
		}
		certFile = filepath.Join(target, filepath.Base(certFile))
		keyFile = filepath.Join(target, filepath.Base(keyFile))
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.certFile, err)
	}
	return &pair, nil
}
