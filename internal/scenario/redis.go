package scenario

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// redisTime is how long a Redis may take to answer.
const redisTime = 5 * time.Second

// Our copies, in the registry's directory.
const (
	redisPasswordPath = "secrets/redis"
	redisCAPath       = "serve/" + distconfig.RedisCA
)

func redisPasswordRef(p Place) host.Ref { return fileRef(p.Dir.Join(redisPasswordPath)) }
func redisCARef(p Place) host.Ref       { return fileRef(p.Dir.Join(redisCAPath)) }

// redisRefs are the operator's file of the password and our copy; none without one.
func redisRefs(s spec.Spec, p Place) []host.Ref {
	if s.Redis.PasswordFile == "" {
		return nil
	}
	return []host.Ref{sourceRef(s.Redis.PasswordFile), redisPasswordRef(p)}
}

// redisPassword is the password of the shared cache, and the ops that keep our copy of
// it, which counts where the operator's file has gone.
func redisPassword(s spec.Spec, p Place, seen host.Facts) (password string, copied step.Change, err error) {
	if s.Redis.PasswordFile == "" {
		return "", copied, nil
	}
	source, kept := seen[sourceRef(s.Redis.PasswordFile)], seen[redisPasswordRef(p)]
	data := source.Data
	if !source.Exists && kept.Exists {
		data = kept.Data
	} else if err := privatePassword(s.Redis.PasswordFile, source); err != nil {
		return "", copied, err
	}
	if password = strings.TrimRight(string(data), "\r\n"); password == "" {
		return "", copied, fault.Usage("write the password into it", "%s is empty", s.Redis.PasswordFile)
	}
	copied, err = step.WriteFile{
		Path: redisPasswordRef(p).Path, Data: []byte(password + "\n"), Mode: 0o600, UID: ourUID(), GID: ourGID(), Secret: true,
	}.Plan(seen)
	return password, copied, err
}

func privatePassword(path string, source host.Fact) error {
	if err := brought("--redis-password-file", path, source); err != nil {
		return err
	}
	if openToOthers(source.Mode) {
		return fault.Usage("chmod 600 "+path, "%s has mode %04o: a password is nobody else's to read", path, source.Mode)
	}
	return nil
}

// redisCA is the step that keeps the CA of the shared cache where the registry reads it.
type redisCA struct {
	spec  spec.Spec
	place Place
}

// sharedCache is what a registry needs of its Redis beside config.yml.
func sharedCache(s spec.Spec, p Place) []step.Step {
	if s.Redis.CA == "" {
		return nil
	}
	return []step.Step{redisCA{s, p}}
}

func (c redisCA) Name() string { return redisCARef(c.place).Path }
func (c redisCA) Reads() []host.Ref {
	return []host.Ref{sourceRef(c.spec.Redis.CA), redisCARef(c.place)}
}

func (c redisCA) Plan(seen host.Facts) (step.Change, error) {
	source, kept := seen[sourceRef(c.spec.Redis.CA)], seen[redisCARef(c.place)]
	if !source.Exists && kept.Exists {
		return step.Change{}, nil
	}
	if err := brought("--redis-ca", c.spec.Redis.CA, source); err != nil {
		return step.Change{}, err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(source.Data) {
		return step.Change{}, fault.Usage("give the CA's certificate as PEM", "%s holds no certificate", c.spec.Redis.CA)
	}
	return step.WriteFile{
		Path: redisCARef(c.place).Path, Data: source.Data, Mode: 0o600, UID: c.place.UID, GID: c.place.GID,
	}.Plan(seen)
}

// redisPreflight asks the Redis whether it answers a PING from this machine, with the
// password and the CA that the registries will have.
func (r *Registry) redisPreflight(ctx context.Context, p Place) error {
	s := r.Spec
	if s.Redis.URL == "" {
		return nil
	}
	refs := append(redisRefs(s, p), redisCARef(p))
	if s.Redis.CA != "" {
		refs = append(refs, sourceRef(s.Redis.CA))
	}
	seen, err := host.NewLocal(nil).Look(ctx, refs)
	if err != nil {
		return err
	}
	r.restoring.lay(seen, p)
	password, _, err := redisPassword(s, p, seen)
	if err != nil {
		return err
	}
	if _, err := (redisCA{s, p}).Plan(seen); s.Redis.CA != "" && err != nil {
		return err
	}
	ca := seen[sourceRef(s.Redis.CA)].Data
	if len(ca) == 0 {
		ca = seen[redisCARef(p)].Data
	}
	return pingRedis(ctx, s.Redis.Server(), password, ca)
}

func pingRedis(ctx context.Context, server spec.RedisServer, password string, ca []byte) error {
	options := &redis.Options{
		Addr: server.Addr, Username: server.User, Password: password, DB: server.DB,
		DialTimeout: redisTime, ReadTimeout: redisTime, MaxRetries: -1, PoolSize: 1, DisableIdentity: true,
	}
	if server.TLS {
		options.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		options.TLSConfig.RootCAs.AppendCertsFromPEM(bytes.TrimSpace(ca))
	}
	client := redis.NewClient(options)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return fault.Fail(redisHint(err), "the Redis at %s: %w", server.Addr, err)
	}
	return nil
}

// redisHint tells what mends a refusal, by the words that Redis has for it.
func redisHint(err error) string {
	said := err.Error()
	var untrusted *tls.CertificateVerificationError
	switch {
	case strings.HasPrefix(said, "NOAUTH"):
		return "it wants a password: --redis-password-file"
	case strings.HasPrefix(said, "WRONGPASS"):
		return "mend the password in --redis-password-file, or the user in --redis"
	case strings.Contains(said, "without any password configured"):
		return "it has no password: leave --redis-password-file out, or set requirepass there"
	case strings.HasPrefix(said, "DENIED"):
		return "Redis is in protected mode: set requirepass there, and give it by --redis-password-file"
	case strings.Contains(said, "DB index"):
		return "choose a database that it has, or leave the number out of --redis"
	case errors.As(err, &untrusted):
		return "--redis-ca is the CA of its certificate, which must name the host in --redis"
	case strings.Contains(said, "tls:"), strings.Contains(said, "EOF"), strings.Contains(said, "connection reset"), errors.Is(err, context.DeadlineExceeded):
		return "redis:// is without TLS, rediss:// with it: write in --redis what it speaks there"
	}
	return "start it, or mend --redis; it must listen on an address that containers reach"
}
