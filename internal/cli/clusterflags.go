package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/spec"
)

// clusterFlags say how many registries run, and what cache they share.
type clusterFlags struct {
	replicas            int
	redis, password, ca string
	secretFile          string
}

func (s *clusterFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&s.replicas, "replicas", 1, "with --proxy or --runtime swarm: so many registries side by side, restarted one at a time")
	f.StringVar(&s.secretFile, "http-secret-file", "", "a file with the secret that signs uploads under way, the same for all registries that share storage; regctl keeps a copy (default: one is made up)")
	f.StringVar(&s.redis, "redis", "", "redis://[USER@]HOST[:PORT][/DB], or rediss:// for TLS: the cache that the registries share")
	f.StringVar(&s.password, "redis-password-file", "", "with --redis: the file that holds its password; regctl keeps a copy")
	f.StringVar(&s.ca, "redis-ca", "", "with --redis rediss://: the CA of its certificate, PEM")
}

// over lays the given flags over out. One registry is what there is anyhow.
func (s *clusterFlags) over(given func(string) bool, out *spec.Spec) {
	if given("replicas") && (s.replicas != 1 || out.Replicas != 0) {
		out.Replicas = s.replicas
	}
	if given("redis") {
		out.Redis.URL = s.redis
	}
	if given("redis-password-file") {
		out.Redis.PasswordFile = absolute(s.password)
	}
	if given("redis-ca") {
		out.Redis.CA = absolute(s.ca)
	}
}
