package trust

import (
	"bytes"
	"strings"
)

// In files with comments, a line of ours ends in a mark: "# regctl ID", or
// "# regctl" alone for a heading that all registries share. A mark ends in " +"
// when the line before it had no newline until we came.
const markText = "# regctl"

func mark(id string, joined bool) string {
	m := markText
	if id != "" {
		m += " " + id
	}
	if joined {
		m += " +"
	}
	return m
}

// marked tells whose a line is.
func marked(line, id string) (ours, joined bool) {
	line = strings.TrimRight(line, "\r\n")
	return strings.HasSuffix(line, mark(id, false)) || strings.HasSuffix(line, mark(id, true)),
		strings.HasSuffix(line, mark(id, true))
}

// join sets the " +" of a marked line; ok is false for a line that is not marked.
func join(line string) (string, bool) {
	body := strings.TrimRight(line, "\r\n")
	i := strings.LastIndex(body, markText)
	if i < 0 || strings.HasSuffix(body, " +") || strings.Count(body[i+len(markText):], " ") > 1 {
		return line, false
	}
	return body + " +" + line[len(body):], true
}

// eolOf is how the file ends its lines: as the last that has an end does.
func eolOf(data []byte) string {
	end := bytes.LastIndexByte(data, '\n')
	if end > 0 && data[end-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lines cuts behind each newline; the last may be without one.
func lines(data []byte) []string {
	all := strings.SplitAfter(string(data), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// ownLine is one line to be put in; a shared one has its mark without the ID.
type ownLine struct {
	text   string
	shared bool
}

func dress(text []ownLine, id, eol string, joined bool) string {
	var b strings.Builder
	for _, l := range text {
		owner := id
		if l.shared {
			owner = ""
		}
		b.WriteString(l.text + " " + mark(owner, joined) + eol)
		joined = false
	}
	return b.String()
}

// appendMarked puts lines of ours at the end.
func appendMarked(data []byte, id string, text ...ownLine) []byte {
	eol := eolOf(data)
	out := string(data)
	joined := len(out) > 0 && !strings.HasSuffix(out, "\n")
	if joined {
		out += eol
	}
	return []byte(out + dress(text, id, eol, joined))
}

// insertMarked puts lines of ours in front of line n, counted from 0.
func insertMarked(data []byte, n int, id string, text ...ownLine) []byte {
	all := lines(data)
	if n >= len(all) {
		return appendMarked(data, id, text...)
	}
	return []byte(strings.Join(all[:n], "") + dress(text, id, eolOf(data), false) + strings.Join(all[n:], ""))
}

// removeMarked takes the lines of one ID out.
func removeMarked(data []byte, id string) []byte {
	return dropLines(data, func(line string, _ []string) (bool, bool) { return marked(line, id) })
}

// dropLines takes out the lines that drop names; it is told those that follow.
// The newline that came with a joined line goes with it, or is handed to a line of
// ours that stands next to it.
func dropLines(data []byte, drop func(line string, rest []string) (ours, joined bool)) []byte {
	all := lines(data)
	var kept []string
	pending := "" // the newline of a joined line that has gone
	for i, line := range all {
		ours, joined := drop(line, all[i+1:])
		if ours {
			if joined {
				pending = line[len(strings.TrimRight(line, "\r\n")):]
			}
			continue
		}
		if pending != "" {
			line, _ = join(line)
			pending = ""
		}
		kept = append(kept, line)
	}
	if pending != "" {
		unjoin(kept, pending)
	}
	return []byte(strings.Join(kept, ""))
}

// unjoin takes the newline away that the last line got when we came. Lines of ours
// at the end keep theirs: the first of them is the joined one from now on.
func unjoin(kept []string, eol string) {
	at := len(kept)
	for at > 0 && strings.Contains(kept[at-1], markText) {
		if joined, ok := join(kept[at-1]); at == 1 || !strings.Contains(kept[at-2], markText) {
			if ok && at > 1 {
				kept[at-1] = joined
			}
			return
		}
		at--
	}
	if at > 0 {
		kept[at-1] = strings.TrimSuffix(kept[at-1], eol)
	}
}
