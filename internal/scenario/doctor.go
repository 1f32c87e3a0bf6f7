package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// How a check of doctor ends.
const (
	CheckOK      = "ok"
	CheckWarning = "warning" // it works; something wants attention
	CheckFailed  = "failed"
)

// Finding is what one check of doctor found. It is what doctor prints, so its keys are
// part of the command line's contract.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warning or failed
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// Examine runs every check, also where one before it failed, and changes nothing.
func (r *Registry) Examine(ctx context.Context) []Finding {
	e := &examination{r: r}
	e.settings(ctx)
	e.journal()
	e.service(ctx)
	e.storage(ctx)
	e.cluster(ctx)
	e.swarm(ctx)
	e.certificate(ctx)
	e.tokens(ctx)
	e.upstream(ctx)
	e.clients()
	return e.found
}

// tokens asks somebody else's token server.
func (e *examination) tokens(ctx context.Context) {
	r := e.r
	if !r.Spec.Auth.Foreign() {
		return
	}
	rootCA, jwks := r.Spec.Auth.TokenRootCA, r.Spec.Auth.TokenJWKS
	if rootCA != "" {
		rootCA = r.Dir.TokenRootCA()
	}
	if jwks != "" {
		jwks = r.Dir.TokenJWKS()
	}
	said, err := r.askIssuer(ctx, rootCA, jwks)
	if err != nil {
		e.failed("token server", err)
		return
	}
	e.add("token server", CheckOK, "", "%s", said)
}

// upstream asks that of a mirror, which goes on without it.
func (e *examination) upstream(ctx context.Context) {
	if !e.r.Spec.IsMirror() {
		return
	}
	switch warning, err := e.r.AskUpstream(ctx); {
	case err != nil:
		e.failed("upstream", err)
	case warning != "":
		e.add("upstream", CheckWarning, "", "%s", warning)
	default:
		e.add("upstream", CheckOK, "", "%s answers", e.r.Spec.Mirror.Of)
	}
}

type examination struct {
	r     *Registry
	found []Finding
}

func (e *examination) add(check, status, hint, format string, args ...any) {
	e.found = append(e.found, Finding{check, status, fmt.Sprintf(format, args...), hint})
}

// failed notes an error, with its hint.
func (e *examination) failed(check string, err error) {
	e.add(check, CheckFailed, fault.Hint(err), "%v", err)
}

// settings compares regctl.yaml with the machine, which asks the runtime too.
func (e *examination) settings(ctx context.Context) {
	if err := e.r.Connect(ctx); err != nil {
		e.failed("runtime", err)
		return
	}
	e.add("runtime", CheckOK, "", "%s answers", e.r.Spec.Runtime)
	planned, err := e.r.Plan(ctx)
	switch {
	case err != nil:
		e.failed("settings", err)
	case planned.Empty():
		e.add("settings", CheckOK, "", "all is as %s wants it", e.r.Dir.Spec())
	default:
		e.add("settings", CheckFailed, "regctl plan shows it, regctl apply makes it so", "something is not as %s wants it", e.r.Dir.Spec())
	}
}

// storage tries storage on another machine, which a registry that answers says nothing
// about. It needs what Connect found.
func (e *examination) storage(ctx context.Context) {
	if !e.r.Connected() {
		return
	}
	switch took, err := e.r.tryStorage(ctx); {
	case errors.Is(err, embeddedregistry.ErrNoDriver):
		e.add("storage", CheckWarning, "", "not tried, this build has no driver for it")
	case fault.IsUsage(err): // it may well be good for the registry
		e.add("storage", CheckWarning, fault.Hint(err), "not tried: %v", err)
	case err != nil:
		e.failed("storage", err)
	case took > 0:
		e.add("storage", CheckOK, "", "%s", storageWorks(took))
	}
}

// journal tells of a command that was killed.
func (e *examination) journal() {
	if _, err := os.Stat(e.r.Dir.Journal()); !errors.Is(err, os.ErrNotExist) {
		e.add("journal", CheckFailed, "wait for it if it still runs; else the next command that changes something finishes it, regctl apply for one",
			"a command is under way, or was killed half-way")
	}
}

// service asks the registry itself.
func (e *examination) service(ctx context.Context) {
	s, err := e.r.Status(ctx)
	switch {
	case err != nil:
		e.failed("registry", err)
		return
	case s.State == Running && s.Healthy:
		e.add("registry", CheckOK, "", "%s answers", s.Endpoint)
	case s.State == Running:
		e.add("registry", CheckFailed, "regctl logs", "%s runs and does not answer", s.Endpoint)
	case s.Detail != "":
		e.add("registry", CheckFailed, "regctl start", "it is %s: %s", s.State, s.Detail)
	default:
		e.add("registry", CheckFailed, "regctl start", "it is %s", s.State)
	}
	e.cover("reboot", s.Reboot, "nothing starts it after a reboot")
	e.cover("renewal", s.Renewal, "nothing renews its certificate")
	for _, warning := range s.Warnings {
		e.add("status", CheckWarning, "", "%s", warning)
	}
}

// notCovered is what status says where nothing takes care of something.
const notCovered = "not covered"

// cover tells what takes care of something that nobody watches.
func (e *examination) cover(check, by, otherwise string) {
	switch by {
	case "":
	case notCovered:
		e.add(check, CheckWarning, "", "%s", otherwise)
	default:
		e.add(check, CheckOK, "", "%s", by)
	}
}

// certificate compares what is on disk with itself and with what is served.
func (e *examination) certificate(ctx context.Context) {
	if e.r.Spec.TLS.Mode == spec.TLSNone {
		e.add("certificate", CheckWarning, "set tls.mode to selfsigned and run regctl apply", "the registry speaks plain HTTP: anybody on the way can read and change what is pulled")
		return
	}
	c, err := e.r.Certificates(ctx)
	if err != nil {
		e.failed("certificate", err)
		return
	}
	served := "nothing serves it"
	if c.Served != nil {
		served = "and it is what " + c.Served.Address + " serves"
	}
	e.add("certificate", CheckOK, "", "key, chain and CA fit, %d days are left, %s", c.Leaf.DaysLeft, served)
}

// clients tells of hosts whose trust was never proven.
func (e *examination) clients() {
	all, err := e.r.statusClients()
	if err != nil {
		e.failed("clients", err)
		return
	}
	unproven := 0
	for _, c := range all {
		if c.Verified == nil || !*c.Verified {
			unproven++
		}
	}
	switch {
	case len(all) == 0:
	case unproven > 0:
		e.add("clients", CheckWarning, "regctl clients check", "of %d hosts that trust the registry %d were never seen to pull", len(all), unproven)
	default:
		e.add("clients", CheckOK, "", "all %d hosts that trust the registry were seen to pull; regctl clients check asks them again", len(all))
	}
}
