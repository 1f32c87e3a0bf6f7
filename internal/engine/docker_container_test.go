package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/step"
)

// bed is a machine with a Docker Engine, and a registry's place on it.
type bed struct {
	*testing.T
	docker *engine.Docker
	host   *host.Local
	name   string
	dir    string
	info   image.Info
}

// newBed makes everything but the container, whose image holds the tiny server.
func newBed(t *testing.T) *bed {
	t.Helper()
	d := enginetest.Open(t, "")
	exe := enginetest.Tiny(t)
	info, err := image.Describe(exe)
	if err != nil {
		t.Fatal(err)
	}
	name := enginetest.Name(t, "")
	b := &bed{T: t, docker: d, name: name, dir: "/nowhere/" + name, info: info}
	b.host = host.NewLocal(d.Handlers(b.dir, engine.Images{Exe: exe, Info: info}))
	b.run(engine.OurImage(info))
	t.Cleanup(func() { b.quietly(removeContainer(name), removeImage(info.Ref)) })
	return b
}

// run plans and carries out steps that must succeed.
func (b *bed) run(steps ...step.Step) []host.Receipt {
	b.Helper()
	receipts, err := b.try(steps...)
	if err != nil {
		b.Fatal(err)
	}
	return receipts
}

func (b *bed) try(steps ...step.Step) ([]host.Receipt, error) {
	planned, err := step.Plan(context.Background(), b.host, steps)
	if err != nil {
		return nil, err
	}
	return step.Run(context.Background(), b.host, planned, noJournal{})
}

func (b *bed) quietly(steps ...step.Step) { _, _ = b.try(steps...) }

type noJournal struct{}

func (noJournal) Begin([]host.Op, host.Facts) error { return nil }
func (noJournal) Commit([]host.Receipt) error       { return nil }

// container serves the tiny server on the port.
func (b *bed) container(port int) engine.Container {
	return engine.Container{
		Name:     b.name,
		Registry: "registry",
		Dir:      b.dir,
		Image:    b.info.Ref,
		Args:     []string{"5000"},
		User:     "65532:65532",
		Publish:  []engine.Port{{Host: uint16(port), Container: 5000}},
	}
}

func (b *bed) wait(port int) step.Step {
	addr := "127.0.0.1:" + strconv.Itoa(port)
	return engine.WaitStep{
		Endpoint:  engine.Endpoint{URL: "http://registry.test:" + strconv.Itoa(port), Addr: addr},
		Container: b.name,
		After:     []host.Ref{{Kind: engine.KindContainer, Path: b.name}},
	}
}

func (b *bed) inspect() engine.ContainerStatus {
	b.Helper()
	s, err := b.docker.Inspect(context.Background(), b.dir, b.name)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// answers waits for a port to answer /v2/.
func (b *bed) answers(port int) {
	b.Helper()
	e := engine.Endpoint{URL: "http://127.0.0.1:" + strconv.Itoa(port)}
	eventually(b.T, func() error { return e.Probe(b.Context()) })
}

func eventually(t *testing.T, holds func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// freePort is a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestContainerLife(t *testing.T) {
	b := newBed(t)
	port := freePort(t)
	want := engine.ContainerStep{Want: b.container(port)}

	b.run(want, b.wait(port))
	first := b.inspect()
	if first.State != "running" || first.Image != b.info.Ref || first.StartedAt.IsZero() {
		t.Errorf("after it was made: %+v", first)
	}
	if planned, err := step.Plan(t.Context(), b.host, []step.Step{want, b.wait(port)}); err != nil || !planned.Empty() {
		t.Errorf("planned again: %+v, %v", planned, err)
	}
	hardened(t, first.ID)

	var out, errOut bytes.Buffer
	if err := b.docker.Logs(t.Context(), b.name, engine.LogOptions{}, &out, &errOut); err != nil {
		t.Fatal(err)
	}
	if out.String() != "serving 5000\n" || errOut.String() != "to standard error\n" {
		t.Errorf("logs %q and %q", out.String(), errOut.String())
	}

	op := host.Op{Ref: host.Ref{Kind: engine.KindContainer, Path: b.name}, Action: host.Stop, Before: host.AnyBefore}
	if _, err := b.host.Do(t.Context(), []host.Op{op}); err != nil {
		t.Fatal(err)
	}
	if s := b.inspect(); s.State != "stopped" || s.Detail != "exit status 0" {
		t.Errorf("after stop: %+v", s)
	}
	b.run(want, b.wait(port)) // started again
	if s := b.inspect(); s.State != "running" || s.ID != first.ID {
		t.Errorf("after start: %+v", s)
	}

	b.run(removeContainer(b.name), removeImage(b.info.Ref))
	if s := b.inspect(); s.State != "absent" {
		t.Errorf("after removal: %+v", s)
	}
	if refs, err := b.docker.OurImages(t.Context()); err != nil || strings.Contains(strings.Join(refs, " "), b.info.Ref) {
		t.Errorf("our images: %v, %v", refs, err)
	}
}

// hardened checks what holds for every container of ours, as the engine tells it.
func hardened(t *testing.T, id string) {
	t.Helper()
	var seen []struct {
		Config     struct{ User string }
		HostConfig struct {
			ReadonlyRootfs, Privileged bool
			CapDrop, SecurityOpt       []string
			RestartPolicy              struct{ Name string }
			LogConfig                  struct{ Config map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(enginetest.Docker(t, "", "inspect", id)), &seen); err != nil {
		t.Fatal(err)
	}
	h := seen[0].HostConfig
	if !h.ReadonlyRootfs || h.Privileged || fmt.Sprint(h.CapDrop) != "[ALL]" || fmt.Sprint(h.SecurityOpt) != "[no-new-privileges:true]" ||
		h.RestartPolicy.Name != "always" || h.LogConfig.Config["max-size"] != "10m" || seen[0].Config.User != "65532:65532" {
		t.Errorf("the container is made like this: %+v", seen[0])
	}
}

func TestContainerChangesAndRestarts(t *testing.T) {
	b := newBed(t)
	port := freePort(t)
	want := engine.ContainerStep{Want: b.container(port)}
	b.run(want, b.wait(port))
	first := b.inspect()

	want.Want.Env = []string{"A=1"}
	b.run(want, b.wait(port))
	second := b.inspect()
	if second.ID == first.ID || second.Container.Env == nil {
		t.Errorf("not replaced: %+v", second)
	}
	// What hangs on something that changes restarts the same container.
	trigger := engine.VolumeStep{Want: engine.Volume{Name: b.name, Registry: "registry", Dir: b.dir}}
	want.RestartIf = []host.Ref{{Kind: engine.KindVolume, Path: b.name}}
	b.run(trigger, want, b.wait(port))
	third := b.inspect()
	if third.ID != second.ID || !third.StartedAt.After(second.StartedAt) {
		t.Errorf("not restarted: %+v, was %+v", third, second)
	}
	b.run(trigger, want)
	if fourth := b.inspect(); fourth.StartedAt != third.StartedAt {
		t.Error("restarted for nothing")
	}
}

// A new container that does not start gives way to the old one.
func TestContainerComesBack(t *testing.T) {
	b := newBed(t)
	port := freePort(t)
	old := engine.ContainerStep{Want: b.container(port)}
	b.run(old, b.wait(port))

	broken := engine.ContainerStep{Want: b.container(port)}
	broken.Want.Entrypoint = []string{"/no-such-program"}
	if _, err := b.try(broken); err == nil || !strings.Contains(err.Error(), "does not start") {
		t.Fatalf("got %v", err)
	}
	b.answers(port)
	if s := b.inspect(); s.Container.Entrypoint != nil {
		t.Errorf("the old one is not back: %+v", s)
	}
	b.noSide()

	// One that ends at once is taken back by whoever waited for it.
	dying := engine.ContainerStep{Want: b.container(port)}
	dying.Want.Args = []string{"fail"}
	receipts, err := b.try(dying, b.wait(port))
	if err == nil || !strings.Contains(err.Error(), "config.yml:3: it is broken") || fault.Hint(err) != "mend it" {
		t.Fatalf("got %v, hint %q", err, fault.Hint(err))
	}
	if err := step.Undo(t.Context(), b.host, receipts); err != nil {
		t.Fatal(err)
	}
	b.answers(port)
}

func (b *bed) noSide() {
	b.Helper()
	if all := enginetest.Docker(b, "", "ps", "-a", "--format", "{{.Names}}"); strings.Contains(all, b.name+".regctl-old") {
		b.Errorf("the predecessor is still there: %s", all)
	}
}

// A change that died half-way is finished by the next, wherever it stopped.
func TestContainerChangeInterrupted(t *testing.T) {
	b := newBed(t)
	side := b.name + ".regctl-old"
	dies := map[string]func(old, want engine.Container){
		"old one stopped": func(engine.Container, engine.Container) { enginetest.Docker(b, "", "stop", b.name) },
		"old one renamed": func(engine.Container, engine.Container) {
			enginetest.Docker(b, "", "stop", b.name)
			enginetest.Docker(b, "", "rename", b.name, side)
		},
		"new one made": func(_, want engine.Container) {
			enginetest.Docker(b, "", "stop", b.name)
			enginetest.Docker(b, "", "rename", b.name, side)
			b.run(engine.ContainerStep{Want: want, Stopped: true})
			// The step above has cleaned up; put the predecessor there again.
			old := want
			old.Name = side
			b.run(engine.ContainerStep{Want: old, Stopped: true})
		},
		"another new one made": func(old, want engine.Container) {
			enginetest.Docker(b, "", "stop", b.name)
			other := want
			other.Env = []string{"A=other"}
			b.run(engine.ContainerStep{Want: other, Stopped: true})
			old.Name = side
			b.run(engine.ContainerStep{Want: old, Stopped: true})
		},
	}
	for name, die := range dies {
		for _, then := range []string{"change", "remove"} {
			t.Run(name+" then "+then, func(t *testing.T) {
				port := freePort(t)
				old := b.container(port)
				b.run(engine.ContainerStep{Want: old}, b.wait(port))
				want := b.container(port)
				want.Env = []string{"A=" + name}
				die(old, want)
				if then == "change" {
					b.run(engine.ContainerStep{Want: want}, b.wait(port))
					if s := b.inspect(); s.State != "running" || fmt.Sprint(s.Container.Env) != fmt.Sprint(want.Env) {
						t.Errorf("got %+v", s)
					}
				} else {
					b.run(removeContainer(b.name))
				}
				b.noSide()
				if then == "change" {
					b.run(removeContainer(b.name))
				}
			})
		}
	}
}

func TestContainerOfSomebodyElse(t *testing.T) {
	b := newBed(t)
	port := freePort(t)
	enginetest.Docker(t, "", "create", "--name", b.name, b.info.Ref)
	_, err := b.try(engine.ContainerStep{Want: b.container(port)})
	if err == nil || !strings.Contains(err.Error(), "taken by a container of image "+b.info.Ref) || fault.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
	b.run(removeContainer(b.name))
	if id := enginetest.Docker(t, "", "ps", "-aq", "--filter", "name="+b.name); id == "" {
		t.Error("it was removed")
	}
	enginetest.Docker(t, "", "rm", b.name)

	b.run(engine.ContainerStep{Want: b.container(port)})
	other := b.container(port)
	other.Dir = "/other"
	h := host.NewLocal(b.docker.Handlers("/other", engine.Images{}))
	if _, err := step.Plan(t.Context(), h, []step.Step{engine.ContainerStep{Want: other}}); err == nil || !strings.Contains(err.Error(), "registry in "+b.dir) {
		t.Errorf("another directory's: got %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	b := newBed(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	_, err = b.try(engine.ContainerStep{Want: b.container(port)})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d is held by pid ", port)) || fault.Hint(err) == "" {
		t.Errorf("by a process: %v", err)
	}
	if s := b.inspect(); s.State != "absent" {
		t.Errorf("a container was left: %+v", s)
	}

	l.Close()
	b.run(engine.ContainerStep{Want: b.container(port)}, b.wait(port))
	second := b.container(port)
	second.Name = enginetest.Name(t, "")
	_, err = b.try(engine.ContainerStep{Want: second})
	if err == nil || !strings.Contains(err.Error(), "is held by container "+b.name) {
		t.Errorf("by a container: %v", err)
	}
	if err := b.docker.CheckPorts(t.Context(), b.container(port)); err != nil {
		t.Errorf("its own port counts as taken: %v", err)
	}
	if err := b.docker.CheckPorts(t.Context(), second); err == nil {
		t.Error("CheckPorts saw nothing")
	}
	for _, ip := range []string{"127.0.0.1", ""} {
		moved := b.container(port)
		moved.Publish[0].IP, _ = netip.ParseAddr(ip)
		b.run(engine.ContainerStep{Want: moved}, b.wait(port))
	}
	absent := b.container(port)
	absent.Name = enginetest.Name(t, "")
	absent.Publish[0] = engine.Port{IP: netip.MustParseAddr("192.0.2.77"), Host: uint16(freePort(t)), Container: 5000}
	if err := b.docker.CheckPorts(t.Context(), absent); err == nil || !strings.Contains(err.Error(), "192.0.2.77 is not an address of this machine") {
		t.Errorf("an address of another machine: %v", err)
	}
}

func TestProbe(t *testing.T) {
	for _, status := range []int{200, 401, 503, 301} {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), ReadHeaderTimeout: time.Second}
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(l) }()
		err = engine.Endpoint{URL: "http://registry.test", Addr: l.Addr().String()}.Probe(t.Context())
		if ready := status < 300 || status == 401; ready != (err == nil) {
			t.Errorf("%d: %v", status, err)
		}
		_ = server.Close()
	}
}
