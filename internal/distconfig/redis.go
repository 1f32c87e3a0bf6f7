package distconfig

import (
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// RedisCA is the file beside config.yml that vouches for the certificate of Redis.
const RedisCA = "redis-ca.crt"

// cacheOf is where sizes and digests of blobs are remembered. Replicas that each
// remembered for themselves would offer what another has deleted: without a Redis they
// ask the storage. So does a mirror: a layer that expires in one repository goes from
// all, and distribution forgets it for that one alone.
func cacheOf(s spec.Spec) string {
	switch {
	case s.IsMirror():
		return ""
	case s.Redis.URL != "":
		return "redis"
	case s.Count() > 1:
		return ""
	}
	return "inmemory"
}

// redisOf is the cache that replicas share, nil for none. Distribution 2.8 speaks
// neither TLS with it nor as a user.
func redisOf(s spec.Spec, f Flavour) (*spec.RedisServer, error) {
	if s.Redis.URL == "" {
		return nil, nil
	}
	server := s.Redis.Server()
	if f == Stock2 && (server.TLS || server.User != "") {
		return nil, fault.Usage("use --image registry:3 or the embedded registry, or a Redis without them",
			"redis.url (--redis): registry 2 knows neither TLS nor users of Redis")
	}
	return &server, nil
}
