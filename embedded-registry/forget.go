package embeddedregistry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/redis/go-redis/v9"
	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// Keys of distribution's registry/storage/cache/redis, v3.1.2, which are those of 2.8
// too: a hash for each blob, and for each repository a set of digests and, in hashes,
// their media types.
const (
	blobKeys       = "blobs::"
	repositoryKeys = "repository::"
	repositorySet  = "::blobs"
)

// forgetBatch is how many keys, or members of a set, go in one round trip.
const forgetBatch = 1000

// SharedCache is the Redis in which registries remember what blobs there are. It may
// have other keys, which are left alone.
type SharedCache struct {
	Addr   string // host:port; of several the first
	client redis.UniversalClient
}

// OpenSharedCache opens the Redis that config.yml, of a stock image too, remembers blobs
// in; it is nil where there is none. Nothing is asked of it yet. rewrite maps the paths
// of its certificates as that of Options does, and may be nil.
func OpenSharedCache(configYAML []byte, rewrite func(path string) string) (*SharedCache, error) {
	var config struct {
		Storage struct {
			Cache struct {
				BlobDescriptor, LayerInfo string
			}
		}
		Redis struct {
			configuration.Redis `yaml:",inline"`

			Addr string // that of registry 2
		}
	}
	if err := yaml.Unmarshal(configYAML, &config); err != nil {
		return nil, fault.Usage("regctl config validate FILE names the line", "%w", err)
	}
	if cache := config.Storage.Cache; cache.BlobDescriptor != cacheRedis && cache.LayerInfo != cacheRedis {
		return nil, nil
	}
	o := config.Redis.Options
	if addr := config.Redis.Addr; addr != "" {
		o.Addrs = []string{addr}
	}
	if len(o.Addrs) == 0 {
		return nil, fault.Usage("name it in redis.addrs", "storage.cache is in a Redis of which nothing says where it is")
	}
	secure, err := redisTLS(config.Redis.TLS, rewrite)
	if err != nil {
		return nil, err
	}
	return &SharedCache{o.Addrs[0], redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addrs, MasterName: o.MasterName, DB: o.DB, TLSConfig: secure, DisableIdentity: true,
		Username: o.Username, Password: o.Password, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
	})}, nil
}

// redisTLS is nil for a Redis that is spoken to without, as distribution does it.
func redisTLS(t configuration.RedisTLSOptions, rewrite func(string) string) (*tls.Config, error) {
	if t.Certificate == "" && t.Key == "" && len(t.RootCAs) == 0 {
		return nil, nil
	}
	if rewrite == nil {
		rewrite = func(path string) string { return path }
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.Certificate != "" && t.Key != "" {
		pair, err := tls.LoadX509KeyPair(rewrite(t.Certificate), rewrite(t.Key))
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	for _, ca := range t.RootCAs {
		pem, err := os.ReadFile(rewrite(ca))
		if err != nil {
			return nil, err
		}
		if c.RootCAs == nil {
			c.RootCAs = x509.NewCertPool()
		}
		c.RootCAs.AppendCertsFromPEM(pem)
	}
	return c, nil
}

// Ping asks whether it answers.
func (c *SharedCache) Ping(ctx context.Context) error { return c.client.Ping(ctx).Err() }

// Close ends its connections.
func (c *SharedCache) Close() error { return c.client.Close() }

// Forget has it know none of these digests any more, in no repository. A registry that
// asks for one meanwhile may put it back: see Writes.Uncached.
func (c *SharedCache) Forget(ctx context.Context, digests []string) error {
	if len(digests) == 0 {
		return nil
	}
	gone := make(map[string]bool, len(digests))
	for _, d := range digests {
		gone[d] = true
	}
	for some := range slices.Chunk(digests, forgetBatch) {
		if err := c.remove(ctx, some); err != nil {
			return err
		}
	}
	// A cluster of Redis servers has each list the keys of its own.
	if cluster, ok := c.client.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		return cluster.ForEachMaster(ctx, func(ctx context.Context, one *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			return c.forgetIn(ctx, one, gone)
		})
	}
	return c.forgetIn(ctx, c.client, gone)
}

func (c *SharedCache) remove(ctx context.Context, digests []string) error {
	_, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, d := range digests {
			p.Del(ctx, blobKeys+d)
		}
		return nil
	})
	return err
}

// forgetIn goes through the keys of repositories that one server lists.
func (c *SharedCache) forgetIn(ctx context.Context, server redis.Cmdable, gone map[string]bool) error {
	keys := server.Scan(ctx, 0, repositoryKeys+"*"+repositorySet+"*", forgetBatch).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		at := strings.LastIndex(key, repositorySet)
		var err error
		switch digest, ofOne := strings.CutPrefix(key[at+len(repositorySet):], "::"); {
		case key[at:] == repositorySet:
			err = c.forgetMembers(ctx, key, gone)
		case ofOne && gone[digest]:
			err = c.client.Del(ctx, key).Err()
		}
		if err != nil {
			return err
		}
	}
	return keys.Err()
}

// forgetMembers takes them out of a repository's set.
func (c *SharedCache) forgetMembers(ctx context.Context, key string, gone map[string]bool) error {
	var out []any
	members := c.client.SScan(ctx, key, 0, "", forgetBatch).Iterator()
	for members.Next(ctx) {
		if gone[members.Val()] {
			out = append(out, members.Val())
		}
	}
	if err := members.Err(); err != nil {
		return err
	}
	for some := range slices.Chunk(out, forgetBatch) {
		if err := c.client.SRem(ctx, key, some...).Err(); err != nil {
			return err
		}
	}
	return nil
}
