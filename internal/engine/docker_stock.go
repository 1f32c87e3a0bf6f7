package engine

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	dockerimage "github.com/docker/docker/api/types/image"

	"github.com/regctl/regctl/internal/fault"
)

// Stock is a registry image that regctl did not make.
type Stock struct {
	Major      int      // 2 or 3: distribution's, which decides what its configuration may hold
	Config     string   // where the image keeps its configuration, "" if it names none
	Entrypoint []string // nil: the image's own does
	Args       []string // the image's own, with the configuration replaced
	Env        []string
	User       string // who runs in it; "" is root
}

// StockEnv is what a stock image's environment lacks: version 3 would look for a
// collector of traces, and complain for ever.
func StockEnv() []string { return []string{"OTEL_TRACES_EXPORTER=none"} }

// InspectStock finds out which registry an image that is in the engine holds, and
// how it is told to use the configuration at the path config.
func (d *Docker) InspectStock(ctx context.Context, ref, config string) (Stock, error) {
	seen, err := d.api.ImageInspect(ctx, ref)
	if err != nil {
		return Stock{}, err
	}
	notOne := func(why string) error {
		return fault.Usage("give a distribution registry, such as registry:3", "image %s %s", ref, why)
	}
	if seen.Config == nil {
		return Stock{}, notOne("has no configuration")
	}
	s := Stock{Env: StockEnv(), User: seen.Config.User}
	if i := slices.IndexFunc(seen.Config.Cmd, isConfig); i >= 0 {
		s.Config = seen.Config.Cmd[i]
		s.Args = replaced(seen.Config.Cmd, i, config)
	} else if i := slices.IndexFunc(seen.Config.Entrypoint, isConfig); i >= 0 {
		s.Config = seen.Config.Entrypoint[i]
		s.Entrypoint = replaced(seen.Config.Entrypoint, i, config)
		s.Args = seen.Config.Cmd
	} else {
		return Stock{}, notOne("does not start with a registry's configuration file")
	}
	if s.Major = majorOf(s.Config, seen.Config.Labels["org.opencontainers.image.version"]); s.Major != 0 {
		return s, nil
	}
	said, err := d.version(ctx, ref, seen)
	if err != nil {
		return Stock{}, notOne("does not tell its version: " + err.Error())
	}
	if s.Major = majorOf("", said); s.Major == 0 {
		return Stock{}, notOne(fmt.Sprintf("is neither version 2 nor 3 of the registry: it says %q", said))
	}
	return s, nil
}

func isConfig(arg string) bool { return path.Ext(arg) == ".yml" || path.Ext(arg) == ".yaml" }

func replaced(args []string, i int, with string) []string {
	args = slices.Clone(args)
	args[i] = with
	return args
}

// versionNumber finds the 3 of v3.0.0, 3.0.0 and 3, and not that of a module's /v3.
var versionNumber = regexp.MustCompile(`(?:^|\s)v?([23])(?:\.|$|\s)`)

// majorOf reads the folder that the images of Docker Hub keep their configuration
// in, or else a version.
func majorOf(config, version string) int {
	switch path.Dir(config) {
	case "/etc/docker/registry":
		return 2
	case "/etc/distribution":
		return 3
	}
	if m := versionNumber.FindStringSubmatch(version); m != nil {
		return int(m[1][0] - '0')
	}
	return 0
}

// version runs the image once with --version, without a network.
func (d *Docker) version(ctx context.Context, ref string, seen dockerimage.InspectResponse) (string, error) {
	command := slices.Concat(seen.Config.Entrypoint, seen.Config.Cmd)
	made, err := d.api.ContainerCreate(ctx, &container.Config{
		Image:           ref,
		Entrypoint:      command[:1],
		Cmd:             []string{"--version"},
		NetworkDisabled: true,
	}, &container.HostConfig{ReadonlyRootfs: true, CapDrop: []string{"ALL"}}, nil, nil, "")
	if err != nil {
		return "", err
	}
	defer func() {
		_ = d.api.ContainerRemove(context.WithoutCancel(ctx), made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	}()
	ended, failed := d.api.ContainerWait(ctx, made.ID, container.WaitConditionNextExit)
	if err := d.api.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return "", err
	}
	select {
	case <-ended:
	case err := <-failed:
		return "", err
	}
	var words bytes.Buffer
	if err := d.Logs(ctx, made.ID, LogOptions{}, &words, &words); err != nil {
		return "", err
	}
	return strings.TrimSpace(words.String()), nil
}
