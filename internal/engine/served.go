package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// KindServed is the certificate that a registry serves. Its Ref.Path is a URL; like
// KindReady it can be waited for and no more.
const KindServed host.Kind = "served"

// servedTime is how long a running registry may take to serve what lies on disk.
// The embedded one looks at each handshake.
const servedTime = 10 * time.Second

// Chain asks the registry, by a TLS handshake and nothing more, for the
// certificates that it serves, PEM, the leaf first. Nothing is verified.
func (e Endpoint) Chain(ctx context.Context) ([]byte, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, err
	}
	addr := e.Addr
	if addr == "" {
		addr = u.Host
	}
	var chain []byte
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{
		ServerName:         u.Hostname(),
		InsecureSkipVerify: true, // its certificate is the question
		// A registry that wants the client's certificate too has sent its own by then.
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			for _, der := range raw {
				chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
			}
			return nil
		},
	}}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	if chain != nil {
		return chain, nil
	}
	return nil, err
}

// servedWant is what a wait is told: Fact.Data of KindServed.
type servedWant struct {
	Endpoint
	Path string `json:"path"`
}

// ServedStep waits until the registry serves the certificate at Path, if one of
// After has changed.
type ServedStep struct {
	Endpoint Endpoint
	Path     string
	After    []host.Ref
}

// Name implements step.Step.
func (s ServedStep) Name() string { return "served " + s.Endpoint.URL }

// Reads implements step.Step.
func (s ServedStep) Reads() []host.Ref { return nil }

// Plan implements step.Step. There is no line for it: waiting changes nothing.
func (s ServedStep) Plan(host.Facts) (step.Change, error) {
	return step.Change{Ops: []host.Op{s.Op()}}, nil
}

// Op is the wait itself.
func (s ServedStep) Op() host.Op {
	return host.Op{
		Ref:    host.Ref{Kind: KindServed, Path: s.Endpoint.URL},
		Action: host.Wait,
		Want:   host.Fact{Exists: true, Data: canonical(servedWant{s.Endpoint, s.Path})},
		Before: host.AnyBefore,
		OnlyIf: s.After,
	}
}

// Served is the host.Handler of KindServed.
type Served struct{}

// Look implements host.Handler; what is waited for is never looked at.
func (Served) Look(context.Context, string) (host.Fact, error) { return host.Fact{}, nil }

// Do waits, 10 seconds at most.
func (Served) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	var want servedWant
	if err := json.Unmarshal(op.Want.Data, &want); err != nil {
		return host.Fact{}, err
	}
	disk, err := os.ReadFile(want.Path)
	if err != nil {
		return host.Fact{}, err
	}
	limited, cancel := context.WithTimeout(ctx, servedTime)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		now, err := want.Chain(limited)
		if err == nil && SameLeaf(now, disk) {
			return host.Fact{}, nil
		}
		if err == nil {
			err = errors.New("it serves another one")
		}
		select {
		case <-time.After(pause):
		case <-limited.Done():
			if ctx.Err() != nil {
				return host.Fact{}, ctx.Err()
			}
			return host.Fact{}, fault.Fail("regctl logs tells more", "%s did not serve the new certificate within %s: %w", want.URL, servedTime, err)
		}
	}
}

// SameLeaf compares the first certificates of two PEM chains.
func SameLeaf(a, b []byte) bool {
	first, _ := pem.Decode(a)
	second, _ := pem.Decode(b)
	return first != nil && second != nil && string(first.Bytes) == string(second.Bytes)
}

// ServesNothing reports whether an error of Chain means that nobody listens.
func ServesNothing(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
