package embeddedregistry

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// listen opens what http.net and http.addr name. A unix socket that nobody answers
// on is a dead process's and is replaced, as distribution does; one that answers is not.
func listen(ctx context.Context, network, addr string) (net.Listener, error) {
	if network == "" {
		network = "tcp"
	}
	if addr == "" { // distribution would take any free port
		return nil, fault.Usage("set it, for example to :5000", "http.addr: is empty")
	}
	if network == "unix" {
		if err := removeStale(ctx, addr); err != nil {
			return nil, err
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, network, addr)
	if err == nil && network == "unix" {
		err = share(ln, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("http.addr: %w", err)
	}
	return ln, nil
}

// share lets a socket's group connect, and nobody else: that group is the folder's where
// it is setgid, so that a proxy can be let in by a registry that is not of its group.
func share(ln net.Listener, path string) error {
	err := os.Chmod(path, socketMode)
	if err != nil {
		_ = ln.Close()
	}
	return err
}

const socketMode = 0o660

func removeStale(ctx context.Context, path string) error {
	fi, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("http.addr: %w", err)
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return fault.Fail("remove the file or choose another path", "http.addr: %s exists and is not a socket", path)
	}
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		c.Close()
		return fault.Fail("stop that process first", "http.addr: another process answers on %s", path)
	}
	return os.Remove(path)
}
