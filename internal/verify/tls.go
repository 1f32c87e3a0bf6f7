package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
)

// dialer is a host that opens connections of its own, as an SSH host does.
type dialer interface {
	DialHost(ctx context.Context, network, address string) (net.Conn, error)
}

// ask has the client do the TLS handshake and GET /v2/, with the CA that was placed,
// or with none where it is the system that must trust it. Where the client has no
// tool for it, regctl itself does, from there if it can.
func (v verifier) ask(ctx context.Context, p trust.Placement, ca []byte, note string) Outcome {
	r := v.target.Registry
	get := host.Get{URL: r.URL() + "/v2/", Host: r.Host, Connect: v.address(), CA: ca, Patience: v.patience}
	var ways []way
	if v.has("curl") {
		ways = append(ways, way{"curl", note, get.ByCurl()})
	}
	if v.has("wget") {
		ways = append(ways, way{"wget", note, get.ByWget()})
	}
	if v.has("openssl") && !r.Plain {
		ways = append(ways, way{"openssl s_client", note, get.ByOpenSSL()})
	}
	for _, w := range ways {
		o := v.try(ctx, p, w)
		if o.Err == nil || !strings.Contains(o.Err.Error(), notGNU) {
			return o
		}
	}
	if p.Store == trust.OS {
		return Outcome{Err: fault.Fail("install curl there, or leave it unproven with --verify none", "there is neither curl, wget nor openssl to ask the system whom it trusts")}
	}
	return v.dial(ctx, p, note)
}

const notGNU = "not GNU wget"

func (v verifier) address() string {
	return net.JoinHostPort(v.target.Registry.Host, strconv.Itoa(v.target.Registry.Port))
}

// dial does it from regctl itself.
func (v verifier) dial(ctx context.Context, p trust.Placement, note string) Outcome {
	o := Outcome{By: "tls from regctl", Note: note}
	connect := (&net.Dialer{}).DialContext
	if d, ok := v.host.(dialer); ok {
		o.By, connect = "tls from regctl through SSH", d.DialHost
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	transport := &http.Transport{DialContext: connect, DisableKeepAlives: true}
	if ca := v.target.Registry.CA; len(ca) > 0 {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	err := get(ctx, &http.Client{Transport: transport}, v.target.Registry.URL()+"/v2/")
	if err != nil {
		o.Err = v.failed(ctx, p, o.By, err)
		return o
	}
	o.Verified = true
	return o
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)) // the status is what counts
	switch answer.StatusCode {
	case http.StatusOK, http.StatusUnauthorized:
		return nil
	}
	return fault.Fail("", "status %d", answer.StatusCode)
}
