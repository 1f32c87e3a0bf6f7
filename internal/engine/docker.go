package engine

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"

	"github.com/regctl/regctl/internal/fault"
)

// minAPI is Docker 20.10, what Debian 12 ships.
const minAPI = "1.41"

// answerTime is how long an engine may take to answer a ping.
const answerTime = 10 * time.Second

const orProcess = "--runtime process needs no Docker"

// Docker is this machine's Docker Engine.
type Docker struct {
	api  *client.Client
	host string // for example unix:///var/run/docker.sock

	mu    sync.Mutex
	about *about // see docker_about.go; nil until asked for
}

// OpenDocker connects to the engine that the docker command would use: that of
// DOCKER_HOST, of DOCKER_CONTEXT, of the current context, or the default socket.
// An engine on another machine is refused, since bind mounts would name that
// machine's folders. Errors say which of socket, permission and answer is missing.
func OpenDocker(ctx context.Context, getenv func(string) string) (*Docker, error) {
	end, err := findEndpoint(getenv)
	if err != nil {
		return nil, err
	}
	if err := end.local(); err != nil {
		return nil, err
	}
	opts := []client.Opt{client.WithHost(end.host), client.WithAPIVersionNegotiation(), client.WithVersion(getenv("DOCKER_API_VERSION"))}
	if certs := getenv("DOCKER_CERT_PATH"); certs != "" && strings.HasPrefix(end.host, "tcp://") {
		file := func(name string) string { return filepath.Join(certs, name) }
		opts = append(opts, client.WithTLSClientConfig(file("ca.pem"), file("cert.pem"), file("key.pem")))
	}
	api, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, fault.Usage("see `docker context ls`", "%s: %w", end, err)
	}
	d := &Docker{api: api, host: end.host}
	if err := d.connect(ctx, answerTime); err != nil {
		_ = api.Close()
		return nil, err
	}
	return d, nil
}

// Close gives up the connections to the engine.
func (d *Docker) Close() error { return d.api.Close() }

// Endpoint is where the engine is reached, for example unix:///var/run/docker.sock.
func (d *Docker) Endpoint() string { return d.host }

func (d *Docker) connect(ctx context.Context, patience time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ping, err := d.api.Ping(limited)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return d.unreachable(err)
	}
	d.api.NegotiateAPIVersionPing(ping)
	if ping.OSType != "" && ping.OSType != "linux" {
		return fault.Fail("switch it to linux containers; "+orProcess, "the Docker Engine at %s runs %s containers", d.host, ping.OSType)
	}
	if v := d.api.ClientVersion(); versions.LessThan(v, minAPI) {
		return fault.Fail("upgrade Docker to 20.10 or later; "+orProcess, "the Docker Engine at %s speaks API %s; regctl needs %s", d.host, v, minAPI)
	}
	return nil
}

// unreachable finds out why the engine did not answer, which the client's own
// error says in many words or not at all.
func (d *Docker) unreachable(err error) error {
	path, isUnix := strings.CutPrefix(d.host, "unix://")
	if !isUnix {
		return fault.Fail("start Docker; "+orProcess, "the Docker Engine at %s does not answer: %w", d.host, err)
	}
	conn, dialErr := net.DialTimeout("unix", path, answerTime)
	if dialErr == nil {
		_ = conn.Close()
		return fault.Fail("see the engine's log (journalctl -u docker); "+orProcess,
			"the Docker Engine at %s accepts connections but does not answer: %w", path, err)
	}
	switch {
	case errors.Is(dialErr, fs.ErrPermission):
		return fault.Fail("run regctl as root, or as a member of the group that owns the socket (usually docker); "+orProcess,
			"no permission to use the Docker Engine's socket %s", path)
	case errors.Is(dialErr, fs.ErrNotExist):
		return fault.Fail("start Docker (systemctl start docker); "+orProcess,
			"the Docker Engine is not running: no socket at %s", path)
	case errors.Is(dialErr, syscall.ECONNREFUSED):
		return fault.Fail("start Docker (systemctl start docker); "+orProcess,
			"the Docker Engine is not running: nobody listens on %s", path)
	}
	return fault.Fail("start Docker; "+orProcess, "the Docker Engine at %s cannot be reached: %w", path, dialErr)
}

// DockerAvailable reports whether Docker is configured or installed here, whether
// or not it answers: DOCKER_HOST, a context, a socket, or dockerd on PATH.
func DockerAvailable(getenv func(string) string) bool {
	end, err := findEndpoint(getenv)
	if err != nil || end.source != "" {
		return true
	}
	if path, ok := strings.CutPrefix(end.host, "unix://"); ok && exists(path) {
		return true
	}
	// A user's PATH seldom has the folder that dockerd is installed in.
	for _, dir := range append(filepath.SplitList(getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if exists(filepath.Join(dir, "dockerd")) {
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
