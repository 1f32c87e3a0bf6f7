package spec

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Redis is the cache that replicas share.
type Redis struct {
	URL          string `yaml:"url,omitempty"`          // redis://[USER@]HOST[:PORT][/DB], or rediss:// for TLS
	PasswordFile string `yaml:"passwordFile,omitempty"` // regctl keeps a copy in secrets
	CA           string `yaml:"ca,omitempty"`           // PEM: who vouches for its certificate
}

// RedisServer is where a Redis is, and how it is spoken to.
type RedisServer struct {
	Addr string // host:port
	User string // "" is Redis' own default user
	DB   int
	TLS  bool
}

// maxReplicas bounds a slip of the finger; one machine gains nothing from so many.
const maxReplicas = 32

// Count is how many registries run.
func (s Spec) Count() int { return max(s.Replicas, 1) }

// Server takes the URL apart; it is that of a spec that passes Validate, or "".
func (r Redis) Server() RedisServer {
	server, _ := r.server()
	return server
}

func (r Redis) server() (server RedisServer, problem error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return server, errors.New("it is no URL") // what url says of it may hold a password
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || u.RawQuery+u.Fragment != "" {
		return server, fmt.Errorf("%q is not of the form redis://HOST:PORT/DB", u.Redacted())
	}
	server.TLS, server.User = u.Scheme == "rediss", u.User.Username()
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	server.Addr = net.JoinHostPort(u.Hostname(), port)
	if db := strings.Trim(u.Path, "/"); db != "" {
		if server.DB, err = strconv.Atoi(db); err != nil || server.DB < 0 {
			return server, fmt.Errorf("%q is no number of a database", db)
		}
	}
	return server, nil
}

func (s Spec) checkReplicas() *finding {
	switch n := s.Replicas; {
	case n < 0 || n > maxReplicas:
		return newFinding("replicas", fmt.Sprintf("a number from 1 to %d", maxReplicas), "%d is no number of registries", n)
	case n <= 1:
		return nil
	case !s.Proxied() && !s.Swarmed():
		return newFinding("replicas", "add --proxy nginx or --proxy apache, or --runtime swarm", "%d registries need a proxy in front, which has the one port that clients use", n)
	case s.Runtime == RuntimeProcess:
		return newFinding("replicas", "use --runtime docker, or leave it out", "a process of this machine runs once")
	case s.Storage.Driver == StorageInMemory:
		return newFinding("replicas", "use --storage filesystem", "with inmemory storage each of the %d would have images of its own", n)
	case s.Mirror.Of != "":
		return newFinding("replicas", "leave it out, or leave --mirror-of out", "a mirror keeps one list of what is to expire, which several would overwrite for each other")
	case s.Swarmed():
		return s.checkSwarmReplicas()
	case s.Image != "" && !s.ProxyOnHost():
		return newFinding("replicas", "leave --proxy-image or --image out", "nobody but the proxy's container reaches a stock image, so that nobody can tell when one of %d is ready for the next to be restarted", n)
	case s.Image != "" && s.ProxyOnHost() && s.Proxy.BackendPort()+n-1 > 65535:
		return newFinding("proxy.port", "choose a lower one", "%d registries need as many ports from %d on", n, s.Proxy.BackendPort())
	}
	return nil
}

func (s Spec) checkRedis() *finding {
	r := s.Redis
	if r.URL == "" {
		if r.PasswordFile+r.CA != "" {
			return newFinding("redis.url", "add --redis redis://HOST:6379, or leave it out", "there is no Redis to use passwordFile or ca for")
		}
		return nil
	}
	if u, err := url.Parse(r.URL); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return newFinding("redis.url", "put it into a file of mode 600 and name that with --redis-password-file", "a password is no part of the URL: regctl.yaml is no place for it")
		}
	}
	server, err := r.server()
	if err != nil {
		return newFinding("redis.url", "for example redis://cache.example.com:6379, or rediss:// for TLS", "%v", err)
	}
	for key, path := range map[string]string{"redis.passwordFile": r.PasswordFile, "redis.ca": r.CA} {
		if f := checkPath(key, path); f != nil {
			return f
		}
	}
	host, _, _ := net.SplitHostPort(server.Addr)
	addr, err := netip.ParseAddr(host)
	switch loopback := host == "localhost" || err == nil && addr.IsLoopback(); {
	case loopback && s.Runtime != RuntimeProcess:
		return newFinding("redis.url", "have Redis listen on an address that containers reach, such as that of the bridge docker0, and name that", "in a container %s is the container itself", host)
	case server.TLS && r.CA == "":
		return newFinding("redis.ca", "the CA of its certificate; of a public one /etc/ssl/certs/ca-certificates.crt", "rediss:// needs it")
	case !server.TLS && r.CA != "":
		return newFinding("redis.ca", "write rediss:// for TLS, or leave it out", "redis:// is without TLS")
	}
	return nil
}

// cluster writes both, where there is something to say.
func (w *writer) cluster(s Spec) {
	if s.Replicas == 0 && s.Redis.URL == "" {
		return
	}
	w.line("")
	if s.Replicas != 0 {
		w.key("replicas", s.Replicas, "registries side by side, behind the proxy or in the swarm")
	}
	if s.Redis.URL == "" {
		return
	}
	w.line("redis:")
	w.key("  url", s.Redis.URL, "the cache that they share")
	if s.Redis.PasswordFile != "" {
		w.key("  passwordFile", s.Redis.PasswordFile, "regctl keeps a copy in secrets")
	}
	if s.Redis.CA != "" {
		w.key("  ca", s.Redis.CA, "PEM: who vouches for its certificate")
	}
}
