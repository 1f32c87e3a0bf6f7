package host

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host/script"
)

// remote is a machine that is reached through a shell: it sends the script once and
// then speaks to it. Files are replaced as on a Local host.
type remote struct {
	name    string
	undoDir string // "" is the script's own choice
	// open starts the script; first is what the script is to read at once, so
	// that it costs no round trip of its own.
	open func(ctx context.Context, first []byte) (*pipe, error)

	mu     sync.Mutex
	pipe   *pipe
	marker string
	in     *answers
	more   bool            // it has read script.More
	known  map[string]Fact // what was seen, by hash
}

// pipe is a script that runs.
type pipe struct {
	in    io.Writer
	out   *bufio.Reader
	stop  func() // asks it to end after the op under way
	close func() error
	// story is what it printed on its standard error, for the error.
	story func() string
}

// After a context has ended, an op under way has this long to finish.
const grace = 10 * time.Second

// Name implements Host.
func (r *remote) Name() string { return r.name }

// Look implements Host.
func (r *remote) Look(ctx context.Context, refs []Ref) (Facts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var req, looks request
	var asked []Ref
	facts := make(Facts, len(refs))
	for _, ref := range refs {
		if _, twice := facts[ref]; twice {
			continue
		}
		facts[ref] = Fact{}
		if ref.Kind == Act {
			continue
		}
		asked = append(asked, ref)
		looks.look(ref)
	}
	if len(asked) == 0 {
		return facts, ctx.Err()
	}
	noting := slices.ContainsFunc(asked, func(ref Ref) bool { return ref.Kind.noted() })
	if noting {
		req.ledger()
	}
	req.Write(looks.Bytes())
	req.more = looks.more
	err := r.talk(ctx, &req, func() error {
		var failed error
		var entries []Entry
		if noting {
			var err error
			if entries, err = r.in.ledger(); err != nil {
				return err
			}
		}
		for _, ref := range asked {
			fact, err := r.looked(ref)
			if err != nil {
				return err
			}
			fact = noted(entries, ref, fact)
			if facts[ref], err = seen(ref, fact); err != nil && failed == nil {
				failed = err
			}
		}
		if err := r.end(); err != nil {
			return err
		}
		return failed
	})
	if err != nil {
		return nil, err
	}
	return facts, nil
}

func (r *remote) looked(ref Ref) (Fact, error) {
	line, _, err := r.in.next()
	if err != nil {
		return Fact{}, err
	}
	words, ok := strings.CutPrefix(line, "fact ")
	if !ok {
		return Fact{}, fmt.Errorf("%s: this host knows no %s", ref.Path, ref.Kind)
	}
	kind := ref.Kind
	if ref == LoginDockerConfigRef() {
		kind = Source
	}
	fact, err := r.in.fact(kind, words)
	if err == nil {
		r.known[fact.Hash()] = fact
	}
	return fact, err
}

// seen turns what a look found into what Local would have said.
func seen(ref Ref, fact Fact) (Fact, error) {
	if text, ok := strings.CutPrefix(fact.Foreign, "read "); ok && ref.Kind != Source {
		path, cause, _ := strings.Cut(text, ": ")
		return Fact{}, failedThere("read", path, causeOf(cause))
	}
	return fact, nil
}

// talk sends one request and has its answers read.
func (r *remote) talk(ctx context.Context, req *request, read func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	req.WriteString("end\n")
	if err := r.send(ctx, req); err != nil {
		return err
	}
	p := r.pipe
	ended := context.AfterFunc(ctx, func() {
		p.stop()
		time.AfterFunc(grace, func() { _ = p.close() })
	})
	err := read()
	quiet := ended()
	if err == nil {
		if !quiet {
			r.hangUp() // it has been told to stop
		}
		return nil
	}
	story := p.story()
	r.hangUp()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.explain(err, story)
}

// whole is a request behind the part of the script that it needs and that is not there.
func (r *remote) whole(req *request) []byte {
	if !req.more || r.more {
		return req.Bytes()
	}
	r.more = true
	return append([]byte("more\n"), loaded(script.More(), req.Bytes())...)
}

func (r *remote) send(ctx context.Context, req *request) error {
	if r.pipe != nil {
		if _, err := r.pipe.in.Write(r.whole(req)); err == nil {
			return nil
		}
		r.hangUp() // the script has ended since: begin anew
	}
	marker := make([]byte, 16)
	_, _ = rand.Read(marker) // never fails
	r.marker = "regctl-" + hex.EncodeToString(marker)
	r.more = false
	first := append([]byte(r.marker+"\n"+r.undoDir+"\n"), r.whole(req)...)
	p, err := r.open(ctx, first)
	if err != nil {
		return err
	}
	r.pipe, r.in, r.known = p, &answers{marker: r.marker, in: p.out}, map[string]Fact{}
	line, _, err := r.in.next()
	if err == nil && !strings.HasPrefix(line, "hello ") {
		err = fmt.Errorf("unexpected answer %q", line)
	}
	if err != nil {
		story := p.story()
		r.hangUp()
		return r.explain(err, story)
	}
	return nil
}

// end reads the answer to a whole request.
func (r *remote) end() error {
	line, _, err := r.in.next()
	if err == nil && line != "end" {
		err = fmt.Errorf("unexpected answer %q", line)
	}
	return err
}

func (r *remote) hangUp() {
	if r.pipe != nil {
		_ = r.pipe.close() // it is given up
		r.pipe = nil
	}
}

// explain says what a host that does not answer as it should printed instead.
func (r *remote) explain(err error, story string) error {
	if story == "" {
		return err
	}
	return fault.Fail("see that the account may run commands and has a POSIX shell at /bin/sh", "%w; it said: %s", err, story)
}

// Close ends the script. What the host has been asked to do is done by then.
func (r *remote) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangUp()
	return nil
}
