package scenario

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/acme"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// ordered keeps a certificate of an ACME server's. A plan asks nobody: the CA is
// asked when the step is carried out, before anything else is.
type ordered struct {
	spec  spec.Spec
	place Place
	// renewal keeps to the names of the leaf in use and to our copies of the
	// operator's files, which may be gone; due is when the leaf is to be renewed.
	renewal, force bool
	due            acme.DueDate
}

func (o ordered) Name() string { return "certificate from " + directoryOf(o.spec.TLS) }

func (o ordered) account() host.Ref  { return fileRef(o.place.Dir.Join("secrets", "acme")) }
func (o ordered) from() host.Ref     { return fileRef(o.place.Dir.Join("secrets", "acme-from")) }
func (o ordered) placedCA() host.Ref { return fileRef(o.place.Dir.Join("certs", "ca.crt")) }

func (o ordered) Reads() []host.Ref {
	refs := append(currentPair(o.place), o.account(), o.from(), o.unused())
	for _, f := range o.files() {
		refs = append(refs, f.copy)
		if !o.renewal {
			refs = append(refs, sourceRef(f.source))
		}
	}
	return append(refs, o.liveRefs()...)
}

func (o ordered) Plan(seen host.Facts) (step.Change, error) {
	var change step.Change
	files, err := o.planFiles(seen, &change)
	if err != nil {
		return change, err
	}
	crt, key := currentFacts(o.place, seen)
	names := o.spec.Hosts
	if o.renewal {
		names = renewedLeaf{certificates: certificates{o.spec, o.place}}.names(crt.Data)
	}
	options, err := o.options(seen, files, names)
	if err != nil {
		return change, err
	}
	why := o.why(seen, crt.Data, key.Data, names)
	if why == "" {
		change.Ops = append(change.Ops, o.live(seen, crt.Data)...)
		return change, nil
	}
	current := currentLink(o.place)
	change.Items = append(change.Items, step.Item{
		Target: current.Path, Action: action(seen[current]),
		Diff: fmt.Sprintf("(ordered from %s for %s: %s)", directoryOf(o.spec.TLS), strings.Join(names, ", "), why),
	})
	ops := change.Ops
	change.Ops = nil
	change.Make = func(ctx context.Context) ([]host.Op, error) {
		made, err := o.order(ctx, seen, options, files)
		return append(ops, made...), err
	}
	return change, nil
}

// why says what a certificate has to be ordered for; "" while none has.
func (o ordered) why(seen host.Facts, crt, key []byte, names []string) string {
	if len(crt) == 0 || len(key) == 0 {
		return "there is none"
	}
	if err := pki.CheckPair(crt, key, names, o.place.Now); err != nil {
		return err.Error()
	}
	leaf, err := pki.Inspect(crt)
	switch {
	case err != nil:
		return err.Error()
	case o.renewal && o.force:
		return "asked for"
	case o.renewal && !o.place.Now.Before(o.due.At):
		return "due by " + o.due.Source
	case o.renewal:
		return ""
	case string(seen[o.from()].Data) != orderedFrom(o.spec.TLS):
		return "another CA or profile than wanted"
	case !sameNames(leaf.SANs(), names):
		return "it names other hosts too"
	case leaf.KeyType != o.spec.TLS.KeyType:
		return "its key is " + leaf.KeyType
	case pki.NeedsRenewal(crt, o.place.Now):
		return "two thirds of its life are over"
	}
	return ""
}

// order gets the certificate, and returns the ops that put it in place.
func (o ordered) order(ctx context.Context, seen host.Facts, options acme.Options, files map[string][]byte) ([]host.Op, error) {
	got, before := o.orderedBefore(seen, options.Names)
	if before {
		options.Say("taking the certificate that was ordered before and not put to use")
	} else {
		var err error
		if got, err = o.obtain(ctx, options); err != nil {
			return nil, err
		}
	}
	if ca := files["--ca-cert"]; ca != nil {
		if err := pki.CheckAnchor(got.FullchainPEM, ca, validMoment(got.CertPEM)); err != nil {
			return nil, fault.Fail("--ca-cert is the root of the CA that signs; the CA's own pages have it", "%s: %w", o.spec.TLS.CACert, err)
		}
	}
	ops := []host.Op{writeOp(o.from(), seen, ours(0o600, []byte(orderedFrom(o.spec.TLS))))}
	if !got.Accounts.Empty() {
		ops = append(ops, writeOp(o.account(), seen, ours(0o600, []byte(got.Accounts.Reveal()))))
	}
	if seen[o.unused()].Exists {
		ops = append(ops, removeOp(host.File, o.unused().Path))
	}
	ops = append(ops, generation(o.place, seen, got.FullchainPEM, got.KeyPEM)...)
	return append(ops, o.live(seen, got.FullchainPEM)...), nil
}

// obtain asks the CA.
func (o ordered) obtain(ctx context.Context, options acme.Options) (got acme.Result, err error) {
	var end func() error
	if options.Challenge, end, err = o.throughProxy(ctx, o.answering(ctx, options.Challenge)); err != nil {
		return got, err
	}
	defer func() { err = firstError(err, end()) }()
	if err := options.Challenge.Sweep(); err != nil {
		return got, err
	}
	if err := o.preflight(ctx, options); err != nil {
		return got, err
	}
	got, err = acme.Obtain(ctx, options)
	o.learn(got)
	return got, err
}

// validMoment is now, or when a leaf that was just signed becomes valid: a CA's clock
// may be a little ahead of ours.
func validMoment(leafPEM []byte) time.Time {
	now := time.Now()
	if leaf, err := pki.Inspect(leafPEM); err == nil && leaf.NotBefore.After(now) {
		return leaf.NotBefore
	}
	return now
}

// preflight refuses an order that would fail, and tells what may make it fail.
func (o ordered) preflight(ctx context.Context, options acme.Options) error {
	if o.spec.TLS.SkipPreflight {
		return nil
	}
	for _, found := range acme.Preflight(ctx, options) {
		if found.Fatal {
			return found.Err
		}
		options.Say("warning: " + found.Err.Error())
	}
	return nil
}

// ours is a file that no registry process reads.
func ours(mode fs.FileMode, data []byte) host.Fact {
	return host.Fact{Exists: true, Data: data, Mode: mode, UID: ourUID(), GID: ourGID()}
}
