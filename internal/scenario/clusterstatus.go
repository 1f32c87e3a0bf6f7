package scenario

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
)

// describeCluster tells of the replicas and what they share, and warns where they do
// not.
func (r *Registry) describeCluster(ctx context.Context, s *Status) {
	if r.Spec.Count() > 1 {
		s.Replicas = r.Spec.Count()
	}
	s.Redis = r.Spec.Redis.URL
	if err := r.askRedis(ctx); err != nil {
		warning := err.Error()
		if hint := fault.Hint(err); hint != "" {
			warning += ": " + hint
		}
		s.Warnings = append(s.Warnings, warning)
	}
	if s.State == Stopped {
		return
	}
	if odd := slices.Sorted(maps.Keys(r.oddReplicas())); len(odd) > 0 {
		s.Warnings = append(s.Warnings, oddWords(odd)+": regctl start restarts them")
	}
}

func oddWords(odd []string) string {
	return strings.Join(odd, ", ") + " runs with another HTTP secret or Redis than the others, so that an upload which crosses over ends"
}

// askRedis is redisPreflight for those who have only opened the runtime.
func (r *Registry) askRedis(ctx context.Context) error {
	return r.redisPreflight(ctx, Place{Dir: r.Dir})
}

// cluster is doctor's look at replicas and what they share.
func (e *examination) cluster(ctx context.Context) {
	if e.r.Spec.Redis.URL != "" {
		if err := e.r.askRedis(ctx); err != nil {
			e.failed("redis", err)
		} else {
			e.add("redis", CheckOK, "", "%s answers", e.r.Spec.Redis.Server().Addr)
		}
	}
	if e.r.Spec.Count() < 2 {
		return
	}
	if odd := slices.Sorted(maps.Keys(e.r.oddReplicas())); len(odd) > 0 {
		e.add("replicas", CheckFailed, "regctl start", "%s", oddWords(odd))
	} else if e.r.Spec.Socket() {
		e.add("replicas", CheckOK, "", "all %d have the same HTTP secret and cache", e.r.Spec.Count())
	}
}

// knownRedisPassword is what config.yml is rendered with where no plan is made.
func (r *Registry) knownRedisPassword(s spec.Spec) (string, error) {
	if s.Redis.PasswordFile == "" {
		return "", nil
	}
	p := Place{Dir: r.Dir}
	seen, err := host.NewLocal(nil).Look(context.Background(), redisRefs(s, p))
	if err != nil {
		return "", err
	}
	password, _, err := redisPassword(s, p, seen)
	return password, err
}
