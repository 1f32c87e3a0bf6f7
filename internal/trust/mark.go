package trust

import "strings"

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

// eolOf is how the file ends its lines: as its first line does.
func eolOf(data []byte) string {
	first, _, found := strings.Cut(string(data), "\n")
	if found && strings.HasSuffix(first, "\r") {
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
// The newline that came with a joined line goes with it, or is handed to the next
// line of ours when that is what follows.
func dropLines(data []byte, drop func(line string, rest []string) (ours, joined bool)) []byte {
	all := lines(data)
	var kept []string
	pending := false // a joined line has gone and nothing has followed yet
	for i, line := range all {
		ours, joined := drop(line, all[i+1:])
		if ours {
			pending = pending || joined
			continue
		}
		if pending {
			line, _ = join(line)
			pending = false
		}
		kept = append(kept, line)
	}
	if pending && len(kept) > 0 {
		end := kept[len(kept)-1]
		kept[len(kept)-1] = strings.TrimSuffix(strings.TrimSuffix(end, "\n"), "\r")
	}
	return []byte(strings.Join(kept, ""))
}
