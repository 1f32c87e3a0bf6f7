package host

import (
	"io"
	"net"
	"os/exec"
	"sync"
	"time"
)

// proxied is a connection through a ProxyCommand.
type proxied struct {
	io.Reader
	io.WriteCloser
	cmd   *exec.Cmd
	said  *tail // on its standard error
	ended chan struct{}
	close sync.Once
}

// runProxy starts a ProxyCommand: the user's own words from ssh_config, for a shell.
func runProxy(command string) (net.Conn, error) {
	said := &tail{}
	cmd := exec.Command("sh", "-c", "exec "+command)
	cmd.Stderr, cmd.WaitDelay = said, time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &proxied{Reader: out, WriteCloser: in, cmd: cmd, said: said, ended: make(chan struct{})}, nil
}

// Close ends the command.
func (p *proxied) Close() error {
	p.close.Do(func() {
		_ = p.WriteCloser.Close() // the command ends either way
		_ = p.cmd.Process.Kill()
		go func() {
			_ = p.cmd.Wait() // its status says nothing
			close(p.ended)
		}()
	})
	return nil
}

// story is what the command of a connection that failed said of it.
func story(conn net.Conn) string {
	p, ok := conn.(*proxied)
	if !ok {
		return ""
	}
	_ = p.Close() // it always returns nil
	<-p.ended     // it was killed, and its children are not waited for
	return p.said.String()
}

func (p *proxied) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (p *proxied) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4zero} }
func (p *proxied) SetDeadline(time.Time) error      { return nil }
func (p *proxied) SetReadDeadline(time.Time) error  { return nil }
func (p *proxied) SetWriteDeadline(time.Time) error { return nil }
