package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
)

// NodeAccess is how the nodes of a swarm are logged in to.
type NodeAccess struct {
	// Dial logs in to a node: as its settings say, where none were given now.
	Dial func(ctx context.Context, target string, known map[string][]string) (NodeHost, error)
	// Close ends what several logins share.
	Close func()
	// Settings are those given now, for the next time.
	Settings map[string][]string
}

// NodeHost is a node that is logged in to. Both calls are as host.SSH has them.
type NodeHost interface {
	LoadImage(ctx context.Context, id string, archive func(io.Writer) error) (sent bool, err error)
	DropImage(ctx context.Context, id string, wait bool) (gone bool, why string, err error)
	Close() error
}

// swarmEngine is what is asked of this machine's engine.
type swarmEngine interface {
	SwarmNodes(ctx context.Context) ([]engine.SwarmNode, error)
	ImageID(ctx context.Context, ref string) (string, error)
	SaveImage(ctx context.Context, ref string, w io.Writer) error
	ImageServices(ctx context.Context, id string) ([]string, error)
	LackedImage(ctx context.Context, service, id string) (map[string]time.Time, error)
}

// nodeImages is the host.Handler of kindNodeImage.
type nodeImages struct {
	dir     statedir.Dir
	service string
	entries []string // swarm.nodes
	docker  swarmEngine
	access  NodeAccess
	say     func(format string, args ...any)
	// keeps is told of a node that could not be made to let an image go.
	keeps func(what string)
}

func (r *Registry) nodeImages(docker swarmEngine) nodeImages {
	var keeping sync.Mutex
	return nodeImages{
		dir: r.Dir, service: r.Spec.Name, entries: r.Spec.Swarm.Nodes, docker: docker, access: r.Nodes,
		say: func(format string, args ...any) {
			if r.Progress != nil {
				r.Progress(fmt.Sprintf(format, args...))
			}
		},
		keeps: func(what string) {
			keeping.Lock()
			defer keeping.Unlock()
			r.keptOnNodes = append(r.keptOnNodes, what)
		},
	}
}

// Look implements host.Handler. A node to which a task was sent in vain since has lost
// the image.
func (h nodeImages) Look(ctx context.Context, ref string) (host.Fact, error) {
	known, err := statedir.LoadNodes(h.dir)
	if err != nil {
		return host.Fact{}, err
	}
	var now nodesFact
	lacked := map[string]map[string]time.Time{}
	for _, n := range known {
		m, ok := n.Image(ref)
		if !ok {
			continue
		}
		if lacked[m.ID] == nil {
			if lacked[m.ID], err = h.docker.LackedImage(ctx, h.service, m.ID); err != nil {
				return host.Fact{}, err
			}
		}
		if m.Arrived && !lacked[m.ID][n.ID].After(m.At) {
			now.Have = append(now.Have, n.ID)
		} else {
			now.Perhaps = append(now.Perhaps, n.ID)
		}
	}
	return now.fact(), nil
}

// Do implements host.Handler: those that are to have the image and have not are given
// it, others lose it. A node that cannot be reached to take the image away keeps it, and
// people are told.
func (h nodeImages) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	want, err := parseNodes(op.Want)
	if err != nil {
		return host.Fact{}, err
	}
	now, err := h.Look(ctx, op.Path)
	if err != nil {
		return host.Fact{}, err
	}
	is, err := parseNodes(now)
	if err != nil {
		return host.Fact{}, err
	}
	defer h.access.Close()
	all := slices.Concat(is.Have, is.Perhaps)
	drop := slices.DeleteFunc(all, func(id string) bool { return slices.Contains(want.Have, id) })
	if err := h.drop(ctx, op.Path, drop); err != nil {
		return host.Fact{}, err
	}
	give := slices.DeleteFunc(want.Have, func(id string) bool { return slices.Contains(is.Have, id) })
	if err := h.give(ctx, op.Path, give); err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

// each does something for nodes, some at a time, and says of all that failed why.
func (h nodeImages) each(ctx context.Context, ids []string, do func(ctx context.Context, id string) error) []error {
	var errs []error
	for _, r := range fleet.Run(ctx, ids, fleet.Options{}, func(ctx context.Context, id string) (struct{}, error) {
		return struct{}{}, do(ctx, id)
	}) {
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	return errs
}

// give brings the image to nodes.
func (h nodeImages) give(ctx context.Context, ref string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	id, err := h.docker.ImageID(ctx, ref)
	if err == nil && id == "" {
		err = fault.Fail("run the same command again", "image %s: %w", ref, engine.ErrImageGone)
	}
	if err != nil {
		return err
	}
	nodes, err := h.docker.SwarmNodes(ctx)
	if err != nil {
		return err
	}
	targets, err := nodeTargets(nodes, h.entries)
	if err != nil {
		return err
	}
	known, err := h.known()
	if err != nil {
		return err
	}
	archive := &spool{dir: h.dir, write: func(w io.Writer) error { return h.docker.SaveImage(ctx, ref, w) }}
	defer archive.close()
	errs := h.each(ctx, ids, func(ctx context.Context, node string) error {
		i := slices.IndexFunc(nodes, func(n engine.SwarmNode) bool { return n.ID == node })
		if i < 0 {
			return fault.Fail("run the same command again", "node %s has left the swarm", node)
		}
		record := known.of(nodes[i], targets[node], h.access.Settings)
		err := h.giveOne(ctx, record, statedir.NodeImage{Ref: ref, ID: id}, archive)
		if err != nil && ctx.Err() == nil {
			err = fault.Fail(fault.Hint(err), "%s: %w", nodes[i], err)
		}
		return err
	})
	return notBrought(ref, len(ids), errs)
}

func (h nodeImages) giveOne(ctx context.Context, record statedir.Node, m statedir.NodeImage, archive *spool) error {
	record.Set(m)
	if err := statedir.SaveNode(h.dir, record); err != nil {
		return err
	}
	node, err := h.access.Dial(ctx, record.Target, record.Settings)
	if err != nil {
		return h.forgotten(record, m, err) // nothing is there
	}
	defer node.Close()
	start := time.Now()
	sent, err := node.LoadImage(ctx, m.ID, func(w io.Writer) error {
		f, size, err := archive.open()
		if err != nil {
			return err
		}
		h.say("loading the image on %s: %d MB", record.Name, (size+500_000)/1_000_000)
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return err
	}
	if sent {
		h.say("%s has the image, %.1f s", record.Name, time.Since(start).Seconds())
	} else {
		h.say("%s has the image already", record.Name)
	}
	m.Arrived, m.At = true, time.Now().UTC()
	record.Set(m)
	if err := statedir.SaveNode(h.dir, record); err != nil {
		return err
	}
	return h.shed(ctx, node, record, m)
}

func (h nodeImages) forgotten(record statedir.Node, m statedir.NodeImage, err error) error {
	record.Unset(m.Ref)
	return errors.Join(err, statedir.SaveNode(h.dir, record))
}

// notBrought makes one error of those of several nodes.
func notBrought(ref string, nodes int, errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	var lines []string
	for _, err := range errs {
		lines = append(lines, err.Error())
	}
	hint := fault.Hint(errs[0])
	if hint != "" {
		hint += "; "
	}
	return fault.Fail(hint+"or leave that node out by --constraint node.hostname!=NAME; or load the image there yourself (docker save "+ref+
		" | ssh NODE docker load) and say so: --nodes NAME=none",
		"%d of %d nodes cannot be given the image, and none is to start without: %s", len(errs), nodes, strings.Join(lines, "; "))
}

// knownNodes are the records, by ID.
type knownNodes struct {
	nodes map[string]statedir.Node
	last  map[string][]string // how some node was reached
}

func (h nodeImages) known() (k knownNodes, err error) {
	all, err := statedir.LoadNodes(h.dir)
	k.nodes = map[string]statedir.Node{}
	for _, n := range all {
		k.nodes[n.ID] = n
		k.last = n.Settings
	}
	return k, err
}

// of is a node's record as it is to become. A node that is new is reached as others are.
func (k knownNodes) of(n engine.SwarmNode, target string, given map[string][]string) statedir.Node {
	record, ok := k.nodes[n.ID]
	if !ok {
		record = statedir.Node{ID: n.ID, Settings: k.last}
	}
	settings := maps.Clone(record.Settings)
	if settings == nil {
		settings = map[string][]string{}
	}
	maps.Copy(settings, given)
	record.Name, record.Target, record.Settings = n.String(), cmp.Or(target, n.Addr), settings
	return record
}
