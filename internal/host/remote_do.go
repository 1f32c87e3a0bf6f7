package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/regctl/regctl/internal/fault"
)

// Do implements Host. When ctx ends, the op under way is finished or undone and the
// next is not begun, if the host's sshd passes signals on (OpenSSH 7.9 and later, not
// to sudo); otherwise all that was sent is done. Either way the receipts say what was.
func (r *remote) Do(ctx context.Context, ops []Op) ([]Receipt, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, &OpError{0, ops[0].Ref, err}
	}
	req, sent := r.batch(ops)
	var receipts []Receipt
	var failed error
	err := r.talk(ctx, req, func() error {
		for i, op := range ops[:sent] {
			receipt, opErr, err := r.done(ctx, op)
			if err != nil {
				return err
			}
			if opErr == nil || receipt.Changed {
				receipts = append(receipts, receipt)
			}
			if opErr != nil {
				failed = &OpError{i, op.Ref, opErr}
				break
			}
		}
		return r.end()
	})
	if failed == nil && err == nil && sent < len(ops) {
		failed = &OpError{sent, ops[sent].Ref, refusal(ops[sent])}
	}
	return receipts, errors.Join(failed, err)
}

// batch writes the ops down up to the first that is not to be carried out at all.
func (r *remote) batch(ops []Op) (*request, int) {
	var req request
	for i, op := range ops {
		if refusal(op) != nil {
			return &req, i
		}
		var onlyIf, same []int
		for _, ref := range op.OnlyIf {
			onlyIf = append(onlyIf, before(ops, i, ref)...)
		}
		if len(op.OnlyIf) > 0 && len(onlyIf) == 0 {
			onlyIf = []int{len(ops)} // a number that no op has
		}
		same = before(ops, i, op.Ref)
		known := "*"
		if _, ok := r.known[op.Before]; ok && r.pipe != nil || op.Before == "" {
			known = op.Before
		}
		req.op(i, op, known, onlyIf, same, follows(ops[i:], op.Ref))
	}
	return &req, len(ops)
}

// follows are the actions among ops that a change of ref calls for.
func follows(ops []Op, ref Ref) []string {
	var all []string
	for _, op := range ops {
		if op.Kind == Act && op.Action == Restart && slices.Contains(op.OnlyIf, ref) {
			all = append(all, op.Path)
		}
	}
	return all
}

func refusal(op Op) error {
	must := op.Kind == Edit || op.Kind == Credential
	if must || op.Part != "" {
		if op.Part == "" && must || strings.ContainsAny(op.Part, " \t\r\n") {
			return fmt.Errorf("%s: %q is no name for a part", op.Path, op.Part)
		}
		if strings.Contains(op.Path, "\n") {
			return fmt.Errorf("%q: the record of our doing takes no such path", op.Path)
		}
	}
	switch op.Kind {
	case File, Dir, Link, Act, Edit, Credential:
		return nil
	case Source, Runtime:
		return fmt.Errorf("%s is not ours to change", op.Path)
	}
	return fmt.Errorf("%s: this host knows no %s", op.Path, op.Kind)
}

// before are the numbers of the ops on ref ahead of op i.
func before(ops []Op, i int, ref Ref) []int {
	var list []int
	for j := range i {
		if ops[j].Ref == ref {
			list = append(list, j)
		}
	}
	return list
}

// done reads the answer to one op. opErr is the op's own failure.
func (r *remote) done(ctx context.Context, op Op) (receipt Receipt, opErr, err error) {
	receipt = Receipt{Host: r.name, Ref: op.Ref, Action: op.Action, Part: op.Part}
	line, _, err := r.in.next()
	if err != nil {
		return receipt, nil, err
	}
	had := r.known[op.Before]
	if words, ok := strings.CutPrefix(line, "before "); ok {
		if had, err = r.in.fact(op.Kind, words); err != nil {
			return receipt, nil, err
		}
		if line, _, err = r.in.next(); err != nil {
			return receipt, nil, err
		}
	}
	if op.Kind == Act {
		had = Fact{Exists: true}
	}
	receipt.Before, receipt.After = had, had.Hash()
	word, rest, _ := strings.Cut(line, " ")
	if op.Kind == Credential {
		defer func() { receipt.conceal(op, had) }()
	}
	switch word {
	case "done":
		r.finished(&receipt, rest)
		return receipt, nil, nil
	case "fail":
		opErr = r.failure(ctx, op, &receipt, rest)
		return receipt, opErr, nil
	}
	return receipt, nil, fmt.Errorf("unexpected answer %q", line)
}

// finished reads "changed after note".
func (r *remote) finished(receipt *Receipt, words string) {
	f := strings.SplitN(words, " ", 3)
	if f[0] == "1" {
		receipt.Changed = true
		if receipt.Kind != Act && len(f) > 1 {
			receipt.After = strings.TrimPrefix(f[1], "-")
		}
	}
	if f[0] == "0" && len(f) > 1 && f[1] == "" && receipt.Kind != Act {
		receipt.Before, receipt.After = Fact{}, "" // passed over, or absent
	}
	if len(f) == 3 {
		receipt.Note = f[2]
	}
}

// failure reads "foreign what", "changed", "stopped" or "error verb after cause".
func (r *remote) failure(ctx context.Context, op Op, receipt *Receipt, words string) error {
	word, rest, _ := strings.Cut(words, " ")
	switch word {
	case "foreign":
		if op.Kind == Credential {
			return op.describe("get", rest)
		}
		if _, err := seen(receipt.Ref, Fact{Foreign: rest}); err != nil {
			return err
		}
		return &ForeignError{receipt.Ref, rest}
	case "changed":
		return &ChangedError{receipt.Ref}
	case "unsafe":
		return fault.Fail("see who put that there, and make it an ordinary folder of that user", "%s: root does not go there: %s", receipt.Path, rest)
	case "busy":
		return fault.Fail("wait until that has ended and run the same command again", "another regctl has been changing this machine for a minute")
	case "stopped":
		if err := ctx.Err(); err != nil {
			return err
		}
		return errGone
	}
	if receipt.Kind == Act {
		// What was to be restarted may be down: an undo does it again.
		receipt.Changed = receipt.Action == Restart
		name, cause, _ := strings.Cut(rest, " - ")
		return fmt.Errorf("%s: %s", name, orElse(cause, "it failed without a word"))
	}
	// The verb may be several words; the hash or dash ends it.
	f := strings.Fields(rest)
	for i, w := range f {
		if w == "-" || strings.HasPrefix(w, "sha256:") {
			after := strings.TrimPrefix(w, "-")
			receipt.Changed = after != receipt.After
			receipt.After = after
			verb, cause := strings.Join(f[:i], " "), strings.Join(f[i+1:], " ")
			if op.Kind == Credential {
				return op.describe(verb, cause)
			}
			return failedThere(verb, receipt.Path, causeOf(cause))
		}
	}
	return errors.New(rest)
}

func orElse(s, other string) string {
	if strings.TrimSpace(s) == "" {
		return other
	}
	return strings.TrimSpace(s)
}

// causes are what the tools of a machine say in the C locale, dash's own words too.
var causes = []struct {
	text string
	err  error
}{
	{"no space left on device", syscall.ENOSPC},
	{"printf: i/o error", syscall.ENOSPC}, // all that dash says of a write that failed
	{"disk quota exceeded", syscall.EDQUOT},
	{"read-only file system", syscall.EROFS},
	{"permission denied", syscall.EACCES},
	{"operation not permitted", syscall.EPERM},
	{"no such file or directory", syscall.ENOENT},
	{"directory nonexistent", syscall.ENOENT},
	{"not a directory", syscall.ENOTDIR},
}

func causeOf(text string) error {
	lower := strings.ToLower(text)
	for _, c := range causes {
		if strings.Contains(lower, c.text) {
			return c.err
		}
	}
	return errors.New(orElse(text, "it failed without a word"))
}
