package embeddedregistry

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/htpasswd"
)

// accounts are who may come in, as the files say now: htpasswd, and regctl-serve.yaml,
// which says whether anybody is asked at all. Neither needs a restart.
type accounts struct {
	users, extra string // paths; extra is "" where config.yml says it all
	gateway      string // Docker's, as requests come from it

	current atomic.Pointer[roster]
	mu      sync.Mutex // held by who looks at the files
	looked  atomic.Int64
	stamp   [3]os.FileInfo // of users, extra and the key of tokens
}

// roster is one state of the files. It does not change.
type roster struct {
	on     bool
	from   *extraAuth // what it was made of
	issuer *issuer    // not nil: everybody needs a token
	broken bool       // the file of users or the key cannot be read: nobody comes in
	realm  string
	users  map[string]string // the hash of each
	old    map[string][]graceHash
	dummy  string // a hash for users that there are not
	sender sender
}

// newAccounts takes htpasswd out of config: the gate does in its place what the app
// would.
func newAccounts(config *configuration.Configuration, configPath string, e extra) (*accounts, error) {
	a := &accounts{}
	if strings.EqualFold(config.Auth.Type(), "htpasswd") {
		p := config.Auth.Parameters()
		realm, _ := p["realm"].(string)
		a.users, _ = p["path"].(string)
		if realm == "" || a.users == "" {
			return nil, fault.Usage("set both", "auth.htpasswd: realm and path are needed")
		}
		config.Auth = nil
		e.Auth = &extraAuth{Realm: realm}
	} else if configPath != "" {
		a.users = filepath.Join(filepath.Dir(configPath), "htpasswd")
		a.extra = filepath.Join(filepath.Dir(configPath), extraName)
	}
	a.gateway = dockerGateway()
	if e.Auth != nil {
		if config.Auth.Type() == "token" {
			return nil, fault.Usage("remove one of the two", "%s: auth: config.yml has auth.token", extraName)
		}
		if err := checkHtpasswd(a.users); err != nil {
			return nil, err
		}
	}
	a.current.Store(&roster{})
	a.stamp = a.stat()
	a.read(e.Auth)
	if e.Auth != nil && e.Auth.Token != nil {
		if _, err := newIssuer(e.Auth.Token, a.key()); err != nil {
			return nil, fault.Fail("regctl apply makes another", "the key that signs tokens: %w", err)
		}
	}
	a.looked.Store(time.Now().UnixNano())
	return a, nil
}

// look gives the roster as it was at most lookEvery ago, or, at once, as it is now.
func (a *accounts) look(atOnce bool) *roster {
	if a.users == "" || !atOnce && time.Now().UnixNano()-a.looked.Load() < int64(lookEvery) {
		return a.current.Load()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.stat()
	if sameFile(now[0], a.stamp[0]) && sameFile(now[1], a.stamp[1]) && sameFile(now[2], a.stamp[2]) {
		a.looked.Store(time.Now().UnixNano())
		return a.current.Load()
	}
	a.stamp = now // taken before reading: a change meanwhile is seen the next time
	was := a.current.Load()
	auth := was.from
	if a.extra != "" {
		if e, err := readExtra(a.extra); err == nil {
			auth = e.Auth
		} else {
			logrus.Errorf("keeping the settings in use: %v", err)
		}
	}
	a.read(auth)
	a.looked.Store(time.Now().UnixNano())
	if now := a.current.Load(); now.on != was.on {
		logrus.Warnf("authentication is %s", map[bool]string{true: "on", false: "off"}[now.on])
	}
	return a.current.Load()
}

// key is where the key of tokens lies.
func (a *accounts) key() string { return filepath.Join(filepath.Dir(a.extra), tokenKeyName) }

// stat never fails: a file that is missing has a stamp too.
func (a *accounts) stat() (s [3]os.FileInfo) {
	s[0], _ = os.Stat(a.users)
	if a.extra != "" {
		s[1], _ = os.Stat(a.extra)
		s[2], _ = os.Stat(a.key())
	}
	return s
}

// read makes a new roster.
func (a *accounts) read(e *extraAuth) {
	if e == nil {
		a.current.Store(&roster{})
		return
	}
	r := &roster{on: true, from: e, realm: e.Realm, users: map[string]string{}, old: map[string][]graceHash{}}
	r.sender.proxies = e.Proxies
	if e.DockerGateway {
		r.sender.gateway = a.gateway
	}
	for _, g := range e.Grace {
		r.old[g.User] = append(r.old[g.User], g)
	}
	data, err := os.ReadFile(a.users)
	if err != nil {
		logrus.Errorf("nobody can log in: %v", err)
		r.broken = true
	}
	if e.Token != nil {
		if r.issuer, err = newIssuer(e.Token, a.key()); err != nil {
			logrus.Errorf("nobody can have a token: %v", err)
			r.broken = true
		}
	}
	r.enrol(htpasswd.Parse(data))
	a.current.Store(r)
}

// enrol takes over who has a hash that can be checked. The dummy is as dear as most.
func (r *roster) enrol(f *htpasswd.File) {
	problems := f.Problems()
	for _, p := range problems[:min(len(problems), 10)] {
		logrus.Warnf("htpasswd: line %d: %s", p.Line, p.Text)
	}
	costs, most := map[int]int{}, 0
	for _, u := range f.Users() {
		if !htpasswd.Usable(u.Hash) {
			continue
		}
		r.users[u.Name] = u.Hash
		c := htpasswd.Cost(u.Hash)
		if costs[c]++; costs[c] > costs[most] {
			most = c
		}
	}
	r.dummy = htpasswd.Dummy(cmp.Or(most, htpasswd.DefaultCost))
}

// hashes are those that let a user in now: the file's, and one whose grace is not over.
func (r *roster) hashes(user string) []string {
	hash, known := r.users[user]
	if !known {
		return nil
	}
	all := []string{hash}
	for _, g := range r.old[user] {
		if time.Now().Before(g.Until) {
			all = append(all, g.Hash)
		}
	}
	return all
}
