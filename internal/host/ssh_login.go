package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/regctl/regctl/internal/fault"
)

// login connects to an endpoint and logs in; path are the jumps that led here.
func (d *Dialer) login(ctx context.Context, e endpoint, path []string) (*ssh.Client, error) {
	// Not the other way round: the way there may lead through the same address.
	via, err := d.via(ctx, e, path)
	if err != nil {
		return nil, err
	}
	free, err := d.slot(ctx, e)
	if err != nil {
		return nil, err
	}
	defer free()
	ctx, cancel := context.WithTimeoutCause(ctx, d.opts.ConnectTimeout, errTooSlow)
	defer cancel()
	conn, err := d.connect(ctx, e, via)
	if err != nil {
		return nil, d.unreachable(ctx, e, err)
	}
	client, err := d.handshake(ctx, e, conn)
	if err != nil {
		_ = conn.Close() // it is given up
		if said := story(conn); said != "" {
			err = fault.Fail(fault.Hint(err), "%w; its ProxyCommand said: %s", err, said)
		}
		return nil, err
	}
	return client, nil
}

var errTooSlow = errors.New("no answer in time")

// slot waits until there is room for one more login at the endpoint's address.
func (d *Dialer) slot(ctx context.Context, e endpoint) (free func(), err error) {
	d.mu.Lock()
	address := strings.Join(e.jumps, ",") + " " + e.host // names differ behind a jump host
	slots, ok := d.logins[address]
	if !ok {
		slots = make(chan struct{}, loginsAtOnce)
		d.logins[address] = slots
	}
	d.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Dialer) connect(ctx context.Context, e endpoint, via *ssh.Client) (net.Conn, error) {
	address := net.JoinHostPort(e.host, fmt.Sprint(e.port))
	switch {
	case via != nil:
		return via.DialContext(ctx, "tcp", address)
	case e.proxyCommand != "":
		return runProxy(e.proxyCommand)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}

// handshake proves who the host is and logs in, within ctx as a whole: a host that
// sends a byte now and then is not waited for.
func (d *Dialer) handshake(ctx context.Context, e endpoint, conn net.Conn) (*ssh.Client, error) {
	algorithms, err := d.known.algorithms(e)
	if err != nil {
		return nil, err
	}
	var problem error
	auth := d.auth(e)
	config := &ssh.ClientConfig{
		User:              e.user,
		Auth:              auth.methods(),
		HostKeyCallback:   d.known.check(e, &problem),
		HostKeyAlgorithms: algorithms,
	}
	// curve25519 costs the least; with a group of 4096 bits a handshake takes thirty
	// times as long.
	config.KeyExchanges = []string{
		ssh.KeyExchangeCurve25519, "curve25519-sha256@libssh.org", ssh.KeyExchangeMLKEM768X25519,
		ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
		ssh.KeyExchangeDH14SHA256, ssh.KeyExchangeDH16SHA512,
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(readAhead{conn, bufio.NewReader(conn)}, e.keyName(), config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	switch {
	case err == nil:
		return ssh.NewClient(c, channels, requests), nil
	case problem != nil:
		return nil, problem
	case auth.problem != nil:
		return nil, auth.problem
	case ctx.Err() != nil:
		return nil, d.unreachable(ctx, e, ctx.Err())
	}
	return nil, refused(e, err)
}

// readAhead spares a system call for each byte of the line that a server begins with.
type readAhead struct {
	net.Conn
	in *bufio.Reader
}

func (r readAhead) Read(p []byte) (int, error) { return r.in.Read(p) }

// refused says why a handshake failed.
func refused(e endpoint, err error) error {
	name := e.given.Given
	text := strings.TrimPrefix(err.Error(), "ssh: handshake failed: ")
	switch {
	case fault.Hint(err) != "": // our own: of a key that is locked
		return fault.Fail(fault.Hint(err), "%s: %s", name, text)
	// The number is that of a plain refusal, which x/crypto does not expect of a host
	// that offers questions and has none.
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "unexpected message type 51"):
		return fault.Fail(fmt.Sprintf("see that ssh %s@%s works from here, name a key with --identity, or add --ask-pass", e.user, e.host),
			"%s: login as %s was refused: no key or password was accepted", name, e.user)
	case strings.Contains(text, "no common algorithm for host key"):
		return fault.Fail("remove its line from known_hosts after comparing fingerprints, if it no longer has a key of that kind",
			"%s: it has no host key of a kind that known_hosts has of it", name)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fault.Fail("see sshd's log there; MaxStartups or hosts.deny may be at work", "%s: it closed the connection during the handshake", name)
	}
	return fault.Fail("see that an SSH server listens there", "%s: SSH handshake: %s", name, text)
}

// unreachable says why there is no connection.
func (d *Dialer) unreachable(ctx context.Context, e endpoint, err error) error {
	name := e.given.Given
	at := joinPort(e.host, e.port)
	var dns *net.DNSError
	switch {
	case errors.Is(context.Cause(ctx), errTooSlow), errors.Is(err, os.ErrDeadlineExceeded):
		return fault.Fail("see that the host is up and that no firewall drops the connection, or raise --connect-timeout",
			"%s: no SSH login at %s within %s", name, at, d.opts.ConnectTimeout)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &dns):
		return fault.Fail("see that the name is right", "%s: %s has no address", name, e.host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.Fail("see that sshd runs there and that the port is right", "%s: nothing listens at %s", name, at)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fault.Fail("see that the host is up and reachable from here", "%s: connect to %s: %w", name, at, err)
}

// jump is a connection that several hosts go through.
type jump struct {
	once   sync.Once
	client *ssh.Client
	err    error
	closed chan struct{}
}

func (j *jump) close() {
	j.once.Do(func() { j.err = net.ErrClosed })
	if j.client != nil {
		close(j.closed)
		_ = j.client.Close() // there is nothing left to lose
	}
}

// via returns the connection that leads to an endpoint, nil if none is needed. There
// is one to each jump host, made by the first who needs it.
func (d *Dialer) via(ctx context.Context, e endpoint, path []string) (*ssh.Client, error) {
	if len(e.jumps) == 0 {
		return nil, nil
	}
	key := strings.Join(e.jumps, ",")
	if len(path) > 8 {
		return nil, fault.Usage("see the ProxyJump lines of your ssh_config", "%s: its jump hosts lead in a circle", e.given.Given)
	}
	d.mu.Lock()
	j, ok := d.jumps[key]
	if !ok {
		j = &jump{closed: make(chan struct{})}
		d.jumps[key] = j
	}
	d.mu.Unlock()
	j.once.Do(func() {
		// It is for all: the one who happens to be first must not end it.
		j.client, j.err = d.jumpTo(context.WithoutCancel(ctx), e.jumps, append(path, key))
		if j.err == nil {
			go keepAlive(j.client, j.closed)
			go d.forgetWhenLost(key, j)
		}
	})
	if j.err != nil {
		return nil, fault.Fail(fault.Hint(j.err), "%s: jump host %w", e.given.Given, j.err)
	}
	return j.client, nil
}

// forgetWhenLost has the next host connect anew.
func (d *Dialer) forgetWhenLost(key string, j *jump) {
	_ = j.client.Wait() // why it ended, each host's own error says
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.jumps[key] == j {
		delete(d.jumps, key)
		close(j.closed)
	}
}

// jumpTo logs in to the last of a chain, through those before it.
func (d *Dialer) jumpTo(ctx context.Context, chain, path []string) (*ssh.Client, error) {
	t, err := ParseTarget(strings.TrimPrefix(chain[len(chain)-1], "ssh://"))
	if err != nil {
		return nil, err
	}
	e, err := d.resolve(ctx, t, false)
	if err != nil {
		return nil, err
	}
	if len(chain) > 1 {
		e.jumps, e.proxyCommand = chain[:len(chain)-1], ""
	}
	if len(d.opts.Identities) > 0 {
		e.identities = append(append([]string{}, d.opts.Identities...), e.identities...)
	}
	return d.login(ctx, e, path)
}
