package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/regctl/regctl/internal/host/script"
)

// Shell is this machine by way of its own sh: what an SSH host is, without SSH. It
// knows the kinds that need the script: Edit, Act and Runtime.
type Shell struct{ remote }

// NewShell returns this machine. undoDir is where the originals of edited files are
// kept; "" is /var/lib/regctl/undo for root, else the user's state folder. Close it.
func NewShell(undoDir string) *Shell {
	s := &Shell{remote{name: LocalName, undoDir: undoDir}}
	s.open = openShell
	return s
}

func openShell(_ context.Context, first []byte) (*pipe, error) {
	// The script outlives a context on purpose: it is asked to stop, so that no op
	// is cut short.
	cmd := exec.Command("sh", "-c", script.Loader)
	story := &tail{}
	cmd.Stderr = story
	cmd.WaitDelay = grace
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &pipe{in: in, out: bufio.NewReader(out), story: story.String, stop: func() { stopGently(cmd.Process) }}
	var once sync.Once
	p.close = func() error {
		once.Do(func() {
			_ = in.Close() // it ends when it has nothing left to read
			kill := time.AfterFunc(grace, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait() // its status says nothing that its answers have not
			kill.Stop()
		})
		return nil
	}
	_, err = in.Write(loaded(script.Main(), first))
	if err != nil {
		_ = p.close() // the error that led here says more
		return nil, fmt.Errorf("start a shell: %w", err)
	}
	return p, nil
}

// loaded is a script as the loader reads it, and what the script is to read.
func loaded(text string, first []byte) []byte {
	all := make([]byte, 0, len(text)+len(first)+24) // one that is large enough
	return append(fmt.Appendf(all, "%d\n%s", len(text), text), first...)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - 2048; over > 0 {
		t.data = t.data[over:]
	}
	return len(p), nil
}

// String is that end on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(string(t.data)), " ")
}

// shellOnce is a shell that is started when it is needed.
type shellOnce struct{ *Shell }

func (s *shellOnce) of(l *Local) *Shell {
	if s.Shell == nil {
		s.Shell = NewShell(l.UndoDir)
	}
	return s.Shell
}

func (s *shellOnce) close() {
	if s.Shell != nil {
		_ = s.Close() // it always returns nil
	}
}

// lookInShell reads what a Local host leaves to the script.
func (l *Local) lookInShell(ctx context.Context, ref Ref, sh *shellOnce) (Fact, error) {
	facts, err := sh.of(l).Look(ctx, []Ref{ref})
	return facts[ref], err
}

// oneInShell carries out an op that a Local host leaves to the script.
func (b *batch) oneInShell(ctx context.Context, op Op) (Receipt, error) {
	op.OnlyIf = nil // it has been looked at
	if b.changed[op.Ref] {
		op.Before = AnyBefore // by this batch itself
	}
	if b.Progress != nil {
		b.Progress(op)
	}
	receipts, err := b.shell.of(b.Local).Do(ctx, []Op{op})
	var failed *OpError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if len(receipts) == 0 {
		return Receipt{Host: b.Name(), Ref: op.Ref, Action: op.Action, Part: op.Part}, err
	}
	return receipts[0], err
}
