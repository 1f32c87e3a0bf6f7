package scenario

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// upstreamTime is how long an upstream may take to answer while init waits.
const upstreamTime = 5 * time.Second

// AskUpstream asks the upstream of a mirror, one that is to be made too, whether it takes
// the credential: an upstream that refuses it is a fault, since the mirror would say of
// every image that there is none. One that does not answer is a warning, for a mirror
// starts without it.
func (r *Registry) AskUpstream(ctx context.Context) (warning string, err error) {
	s := r.Spec
	if !s.IsMirror() {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamTime)
	defer cancel()
	u := upstream{s: s, client: &http.Client{}}
	if u.password, err = u.credential(r); err != nil {
		return "", err
	}
	said, err := u.get(ctx, s.Mirror.Of+"/v2/", false)
	switch {
	case err != nil:
		return s.Mirror.Of + " does not answer, so that nothing can be fetched from it yet: " + unwrapped(err).Error(), nil
	case said.code == http.StatusOK:
		return "", nil
	case said.code != http.StatusUnauthorized:
		return s.Mirror.Of + "/v2/ answers " + said.status + ", as no registry does that is ready", nil
	case s.Mirror.Username == "":
		return "", nil // a registry such as Docker Hub gives tokens to everybody
	}
	return u.login(ctx, said.challenge)
}

// startsAgain refuses to stop a mirror that would not start again now: a stock image
// asks its upstream when it starts, and ends when that does not answer.
func (r *Registry) startsAgain(ctx context.Context) error {
	if s := r.Spec; s.IsMirror() && s.Image != "" {
		ctx, cancel := context.WithTimeout(ctx, upstreamTime)
		defer cancel()
		u := upstream{s: s, client: &http.Client{}}
		u.client.Transport = u.transport()
		if _, err := u.get(ctx, s.Mirror.Of+"/v2/", false); err != nil {
			return fault.Fail("run the same command again when it answers; nothing was touched",
				"%s would not start again while %s does not answer: %w", s.Image, s.Mirror.Of, unwrapped(err))
		}
	}
	return nil
}

type upstream struct {
	s        spec.Spec
	password string
	client   *http.Client
}

// credential reads the operator's files, or our copies where those have gone.
func (u *upstream) credential(r *Registry) (string, error) {
	m := u.s.Mirror
	transport := u.transport()
	u.client.Transport = transport
	if m.CACert != "" {
		pem, err := givenOrKept(m.CACert, r.Dir.Join("serve", mirrorCA))
		if err != nil {
			return "", err
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return "", fault.Usage("--mirror-ca-cert wants a CA certificate in PEM", "%s: holds no certificate", m.CACert)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if m.PasswordFile == "" {
		return "", nil
	}
	data, err := givenOrKept(m.PasswordFile, r.Dir.Join("secrets", "mirror-password"))
	if err != nil {
		return "", err
	}
	return onePassword(m.PasswordFile, data)
}

func givenOrKept(given, kept string) ([]byte, error) {
	data, err := readFile(given)
	if err != nil || data != nil {
		return data, err
	}
	return readFile(kept)
}

func (u *upstream) transport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = u.dial
	return transport
}

// dial finds the names of --add-host where the registry will.
func (u *upstream) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, _ := net.SplitHostPort(address)
	for _, line := range u.s.AddHosts {
		if name, ip, _ := strings.Cut(line, ":"); strings.EqualFold(name, host) {
			address = net.JoinHostPort(ip, port)
		}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

type answer struct {
	code              int
	status, challenge string
}

func (u *upstream) get(ctx context.Context, at string, login bool) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return answer{}, err
	}
	if login {
		req.SetBasicAuth(u.s.Mirror.Username, u.password)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	return answer{resp.StatusCode, resp.Status, resp.Header.Get("WWW-Authenticate")}, nil
}

var challengePart = regexp.MustCompile(`(realm|service)="([^"]*)"`)

// login tries the credential where the upstream says that it is to be shown (RFC 7617,
// or the distribution project's token authentication).
func (u *upstream) login(ctx context.Context, challenge string) (string, error) {
	at := u.s.Mirror.Of + "/v2/"
	if scheme, rest, _ := strings.Cut(challenge, " "); strings.EqualFold(scheme, "bearer") {
		query := url.Values{"account": {u.s.Mirror.Username}}
		for _, part := range challengePart.FindAllStringSubmatch(rest, -1) {
			if part[1] == "realm" {
				at = part[2]
			} else {
				query.Set("service", part[2])
			}
		}
		if strings.HasPrefix(u.s.Mirror.Of, "https:") && !strings.HasPrefix(at, "https:") {
			return "", nil // the password is not for all to read
		}
		at += "?" + query.Encode()
	}
	said, err := u.get(ctx, at, true)
	switch {
	case err != nil:
		return "the password for " + u.s.Mirror.Of + " could not be tried: " + unwrapped(err).Error(), nil
	case said.code == http.StatusUnauthorized || said.code == http.StatusForbidden:
		return "", fault.Usage("see that --mirror-username and the password in "+u.s.Mirror.PasswordFile+" are right",
			"%s does not let %s in with that password", u.s.Mirror.Of, u.s.Mirror.Username)
	}
	return "", nil
}

// unwrapped leaves out the method and the URL, which may hold a query.
func unwrapped(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}
