package acme

import (
	"github.com/regctl/regctl/internal/secret"
)

// The kinds of challenge: RFC 8555, 8.3 and 8.4, and RFC 8737.
const (
	HTTP01    = "http-01"
	TLSALPN01 = "tls-alpn-01"
	DNS01     = "dns-01"
)

// Challenge says how the names are proven.
type Challenge struct {
	Kind string // HTTP01, TLSALPN01 or DNS01

	// Addr is where our own listener waits for validators while an order is under
	// way, unless Webroot or Control is set; "" is :80 or :443.
	Addr string
	// Webroot is a folder that a web server on port 80 serves (http-01): the answers
	// go below .well-known/acme-challenge, readable for all.
	Webroot string
	// Control is where the running registry looks for answers (tls-alpn-01).
	Control *Control

	DNS DNS // dns-01
}

// Control is serve/ctl/acme of a running registry: a file a name, 0600 and the
// registry's. The folder is made when it is needed, and removed when it is empty.
type Control struct {
	Folder string
	// UID and GID own the files; -1 leaves them ours.
	UID, GID int
}

// DNS says who changes the zone.
type DNS struct {
	Provider string // one of dnsprovider.Names
	// Credentials are what the credentials file says, by dnsprovider.Parse.
	Credentials map[string]secret.String
	// Resolvers (HOST:PORT) are asked whether the record is there, in place of the
	// zone's own name servers; nil means those.
	Resolvers []string
}

func (s *session) newProof() (proof, error) {
	c := s.o.Challenge
	switch c.Kind {
	case HTTP01:
		if c.Webroot != "" {
			return &webroot{folder: c.Webroot}, nil
		}
		return newHTTPListener(s.ctx, or(c.Addr, ":80"))
	case TLSALPN01:
		if c.Control != nil {
			return controlFiles{*c.Control}, nil
		}
		return newTLSListener(s.ctx, or(c.Addr, ":443"))
	default:
		return newDNSRecords(s)
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
