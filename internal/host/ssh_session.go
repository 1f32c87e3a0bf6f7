package host

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host/script"
)

// open starts the script in the one session of the connection, and has it read first:
// three round trips to the answer, of which two are sshd's own way.
func (s *SSH) open(ctx context.Context, first []byte) (*pipe, error) {
	return s.start(ctx, loaded(s.dialer.script(), first))
}

// start opens a session and has the loader there read ahead: a script, and what that is
// to read first.
func (s *SSH) start(ctx context.Context, ahead []byte) (*pipe, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.client.Close() })
	defer stop()
	channel, requests, err := s.session(ctx)
	if err != nil {
		return nil, s.lost(ctx, err)
	}
	prompt := &prompts{}
	go func() { _, _ = prompt.ReadFrom(channel.Stderr()) }()
	ended := make(chan struct{}) // the host has closed the session
	go func() {
		ssh.DiscardRequests(requests)
		close(ended)
	}()
	p := &pipe{in: channel, out: bufio.NewReader(channel), story: prompt.String}
	var once sync.Once
	p.close = func() error {
		once.Do(func() {
			_ = channel.CloseWrite() // the script ends when it has nothing left to read
			// A host may allow one session at a time: the next must find it free.
			go func() { _, _ = io.Copy(io.Discard, channel) }()
			select {
			case <-ended:
			case <-time.After(grace):
			}
			_ = channel.Close()
		})
		return nil
	}
	p.stop = func() {
		_, _ = channel.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{"TERM"}))
	}
	// sshd takes no data before it has started the command, so nothing is lost by waiting.
	ok, err := channel.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{script.Loader}))
	if err == nil && !ok {
		err = fault.Fail("log in as a user who may run commands", "%s: it runs no commands for %s", s.name, s.user)
	}
	if err != nil {
		_ = p.close() // the error that led here says more
		return nil, s.lost(ctx, err)
	}
	if err := s.begin(channel, p, prompt, ahead); err != nil {
		_ = p.close() // the error that led here says more
		return nil, s.lost(ctx, err)
	}
	return p, nil
}

// session opens one. A host that allows one at a time may take a moment to notice
// that the last has ended.
func (s *SSH) session(ctx context.Context) (ssh.Channel, <-chan *ssh.Request, error) {
	for tries := 40; ; tries-- {
		channel, requests, err := s.client.OpenChannel("session", nil)
		var rejected *ssh.OpenChannelError
		if err == nil || !errors.As(err, &rejected) || !s.opened || tries == 0 {
			s.opened = true
			return channel, requests, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// lost says why a connection that was there is gone.
func (s *SSH) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if fault.Hint(err) != "" {
		return err
	}
	return fault.Fail("run the same command again", "%s: %w", s.name, err)
}

// begin has the script loaded, as root if need be.
func (s *SSH) begin(channel ssh.Channel, p *pipe, prompt *prompts, ahead []byte) error {
	if s.dialer.opts.AsLogin || s.user == "root" {
		_, err := channel.Write(ahead)
		return err
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	marker := "regctl-" + hex.EncodeToString(random)
	random = make([]byte, 16)
	_, _ = rand.Read(random)
	prompt.expect("[regctl " + hex.EncodeToString(random) + "]")
	header := fmt.Sprintf("%s\n%s\n%d\n", marker, prompt.marker, len(ahead))
	if _, err := channel.Write(append(loaded(script.Become(), []byte(header)), ahead...)); err != nil {
		return err
	}
	a := &answers{marker: marker, in: p.out}
	line, _, err := a.next()
	if err != nil {
		return s.explain(err, p.story())
	}
	why, no := strings.CutPrefix(line, "refused ")
	if !no {
		return nil
	}
	if s.dialer.opts.OrLogin && s.dialer.become.ask == nil {
		err = s.stay(channel, a)
	} else {
		err = s.askSudo(channel, a, prompt, why)
	}
	if err != nil {
		return err
	}
	_, err = channel.Write(ahead)
	return err
}

// stay has the script go on as the user who logged in.
func (s *SSH) stay(channel ssh.Channel, a *answers) error {
	if _, err := channel.Write([]byte("stay\n")); err != nil {
		return err
	}
	line, _, err := a.next()
	if err == nil && line != "ready" {
		err = fmt.Errorf("unexpected answer %q", line)
	}
	return err
}

// askSudo sends the password, once and not before sudo has asked for it.
func (s *SSH) askSudo(channel ssh.Channel, a *answers, prompt *prompts, why string) error {
	if strings.Contains(why, "not found") {
		return fault.Fail("log in as root, install sudo there, or use --store docker-rootless where the Docker is that user's own", "%s: %s is not root, and there is no sudo", s.name, s.user)
	}
	if err := noTerminal(s.name, why); err != nil {
		return err
	}
	if s.dialer.become.ask == nil {
		return fault.Fail("add --ask-become-pass, or let the user use sudo without a password", "%s: sudo asks %s for a password", s.name, s.user)
	}
	password, err := s.dialer.become.get()
	if err != nil {
		return err
	}
	if _, err := channel.Write([]byte("ask\n")); err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() {
		line, _, err := a.next()
		if err == nil && line != "ready" {
			err = fmt.Errorf("unexpected answer %q", line)
		}
		ready <- err
	}()
	timeout := time.NewTimer(s.dialer.opts.ConnectTimeout)
	defer timeout.Stop()
	sent := false
	for {
		select {
		case err := <-ready:
			if err != nil {
				return s.noSudo(prompt.String())
			}
			return nil
		case <-prompt.asked:
			if sent {
				_ = channel.CloseWrite() // so that sudo gives up
				return fault.Fail("run the command again with the right one", "%s: sudo does not take that password", s.name)
			}
			sent = true
			if _, err := channel.Write([]byte(password.Reveal() + "\n")); err != nil {
				return err
			}
		case <-timeout.C:
			return fault.Fail("", "%s: sudo neither asked for a password nor went on", s.name)
		}
	}
}

func noTerminal(name, why string) error {
	if !strings.Contains(why, "tty") && !strings.Contains(why, "terminal is required") || strings.Contains(why, "a password is required") {
		return nil
	}
	return fault.Fail("remove requiretty for that user from sudoers, or log in as root", "%s: sudo there wants a terminal (requiretty)", name)
}

func (s *SSH) noSudo(story string) error {
	if err := noTerminal(s.name, story); err != nil {
		return err
	}
	switch {
	case strings.Contains(story, "sudoers"), strings.Contains(story, "not allowed"), strings.Contains(story, "may not run"):
		return fault.Fail("log in as a user who may, or as root", "%s: %s may not use sudo", s.name, s.user)
	case strings.Contains(story, "incorrect password"), strings.Contains(story, "try again"):
		return fault.Fail("run the command again with the right one", "%s: sudo does not take that password", s.name)
	}
	return fault.Fail("see that sudo works there", "%s: sudo: %s", s.name, orElse(story, "it ended without a word"))
}

// prompts keeps the end of what a host prints on its standard error and says when
// a marker came by.
type prompts struct {
	tail
	marker string
	asked  chan struct{}
}

func (p *prompts) expect(marker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marker, p.asked = marker, make(chan struct{}, 8)
}

// ReadFrom reads until the end.
func (p *prompts) ReadFrom(r interface{ Read([]byte) (int, error) }) (int64, error) {
	var total int64
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		total += int64(n)
		_, _ = p.Write(buffer[:n])
		p.look()
		if err != nil {
			return total, errors.Unwrap(err)
		}
	}
}

// look takes each marker out of what is kept.
func (p *prompts) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marker == "" {
		return
	}
	for {
		before, after, found := bytes.Cut(p.data, []byte(p.marker))
		if !found {
			return
		}
		p.data = append(bytes.Clone(before), after...)
		select {
		case p.asked <- struct{}{}:
		default:
		}
	}
}
