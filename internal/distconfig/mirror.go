package distconfig

import (
	"cmp"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// proxy is what the template has to say of a mirror.
type proxy struct{ URL, Username, Password, TTL string }

// proxyOf is nil for a registry that is no mirror. Version 2 has no proxy.ttl: it keeps
// copies for a week.
func proxyOf(s spec.Spec, env Env) (*proxy, error) {
	m := s.Mirror
	if !s.IsMirror() {
		return nil, nil
	}
	p := &proxy{URL: m.Of, Username: m.Username, Password: env.MirrorPassword, TTL: cmp.Or(m.TTL, spec.DefaultMirrorTTL)}
	if env.Flavour != Stock2 {
		return p, nil
	}
	if d, err := time.ParseDuration(p.TTL); err != nil || d != 7*24*time.Hour {
		return nil, fault.Usage("leave --mirror-ttl out, or use registry:3", "mirror.ttl: the stock image is distribution 2, which keeps copies for 168h")
	}
	p.TTL = ""
	return p, nil
}
