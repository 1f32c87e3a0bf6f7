package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Local is the machine that regctl runs on. It knows files, directories and
// symlinks; handlers teach it more.
//
// A file is replaced as a whole: a reader sees the old one or the new one, also
// after a crash. When Do returns without error, everything it did to files is on
// disk.
type Local struct {
	// Progress, when set, is called before each op that is carried out.
	Progress func(Op)
	// Sync takes the place of (*os.File).Sync, for tests that count.
	Sync func(*os.File) error

	// UndoDir is where the originals of edited files are kept; "" is
	// /var/lib/regctl/undo for root, else the user's state folder.
	UndoDir string

	handlers map[Kind]Handler
}

// LocalName is what a Local host is called in receipts and errors.
const LocalName = "local"

// NewLocal returns this machine as a host with the given handlers, which may be nil.
func NewLocal(handlers map[Kind]Handler) *Local { return &Local{handlers: handlers} }

// Name implements Host.
func (l *Local) Name() string { return LocalName }

// Look implements Host.
func (l *Local) Look(ctx context.Context, refs []Ref) (Facts, error) {
	facts := make(Facts, len(refs))
	var sh shellOnce
	defer sh.close()
	ledger, err := l.ledger()
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if _, seen := facts[ref]; seen {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fact, err := l.lookAt(ctx, ref, &sh)
		if err != nil {
			return nil, err
		}
		facts[ref] = noted(ledger, ref, fact)
	}
	return facts, nil
}

func (l *Local) look(ctx context.Context, ref Ref) (Fact, error) { return l.lookAt(ctx, ref, nil) }

func (l *Local) lookAt(ctx context.Context, ref Ref, sh *shellOnce) (Fact, error) {
	switch ref.Kind {
	case File:
		return lookFile(ref.Path)
	case Dir:
		return lookDir(ref.Path)
	case Link:
		return lookLink(ref.Path)
	case Source:
		return lookSource(ref.Path)
	case Act:
		return Fact{}, nil
	case Edit, Runtime, Credential:
		return l.lookInShell(ctx, ref, sh)
	}
	handler, ok := l.handlers[ref.Kind]
	if !ok {
		return Fact{}, fmt.Errorf("%s: this host knows no %s", ref.Path, ref.Kind)
	}
	return handler.Look(ctx, ref.Path)
}

// Do implements Host. When ctx ends, the op under way is finished or undone and
// the next is not begun.
func (l *Local) Do(ctx context.Context, ops []Op) ([]Receipt, error) {
	b := batch{Local: l, changed: map[Ref]bool{}, made: map[string]bool{}, dirty: map[string]bool{}}
	defer b.shell.close()
	var receipts []Receipt
	for i, op := range ops {
		receipt, err := b.one(ctx, op)
		if err == nil || receipt.Changed {
			receipts = append(receipts, receipt)
			b.changed[op.Ref] = b.changed[op.Ref] || receipt.Changed
		}
		if err != nil {
			return receipts, errors.Join(&OpError{i, op.Ref, err}, b.flush())
		}
	}
	return receipts, b.flush()
}

// batch is one Do under way.
type batch struct {
	*Local
	changed map[Ref]bool
	made    map[string]bool // directories made by this batch
	dirty   map[string]bool // directories to sync at its end
	shell   shellOnce
}

func (b *batch) one(ctx context.Context, op Op) (Receipt, error) {
	r := Receipt{Host: b.Name(), Ref: op.Ref, Action: op.Action, Part: op.Part}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	if len(op.OnlyIf) > 0 && !b.anyChanged(op.OnlyIf) {
		return r, nil
	}
	if op.Kind == Edit || op.Kind == Act || op.Kind == Credential || op.Part != "" && (op.Kind == File || op.Kind == Dir) {
		return b.oneInShell(ctx, op)
	}
	before, err := b.look(ctx, op.Ref)
	if err != nil {
		return r, err
	}
	r.Before, r.After = before, before.Hash()
	if asWanted(op, before) {
		return r, nil
	}
	if before.Foreign != "" {
		return r, &ForeignError{op.Ref, before.Foreign}
	}
	// What this batch itself changed may well differ from what the plan saw.
	if op.Before != AnyBefore && op.Before != before.Hash() && !b.changed[op.Ref] {
		return r, &ChangedError{op.Ref}
	}
	if b.Progress != nil {
		b.Progress(op)
	}
	after, err := b.carryOut(ctx, op, before)
	r.After = after.Hash()
	r.Changed = op.Action != Wait && (op.Action == Restart || r.After != before.Hash())
	return r, err
}

func (b *batch) anyChanged(refs []Ref) bool {
	for _, ref := range refs {
		if b.changed[ref] {
			return true
		}
	}
	return false
}

// asWanted reports whether there is nothing left to do. What runs is not to be
// judged here: only its handler knows.
func asWanted(op Op, now Fact) bool {
	switch op.Action {
	case Remove:
		return !now.Exists
	case Create, Change:
		return now.Hash() == op.Want.Hash()
	}
	return false
}

// carryOut does op and returns the thing as it is afterwards, also when it failed.
func (b *batch) carryOut(ctx context.Context, op Op, before Fact) (Fact, error) {
	var err error
	switch op.Kind {
	case File:
		err = b.doFile(op, before)
	case Dir:
		err = b.doDir(op, before)
	case Link:
		err = b.doLink(op)
	case Source:
		return before, fmt.Errorf("%s is not ours to change", op.Path)
	default:
		after, err := b.handlers[op.Kind].Do(ctx, op)
		if err == nil {
			return after, nil
		}
		return b.remains(ctx, op.Ref, before), err
	}
	if err != nil {
		return b.remains(ctx, op.Ref, before), err
	}
	return b.look(ctx, op.Ref)
}

// remains looks at what a failed op left behind, also when it failed because ctx
// ended.
func (b *batch) remains(ctx context.Context, ref Ref, before Fact) Fact {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	now, err := b.look(ctx, ref)
	if err != nil {
		return before
	}
	return now
}

// isNotThere is true also when a parent is no directory.
func isNotThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDir(err)
}
