package ui

import (
	"fmt"
	"sync"
)

// progress is one live line below the story, on a terminal.
type progress struct {
	mu    sync.Mutex
	u     *UI
	line  string
	shown bool
	quiet bool // suspended
}

const clearLine = "\r\x1b[K"

// Live starts a line at the foot of a terminal that Follow changes, and returns what
// ends it. Elsewhere, and with Quiet, there is none.
func (u *UI) Live() (end func()) {
	if u.Quiet || !isTerminal(u.Err) {
		return func() {}
	}
	u.progress.mu.Lock()
	u.progress.u = u
	u.progress.mu.Unlock()
	return func() {
		u.progress.show("")
		u.progress.mu.Lock()
		defer u.progress.mu.Unlock()
		u.progress.u = nil
	}
}

// Follow changes the live line.
func (u *UI) Follow(format string, args ...any) { u.progress.show(fmt.Sprintf(format, args...)) }

func (p *progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = line
	p.paint()
}

// above prints something that stays, over the live line.
func (p *progress) above(print func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.u.Err, clearLine)
		p.shown = false
	}
	print()
	p.paint()
}

func (p *progress) paint() {
	if p.u == nil || p.quiet {
		return
	}
	if p.shown || p.line != "" {
		fmt.Fprint(p.u.Err, clearLine+p.line)
	}
	p.shown = p.line != ""
}

// suspend takes the line away while a question is asked.
func (p *progress) suspend() {
	p.above(func() { p.quiet = true })
}

func (p *progress) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = false
	p.paint()
}
