package scenario

import (
	"fmt"
	"time"

	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
)

// Attempt is the last time that somebody tried to renew the certificate.
type Attempt struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
	Hint  string    `json:"hint,omitempty"`
}

// renewalWarnings tells of a certificate that nobody seems to renew, or not with
// success, and fills in the last attempt.
func (r *Registry) renewalWarnings(t *StatusTLS) (warnings []string) {
	leaf, err := r.Leaf()
	if t.Mode == spec.TLSNone || err != nil {
		return nil
	}
	if last := r.state.Renewal; last != nil {
		t.LastRenewal = &Attempt{At: last.At}
		if last.Error != "" && last.Leaf == leaf.Fingerprint {
			t.LastRenewal.Error, t.LastRenewal.Hint = last.Error, last.Hint
			warnings = append(warnings, fmt.Sprintf("the last attempt to renew the certificate, on %s, failed: %s; %s", pki.Stamp(last.At), last.Error, last.Hint))
		}
	}
	if phase := r.Rotation(); phase != "" {
		warnings = append(warnings, fmt.Sprintf("the CA is being replaced (%s): regctl cert rotate-ca finishes it", phase))
	}
	now, whole := time.Now(), leaf.NotAfter.Sub(leaf.NotBefore)
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		warnings = append(warnings, fmt.Sprintf("the certificate expired on %s: %s", pki.Stamp(leaf.NotAfter), r.renewHint()))
	case left < whole/4:
		warnings = append(warnings, fmt.Sprintf("the certificate has %d days left of %d: %s", daysLeft(leaf.NotAfter, now), int(whole.Hours()/24), r.renewHint()))
	}
	return warnings
}

func (r *Registry) renewHint() string {
	if r.Spec.TLS.Mode == spec.TLSFiles {
		return "put a new one into " + r.Spec.TLS.Cert + " and run regctl cert renew"
	}
	return "regctl cert renew"
}
