package engine

import (
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/versions"
)

const (
	// swarmHealth is how often a task is asked whether it answers. Before API 1.44 it
	// is also how long swarm takes to know that a new task does.
	swarmHealth = 5 * time.Second
	// swarmDelay is between one task that runs and the next that is stopped: for clients
	// to go over to the one that is back.
	swarmDelay = 2 * time.Second
	// swarmMonitor is how long a task that fails after its start fails the update.
	swarmMonitor = 5 * time.Second
	// stopGrace is above the time that a registry takes to end its requests by itself.
	stopGrace = drainTime + 5*time.Second
)

// placed are the references by which a service gives tasks their files.
type placed struct {
	configs []*swarm.ConfigReference
	secrets []*swarm.SecretReference
}

// serviceSpec says in swarm's terms what s means, and adds what holds for every
// service of ours. Of what it is updated from it keeps what others may have set.
func (d *Docker) serviceSpec(s Service, node, image string, files placed, running bool, was *swarm.ServiceSpec) swarm.ServiceSpec {
	spec := swarm.ServiceSpec{}
	if was != nil {
		spec = *was
	}
	spec.Name = s.Name
	spec.Labels = map[string]string{LabelRegistry: s.Registry, LabelDir: s.Dir, LabelNode: node, LabelSpec: string(canonical(s))}
	spec.TaskTemplate.ContainerSpec = d.containerSpec(s, image, files)
	spec.TaskTemplate.RestartPolicy = &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, Delay: ptr(time.Second)}
	spec.TaskTemplate.Placement = &swarm.Placement{Constraints: s.Constraints}
	spec.TaskTemplate.LogDriver = &swarm.Driver{Name: "json-file", Options: map[string]string{"max-size": "10m", "max-file": "3"}}
	order := swarm.UpdateOrderStartFirst
	port := swarm.PortConfig{Protocol: swarm.PortConfigProtocolTCP, TargetPort: uint32(s.Inside), PublishedPort: uint32(s.Port), PublishMode: swarm.PortConfigPublishModeIngress}
	if !s.Ingress { // two tasks of a node would want the same port
		order, port.PublishMode = swarm.UpdateOrderStopFirst, swarm.PortConfigPublishModeHost
		spec.TaskTemplate.Placement.MaxReplicas = 1
	}
	spec.EndpointSpec = &swarm.EndpointSpec{Mode: swarm.ResolutionModeVIP, Ports: []swarm.PortConfig{port}}
	spec.UpdateConfig = &swarm.UpdateConfig{
		Parallelism: 1, Delay: swarmDelay, Order: order, Monitor: swarmMonitor,
		FailureAction: swarm.UpdateFailureActionRollback,
	}
	spec.RollbackConfig = &swarm.UpdateConfig{
		Parallelism: 1, Delay: swarmDelay, Order: order, Monitor: swarmMonitor,
		FailureAction: swarm.UpdateFailureActionPause,
	}
	spec.Mode = swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: ptr(replicasOf(s, running))}}
	return spec
}

func replicasOf(s Service, running bool) uint64 {
	if !running {
		return 0
	}
	return uint64(max(s.Replicas, 1))
}

func (d *Docker) containerSpec(s Service, image string, files placed) *swarm.ContainerSpec {
	c := &swarm.ContainerSpec{
		Image:           image,
		Args:            s.Args,
		User:            s.User,
		Env:             s.Env,
		Labels:          map[string]string{LabelRegistry: s.Registry},
		ReadOnly:        true,
		CapabilityDrop:  []string{"ALL"},
		StopGracePeriod: ptr(stopGrace),
		Healthcheck:     d.swarmHealthcheck(s.Health),
		Configs:         files.configs,
		Secrets:         files.secrets,
	}
	// Before API 1.46 a service has no say in it, and drops all capabilities anyhow.
	if versions.GreaterThanOrEqualTo(d.api.ClientVersion(), "1.46") {
		c.Privileges = &swarm.Privileges{NoNewPrivileges: true}
	}
	for _, line := range s.AddHosts {
		if name, ip, ok := strings.Cut(line, ":"); ok {
			c.Hosts = append(c.Hosts, ip+" "+name)
		}
	}
	for _, m := range s.Mounts {
		kind := mount.TypeBind
		if m.Volume {
			kind = mount.TypeVolume
		}
		c.Mounts = append(c.Mounts, mount.Mount{Type: kind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	return c
}

func (d *Docker) swarmHealthcheck(command []string) *container.HealthConfig {
	h := d.healthcheck(command)
	if h != nil {
		h.Interval = swarmHealth
	}
	return h
}

func ptr[T any](v T) *T { return &v }
