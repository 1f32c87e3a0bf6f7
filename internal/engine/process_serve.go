package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
	"gopkg.in/natefinch/lumberjack.v2"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/confine"
	"github.com/regctl/regctl/internal/fault"
)

// ServeOptions is the command line of `regctl serve CONFIG.yml`: the embedded
// registry as a container, a systemd unit or a detached process runs it.
type ServeOptions struct {
	Config string // distribution's config.yml
	// User is "UID:GID" to go on as, once the port is bound; "" stays who we are.
	User string
	// LogFile takes the log, 10 MB at most, and two such files before it; "" is
	// standard error.
	LogFile string
	// PIDFile, if not "", is claimed for this process before anything else.
	PIDFile string
	// Detached is set by regctl itself: the parent waits on descriptor 3 for a
	// line, and crash.log beside LogFile takes standard error after it.
	Detached bool
}

// RunServe serves until ctx is done and requests have drained. Where systemd
// started it, systemd is told when it serves and when it stops.
func RunServe(ctx context.Context, o ServeOptions) error {
	if o.Detached {
		// A parent that was killed no longer reads our errors; that must not end us.
		signal.Ignore(syscall.SIGPIPE)
	}
	if o.PIDFile != "" {
		release, err := claimPIDFile(o.PIDFile)
		if err != nil {
			return err
		}
		defer release()
	}
	config, err := filepath.Abs(o.Config)
	if err != nil {
		return err
	}
	listener, confined, err := o.open(config)
	if err != nil {
		return err
	}
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	err = embeddedregistry.Serve(ctx, embeddedregistry.Options{
		ConfigPath: confined.Rewrite(config),
		Listener:   listener,
		Rewrite:    confined.Rewrite,
		Log:        o.log(confined),
		Ready: func(net.Addr) {
			if err := o.ready(confined); err != nil {
				failed(err)
			}
		},
	})
	notifySystemd("STOPPING=1")
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// open binds the registry's port and then gives root up, if that is wanted.
func (o ServeOptions) open(config string) (net.Listener, *confine.Confined, error) {
	c, err := readBindings(config)
	if err != nil {
		return nil, nil, err
	}
	listener, err := c.listen()
	if err != nil {
		return nil, nil, err
	}
	confined, err := o.confine(o.folders(config, c))
	if err != nil && listener != nil {
		_ = listener.Close()
	}
	return listener, confined, err
}

func (o ServeOptions) confine(folders []string) (*confine.Confined, error) {
	if o.User == "" {
		return nil, nil
	}
	uid, gid, err := confine.ParseUser(o.User)
	if err != nil || (os.Geteuid() == uid && os.Getegid() == gid) {
		return nil, err
	}
	return confine.Enter(uid, gid, folders...)
}

// bindings is what must be known of config.yml while we are still root.
type bindings struct {
	HTTP struct {
		Net  string `yaml:"net"`
		Addr string `yaml:"addr"`
	} `yaml:"http"`
	Storage struct {
		Filesystem struct {
			RootDirectory string `yaml:"rootdirectory"`
		} `yaml:"filesystem"`
	} `yaml:"storage"`
}

func readBindings(config string) (b bindings, err error) {
	data, err := os.ReadFile(config)
	if err != nil {
		return b, err
	}
	if err := yaml.Unmarshal(data, &b); err != nil {
		return b, fault.Usage("regctl config validate names the line", "%s: %w", config, err)
	}
	return b, nil
}

// listen opens the port; a unix socket is left to the registry, to be made by the
// user that it will run as, and so is complaining of no address.
func (b bindings) listen() (net.Listener, error) {
	network := cmp.Or(b.HTTP.Net, "tcp")
	if network == "unix" || b.HTTP.Addr == "" {
		return nil, nil
	}
	listener, err := net.Listen(network, b.HTTP.Addr)
	if err == nil {
		return listener, nil
	}
	if holder := PortHolder(b.HTTP.Addr); holder != "" {
		return nil, fault.Fail(FreeThePort, "port %s is held by %s", strings.TrimPrefix(b.HTTP.Addr, ":"), holder)
	}
	return nil, fmt.Errorf("http.addr: %w", err)
}

// folders are those that the registry uses: its configuration, data, socket and log.
func (o ServeOptions) folders(config string, b bindings) []string {
	list := []string{filepath.Dir(config)}
	if data := b.Storage.Filesystem.RootDirectory; filepath.IsAbs(data) {
		list = append(list, data)
	}
	if b.HTTP.Net == "unix" && filepath.IsAbs(b.HTTP.Addr) {
		list = append(list, filepath.Dir(b.HTTP.Addr))
	}
	if o.LogFile != "" {
		list = append(list, filepath.Dir(o.LogFile))
	}
	return list
}

func (o ServeOptions) log(c *confine.Confined) io.Writer {
	if o.LogFile == "" {
		return os.Stderr
	}
	return &lumberjack.Logger{Filename: c.Rewrite(o.LogFile), MaxSize: 10, MaxBackups: 2}
}

// ready tells whoever waits that requests are answered.
func (o ServeOptions) ready(c *confine.Confined) error {
	notifySystemd("READY=1")
	if !o.Detached {
		return nil
	}
	return detach(c.Rewrite(filepath.Join(filepath.Dir(o.LogFile), "crash.log")))
}

// notifySystemd sends a state as sd_notify(3) does; without a systemd that waits
// for it there is nowhere to send it.
func notifySystemd(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"}); err == nil {
		_, _ = conn.Write([]byte(state))
		_ = conn.Close()
	}
}
