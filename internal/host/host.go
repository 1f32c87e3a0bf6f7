// Package host is the one way regctl looks at a machine and changes it.
//
// A host answers two calls: Look reads what a plan must see, Do carries out a
// batch of ops and answers with receipts. The registry's own machine is a Local
// host; clients are reached the same way over SSH. Nothing here decides what
// ought to be: that is a step's work.
package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
)

// Kind says what sort of thing a read, an op or a receipt is about.
type Kind string

// The kinds that every host knows. Others (container, image, process …) are
// added to a Local host by a Handler.
const (
	File Kind = "file" // a file that is wholly ours
	Dir  Kind = "dir"  // a directory
	Link Kind = "link" // a symlink, replaced by rename; it has a target, no mode or owner
	// Source is a file of somebody else that is only read. Symlinks are
	// followed; one that cannot be read is Foreign, which says why.
	Source Kind = "source"
)

// Ref names one thing on a host: a file by its absolute path, a container or an
// image by its name. It is comparable, so it serves as a key.
type Ref struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"`
}

func (r Ref) String() string { return string(r.Kind) + " " + r.Path }

// Fact is what one look found, or what an op wants to be found afterwards.
// The zero Fact means that the thing is absent.
type Fact struct {
	Exists bool        `json:"exists"`
	Data   []byte      `json:"data,omitempty"` // a file's bytes, a link's target, a handler's own JSON
	Mode   fs.FileMode `json:"mode,omitempty"` // permission bits only
	UID    int         `json:"uid"`
	GID    int         `json:"gid"`
	// Foreign says that the thing exists but is not what its kind expects: a
	// directory where a file should be, a container of somebody else.
	Foreign string `json:"foreign,omitempty"`
	// Edit is what the machine itself has recorded of our doing: for a file of kind
	// Edit, the parts of ours in it; for a File or a Dir, those that made it. Nil if
	// there are none. It is no part of the Hash.
	Edit *Record `json:"edit,omitempty"`
}

// Hash identifies the fact's content and metadata: "" for an absent thing,
// otherwise "sha256:…" over existence, bytes, mode and owner.
func (f Fact) Hash() string {
	if !f.Exists {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%o %d %d %q\n", f.Mode.Perm(), f.UID, f.GID, f.Foreign)
	h.Write(f.Data)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Facts are the answers to one Look, by what was asked.
type Facts map[Ref]Fact

// Action says what an op does to its target.
type Action string

// Actions. Start, Stop, Restart and Wait belong to handlers of running things.
const (
	Create  Action = "create"
	Change  Action = "change"
	Remove  Action = "remove"
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart"
	Wait    Action = "wait"
)

// Op is one change to one thing, as data: it can be journalled, sent to another
// machine and carried out after the process that planned it has died.
type Op struct {
	Ref
	Action Action `json:"action"`
	Want   Fact   `json:"want"`
	// Before is the Hash of the Fact the op was planned on; Do refuses the op
	// with a *ChangedError if the thing is different by then. AnyBefore skips
	// the check.
	Before string `json:"before"`
	// OnlyIf names things of the same batch: the op is carried out only if one
	// of their ops changed something. Empty means always.
	OnlyIf []Ref `json:"onlyIf,omitempty"`
	// Part has the machine keep a record of what the op is about: see Edit for that
	// kind, Entry for File and Dir.
	Part string `json:"part,omitempty"`
}

// AnyBefore as Op.Before accepts whatever is there.
const AnyBefore = "*"

// Receipt is the record of one op that was carried out. It is all that an undo
// needs: Before is the thing as it was, bytes included, After as it was left.
type Receipt struct {
	Host string `json:"host"`
	Ref
	Action Action `json:"action"`
	Before Fact   `json:"before"`
	After  string `json:"after"` // Hash of the thing as the op left it
	// Changed is false when the op found its work done already or was skipped
	// by OnlyIf.
	Changed bool   `json:"changed"`
	Part    string `json:"part,omitempty"` // the op's
	Note    string `json:"note,omitempty"` // what people ought to know about how it was done
}

// Host is a machine. Look never changes anything. Do carries out ops in order in
// one round trip and stops at the first that fails with an *OpError; the receipts
// of those done before it are returned with the error, so that they can be undone,
// and one for the op that failed if that left its thing different all the same.
// An op whose thing is as wanted already is not carried out: its receipt says
// Changed false. A Dir that holds something is not removed either: its receipt
// has Changed false and a hash in After.
type Host interface {
	Name() string
	Look(ctx context.Context, refs []Ref) (Facts, error)
	Do(ctx context.Context, ops []Op) ([]Receipt, error)
}

// Handler teaches a Local host one more Kind. Look answers an absent thing with
// the zero Fact; its Fact differs wherever an op made a difference, since that is
// how a receipt's Changed comes about. Do carries out one op whose precondition
// has been checked and returns the thing as it is afterwards.
type Handler interface {
	Look(ctx context.Context, path string) (Fact, error)
	Do(ctx context.Context, op Op) (after Fact, err error)
}

// ChangedError reports an op refused because its target is no longer what the
// plan saw.
type ChangedError struct {
	Ref Ref
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s changed while we were working on it", strings.TrimPrefix(e.Ref.String(), string(File)+" "))
}

// Hint says what to do about it.
func (e *ChangedError) Hint() string {
	return "run the same command again: it plans anew from what is there"
}
