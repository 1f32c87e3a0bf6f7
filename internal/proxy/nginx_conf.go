package proxy

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// directive is one statement of an nginx configuration.
type directive struct {
	args  []string // its name first
	file  string
	block []directive // of one with braces
	open  bool        // whether it has braces
}

func (d directive) name() string { return d.args[0] }

// arg is the nth argument, or "".
func (d directive) arg(n int) string {
	if n < len(d.args) {
		return d.args[n]
	}
	return ""
}

// nginxDump splits what nginx -T prints into files: their names in order, the main
// one first, and their statements.
func nginxDump(out string) (names []string, files map[string][]directive) {
	const mark = "# configuration file "
	texts := map[string]*strings.Builder{}
	var current *strings.Builder
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), mark); ok && strings.HasSuffix(name, ":") {
			name = strings.TrimSuffix(name, ":")
			current = &strings.Builder{}
			texts[name] = current
			names = append(names, name)
			continue
		}
		if current != nil {
			current.WriteString(line)
		}
	}
	files = map[string][]directive{}
	for name, text := range texts {
		l := lexer{text: text.String(), file: name}
		files[name] = l.block()
	}
	return names, files
}

// include resolves the includes of a block, also those within it, from what was
// dumped: nginx names files by the path that it opened.
func include(block []directive, files map[string][]directive, root string, depth int) []directive {
	var all []directive
	for _, d := range block {
		switch {
		case d.open:
			d.block = include(d.block, files, root, depth)
			all = append(all, d)
		case d.name() == "include" && depth < 16:
			all = append(all, d)
			for _, name := range slices.Sorted(maps.Keys(files)) {
				if matches(absolute(root, d.arg(1)), name) {
					all = append(all, include(files[name], files, root, depth+1)...)
				}
			}
		default:
			all = append(all, d)
		}
	}
	return all
}

func matches(pattern, name string) bool {
	ok, err := filepath.Match(pattern, name)
	return ok && err == nil || pattern == name
}

func absolute(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// find lists the statements of that name in block itself.
func find(block []directive, name string) []directive {
	var all []directive
	for _, d := range block {
		if d.name() == name {
			all = append(all, d)
		}
	}
	return all
}

// lexer reads nginx's syntax, as src/core/ngx_conf_file.c has it. It is given only
// what nginx itself has accepted.
type lexer struct {
	text string
	file string
	pos  int
}

// block reads statements up to the closing brace or the end.
func (l *lexer) block() []directive {
	var all []directive
	var args []string
	for {
		word, special := l.next()
		switch {
		case special == 0 && word == "" && l.pos >= len(l.text):
			return all
		case special == '}':
			return all
		case special == ';' || special == '{':
			d := directive{args: args, file: l.file, open: special == '{'}
			switch {
			case d.open && len(args) > 0 && strings.HasSuffix(args[0], "_by_lua_block"):
				l.skipCode()
			case d.open:
				d.block = l.block()
			}
			if len(args) > 0 {
				all = append(all, d)
			}
			args = nil
		default:
			args = append(args, word)
		}
	}
}

// next is the next word, or one of ; { } as special; neither at the end.
func (l *lexer) next() (word string, special byte) {
	l.space()
	if l.pos >= len(l.text) {
		return "", 0
	}
	switch c := l.text[l.pos]; c {
	case ';', '{', '}':
		l.pos++
		return "", c
	case '"', '\'':
		l.pos++
		return l.until(func(b byte) bool { return b == c }, true), 0
	}
	return l.until(func(b byte) bool { return strings.IndexByte(" \t\r\n;{", b) >= 0 }, false), 0
}

func (l *lexer) space() {
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			l.pos++
		case c == '#':
			for l.pos < len(l.text) && l.text[l.pos] != '\n' {
				l.pos++
			}
		default:
			return
		}
	}
}

// until reads up to a byte that ends the word, which it steps over if told so. A
// variable's ${ is no block.
func (l *lexer) until(ends func(byte) bool, over bool) string {
	var word strings.Builder
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		variable := c == '{' && !over && strings.HasSuffix(word.String(), "$")
		if ends(c) && !variable {
			if over {
				l.pos++
			}
			break
		}
		if c == '\\' && l.pos+1 < len(l.text) {
			l.pos++
			if next := l.text[l.pos]; strings.IndexByte(`"'\ `, next) < 0 {
				word.WriteByte(c)
			}
			c = l.text[l.pos]
		}
		word.WriteByte(c)
		l.pos++
	}
	return word.String()
}

// skipCode passes over a block of another language by its braces alone.
func (l *lexer) skipCode() {
	for depth := 1; l.pos < len(l.text) && depth > 0; l.pos++ {
		switch l.text[l.pos] {
		case '{':
			depth++
		case '}':
			depth--
		}
	}
}
