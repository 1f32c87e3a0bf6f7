package scenario

import (
	"context"
	"math"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
)

// Certificates is what cert show prints, so its keys are part of the command
// line's contract.
type Certificates struct {
	SchemaVersion int           `json:"schemaVersion"`
	Mode          string        `json:"mode"`
	Leaf          *Certificate  `json:"leaf"`
	Chain         []Certificate `json:"chain"`              // what is served beside the leaf
	CA            *Certificate  `json:"ca"`                 // what clients must trust, where that is not a public CA
	Rotation      string        `json:"rotation,omitempty"` // spreading or withdrawing: the CA is being replaced
	RenewAfter    *time.Time    `json:"renewAfter"`
	Served        *Served       `json:"served"` // nil where nothing answers
	ServedMatches *bool         `json:"servedMatches"`
}

// Certificate is one certificate on disk.
type Certificate struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	SANs        []string  `json:"sans"`
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	DaysLeft    int       `json:"daysLeft"`
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"` // SHA-256
	KeyType     string    `json:"keyType"`
}

// Served is the leaf that the endpoint on this machine serves just now.
type Served struct {
	Address     string    `json:"address"`
	By          string    `json:"by"`
	NotAfter    time.Time `json:"notAfter"`
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"`
}

// Certificates tells what certificates there are and what is served of them. What
// could be found out comes with the error, which says what is wrong.
func (r *Registry) Certificates(ctx context.Context) (Certificates, error) {
	if err := r.needTLS(); err != nil {
		return Certificates{}, err
	}
	now := time.Now()
	c := Certificates{SchemaVersion: 1, Mode: r.Spec.TLS.Mode, Chain: []Certificate{}, Rotation: string(r.Rotation())}
	disk, err := r.readCertificates(now)
	for i, info := range disk.chain {
		if i > 0 {
			c.Chain = append(c.Chain, shown(info, now))
			continue
		}
		leaf, renew := shown(info, now), info.RenewAfter()
		c.Leaf, c.RenewAfter = &leaf, &renew
	}
	if r.Spec.TLS.Mode == spec.TLSLetsEncrypt {
		if due, err := r.Due(ctx); err == nil {
			c.RenewAfter = &due.At
		}
	}
	if disk.ca != nil {
		ca := shown(*disk.ca, now)
		c.CA = &ca
	}
	return c, firstError(err, r.askEndpoint(ctx, &c, disk.chainPEM))
}

// needTLS refuses a registry without a certificate.
func (r *Registry) needTLS() error {
	if r.Spec.TLS.Mode == spec.TLSNone {
		return fault.Usage("set tls.mode in "+r.Dir.Spec()+" to selfsigned and run regctl apply, to give it one",
			"%s speaks plain HTTP and has no certificate", r.Spec.Endpoint())
	}
	return nil
}

func shown(info pki.Info, now time.Time) Certificate {
	return Certificate{
		Subject: info.Subject, Issuer: info.Issuer, SANs: info.SANs(), NotBefore: info.NotBefore, NotAfter: info.NotAfter,
		DaysLeft: daysLeft(info.NotAfter, now), Serial: info.Serial, Fingerprint: info.Fingerprint, KeyType: info.KeyType,
	}
}

// daysLeft counts whole days; it is negative when they are over.
func daysLeft(until, now time.Time) int { return int(math.Floor(until.Sub(now).Hours() / 24)) }

// askEndpoint compares what is served with the chain on disk. An endpoint that
// does not answer is no error: the registry may be stopped.
func (r *Registry) askEndpoint(ctx context.Context, c *Certificates, disk []byte) error {
	endpoint := r.endpoint(ctx)
	chain, err := endpoint.Chain(ctx)
	if err != nil {
		return ctx.Err()
	}
	info, err := pki.Inspect(chain)
	if err != nil {
		return err
	}
	matches := engine.SameLeaf(chain, disk)
	c.ServedMatches = &matches
	c.Served = &Served{Address: endpoint.Addr, By: r.servedBy(matches, endpoint), NotAfter: info.NotAfter, Serial: info.Serial, Fingerprint: info.Fingerprint}
	if !matches && disk != nil {
		return fault.Fail("regctl restart has the registry read it anew; regctl logs tells why it did not",
			"%s serves another certificate than %s: serial %s (%s)", endpoint.Addr, r.chainPath(), info.Serial, c.Served.By)
	}
	return nil
}

func (r *Registry) servedBy(ours bool, endpoint engine.Endpoint) string {
	if ours && !r.Spec.Proxied() && r.Spec.Runtime == spec.RuntimeDocker {
		return "container " + r.Spec.Name
	}
	if ours && r.Spec.Swarmed() {
		return "service " + r.Spec.Name
	}
	return engine.PortHolder(endpoint.Addr)
}
