package host

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/regctl/regctl/internal/host/script"
	"github.com/regctl/regctl/internal/secret"
)

// SSHOptions say how to log in. The zero value does as ssh(1) would, strictly.
type SSHOptions struct {
	User       string   // where neither the target nor anything else names one
	Port       int      // likewise
	Identities []string // private key files; others and ssh_config's are then not tried
	ConfigFile string   // in place of ~/.ssh/config and /etc/ssh/ssh_config; "none" for neither
	KnownHosts []string // in place of ssh_config's files; new keys go to the first
	// AcceptNewHostKeys records a host that is not known. A changed key is refused
	// all the same.
	AcceptNewHostKeys bool
	// KeepKnownHosts has AcceptNewHostKeys write nothing down.
	KeepKnownHosts bool
	Jump           string // as in ssh -J; "none" for no jump

	// Password is asked for once, and only when a host takes no key; nil: never.
	Password func() (secret.String, error)
	// Passphrase is asked for once a key file, and only when a host takes that key.
	Passphrase func(path string) (secret.String, error)
	// BecomePassword is asked for once, and only when a sudo asks; nil: never.
	BecomePassword func() (secret.String, error)
	// AsLogin stays the user who logged in. Otherwise everything is done as root, by
	// sudo where need be.
	AsLogin bool
	// OrLogin stays that user where there is no sudo, or one that asks for a password
	// and BecomePassword is nil.
	OrLogin bool

	// ConnectTimeout covers connecting and the whole handshake, of each host on the
	// way; 0 is 10 s. Timeout ends a host's connection whatever it is doing; 0 is never.
	ConnectTimeout, Timeout time.Duration
	Warn                    func(string) // nil: warnings are dropped
	UndoDir                 string       // on the host; "" as in NewShell
	Home                    string       // of the user here; "" finds it
}

// Dialer logs in to hosts. They share what can be shared: a connection to each jump
// host, the agent, keys, passwords, known hosts. It is for use by several goroutines.
type Dialer struct {
	opts       SSHOptions
	home, self string
	configs    configs
	known      knownKeys
	keys       keyring
	password   asked
	become     asked
	script     func() string // the same for all hosts, and made once

	mu     sync.Mutex
	jumps  map[string]*jump
	logins map[string]chan struct{} // how many are under way, by address
}

// sshd refuses some when more than ten have not yet logged in.
const loginsAtOnce = 8

// NewDialer returns a Dialer. Close it after the hosts.
func NewDialer(opts SSHOptions) (*Dialer, error) {
	if opts.ConnectTimeout == 0 {
		opts.ConnectTimeout = 10 * time.Second
	}
	d := &Dialer{opts: opts, home: opts.Home, jumps: map[string]*jump{}, logins: map[string]chan struct{}{}}
	if d.home == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("find your home folder: %w", err)
		}
		d.home = home
	}
	if u, err := user.Current(); err == nil {
		d.self = u.Username
	}
	d.configs = configs{file: opts.ConfigFile, home: d.home, warn: opts.Warn}
	d.known.acceptNew, d.known.readOnly = opts.AcceptNewHostKeys, opts.KeepKnownHosts
	d.keys.passphrase = opts.Passphrase
	d.password.ask, d.become.ask = opts.Password, opts.BecomePassword
	d.script = sync.OnceValue(script.Main)
	return d, nil
}

// DialSSH logs in to one host. Closing the host closes everything.
func DialSSH(ctx context.Context, t Target, opts SSHOptions) (*SSH, error) {
	d, err := NewDialer(opts)
	if err != nil {
		return nil, err
	}
	s, err := d.Dial(ctx, t)
	if err != nil {
		d.Close()
		return nil, err
	}
	s.owned = d
	return s, nil
}

// SSH is a machine that is logged in to. It takes one session and keeps it.
type SSH struct {
	remote
	client *ssh.Client
	user   string
	dialer *Dialer
	owned  *Dialer // closed with the host
	closed chan struct{}
	once   sync.Once
	expire *time.Timer
	opened bool // there has been a session
}

var (
	_ Host = (*SSH)(nil)
	_ Host = (*Shell)(nil)
)

// Dial logs in to a host. Its errors name the host as it was given.
func (d *Dialer) Dial(ctx context.Context, t Target) (*SSH, error) {
	e, err := d.resolve(ctx, t, true)
	if err != nil {
		return nil, err
	}
	client, err := d.login(ctx, e, nil)
	if err != nil {
		return nil, err
	}
	s := &SSH{client: client, user: e.user, dialer: d, closed: make(chan struct{})}
	s.remote = remote{name: t.Given, undoDir: d.opts.UndoDir, open: s.open}
	go keepAlive(client, s.closed)
	if d.opts.Timeout > 0 {
		s.expire = time.AfterFunc(d.opts.Timeout, func() { _ = client.Close() })
	}
	return s, nil
}

// Close ends the connection, and with it the script: what it was asked to do is
// done by then, or it ends after the op under way.
func (s *SSH) Close() error {
	s.once.Do(func() {
		close(s.closed)
		if s.expire != nil {
			s.expire.Stop()
		}
		_ = s.client.Close() // there is nothing left to lose
		if s.owned != nil {
			s.owned.Close()
		}
	})
	return s.remote.Close()
}

// DialHost opens a connection from the host to an address that it can reach.
func (s *SSH) DialHost(ctx context.Context, network, address string) (net.Conn, error) {
	return s.client.DialContext(ctx, network, address)
}

// Close ends the connections to jump hosts and to the agent.
func (d *Dialer) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.jumps {
		j.close()
	}
	clear(d.jumps)
	d.keys.close()
}

const keepAliveEvery = 15 * time.Second

// keepAlive ends a connection that is dead: its host went away without a word.
func keepAlive(client *ssh.Client, closed <-chan struct{}) {
	tick := time.NewTicker(keepAliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-closed:
			return
		case <-tick.C:
		}
		dead := time.AfterFunc(keepAliveEvery, func() { _ = client.Close() })
		_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
		dead.Stop()
		if err != nil {
			return
		}
	}
}

// asked is a secret that is asked for once.
type asked struct {
	ask  func() (secret.String, error)
	once sync.Once
	text secret.String
	err  error
}

func (a *asked) get() (secret.String, error) {
	a.once.Do(func() {
		if a.ask != nil {
			a.text, a.err = a.ask()
		}
	})
	return a.text, a.err
}

var _ io.Closer = (*SSH)(nil)
