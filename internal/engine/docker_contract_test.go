package engine_test

import (
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
)

func TestContract(t *testing.T) {
	if testing.Short() {
		t.Skip("makes dozens of containers")
	}
	var b *bed
	var port int
	newHost := func(t *testing.T) host.Host {
		b = newBed(t)
		port = freePort(t)
		return b.host
	}
	identity := func(*testing.T, string) string { s := b.inspect(); return s.ID + s.StartedAt.String() }
	steptest.Run(t, newHost,
		steptest.Case{
			Name: "create",
			Steps: func(*testing.T, host.Host, string) []step.Step {
				return []step.Step{
					engine.VolumeStep{Want: engine.Volume{Name: b.name, Registry: "registry", Dir: b.dir, UID: 65532, GID: 65532}},
					engine.ContainerStep{Want: b.container(port)},
					b.wait(port),
				}
			},
			Meddle: func(*testing.T, string) {
				other := b.container(port)
				other.Env = []string{"A=1"}
				b.run(engine.ContainerStep{Want: other})
			},
			Identity: identity,
		},
		steptest.Case{
			Name: "change",
			Steps: func(*testing.T, host.Host, string) []step.Step {
				old := b.container(port)
				old.Env = []string{"A=1"}
				b.run(engine.ContainerStep{Want: old})
				return []step.Step{engine.ContainerStep{Want: b.container(port)}, b.wait(port)}
			},
			Meddle:   func(*testing.T, string) { enginetest.Docker(b, "", "stop", b.name) },
			Identity: identity,
		},
		steptest.Case{
			Name: "start",
			Steps: func(*testing.T, host.Host, string) []step.Step {
				b.run(engine.ContainerStep{Want: b.container(port), Stopped: true})
				return []step.Step{engine.ContainerStep{Want: b.container(port)}}
			},
			Identity: identity,
		},
		steptest.Case{
			Name: "remove",
			Steps: func(*testing.T, host.Host, string) []step.Step {
				b.run(engine.ContainerStep{Want: b.container(port)})
				return []step.Step{removeContainer(b.name)}
			},
			Identity: identity,
		},
		steptest.Case{
			Name: "image",
			Steps: func(*testing.T, host.Host, string) []step.Step {
				b.run(removeImage(b.info.Ref))
				return []step.Step{engine.OurImage(b.info)}
			},
		},
	)
}
