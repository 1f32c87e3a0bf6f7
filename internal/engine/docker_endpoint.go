package engine

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/client"

	"github.com/regctl/regctl/internal/fault"
)

// endpoint is where the docker command would find its engine.
type endpoint struct {
	host   string // a URL
	source string // who said so, for messages: "DOCKER_HOST", "the docker context x"; "" is the default
}

func (e endpoint) String() string {
	if e.source == "" {
		return e.host
	}
	return e.source + " (" + e.host + ")"
}

// findEndpoint resolves as the docker command does (docs.docker.com, "Docker
// contexts"): DOCKER_HOST, then DOCKER_CONTEXT, then currentContext of config.json.
func findEndpoint(getenv func(string) string) (endpoint, error) {
	if h := getenv("DOCKER_HOST"); h != "" {
		return endpoint{h, "DOCKER_HOST"}, nil
	}
	dir := configDir(getenv)
	name := getenv("DOCKER_CONTEXT")
	if name == "" {
		file, err := config.Load(dir)
		if err != nil {
			return endpoint{}, fault.Usage("mend that file, or set DOCKER_HOST", "the docker command's configuration: %w", err)
		}
		name = file.CurrentContext
	}
	if name == "" || name == "default" {
		return endpoint{client.DefaultDockerHost, ""}, nil
	}
	// The docker command's own type for this would bring a second API client.
	type meta struct{ Host string }
	kinds := store.NewConfig(func() any { return &map[string]any{} }, store.EndpointTypeGetter("docker", func() any { return &meta{} }))
	found, err := store.New(filepath.Join(dir, "contexts"), kinds).GetMetadata(name)
	if errdefs.IsNotFound(err) {
		return endpoint{}, fault.Usage("docker context ls shows those there are", "there is no docker context %q", name)
	}
	if err != nil {
		return endpoint{}, fault.Usage("see `docker context ls`", "the docker %w", err)
	}
	end, ok := found.Endpoints["docker"].(meta)
	if !ok {
		return endpoint{}, fault.Usage("see `docker context inspect "+name+"`", "the docker context %q names no engine", name)
	}
	return endpoint{cmp.Or(end.Host, client.DefaultDockerHost), "the docker context " + name}, nil
}

func configDir(getenv func(string) string) string {
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home := getenv("HOME")
	if home == "" {
		home, _ = os.UserHomeDir()
	}
	return filepath.Join(home, ".docker")
}

// local refuses an engine that is reached over a network. Whether one on a socket
// or on loopback is this machine's is known once it has been asked: see about.
func (e endpoint) local() error {
	u, err := url.Parse(e.host)
	if err != nil {
		u = &url.URL{}
	}
	switch u.Scheme {
	case "unix", "npipe":
		return nil
	case "tcp", "http", "https":
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip.IsLoopback() {
			return nil
		}
		return elsewhere(e.String())
	case "ssh":
		return elsewhere(e.String())
	}
	return fault.Usage("it looks like unix:///var/run/docker.sock", "%s: not the address of a Docker Engine", e)
}

func elsewhere(who string) error {
	return fault.Usage("run regctl on that machine, or choose this one's engine: DOCKER_HOST=unix:///var/run/docker.sock",
		"%s is a Docker Engine on another machine, where the registry's folders would not be this machine's", who)
}
