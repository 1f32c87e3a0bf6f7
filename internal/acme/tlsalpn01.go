package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/challenge/tlsalpn01"
	"github.com/miekg/dns"

	"github.com/regctl/regctl/internal/fault"
)

// alpnProtocol is what validators offer, and nothing besides (RFC 8737, 3).
const alpnProtocol = "acme-tls/1"

// serverName is what a validator calls a name in its handshake: an address by its
// name in the reverse zone (RFC 8738, 6).
func serverName(name string) (string, error) {
	if net.ParseIP(name) == nil {
		return strings.ToLower(name), nil
	}
	reverse, err := dns.ReverseAddr(name)
	return strings.TrimSuffix(reverse, "."), err
}

// controlFiles has the running registry answer tls-alpn-01.
type controlFiles struct{ Control }

func (c controlFiles) path(name string) (string, error) {
	name, err := serverName(name)
	return filepath.Join(c.Folder, name), err
}

func (c controlFiles) present(_ context.Context, name, _, keyAuth string) error {
	certPEM, keyPEM, err := tlsalpn01.ChallengeBlocks(name, keyAuth)
	if err != nil {
		return err
	}
	return c.put(name, append(certPEM, keyPEM...))
}

func (c controlFiles) put(name string, pair []byte) error {
	path, err := c.path(name)
	if err != nil {
		return err
	}
	// The folder above is of the registry's group, and so is this one.
	err = os.Mkdir(c.Folder, 0o750)
	if err == nil && c.GID >= 0 {
		err = os.Chown(c.Folder, -1, c.GID)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Fail("make the registry whole with `regctl apply`", "the registry has nowhere to be told of a challenge: %w", err)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return replaceFile(path, pair, 0o600, c.UID, c.GID)
}

// ready need not wait: the registry looks in each such handshake.
func (c controlFiles) ready(context.Context, legoacme.Authorization) error { return nil }

func (c controlFiles) cleanUp(_ context.Context, name, _, _ string) error {
	path, err := c.path(name)
	if err != nil {
		return err
	}
	return removeFile(path)
}

// close leaves no trace, unless a killed call's files are still there.
func (c controlFiles) close() error {
	_ = os.Remove(c.Folder)
	return nil
}

// tlsListener answers tls-alpn-01 itself, where no registry runs yet.
type tlsListener struct {
	listener net.Listener
	served   chan struct{}

	mu      sync.Mutex
	answers map[string]*tls.Certificate // by server name
}

func newTLSListener(ctx context.Context, addr string) (*tlsListener, error) {
	ln, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	l := &tlsListener{served: make(chan struct{}), answers: map[string]*tls.Certificate{}}
	l.listener = tls.NewListener(ln, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{alpnProtocol}, GetCertificate: l.get, SessionTicketsDisabled: true,
	})
	go l.serve()
	return l, nil
}

// serve makes handshakes and nothing else.
func (l *tlsListener) serve() {
	defer close(l.served)
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		handshakes.Go(func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_ = conn.(*tls.Conn).Handshake()
		})
	}
}

func (l *tlsListener) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if answer := l.answers[strings.ToLower(hello.ServerName)]; answer != nil {
		return answer, nil
	}
	return nil, errors.New("no challenge for this name")
}

func (l *tlsListener) present(_ context.Context, name, _, keyAuth string) error {
	answer, err := tlsalpn01.ChallengeCert(name, keyAuth)
	if err == nil {
		name, err = serverName(name)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[name] = answer
	return nil
}

func (l *tlsListener) ready(context.Context, legoacme.Authorization) error { return nil }

func (l *tlsListener) cleanUp(_ context.Context, name, _, _ string) error {
	name, err := serverName(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answers, name)
	return err
}

func (l *tlsListener) close() error {
	err := l.listener.Close()
	<-l.served
	return err
}
