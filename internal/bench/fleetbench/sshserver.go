package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/regctl/regctl/internal/testfleet"
)

// manyHosts are SSH servers of this process, one an address. What they are asked to run
// they run with the sh of a host of the fleet, in a file system where /etc/docker and
// /var/lib belong to that connection alone.
type manyHosts struct {
	config    *ssh.ServerConfig
	key       ssh.PublicKey
	on        []*testfleet.Host
	listeners []net.Listener
}

// privately hides what another connection has placed, and then runs $0.
const privately = `mount -t tmpfs none /etc/docker && mount -t tmpfs none /var/lib && exec sh -c "$0"`

// newManyHosts starts n servers that let the key of a file in.
func newManyHosts(n int, keyFile string, on []*testfleet.Host) (*manyHosts, error) {
	data, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	client, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	own, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	m := &manyHosts{key: own.PublicKey(), on: on, config: &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(client.PublicKey().Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
	}}
	m.config.AddHostKey(own)
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.77.%d.%d:0", i/250, i%250+1))
		if err != nil {
			m.close()
			return nil, err
		}
		m.listeners = append(m.listeners, l)
		go m.accept(l, on[i%len(on)])
	}
	return m, nil
}

func (m *manyHosts) close() {
	for _, l := range m.listeners {
		_ = l.Close()
	}
}

func (m *manyHosts) accept(l net.Listener, h *testfleet.Host) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go m.serve(conn, h)
	}
}

func (m *manyHosts) serve(conn net.Conn, h *testfleet.Host) {
	defer conn.Close()
	s, channels, requests, err := ssh.NewServerConn(conn, m.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			break
		}
		go session(ctx, channel, requests, h)
	}
	_ = s.Close()
}

// session runs the one command that it is asked to.
func session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request, h *testfleet.Host) {
	defer channel.Close()
	for r := range requests {
		var asked struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &asked) != nil {
			_ = r.Reply(false, nil)
			continue
		}
		cmd := h.Command(ctx, "exec unshare --mount sh -c '"+privately+"' '"+strings.ReplaceAll(asked.Command, "'", `'\''`)+"'")
		err := start(cmd, channel)
		_ = r.Reply(err == nil, nil)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		_ = cmd.Wait()
		status := struct{ Status uint32 }{uint32(cmd.ProcessState.ExitCode())} //nolint:gosec // 0 to 255, or a signal
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

// start has the command read from and write to a channel. Its end does not wait for the
// other side to stop talking.
func start(cmd *exec.Cmd, channel ssh.Channel) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close() // it has ended, or it ends by this
	}()
	return nil
}
