package scenario

import (
	"path/filepath"

	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// letsEncrypt is --tls letsencrypt: a certificate that an ACME server signs once the
// names were proven. It is ordered before anything is touched.
func letsEncrypt(s spec.Spec, p Place) []step.Step {
	return join(
		folders(s, p),
		specFile(p),
		[]step.Step{
			serveDir(p, p.Dir.ServeTLS()),
			formerCA{s, p},
			noted(ordered{spec: s, place: p}, p),
		},
		certificateLinks(p),
		liveLinks(s, p),
		configuration(s, p),
		serving(s, p),
		pairInUse(s, p),
	)
}

// liveLinks are the names under which certbot's users look for the pair in use.
func liveLinks(s spec.Spec, p Place) []step.Step {
	live, current := liveDir(s, p), filepath.Join("..", "..", "..", "serve", "tls", "current")
	return []step.Step{
		step.MakeLink{Path: filepath.Join(live, "fullchain.pem"), Target: filepath.Join(current, "crt")},
		step.MakeLink{Path: filepath.Join(live, "privkey.pem"), Target: filepath.Join(current, "key")},
	}
}

func liveDir(s spec.Spec, p Place) string { return p.Dir.Join("certs", "live", s.First()) }
