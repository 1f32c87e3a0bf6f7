package engine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/go-connections/nat"
)

// containerConfig says in the engine's terms what c means, and adds what holds for
// every container of ours.
func (d *Docker) containerConfig(ctx context.Context, c Container) (*container.Config, *container.HostConfig, error) {
	a, err := d.ask(ctx)
	if err != nil {
		return nil, nil, err
	}
	stop := int(drainTime.Seconds())
	config := &container.Config{
		Image:       c.Image,
		Entrypoint:  c.Entrypoint,
		Cmd:         c.Args,
		User:        c.User,
		Env:         c.Env,
		StopTimeout: &stop,
		Healthcheck: d.healthcheck(c.Health),
		Labels: map[string]string{
			LabelRegistry: c.Registry,
			LabelDir:      c.Dir,
			LabelSpec:     string(canonical(c)),
		},
		ExposedPorts: nat.PortSet{},
	}
	host := &container.HostConfig{
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyAlways},
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges:true"},
		ExtraHosts:     c.AddHosts,
		LogConfig:      container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}},
		PortBindings:   nat.PortMap{},
		Tmpfs:          map[string]string{},
	}
	if c.Network != "" {
		host.NetworkMode = container.NetworkMode(c.Network)
	}
	for _, p := range c.Publish {
		inside := nat.Port(strconv.Itoa(int(p.Container)) + "/tcp")
		binding := nat.PortBinding{HostPort: strconv.Itoa(int(p.Host))}
		if p.IP.IsValid() {
			binding.HostIP = p.IP.String()
		}
		config.ExposedPorts[inside] = struct{}{}
		host.PortBindings[inside] = append(host.PortBindings[inside], binding)
	}
	for _, path := range c.Tmpfs {
		host.Tmpfs[path] = "size=64m,mode=1777"
	}
	for _, m := range c.Mounts {
		if a.selinux {
			// Only this form can have the engine label the folder.
			host.Binds = append(host.Binds, m.bind())
		} else {
			host.Mounts = append(host.Mounts, m.mount())
		}
	}
	return config, host, nil
}

func (d *Docker) healthcheck(command []string) *container.HealthConfig {
	if len(command) == 0 {
		return nil
	}
	h := &container.HealthConfig{
		Test:        append([]string{"CMD"}, command...),
		Interval:    30 * time.Second,
		Timeout:     5 * time.Second,
		StartPeriod: 10 * time.Second,
		Retries:     3,
	}
	if versions.GreaterThanOrEqualTo(d.api.ClientVersion(), "1.44") {
		h.StartInterval = time.Second
	}
	return h
}

func (m Mount) bind() string {
	options := []string{"z"}
	if m.ReadOnly {
		options = append(options, "ro")
	}
	return m.Source + ":" + m.Target + ":" + strings.Join(options, ",")
}

func (m Mount) mount() mount.Mount {
	kind := mount.TypeBind
	if m.Volume {
		kind = mount.TypeVolume
	}
	return mount.Mount{Type: kind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
}
