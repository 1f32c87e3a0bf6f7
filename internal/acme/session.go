package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme/api"
	legolog "github.com/go-acme/lego/v4/log"

	"github.com/regctl/regctl/internal/fault"
)

const (
	userAgent      = "regctl"
	defaultTimeout = 30 * time.Second
)

// quiet keeps lego from writing to stderr what we say in words of our own. Its
// logger belongs to the process.
var quiet = sync.OnceFunc(func() { legolog.Logger = log.New(io.Discard, "", 0) })

// session is one call's dealings with one CA.
type session struct {
	ctx  context.Context
	o    Options
	book book
	wire *wire
	core *api.Core // nil before login
}

// connect reads what is needed and asks nobody yet.
func connect(ctx context.Context, o Options) (*session, error) {
	quiet()
	if err := checkDirectory(o); err != nil {
		return nil, err
	}
	accounts, err := readBook(o.Accounts)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second}
	if o.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, fault.Usage("give the CA's root certificate in PEM", "--acme-ca: the file holds no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.wait == nil {
		o.wait = wait
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return &session{ctx: ctx, o: o, book: accounts, wire: &wire{ctx: ctx, next: transport, timeout: o.Timeout, wait: o.wait, say: o.Say}}, nil
}

// client is a new one each time: lego changes the one it gets.
func (s *session) client() *http.Client { return &http.Client{Transport: s.wire} }

func (s *session) close() { s.wire.next.CloseIdleConnections() }

func (s *session) say(line string) { s.o.Say(line) }

// host names the CA in messages.
func (s *session) host() string {
	if u, err := url.Parse(s.o.directory()); err == nil && u.Host != "" {
		return u.Host
	}
	return s.o.directory()
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
