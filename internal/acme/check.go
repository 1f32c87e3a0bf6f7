package acme

import (
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/acme/dnsprovider"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
)

// KeyTypes are the kinds of key that public CAs sign, the default first.
func KeyTypes() []string {
	return slices.DeleteFunc(pki.KeyTypes(), func(kind string) bool { return kind == "ed25519" })
}

// Check tells whether Obtain could begin, as far as the options themselves show. Its
// errors are the user's (fault.IsUsage); it asks nobody.
func Check(o Options) error {
	for _, check := range []func(Options) error{
		checkDirectory, checkAccount, checkKeyType, checkNames, checkChallenge,
	} {
		if err := check(o); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) directory() string {
	if o.Directory == "" {
		return LetsEncrypt
	}
	return o.Directory
}

// isLetsEncrypt tells whether the CA is one that signs public names alone.
func (o Options) isLetsEncrypt() bool {
	return o.directory() == LetsEncrypt || o.directory() == LetsEncryptStaging
}

func checkDirectory(o Options) error {
	u, err := url.Parse(o.directory())
	if err != nil || u.Host == "" || u.Scheme != "https" {
		return fault.Usage("give the directory's URL, for example --acme-server "+LetsEncryptStaging,
			"--acme-server %s: want a URL that begins with https://", o.directory())
	}
	return nil
}

func checkAccount(o Options) error {
	if (o.EAB.KID == "") != o.EAB.HMAC.Empty() {
		return fault.Usage("give both, as the CA gave them, or neither", "--eab-kid and --eab-hmac-file belong together")
	}
	if o.EAB.KID == "" {
		return nil
	}
	key := strings.TrimRight(o.EAB.HMAC.Reveal(), "=")
	if _, err := base64.RawURLEncoding.DecodeString(key); err != nil {
		return fault.Usage("copy the HMAC key as the CA shows it", "--eab-hmac-file: the key is not base64url")
	}
	return nil
}

func checkKeyType(o Options) error {
	if o.KeyType != "" && !slices.Contains(KeyTypes(), o.KeyType) {
		return fault.Usage("--key-type takes "+strings.Join(KeyTypes(), ", "), "public CAs sign no %s keys", o.KeyType)
	}
	return nil
}

func checkNames(o Options) error {
	if len(o.Names) == 0 {
		return fault.Usage("give one with --host", "there is no name to get a certificate for")
	}
	for _, name := range o.Names {
		ip, err := netip.ParseAddr(name)
		switch {
		case err == nil && o.Challenge.Kind == DNS01:
			return fault.Usage("use --challenge http-01 or tls-alpn-01", "%s: dns-01 proves names, not addresses", name)
		case strings.HasPrefix(name, "*.") && o.Challenge.Kind != DNS01:
			return fault.Usage("use --challenge dns-01", "%s: only dns-01 proves a wildcard", name)
		case o.isLetsEncrypt() && !public(name, ip):
			return fault.Usage("use --tls selfsigned for it, or a CA of your own with --acme-server",
				"%s: Let's Encrypt signs names and addresses of the public internet alone", name)
		}
	}
	return nil
}

// public tells what no public CA can refuse out of hand.
func public(name string, ip netip.Addr) bool {
	if ip.IsValid() {
		return ip.IsGlobalUnicast() && !ip.IsPrivate()
	}
	last := name[strings.LastIndex(name, ".")+1:]
	return last != name && !slices.Contains([]string{"test", "local", "localhost", "internal", "lan", "home", "corp", "invalid", "example", "arpa"}, last)
}

func checkChallenge(o Options) error {
	c := o.Challenge
	switch c.Kind {
	case HTTP01, TLSALPN01:
		if c.Addr == "" {
			return nil
		}
		if _, port, err := net.SplitHostPort(c.Addr); err != nil || port == "" {
			return fault.Usage("give it as --challenge-addr :80 or 192.0.2.1:80", "--challenge-addr %s: want ADDRESS:PORT", c.Addr)
		}
		return nil
	case DNS01:
		return dnsprovider.Check(c.DNS.Provider, c.DNS.Credentials)
	}
	return fault.Usage("--challenge takes http-01, tls-alpn-01 or dns-01", "unknown challenge %q", c.Kind)
}

// Serving is how a registry can be reached, as far as tls-alpn-01 cares.
type Serving struct {
	Port      int  // that clients use
	Forwarded bool // public port 443 leads to Port, connections as they are
	Proxied   bool // by a proxy of ours, which ends TLS
	Stock     bool // a stock image, which knows nothing of challenges
}

// CheckTLSALPN tells whether the registry can answer tls-alpn-01 itself: validators
// connect to 443 and nowhere else (RFC 8737, 3).
func (s Serving) CheckTLSALPN() error {
	const hint = "use --challenge http-01 or --challenge dns-01"
	switch {
	case s.Stock:
		return fault.Usage(hint, "tls-alpn-01 is answered by the embedded registry, not by a stock image")
	case s.Proxied:
		return fault.Usage(hint, "tls-alpn-01 cannot go through a proxy that ends TLS")
	case s.Port != 443 && !s.Forwarded:
		return fault.Usage(hint+"; or, where public port 443 is forwarded to this one, add --challenge-forwarded",
			"tls-alpn-01 is looked for on port 443 alone, and the registry has port %d", s.Port)
	}
	return nil
}
