package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/step"
)

// readyTime is how long a registry may take until it answers.
const readyTime = 30 * time.Second

// Endpoint is where a registry is reached.
type Endpoint struct {
	URL string `json:"url"` // https://registry.test:5000
	// Addr is what to connect to instead, whatever the name resolves to: host:port, or
	// the absolute path of a unix socket.
	Addr string `json:"addr,omitempty"`
	// CA is the PEM that the server's certificate must lead to; nil accepts any,
	// for then only whether it answers is asked.
	CA []byte `json:"ca,omitempty"`
}

// Probe asks once whether a registry answers GET /v2/ with 200 or, where one must
// log in, 401 (OCI distribution specification, "Determining Support").
func (e Endpoint) Probe(ctx context.Context) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return e.get(ctx, client)
}

func (e Endpoint) client() (*http.Client, error) {
	trust := &tls.Config{InsecureSkipVerify: true} // asked for by leaving CA out; nothing is sent
	if e.CA != nil {
		trust = &tls.Config{RootCAs: x509.NewCertPool()}
		if !trust.RootCAs.AppendCertsFromPEM(e.CA) {
			return nil, errors.New("the CA's PEM holds no certificate")
		}
	}
	var dialer net.Dialer
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: trust,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				switch {
				case filepath.IsAbs(e.Addr):
					network, addr = "unix", e.Addr
				case e.Addr != "":
					addr = e.Addr
				}
				return dialer.DialContext(ctx, network, addr)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func (e Endpoint) get(ctx context.Context, client *http.Client) error {
	answer, err := e.base(ctx, client, "", secret.String{})
	if err == nil && answer.code != http.StatusOK && answer.code != http.StatusUnauthorized {
		err = fmt.Errorf("%s/v2/ answers %s", strings.TrimSuffix(e.URL, "/"), answer.status)
	}
	return err
}

// baseAnswer is what /v2/ answered.
type baseAnswer struct {
	code              int
	status, challenge string
}

// base asks for /v2/, as user if that is not "".
func (e Endpoint) base(ctx context.Context, client *http.Client, user string, password secret.String) (baseAnswer, error) {
	url, err := url.JoinPath(e.URL, "/v2/")
	if err != nil {
		return baseAnswer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return baseAnswer{}, err
	}
	if user != "" {
		req.SetBasicAuth(user, password.Reveal())
	}
	resp, err := client.Do(req)
	if err != nil {
		return baseAnswer{}, err
	}
	return baseAnswer{resp.StatusCode, resp.Status, resp.Header.Get("WWW-Authenticate")}, resp.Body.Close()
}

// readyWant is what a wait is told: Fact.Data of KindReady.
type readyWant struct {
	Endpoint
	Container string `json:"container"`
	Asks      bool   `json:"asks,omitempty"`
}

// WaitStep waits until the registry answers, if one of After has changed.
type WaitStep struct {
	Endpoint  Endpoint
	Container string // the one that serves it
	Asks      bool   // wait also until it asks for a password
	After     []host.Ref
}

// Name implements step.Step.
func (s WaitStep) Name() string { return "ready " + s.Endpoint.URL }

// Reads implements step.Step.
func (s WaitStep) Reads() []host.Ref { return nil }

// Plan implements step.Step. There is no line for it: waiting changes nothing.
func (s WaitStep) Plan(host.Facts) (step.Change, error) {
	return step.Change{Ops: []host.Op{{
		Ref:    host.Ref{Kind: KindReady, Path: s.Endpoint.URL},
		Action: host.Wait,
		Want:   host.Fact{Exists: true, Data: canonical(readyWant{s.Endpoint, s.Container, s.Asks})},
		Before: host.AnyBefore,
		OnlyIf: s.After,
	}}}, nil
}

// Ready is the host.Handler of KindReady.
type Ready struct {
	Docker *Docker // nil where no container serves it
	Dir    string
}

// Look implements host.Handler; what is waited for is never looked at.
func (Ready) Look(context.Context, string) (host.Fact, error) { return host.Fact{}, nil }

// Do waits, 30 seconds at most. A container that ends meanwhile is an error that
// tells what it said last.
func (h Ready) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	var want readyWant
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return host.Fact{}, err
	}
	client, err := want.client()
	if err != nil {
		return host.Fact{}, err
	}
	defer client.CloseIdleConnections()
	limited, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	// A registry is up within some 30 ms, and what waits for it is a person.
	for pause := 2 * time.Millisecond; ; pause = min(pause+pause/4, 200*time.Millisecond) {
		err := want.get(limited, client)
		if err == nil && want.Asks {
			err = want.asks(limited, client)
		}
		var untrusted *tls.CertificateVerificationError
		if err == nil || errors.As(err, &untrusted) {
			return host.Fact{}, err
		}
		if pause > 10*time.Millisecond {
			if dead := h.dead(limited, want.Container); dead != nil {
				return host.Fact{}, dead
			}
		}
		select {
		case <-time.After(pause):
		case <-limited.Done():
			if ctx.Err() != nil {
				return host.Fact{}, ctx.Err()
			}
			return host.Fact{}, fault.Fail("regctl logs tells more; after init --retain there is something to look at", "%s did not answer within %s: %w", want.URL, readyTime, err)
		}
	}
}

func (w readyWant) asks(ctx context.Context, client *http.Client) error {
	answer, err := w.base(ctx, client, "", secret.String{})
	if err == nil && answer.code != http.StatusUnauthorized {
		err = errors.New("it asks nobody for a password")
	}
	return err
}

// dead tells why the container does not run, if it does not.
func (h Ready) dead(ctx context.Context, name string) error {
	if h.Docker == nil {
		return nil // a process: time will tell
	}
	s, err := h.Docker.Inspect(ctx, h.Dir, name)
	if err == nil && s.State != "running" {
		var words bytes.Buffer
		_ = h.Docker.Logs(ctx, name, LogOptions{Tail: "100"}, &words, &words)
		return startFault(words.String(), fmt.Errorf("its container is %s, %s", s.State, s.Detail))
	}
	return nil // where the engine does not tell, time will
}
