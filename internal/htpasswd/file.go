// Package htpasswd is the file of that name, as Apache's htpasswd and distribution's
// registry know it: a user and the hash of a password a line. Hashes that are made
// here are bcrypt alone; whatever else a file holds stays in it byte for byte.
package htpasswd

import (
	"bytes"
	"slices"
	"strings"
)

// File is one htpasswd file. The zero File is an empty one.
type File struct {
	lines [][]byte // each with its line end, which the last may lack
}

// User is what a file says of one user.
type User struct {
	Name string
	Hash string
	Line int // counted from 1
}

// Parse never fails: lines that make no sense are kept, and Problems names them.
func Parse(data []byte) *File {
	f := &File{}
	for line := range bytes.Lines(data) {
		f.lines = append(f.lines, slices.Clone(line))
	}
	return f
}

// Bytes is the file as it should be written.
func (f *File) Bytes() []byte { return bytes.Join(f.lines, nil) }

// entry reads a line as distribution does: space around it is ignored, a line that
// begins with # is a comment, and the first colon ends the name.
func entry(line []byte) (name, hash string, ok bool) {
	text := strings.TrimSpace(string(line))
	if blank(text) {
		return "", "", false
	}
	return strings.Cut(text, ":")
}

func blank(text string) bool { return text == "" || text[0] == '#' }

// Users are those in the file, in its order. Of a name that is there twice the last
// line counts, as it does for distribution.
func (f *File) Users() []User {
	all := make([]User, 0, len(f.lines))
	at := make(map[string]int, len(f.lines))
	for i, line := range f.lines {
		name, hash, ok := entry(line)
		if !ok {
			continue
		}
		u := User{name, hash, i + 1}
		if before, twice := at[name]; twice {
			all[before] = u
			continue
		}
		at[name] = len(all)
		all = append(all, u)
	}
	return all
}

// Find returns the line of one user that counts.
func (f *File) Find(name string) (User, bool) {
	for i, line := range slices.Backward(f.lines) {
		if n, hash, ok := entry(line); ok && n == name {
			return User{name, hash, i + 1}, true
		}
	}
	return User{}, false
}

// Set gives a user a hash, in the line that is there or a new one at the end.
func (f *File) Set(name, hash string) {
	text := name + ":" + hash
	if u, ok := f.Find(name); ok {
		old := f.lines[u.Line-1]
		f.lines[u.Line-1] = append([]byte(text), lineEnd(old)...)
		return
	}
	end := "\n"
	if n := len(f.lines); n > 0 {
		if last := lineEnd(f.lines[n-1]); last == "" {
			f.lines[n-1] = append(f.lines[n-1], end...)
		} else {
			end = last
		}
	}
	f.lines = append(f.lines, []byte(text+end))
}

// lineEnd is what ends a line: a CR LF stays one.
func lineEnd(line []byte) string {
	switch {
	case bytes.HasSuffix(line, []byte("\r\n")):
		return "\r\n"
	case bytes.HasSuffix(line, []byte("\n")):
		return "\n"
	}
	return ""
}

// Remove takes a user out, every line of that name. It reports whether there was one.
func (f *File) Remove(name string) bool {
	before := len(f.lines)
	f.lines = slices.DeleteFunc(f.lines, func(line []byte) bool {
		n, _, ok := entry(line)
		return ok && n == name
	})
	return len(f.lines) < before
}

func trimmed(line []byte) string { return string(bytes.TrimSpace(line)) }
