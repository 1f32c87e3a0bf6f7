package scenario

import (
	"context"
	"errors"
	"fmt"

	"github.com/regctl/regctl/internal/canary"
	"github.com/regctl/regctl/internal/engine"
)

// prove has the registry answer as clients ask it and, where it is the embedded one,
// each of its replicas serve an image that nobody has seen yet.
func (r *Registry) prove(ctx context.Context) (err error) {
	if err := r.awaitAnswer(ctx); err != nil {
		return err
	}
	asks := r.asksForPassword() && !r.Spec.ProxyAsks() // a proxy that asks is passed by
	if r.Spec.Image != "" || asks && !r.credentialOpensCanary() || r.Spec.Swarmed() {
		return nil // each task of a swarm was asked when it was waited for
	}
	if r.Progress != nil {
		r.Progress("pulling an image that nobody has seen yet")
	}
	ref, done, err := canary.Open(r.Dir, canary.Options{Address: r.Spec.Address(), Credential: asks})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for n := 1; n <= r.Spec.Count(); n++ {
		what := engine.Pull{Repository: ref.Repository, Tag: ref.Tag, Digests: ref.Digests, User: ref.User, Password: ref.Password}
		if err := replicaEndpoint(r.Spec, n).Pull(ctx, what); err != nil {
			return fmt.Errorf("%s does not serve: %w", replicaName(r.Spec, n), err)
		}
	}
	return nil
}
