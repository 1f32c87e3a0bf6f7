package scenario

import (
	"context"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/machine"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
)

// States of a registry.
const (
	Running  = "running"
	Stopped  = "stopped"
	Degraded = "degraded"
	Absent   = "absent"
)

// Status is how a registry is. It is what status prints, so its keys are part of
// the command line's contract.
type Status struct {
	SchemaVersion int                `json:"schemaVersion"`
	Name          string             `json:"name"`
	Dir           string             `json:"dir"`
	Endpoint      string             `json:"endpoint"`
	Runtime       string             `json:"runtime"`
	State         string             `json:"state"`   // running, stopped, degraded or absent
	Healthy       bool               `json:"healthy"` // it answered a request just now
	Detail        string             `json:"detail,omitempty"`
	Image         string             `json:"image"`
	Version       string             `json:"version,omitempty"` // of the regctl that it runs, where that is known
	TLS           StatusTLS          `json:"tls"`
	Auth          StatusAuth         `json:"auth"`
	Proxy         *StatusProxy       `json:"proxy,omitempty"`
	Replicas      int                `json:"replicas,omitempty"` // how many are to run, behind a proxy or in a swarm
	Redis         string             `json:"redis,omitempty"`    // the cache that they share
	Tasks         []engine.SwarmTask `json:"tasks,omitempty"`    // of a service in a swarm
	Clients       []StatusClient     `json:"clients"`
	Reboot        string             `json:"reboot,omitempty"`  // what starts it after a reboot
	Renewal       string             `json:"renewal,omitempty"` // what renews its certificate
	Warnings      []string           `json:"warnings,omitempty"`
}

// StatusTLS is the certificate on disk.
type StatusTLS struct {
	Mode          string     `json:"mode"`
	NotAfter      *time.Time `json:"notAfter"`
	SANs          []string   `json:"sans"`
	CAFingerprint string     `json:"caFingerprint"` // SHA-256, of certs/ca.crt
	RenewAfter    *time.Time `json:"renewAfter,omitempty"`
	LastRenewal   *Attempt   `json:"lastRenewal,omitempty"` // since the certificate in use was made
}

// StatusAuth is who may come in.
type StatusAuth struct {
	Mode  string `json:"mode"`
	Users int    `json:"users"`
}

// StatusProxy is what stands in front.
type StatusProxy struct {
	Kind    string `json:"kind"`
	AuthAt  string `json:"authAt"`            // who asks for the password
	Image   string `json:"image,omitempty"`   // of a proxy in a container
	Version string `json:"version,omitempty"` // of this machine's proxy
	Site    string `json:"site,omitempty"`    // the file of its configuration that is ours
	Running bool   `json:"running"`
}

// StatusClient is a host that trusts the registry.
type StatusClient struct {
	Host     string     `json:"host"`
	Stores   []string   `json:"stores"`
	Verified *bool      `json:"verified"`
	LastSeen *time.Time `json:"lastSeen"`
}

// probeTime is how long the registry may take to answer status.
const probeTime = 3 * time.Second

// Status asks the runtime and the registry itself.
func (r *Registry) Status(ctx context.Context) (Status, error) {
	s := Status{
		SchemaVersion: 1, Name: r.Name(), Dir: string(r.Dir), State: Absent,
		TLS: StatusTLS{SANs: []string{}}, Auth: StatusAuth{Mode: "none"}, Clients: []StatusClient{},
	}
	if !r.exists {
		r.explainAbsence(&s)
		return s, nil
	}
	s.Endpoint, s.Runtime, s.TLS.Mode = r.Spec.Endpoint(), r.Spec.Runtime, r.Spec.TLS.Mode
	r.describeAuth(&s.Auth)
	r.describeTLS(&s.TLS)
	s.Warnings = append(r.strangeAddresses(), r.renewalWarnings(&s.TLS)...)
	var err error
	if s.Clients, err = r.statusClients(); err != nil {
		return s, err
	}
	site, err := openRuntime(ctx, r)
	if err != nil {
		return s, err
	}
	found, err := site.runtime.Inspect(ctx)
	if err != nil {
		return s, err
	}
	s.Image = found.Image
	from, _ := r.Releases(found.Image)
	s.Version = from.Version
	if behind := r.Behind(found.Image); behind != "" {
		s.Warnings = append(s.Warnings, behind)
	}
	if found.State != Running {
		s.Detail = found.Detail
	}
	s.Reboot = site.runtime.RebootCover(ctx)
	r.describeRenewal(ctx, &s, found.State)
	r.describeProxy(ctx, &s)
	switch found.State {
	case Running:
		s.State = Running
		s.Healthy = r.answers(ctx)
	case Stopped, Absent:
		s.State = Stopped // what is wanted is written down, so it can be started
	default:
		s.State = Degraded
		s.Healthy = r.Spec.Count() > 1 && r.answers(ctx)
	}
	r.describeCluster(ctx, &s)
	r.describeSwarm(ctx, &s, site.runtime)
	return s, nil
}

// explainAbsence warns of what is there of a registry without a regctl.yaml.
func (r *Registry) explainAbsence(s *Status) {
	if r.state.Phase == "" {
		return
	}
	if r.state.Phase == statedir.PhaseReady {
		s.State = Degraded
	}
	err := r.Missing()
	s.Warnings = append(s.Warnings, err.Error()+": "+fault.Hint(err))
}

func (r *Registry) describeAuth(a *StatusAuth) {
	a.Mode = r.Spec.Auth.Mode
	for mode := range asMap(r.Spec.Config["auth"]) {
		a.Mode = mode
	}
	if !r.Spec.Auth.HasUsers() {
		return
	}
	if file, err := r.Users(); err == nil {
		a.Users = len(file.Users())
	}
}

func (r *Registry) describeTLS(t *StatusTLS) {
	if t.Mode == spec.TLSNone {
		return
	}
	t.CAFingerprint = r.CAFingerprint()
	info, err := inspectFile(r.Dir.Join("serve", "tls", "current", "crt"))
	if err != nil {
		return
	}
	renew := info.RenewAfter()
	t.NotAfter, t.RenewAfter, t.SANs = &info.NotAfter, &renew, info.SANs()
}

// CAFingerprint is that of certs/ca.crt, or "".
func (r *Registry) CAFingerprint() string {
	info, err := inspectFile(r.Dir.Join("certs", "ca.crt"))
	if err != nil || r.Spec.TLS.Mode == spec.TLSNone || r.PublicCA() {
		return ""
	}
	return info.Fingerprint
}

func inspectFile(path string) (pki.Info, error) {
	data, err := readFile(path)
	if err != nil {
		return pki.Info{}, err
	}
	return pki.Inspect(data)
}

// strangeAddresses warns of addresses that the machine has got since init, where
// init took all that there were.
func (r *Registry) strangeAddresses() []string {
	if r.Spec.TLS.Mode == spec.TLSNone || !slices.Contains(r.Spec.Hosts, "localhost") || !slices.Contains(r.Spec.Hosts, "127.0.0.1") {
		return nil
	}
	var warnings []string
	for _, ip := range machine.Addresses() {
		if !slices.Contains(r.Spec.Hosts, ip) {
			warnings = append(warnings, "this machine has an address that the certificate does not name: "+ip+
				"; add it to hosts in "+r.Dir.Spec()+" and run regctl apply")
		}
	}
	return warnings
}

// answers reports whether a client that trusts the registry gets an answer.
func (r *Registry) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	endpoint := r.endpoint(ctx)
	if r.Spec.TLS.Mode == spec.TLSSelfSigned {
		endpoint.CA, _ = readFile(r.Dir.Join("certs", "ca.crt"))
	}
	return endpoint.Probe(ctx) == nil
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
