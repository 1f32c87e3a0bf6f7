package engine

import (
	"encoding/json"

	"github.com/aymanbagabas/go-udiff"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// ensure is the step that makes one thing exactly as wanted.
type ensure struct {
	ref    host.Ref
	want   host.Fact
	target string // for people
	about  string // what is made, for people
	// restartIf restarts a thing that is as wanted when one of these changed.
	restartIf []host.Ref
	again     bool // restarts it whatever has changed
}

func (e ensure) Name() string { return e.target }

func (e ensure) Reads() []host.Ref { return []host.Ref{e.ref} }

func (e ensure) Plan(seen host.Facts) (step.Change, error) {
	now := seen[e.ref]
	item := step.Item{Target: e.target, Diff: e.about}
	op := host.Op{Ref: e.ref, Want: e.want, Before: now.Hash()}
	switch {
	case now.Foreign != "":
		return step.Change{}, fault.Fail("remove it, or choose another --name", "%s is %s", e.ref.Path, now.Foreign)
	case !now.Exists:
		op.Action, item.Action = host.Create, host.Create
		if e.ref.Kind == KindUnit {
			_, item.Diff = e.difference(now)
		}
	case now.Hash() != e.want.Hash():
		op.Action = host.Change
		item.Action, item.Diff = e.difference(now)
	case e.again:
		op.Action, item.Action = host.Restart, host.Restart
		item.Diff = "(it may run what was there before)"
	case len(e.restartIf) > 0:
		op.Action, item.Action = host.Restart, host.Restart
		op.OnlyIf, item.OnlyIf = e.restartIf, e.restartIf
		item.Diff = "(what it reads at its start has changed)"
	default:
		return step.Change{}, nil
	}
	return step.Change{Items: []step.Item{item}, Ops: []host.Op{op}}, nil
}

// difference says what would change, and that a stopped unit is but started.
func (e ensure) difference(now host.Fact) (host.Action, string) {
	was, want := string(now.Data), string(e.want.Data)
	switch e.ref.Kind {
	case KindBinary:
		return host.Change, e.about
	case KindUnit:
		var a, b unitState
		_ = json.Unmarshal(now.Data, &a) // nothing, if there is no unit yet
		_ = json.Unmarshal(e.want.Data, &b)
		if a.Text == b.Text {
			return host.Start, "(enabled and started)"
		}
		was, want = a.Text, b.Text
	}
	if was == want {
		return host.Change, "(mode or owner)"
	}
	before := e.target
	if !now.Exists {
		before = "/dev/null"
	}
	return host.Change, udiff.Unified(before, e.target, was, want)
}
