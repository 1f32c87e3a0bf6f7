package trust

import (
	"regexp"
	"strings"
)

// ShellFlag is --insecure-registry in a variable of /etc/default/docker or
// /etc/sysconfig/docker. Both sh and systemd (EnvironmentFile=) read such a file,
// so a variable is edited within its quotes and no comment is put behind it.
type ShellFlag struct {
	Var     string // DOCKER_OPTS, INSECURE_REGISTRY or OPTIONS
	Address string
}

// Part implements Editor.
func (s ShellFlag) Part() string { return partName("flag", s.Var, s.Address) }

func (s ShellFlag) flag() string { return "--insecure-registry=" + s.Address }

// Has implements Editor.
func (s ShellFlag) Has(data []byte) bool {
	at, err := s.find(data)
	return err == nil && at.found && s.within(at.value)
}

func (s ShellFlag) within(value string) bool {
	words := strings.Fields(strings.ReplaceAll(value, `\ `, " "))
	for i, w := range words {
		if w == s.flag() || w == "--insecure-registry" && i+1 < len(words) && words[i+1] == s.Address {
			return true
		}
	}
	return false
}

// Apply implements Editor. The last assignment is the one that counts.
func (s ShellFlag) Apply(data []byte) ([]byte, error) {
	at, err := s.find(data)
	if err != nil {
		return nil, err
	}
	if !at.found {
		head := appendMarked(data, "", ownLine{text: "# the next line:"})
		return append(head, s.Var+`="`+s.flag()+`"`+eolOf(data)...), nil
	}
	if s.within(at.value) {
		return data, nil
	}
	text := s.flag()
	if at.value != "" {
		text = at.gap() + text
	}
	return splice(string(data), at.end, at.end, text), nil
}

// Remove implements Editor.
func (s ShellFlag) Remove(data []byte) ([]byte, error) {
	at, err := s.find(data)
	if err != nil || !at.found {
		return data, err
	}
	value := at.gap() + at.value + at.gap()
	i := strings.Index(value, at.gap()+s.flag()+at.gap())
	if i < 0 {
		return data, nil
	}
	from, to := at.start+i, at.start+i+len(s.flag())
	switch {
	case i > 0:
		from -= len(at.gap())
	case to < at.end:
		to += len(at.gap())
	}
	out := splice(string(data), from, to, "")
	if to-from < at.end-at.start || at.quote != '"' {
		return out, nil
	}
	return s.removeLine(out), nil
}

// removeLine takes out an assignment that we made, now that it says nothing.
func (s ShellFlag) removeLine(data []byte) []byte {
	empty := false
	return dropLines(data, func(line string, rest []string) (bool, bool) {
		if empty {
			empty = false
			return true, false
		}
		ours, joined := marked(line, "")
		if ours && strings.HasPrefix(line, "# the next line:") && len(rest) > 0 && strings.TrimRight(rest[0], "\r\n") == s.Var+`=""` {
			empty = true
			return true, joined
		}
		return false, false
	})
}

// assignment is where a variable's value lies, between its quotes if it has any.
type assignment struct {
	found      bool
	quote      byte // ', " or 0
	start, end int
	value      string
}

// gap is what stands between two words of the value.
func (a assignment) gap() string {
	if a.quote == 0 {
		return `\ `
	}
	return " "
}

func (s ShellFlag) find(data []byte) (assignment, error) {
	var found assignment
	sets := regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?` + s.Var + `(\+?)=`)
	offset := 0
	continued := false
	for i, line := range lines(data) {
		body := strings.TrimRight(line, "\r\n")
		m := sets.FindStringSubmatchIndex(body)
		if m != nil && !continued {
			at, ok := value(body[m[1]:])
			if !ok || m[3] > m[2] {
				return found, refuse(i+1, "write it as "+s.Var+`="…" on one line`, "%s is set in a way that regctl does not edit", s.Var)
			}
			at.start += offset + m[1]
			at.end += offset + m[1]
			found = at
		}
		continued = strings.HasSuffix(body, `\`) && !strings.HasPrefix(strings.TrimSpace(body), "#")
		offset += len(line)
	}
	return found, nil
}

// value reads what follows the equals sign; ok is false for a value that is in
// pieces or goes on in the next line.
func value(text string) (assignment, bool) {
	at := assignment{found: true}
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		at.quote = text[0]
		for i := 1; i < len(text); i++ {
			if text[i] == '\\' && at.quote == '"' {
				i++
				continue
			}
			if text[i] == at.quote {
				at.start, at.end, at.value = 1, i, text[1:i]
				rest := text[i+1:]
				after := strings.TrimLeft(rest, " \t")
				return at, after == "" || after[0] == '#' && after != rest
			}
		}
		return at, false
	}
	i := 0
	for i < len(text) && text[i] != ' ' && text[i] != '\t' {
		if strings.IndexByte("'\"`$;&|<>()#", text[i]) >= 0 {
			return at, false
		}
		if text[i] == '\\' {
			i++
			if i >= len(text) || text[i] != ' ' {
				return at, false
			}
		}
		i++
	}
	at.end, at.value = i, text[:i]
	after := strings.TrimLeft(text[i:], " \t")
	return at, after == "" || after[0] == '#'
}

// SysconfigVar is the variable of a Red Hat style /etc/sysconfig/docker that takes
// the flag: INSECURE_REGISTRY where the file speaks of it, if only in a comment,
// else OPTIONS.
func SysconfigVar(data []byte) string {
	if regexp.MustCompile(`(?m)^[# \t]*INSECURE_REGISTRY=`).Match(data) {
		return "INSECURE_REGISTRY"
	}
	return "OPTIONS"
}
