package statedir

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// Journal is the step.Journal of a locked directory: a batch is in DIR/journal
// while it is under way and in the state's receipts when it is done.
type Journal struct {
	Dir Dir
	// State is the state that Commit adds to and saves; the caller may change it
	// between batches.
	State *State
	// Sync takes the place of (*os.File).Sync, for tests that count.
	Sync func(*os.File) error
	// Upgrade has the receipts kept in State.Upgrade too, which is set.
	Upgrade bool

	batch string
}

var _ step.Journal = (*Journal)(nil)

// pending is a batch on disk.
type pending struct {
	Batch string    `json:"batch"`
	PID   int       `json:"pid"`
	Ops   []host.Op `json:"ops"`
	// Upgrade is the Journal's.
	Upgrade bool `json:"upgrade,omitempty"`
	// Before has the original of each op's thing, in the order of Ops.
	Before []host.Fact `json:"before"`
}

// journalHead opens a journal and is followed by the hash of what comes after it:
// a journal that was not written to its end is told from a whole one by that.
const journalHead = "regctl journal 1 sha256:"

// Begin implements step.Journal. It costs one fsync: the name of a new file goes
// to disk with its bytes on the file systems that matter.
func (j *Journal) Begin(ops []host.Op, before host.Facts) error {
	j.batch = rand.Text()
	p := pending{Batch: j.batch, PID: os.Getpid(), Ops: ops, Upgrade: j.Upgrade}
	for _, op := range ops {
		p.Before = append(p.Before, before[op.Ref])
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("%s%x\n", journalHead, sha256.Sum256(body))
	if err := j.write(append([]byte(head), body...)); err != nil {
		_ = os.Remove(j.Dir.Journal()) // the error that led here says more
		return host.Failed("write", j.Dir.Journal(), err)
	}
	return nil
}

func (j *Journal) write(data []byte) error {
	f, err := os.OpenFile(j.Dir.Journal(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && j.Sync != nil {
		err = j.Sync(f)
	} else if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Commit implements step.Journal. The state that it saves says which journal it
// includes, so that one that comes back after a power failure is not taken for
// unfinished.
func (j *Journal) Commit(receipts []host.Receipt) error {
	j.State.Receipts = step.Merge(j.State.Receipts, receipts)
	if j.Upgrade {
		j.State.Upgrade.note(receipts)
	}
	j.State.Batch = j.batch
	j.State.LastApplied = time.Now().UTC().Truncate(time.Second)
	if err := save(j.Dir, *j.State, j.Sync); err != nil {
		return err
	}
	return DropJournal(j.Dir)
}

// DropJournal forgets the batch under way.
func DropJournal(d Dir) error {
	if err := os.Remove(d.Journal()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host.Failed("remove", d.Journal(), err)
	}
	return nil
}

// readJournal returns the batch under way; ok is false when there is none. A
// journal that was not written to its end is none: no op had begun.
func readJournal(d Dir) (p pending, ok bool, err error) {
	data, err := os.ReadFile(d.Journal())
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, readFault(d.Journal(), err)
	}
	head, body, _ := bytes.Cut(data, []byte("\n"))
	if string(head) != fmt.Sprintf("%s%x", journalHead, sha256.Sum256(body)) {
		return p, false, nil
	}
	if err := json.Unmarshal(body, &p); err != nil || len(p.Before) != len(p.Ops) {
		return p, false, fault.Fail("use the regctl that wrote it", "%s is not understood: %w", d.Journal(), err)
	}
	return p, true, nil
}
