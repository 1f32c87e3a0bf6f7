package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// A cluster is --replicas N: containers of one image that mount the same serve/ and
// data/, each with a socket, or a port, of its own. The first is the one that there
// would be alone, so that a registry grows and shrinks without being moved.

// replicaName is that of the nth container, counted from 1.
func replicaName(s spec.Spec, n int) string {
	if n == 1 {
		return s.Name
	}
	return s.Name + "-" + strconv.Itoa(n)
}

func replicaRef(s spec.Spec, n int) host.Ref {
	return host.Ref{Kind: engine.KindContainer, Path: replicaName(s, n)}
}

// replicaRefs are all that run the registry.
func replicaRefs(s spec.Spec, p Place) []host.Ref {
	refs := []host.Ref{p.Runs}
	for n := 2; n <= s.Count(); n++ {
		refs = append(refs, replicaRef(s, n))
	}
	return refs
}

// replicaSocketDir is where the nth listens. No registry's name has an @.
func replicaSocketDir(s spec.Spec, n int) string {
	if n == 1 {
		return socketDir(s)
	}
	return socketDir(s) + "@" + strconv.Itoa(n)
}

// replicaEndpoint is the nth itself, past its proxy.
func replicaEndpoint(s spec.Spec, n int) engine.Endpoint {
	switch {
	case n == 1:
		return behind(s)
	case s.Socket():
		return engine.Endpoint{URL: "http://" + replicaName(s, n), Addr: filepath.Join(replicaSocketDir(s, n), socketName)}
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Proxy.BackendPort()+n-1))
	return engine.Endpoint{URL: "http://" + addr, Addr: addr}
}

// upstreams are where this machine's proxy finds them.
func upstreams(s spec.Spec) []string {
	var all []string
	for n := 1; n <= s.Count(); n++ {
		if addr := replicaEndpoint(s, n).Addr; s.Socket() {
			all = append(all, "unix:"+addr)
		} else {
			all = append(all, addr)
		}
	}
	return all
}

// replica makes the nth container of the first.
func replica(s spec.Spec, first engine.Container, n int) engine.Container {
	if n == 1 {
		return first
	}
	c := first
	c.Name = replicaName(s, n)
	c.Mounts = nil
	for _, m := range first.Mounts {
		if m.Target == containerSocket {
			m.Source = replicaSocketDir(s, n)
		}
		c.Mounts = append(c.Mounts, m)
	}
	if len(first.Publish) > 0 {
		port := engine.Port{IP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Host: uint16(s.Proxy.BackendPort() + n - 1), Container: containerPort}
		c.Publish = []engine.Port{port}
	}
	return c
}

// replicaWait waits until the nth answers, if it was started.
func replicaWait(s spec.Spec, n int) engine.WaitStep {
	return engine.WaitStep{Endpoint: replicaEndpoint(s, n), Container: replicaName(s, n), After: []host.Ref{replicaRef(s, n)}}
}

// rolled runs the containers from one to the other, one at a time: each must answer
// before the next is touched, so that the proxy always finds one. Of several the first
// comes last, and after the site: it may be the only one that the proxy knows.
func rolled(r *Registry, first engine.Container, from, to int) []step.Step {
	var steps []step.Step
	odd := r.oddReplicas()
	for n := from; n <= to; n++ {
		want := replica(r.Spec, first, n)
		if odd[want.Name] {
			steps = append(steps, amiss{replicaRef(r.Spec, n), "it runs with another HTTP secret or Redis than config.yml has"})
		}
		restart := append(restartFiles(r.Dir, false), mounted(r.Dir, replicaSocketDir(r.Spec, n))...)
		steps = append(steps, engine.ContainerStep{Want: want, RestartIf: restart})
		steps = append(append(steps, r.staleStock(replicaRef(r.Spec, n))...), replicaWait(r.Spec, n))
	}
	return steps
}

// amiss restarts a container that is as it should be and runs by what was there before:
// a replica with another secret than the others, for one.
type amiss struct {
	ref host.Ref
	why string
}

func (a amiss) Name() string      { return a.ref.String() + " as the others" }
func (a amiss) Reads() []host.Ref { return []host.Ref{a.ref} }

func (a amiss) Plan(seen host.Facts) (step.Change, error) {
	now := seen[a.ref]
	if !now.Exists || now.Foreign != "" {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: a.ref.String(), Action: host.Restart, Diff: "(" + a.why + ")\n"}},
		Ops:   []host.Op{{Ref: a.ref, Action: host.Restart, Before: now.Hash()}},
	}, nil
}

// oddReplicas are those that run with another HTTP secret or Redis than config.yml has:
// an upload that crosses over to one would end. Of a stock image nobody can tell.
func (r *Registry) oddReplicas() map[string]bool {
	odd := map[string]bool{}
	if r.Spec.Count() < 2 || !r.Spec.Socket() {
		return odd
	}
	config, err := readFile(r.Dir.ServeConfig())
	if err != nil || config == nil {
		return odd
	}
	want, err := embeddedregistry.SharedSum(config)
	if err != nil {
		return odd
	}
	for n := 1; n <= r.Spec.Count(); n++ {
		has, err := os.ReadFile(filepath.Join(replicaSocketDir(r.Spec, n), embeddedregistry.SharedName))
		if err == nil && strings.TrimSpace(string(has)) != want && listened(replicaEndpoint(r.Spec, n).Addr) {
			odd[replicaName(r.Spec, n)] = true
		}
	}
	return odd
}

// listened reports whether somebody listens on a socket: what a dead one left says nothing.
func listened(socket string) bool {
	conn, err := new(net.Dialer).Dial("unix", socket)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// isSurplus reports whether a container is a replica that is wanted no more.
func isSurplus(s spec.Spec, ref host.Ref) bool {
	number, ours := strings.CutPrefix(ref.Path, s.Name+"-")
	n, err := strconv.Atoi(number)
	return ref.Kind == engine.KindContainer && ours && err == nil && (n > s.Count() || !s.Proxied())
}

// isSocketWanted reports whether a replica listens in that folder.
func isSocketWanted(s spec.Spec, folder string) bool {
	for n := 1; n <= s.Count(); n++ {
		if folder == replicaSocketDir(s, n) {
			return s.Socket()
		}
	}
	return false
}

// clusterRuntime asks the engine about all containers.
type clusterRuntime []containerRuntime

func newRuntime(docker *engine.Docker, dir statedir.Dir, s spec.Spec) runtime {
	var all clusterRuntime
	for n := 1; n <= s.Count(); n++ {
		all = append(all, containerRuntime{docker, string(dir), replicaName(s, n)})
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// Inspect tells of the first, unless not all fare alike: then of all that do not run.
func (c clusterRuntime) Inspect(ctx context.Context) (engine.Status, error) {
	whole, missing, err := engine.Status{}, []string(nil), error(nil)
	running := 0
	for _, one := range c {
		s, failed := one.Inspect(ctx)
		if failed != nil {
			err = failed
			break
		}
		if whole.State == "" {
			whole = s
		}
		if s.State == Running {
			running++
			whole.Image = s.Image
			continue
		}
		missing = append(missing, strings.TrimSuffix(fmt.Sprintf("%s is %s, %s", one.name, s.State, s.Detail), ", "))
	}
	if running > 0 && len(missing) > 0 {
		whole.State, whole.Detail = Degraded, strings.Join(missing, "; ")
	}
	return whole, err
}

func (c clusterRuntime) RebootCover(ctx context.Context) string { return c[0].RebootCover(ctx) }

// Logs copies those of all, one after the other, or with follow as they come.
func (c clusterRuntime) Logs(ctx context.Context, follow bool, tail int, w io.Writer) error {
	if !follow {
		for _, one := range c {
			if err := one.Logs(ctx, follow, tail, w); err != nil {
				return err
			}
		}
		return nil
	}
	shared := &lockedWriter{w: w}
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range c {
		group.Go(func() error { return one.Logs(ctx, follow, tail, shared) })
	}
	return group.Wait()
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
