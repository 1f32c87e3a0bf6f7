package scenario

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

const carried = "regctl/registry:1"

// fakeSwarm is this machine's engine and the nodes at once.
type fakeSwarm struct {
	mu      sync.Mutex
	nodes   []engine.SwarmNode
	has     map[string]string // image IDs, by target
	sent    int
	down    string // a target that cannot be reached
	users   []string
	lacked  map[string]time.Time
	stays   string // why a node keeps the image
	dialled []string
}

func (f *fakeSwarm) SwarmNodes(context.Context) ([]engine.SwarmNode, error) { return f.nodes, nil }
func (f *fakeSwarm) ImageID(_ context.Context, ref string) (string, error) {
	return "id of " + ref, nil
}

func (f *fakeSwarm) SaveImage(_ context.Context, ref string, w io.Writer) error {
	_, err := io.WriteString(w, ref)
	return err
}

func (f *fakeSwarm) ImageServices(context.Context, string) ([]string, error) { return f.users, nil }

func (f *fakeSwarm) LackedImage(context.Context, string, string) (map[string]time.Time, error) {
	return f.lacked, nil
}

func (f *fakeSwarm) dial(_ context.Context, target string, known map[string][]string) (NodeHost, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dialled = append(f.dialled, target+" "+strings.Join(known["jump"], ""))
	if target == f.down {
		return nil, fault.Fail("see that sshd runs", "%s: nothing listens", target)
	}
	return fakeNode{f, target}, nil
}

type fakeNode struct {
	f      *fakeSwarm
	target string
}

func (n fakeNode) Close() error { return nil }

func (n fakeNode) LoadImage(_ context.Context, id string, archive func(io.Writer) error) (bool, error) {
	var got bytes.Buffer
	if err := archive(&got); err != nil {
		return true, err
	}
	zip, err := gzip.NewReader(&got)
	if err != nil {
		return true, err
	}
	data, err := io.ReadAll(zip)
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	n.f.has[n.target] = "id of " + string(data)
	n.f.sent++
	if n.f.has[n.target] != id {
		err = errors.New("another ID")
	}
	return true, err
}

func (n fakeNode) DropImage(context.Context, string, bool) (bool, string, error) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	if n.f.stays == "" {
		delete(n.f.has, n.target)
	}
	return n.f.stays == "", n.f.stays, nil
}

// carry has nodes hold the image, as a plan says.
func carry(t *testing.T, f *fakeSwarm, r *Registry, nodes ...engine.SwarmNode) (items int, err error) {
	t.Helper()
	h := host.NewLocal(map[host.Kind]host.Handler{kindNodeImage: r.nodeImages(f)})
	planned, err := step.Plan(t.Context(), h, []step.Step{nodesImage{carried, nodes}})
	if err != nil {
		t.Fatal(err)
	}
	if planned.Empty() {
		return 0, nil
	}
	_, err = h.Do(t.Context(), planned.Changes[0].Ops)
	return len(planned.Changes[0].Items), err
}

func TestNodeImages(t *testing.T) {
	one, two := engine.SwarmNode{ID: "i1", Hostname: "n1", Addr: "10.0.0.1"}, engine.SwarmNode{ID: "i2", Hostname: "n2", Addr: "10.0.0.2"}
	f := &fakeSwarm{nodes: []engine.SwarmNode{one, two}, has: map[string]string{}, down: "10.0.0.2"}
	r := &Registry{Dir: statedir.Dir(t.TempDir()), Nodes: NodeAccess{Dial: f.dial, Close: func() {}, Settings: map[string][]string{"jump": {"j"}}}}

	n, err := carry(t, f, r, one, two)
	if n != 2 || err == nil || !strings.Contains(err.Error(), "1 of 2 nodes cannot be given the image") || !strings.Contains(err.Error(), "n2: 10.0.0.2: nothing listens") ||
		!strings.HasPrefix(fault.Hint(err), "see that sshd runs; or leave that node out") {
		t.Errorf("%d items, %v, hint %q", n, err, fault.Hint(err))
	}
	f.down, r.Nodes.Settings, f.dialled = "", nil, nil
	if n, err := carry(t, f, r, one, two); n != 1 || err != nil || f.sent != 2 || !slices.Equal(f.dialled, []string{"10.0.0.2 j"}) {
		t.Errorf("the second time: %d items, %v, %d sent, %q: only the one that lacked it, and as the other", n, err, f.sent, f.dialled)
	}
	if n, err := carry(t, f, r, one, two); n != 0 || err != nil || f.sent != 2 {
		t.Errorf("the third time: %d items, %v, %d sent", n, err, f.sent)
	}
	f.lacked = map[string]time.Time{"i1": time.Now().Add(time.Second)}
	if n, err := carry(t, f, r, one, two); n != 1 || err != nil || f.sent != 3 {
		t.Errorf("where it was lost: %d items, %v, %d sent", n, err, f.sent)
	}

	remove := func() {
		t.Helper()
		h := host.NewLocal(map[host.Kind]host.Handler{kindNodeImage: r.nodeImages(f)})
		if _, err := h.Do(t.Context(), []host.Op{{Ref: host.Ref{Kind: kindNodeImage, Path: carried}, Action: host.Remove, Before: host.AnyBefore}}); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(r.Dir.Nodes()); !os.IsNotExist(err) {
			t.Errorf("there are records yet: %v", err)
		}
	}
	f.stays = "a container uses it"
	remove()
	if len(r.keptOnNodes) != 2 || !strings.HasPrefix(r.keptOnNodes[0], "image "+carried+" on n") || !strings.HasSuffix(r.keptOnNodes[0], f.stays) {
		t.Errorf("kept: %q", r.keptOnNodes)
	}
	f.lacked, f.stays, f.users, r.keptOnNodes = nil, "", []string{"another"}, nil
	if _, err := carry(t, f, r, one); err != nil {
		t.Error(err)
	}
	remove()
	if len(f.has) != 2 || len(r.keptOnNodes) != 0 {
		t.Errorf("an image of another service's: %v, kept %q", f.has, r.keptOnNodes)
	}
	if left, _ := os.ReadDir(string(r.Dir)); len(left) != 0 {
		t.Errorf("there is left %v", left)
	}
}
