package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
)

func TestWaysToLogIn(t *testing.T) {
	s := startSSHD(t)
	locked := filepath.Join(t.TempDir(), "locked")
	public := writeKey(t, locked, "open sesame")
	put(t, filepath.Join(s.dir, "authorized"), content(t, s.key+".pub")+string(ssh.MarshalAuthorizedKey(public)), 0o644)
	var passphrases, passwords atomic.Int32
	answer := func(n *atomic.Int32, text string) func() (secret.String, error) {
		return func() (secret.String, error) { n.Add(1); return secret.New(text), nil }
	}
	tests := []struct {
		name string
		set  func(*host.SSHOptions)
		want string
		hint string
		asks [2]int32 // passphrases, passwords
	}{
		{"a key", func(*host.SSHOptions) {}, "", "", [2]int32{}},
		{"a locked key, three hosts", func(o *host.SSHOptions) { o.Identities = []string{locked} }, "", "", [2]int32{1, 0}},
		{"a locked key, wrong passphrase", func(o *host.SSHOptions) {
			o.Identities = []string{locked}
			o.Passphrase = func(string) (secret.String, error) { passphrases.Add(1); return secret.New("wrong"), nil }
		}, "that is not its passphrase", "the right one", [2]int32{1, 0}},
		{"a locked key and nobody to ask", func(o *host.SSHOptions) { o.Identities, o.Passphrase = []string{locked}, nil }, "has a passphrase", "ssh-agent", [2]int32{}},
		{"a password, three hosts", func(o *host.SSHOptions) {
			o.Identities, o.Password = nil, answer(&passwords, password)
		}, "", "", [2]int32{0, 1}},
		{"a wrong password", func(o *host.SSHOptions) { o.Identities, o.Password = nil, answer(&passwords, "wrong") }, "login as root was refused", "--identity", [2]int32{0, 1}},
		{"nothing", func(o *host.SSHOptions) { o.Identities = nil }, "login as root was refused", "--identity", [2]int32{}},
		{"a key that is not there", func(o *host.SSHOptions) { o.Identities = []string{locked + "none"} }, "no such file", "--identity", [2]int32{}},
	}
	for _, tt := range tests {
		passphrases.Store(0)
		passwords.Store(0)
		opts := s.options()
		opts.Passphrase = func(string) (secret.String, error) { passphrases.Add(1); return secret.New("open sesame"), nil }
		tt.set(&opts)
		d, err := host.NewDialer(opts)
		must(t, err)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				h, err := d.Dial(t.Context(), s.target("root"))
				if err == nil {
					defer h.Close()
				}
				if (tt.want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(fault.Hint(err), tt.hint)) {
					t.Errorf("%s: %v, hint %q; want %q", tt.name, err, fault.Hint(err), tt.want)
				}
			})
		}
		wg.Wait()
		d.Close()
		if got := [2]int32{passphrases.Load(), passwords.Load()}; got != tt.asks {
			t.Errorf("%s: asked %d times, want %d", tt.name, got, tt.asks)
		}
	}
	t.Run("agent", func(t *testing.T) { throughAgent(t, s) })
}

func throughAgent(t *testing.T, s *sshd) {
	key, err := ssh.ParseRawPrivateKey([]byte(content(t, s.key)))
	must(t, err)
	keys := agent.NewKeyring()
	must(t, keys.Add(agent.AddedKey{PrivateKey: key}))
	socket := filepath.Join(s.dir, "agent")
	l, err := net.Listen("unix", socket)
	must(t, err)
	defer l.Close()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() { _ = agent.ServeAgent(keys, conn) }()
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	opts := s.options()
	opts.Identities = nil
	h, err := s.dial(t, "root", opts)
	if err == nil {
		err = works(t, h)
	}
	must(t, err)
}

func TestIPv6(t *testing.T) {
	s := startSSHD(t)
	target, err := host.ParseTarget(fmt.Sprintf("root@[::1]:%d", s.port))
	must(t, err)
	h, err := host.DialSSH(t.Context(), target, s.options())
	must(t, err)
	defer h.Close()
	must(t, works(t, h))
}

// Thirty-two hosts behind a default sshd: one connection to it, and all get through.
func TestJumpHosts(t *testing.T) {
	bastion, s := startSSHD(t, "MaxStartups 10:30:100", "LogLevel VERBOSE"), startSSHD(t)
	opts := s.options()
	opts.Identities = append(opts.Identities, bastion.key)
	put(t, opts.KnownHosts[0], content(t, opts.KnownHosts[0])+bastion.knownLine("127.0.0.1"), 0o600)
	opts.Jump = fmt.Sprintf("plain@127.0.0.1:%d,root@127.0.0.1:%d", bastion.port, bastion.port)
	d, err := host.NewDialer(opts)
	must(t, err)
	defer d.Close()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			h, err := d.Dial(t.Context(), s.target("root"))
			if err != nil {
				t.Error(err)
				return
			}
			defer h.Close()
			if i < 2 {
				_, err = h.Look(t.Context(), []host.Ref{{Kind: host.Source, Path: "/etc/passwd"}})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(content(t, filepath.Join(bastion.dir, "log")), "Accepted publickey"); n != 2 {
		t.Errorf("%d logins at the jump host, want 2: the chain goes through it twice", n)
	}
	opts.Jump = "127.0.0.1:1"
	if _, err := s.dial(t, "root", opts); err == nil || err.Error() != "root: jump host 127.0.0.1:1: nothing listens at 127.0.0.1:1" || fault.Hint(err) == "" {
		t.Error(err)
	}
}

// A host that never answers, or only ever a little, is given up in time.
func TestConnectTimeoutCoversTheHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				defer conn.Close()
				for err := error(nil); err == nil; _, err = conn.Write([]byte("hold the line\r\n")) {
					<-time.After(20 * time.Millisecond)
				}
			}()
		}
	}()
	target := host.Target{Given: "slow", User: "root", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	opts := host.SSHOptions{ConfigFile: "none", Home: t.TempDir(), ConnectTimeout: 300 * time.Millisecond}
	began := time.Now()
	_, err = host.DialSSH(t.Context(), target, opts)
	if err == nil || !strings.Contains(err.Error(), "within 300ms") || fault.Hint(err) == "" || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = host.DialSSH(ctx, target, opts); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	target.Port = 1
	if _, err = host.DialSSH(t.Context(), target, opts); err == nil || err.Error() != "slow: nothing listens at 127.0.0.1:1" {
		t.Error(err)
	}
}

// Look and Do take four round trips after login: to open a session, to start a command
// in it (before that sshd's window is shut), to look and to do. To close takes none.
func TestRoundTrips(t *testing.T) {
	s := startSSHD(t)
	line := listenOn(t, s.port)
	known := filepath.Join(s.dir, "known_hosts")
	put(t, known, strings.ReplaceAll(content(t, known), fmt.Sprint(s.port), fmt.Sprint(line.port)), 0o600)
	for _, user := range []string{"root", "free"} {
		target := s.target(user)
		target.Port = line.port
		h, err := host.DialSSH(t.Context(), target, s.options())
		must(t, err)
		before := line.turns.Load()
		carryOut(t, h, edited{filepath.Join(t.TempDir(), "daemon.json"), "one"})
		if trips := line.turns.Load() - before; trips != 4 {
			t.Errorf("%s: %d round trips, want 4", user, trips)
		}
		line.deaf.Store(true)
		began := time.Now()
		must(t, h.Close())
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it waited %s for an answer to its farewell", user, took)
		}
		line.deaf.Store(false)
	}
}

// counter is a proxy to a local port that counts how often the client speaks after it
// has heard something.
type counter struct {
	port  int
	heard atomic.Bool
	turns atomic.Int32
	deaf  atomic.Bool  // nothing more gets through
	sent  atomic.Int64 // bytes of the client's
	until atomic.Int64 // as many get through, unless it is 0; then the line is cut
}

func (c *counter) cut(after int64) { c.until.Store(after) }

func listenOn(t *testing.T, to int) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	c := &counter{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for in, err := l.Accept(); err == nil; in, err = l.Accept() {
			out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				in.Close()
				return
			}
			go c.pass(out, in, func(n int) int {
				if c.heard.Swap(false) {
					c.turns.Add(1)
				}
				total := c.sent.Add(int64(n))
				if until := c.until.Load(); until > 0 && total > until {
					return max(0, n-int(total-until))
				}
				return n
			})
			go c.pass(in, out, func(n int) int {
				c.heard.Store(true)
				return n
			})
		}
	}()
	return c
}

// pass hands on what note lets through, and cuts the line when that is not all.
func (c *counter) pass(to, from net.Conn, note func(n int) int) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if c.deaf.Load() {
			continue
		}
		through := note(n)
		if _, err := to.Write(buffer[:through]); err != nil || through < n {
			return
		}
	}
}
