// Package verify proves from a client that it trusts a registry: each runtime there
// pulls an image that it cannot have seen before, and where that is not to be had the
// certificate is checked against the CA.
package verify

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/trust"
)

// Mode is what --verify says.
type Mode string

// The modes.
const (
	Auto Mode = "auto" // pull where it can be done, else TLS
	Pull Mode = "pull" // a store that cannot pull has failed
	TLS  Mode = "tls"  // the handshake and GET /v2/ alone
	None Mode = "none"
)

// Target is what is to be proven.
type Target struct {
	Registry trust.Registry
	Mode     Mode
	// Canary is nil where the registry serves none: a stock image, or one that is stopped.
	Canary *canary.Ref
	// WhyNone says why Canary is nil, where there is more to be said.
	WhyNone string
	// User and Password pull in place of the canary's own credential.
	User     string
	Password secret.String
}

// Outcome is what came of one store. It is Verified or has an Err, which has a hint.
type Outcome struct {
	Store    trust.Store
	Path     string // of the placement: a store may have several
	Verified bool
	By       string // "docker pull", "curl"; also of what failed, where something was tried
	Note     string // what people ought to know: what was not proven, and why
	Err      error
}

// limit is for one store, all told. The script keeps to less by itself.
const limit = 75 * time.Second

// patience with a name that --map-host has just placed: dockerd keeps what it has
// read of /etc/hosts for 5 s.
const patience = 8 * time.Second

// Client proves what was placed on a client, store by store: one outcome for each
// but the line in /etc/hosts, in order. Nothing of it stays on the client. Modes
// other than None ask the client each time; two stores that are proven alike are
// asked once.
//
// When ctx ends, the client is told to stop. OpenSSH does not pass that on to a
// session of root's or to sudo: then the client ends within a minute by itself, and
// answers nothing else until it is closed.
func Client(ctx context.Context, h host.Host, c trust.Client, placed []trust.Placement, t Target) []Outcome {
	if t.Mode == None {
		return nil
	}
	v := verifier{host: h, client: c, target: t, done: map[string]Outcome{}}
	for _, p := range placed {
		if p.Store == trust.MapHost {
			v.patience = patience
		}
	}
	var all []Outcome
	for _, p := range placed {
		if p.Store == trust.MapHost || p.Store == trust.LoginStore {
			continue // they prove themselves by the others, or need no proof
		}
		o := v.one(ctx, p)
		o.Store, o.Path = p.Store, p.Path
		all = append(all, o)
	}
	return all
}

type verifier struct {
	host     host.Host
	client   trust.Client
	target   Target
	patience time.Duration
	done     map[string]Outcome // by what was asked of the client
}

// one decides how a store is proven, and does it.
func (v verifier) one(ctx context.Context, p trust.Placement) Outcome {
	if p.Store == trust.OS {
		return v.ask(ctx, p, nil, "")
	}
	if v.target.Mode == TLS {
		return v.ask(ctx, p, v.target.Registry.CA, "")
	}
	w, why := v.pulls(p)
	if why == "" {
		return v.try(ctx, p, w)
	}
	if v.target.Mode == Pull {
		return Outcome{Err: fault.Fail("use --verify auto or tls, which check the certificate where nothing can be pulled", "the store %s cannot be verified by a pull: %s", p.Store, why)}
	}
	return v.ask(ctx, p, v.target.Registry.CA, "not by a pull: "+why)
}

// way is an op that proves something.
type way struct {
	by, note string
	op       host.Op
}

// try carries an op out, if that has not been done yet.
func (v verifier) try(ctx context.Context, p trust.Placement, w way) Outcome {
	key := w.op.Path + "\n" + string(w.op.Want.Data)
	o, done := v.done[key]
	if !done {
		o = v.do(ctx, p, w)
		v.done[key] = o
	}
	o.Note = strings.Trim(w.note+"; "+o.Note, "; ")
	return o
}

func (v verifier) do(ctx context.Context, p trust.Placement, w way) Outcome {
	receipts, err := v.carryOut(ctx, w.op)
	o := Outcome{By: w.by, Verified: err == nil}
	for _, r := range receipts {
		o.Note = r.Note
	}
	if err != nil {
		o.Err = v.failed(ctx, p, w.by, err)
	}
	return o
}

// stopTime is for a client to tidy up in before its answer is no longer waited for.
const stopTime = 3 * time.Second

// carryOut does not wait for a client that cannot be told to stop.
func (v verifier) carryOut(ctx context.Context, op host.Op) ([]host.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		receipts []host.Receipt
		err      error
	}
	answered := make(chan answer, 1)
	go func() {
		receipts, err := v.host.Do(ctx, []host.Op{op})
		answered <- answer{receipts, err}
	}()
	select {
	case a := <-answered:
		return a.receipts, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-answered:
		return a.receipts, a.err
	case <-time.After(stopTime):
		return nil, ctx.Err()
	}
}

// failed says why in one line.
func (v verifier) failed(ctx context.Context, p trust.Placement, by string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "timed out"
	} else if op := (*host.OpError)(nil); errors.As(err, &op) {
		_, text, _ = strings.Cut(op.Error(), ": ") // the op's name
	} else if fault.Hint(err) != "" {
		return err // the connection to the client
	}
	cause, hint := v.explain(text)
	if p.Pending != "" {
		hint = p.Pending + " there, then run the same command again"
	}
	return fault.Fail(hint, "%s: %s: %s", by, v.target.Registry.Address(), cause)
}
