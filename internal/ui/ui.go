// Package ui is how regctl speaks: results on stdout, the story on stderr,
// questions on the terminal. It prints what it is given and decides nothing.
package ui

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/regctl/regctl/internal/fault"
)

// UI is one command's voice. The zero value of each switch is the usual case.
type UI struct {
	In       io.Reader
	Out, Err io.Writer
	Format   string // text, json or yaml
	Quiet    bool   // no story; results, warnings and errors only
	Color    bool
	Yes      bool // every question is answered with yes
	NoInput  bool // never ask

	progress progress
}

// Result prints v as JSON or YAML when asked for, else calls text.
func (u *UI) Result(v any, text func(w io.Writer)) error {
	switch u.Format {
	case "json":
		enc := json.NewEncoder(u.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "yaml":
		return u.yaml(v)
	default:
		text(u.Out)
		return nil
	}
}

// yaml goes by way of JSON, so that both formats have the same keys.
func (u *UI) yaml(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return err
	}
	blockStyle(&node)
	enc := yaml.NewEncoder(u.Out)
	enc.SetIndent(2)
	return enc.Encode(&node)
}

func blockStyle(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	} else if n.Style == yaml.DoubleQuotedStyle {
		n.Style = 0
		if n.Tag == "!!str" {
			n.SetString(n.Value)
		}
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// Say tells one line of the story.
func (u *UI) Say(format string, args ...any) {
	if !u.Quiet {
		u.progress.above(func() { fmt.Fprintf(u.Err, format+"\n", args...) })
	}
}

// Warn prints a line that --quiet does not silence.
func (u *UI) Warn(format string, args ...any) {
	u.progress.above(func() {
		fmt.Fprintf(u.Err, "%s %s\n", u.paint("33", "warning:"), fmt.Sprintf(format, args...))
	})
}

// Error prints an error as one line, and its hint as another.
func (u *UI) Error(err error) {
	fmt.Fprintf(u.Err, "%s %s\n", u.paint("31", "error:"), oneLine(err.Error()))
	if hint := fault.Hint(err); hint != "" {
		fmt.Fprintf(u.Err, "%s %s\n", u.paint("36", "hint:"), hint)
	}
}

// Confirm asks a question that only "y" or "yes" answers with yes. Without a
// terminal, or when told not to ask, it is a usage fault.
func (u *UI) Confirm(ctx context.Context, question string) error {
	if u.Yes {
		return nil
	}
	if u.NoInput || !isTerminal(u.In) {
		return fault.Usage("run it again with --yes to go ahead", "this needs a yes: %s", question)
	}
	fmt.Fprintf(u.Err, "%s [y/N] ", question)
	var answer string
	var err error
	read := make(chan struct{})
	go func() { // a read cannot be interrupted; it ends with the program
		answer, err = bufio.NewReader(u.In).ReadString('\n')
		close(read)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(u.Err)
		return ctx.Err()
	case <-read:
	}
	if err != nil && answer == "" {
		return fault.Usage("run it again with --yes to go ahead", "no answer: %s", question)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return fault.Fail("", "stopped: nothing was changed")
	}
	return nil
}

// Diff prints a unified diff, coloured where colour is on.
func (u *UI) Diff(w io.Writer, diff string) {
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
		case strings.HasPrefix(line, "+"):
			line = u.paint("32", strings.TrimSuffix(line, "\n")) + "\n"
		case strings.HasPrefix(line, "-"):
			line = u.paint("31", strings.TrimSuffix(line, "\n")) + "\n"
		}
		if !strings.HasSuffix(line, "\n") {
			line += "\n"
		}
		_, _ = io.WriteString(w, line)
	}
}

func (u *UI) paint(code, text string) string {
	if !u.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func oneLine(s string) string {
	var parts []string
	for line := range strings.Lines(s) {
		if words := strings.Join(strings.Fields(line), " "); words != "" && !slices.Contains(parts, words) {
			parts = append(parts, words)
		}
	}
	return strings.Join(parts, "; ")
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool { return isTerminal(w) }
