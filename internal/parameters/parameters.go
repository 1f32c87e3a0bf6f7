// Package parameters reads and writes a storage driver's parameters as files hold
// them: NAME=VALUE a line, in distribution's own names, NAME dotted where distribution
// nests (credentials.secret).
package parameters

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// Parameter is one of them. Whether its value is a secret only its reader knows, so
// all are kept as one.
type Parameter struct {
	Name  string
	Value secret.String
	Line  int // in its file, counted from 1
}

// Parse reads a file. Empty lines and those that begin with # are left out, and so is
// white space around a name and a value; nothing is unquoted or expanded. Errors name
// file and line and show no value.
func Parse(file string, data []byte) ([]Parameter, error) {
	var all []Parameter
	number := 0
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || !isName(name):
			return nil, fault.Usage("write key=value, one a line: accesskey=...", "%s:%d: this is no parameter", file, number)
		case value == "":
			return nil, fault.Usage("give it one, or remove the line", "%s:%d: %s has no value", file, number, name)
		case seen[name]:
			return nil, fault.Usage("remove one of the two", "%s:%d: %s is there twice", file, number, name)
		}
		seen[name] = true
		all = append(all, Parameter{name, secret.New(value), number})
	}
	return all, nil
}

func isName(name string) bool {
	strange := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' }
	return name != "" && !strings.ContainsFunc(name, strange)
}

// Format is what Parse reads back.
func Format(all []Parameter) []byte {
	var out bytes.Buffer
	for _, p := range all {
		fmt.Fprintf(&out, "%s=%s\n", p.Name, p.Value.Reveal())
	}
	return out.Bytes()
}

// Mask puts *** in place of every value.
func Mask(data []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		if name, _, ok := bytes.Cut(line, []byte("=")); ok {
			fmt.Fprintf(&out, "%s=%s\n", bytes.TrimSpace(name), secret.Mask)
		}
	}
	return out.Bytes()
}

// Get is the value of one, empty if it is not there.
func Get(all []Parameter, name string) secret.String {
	for _, p := range all {
		if p.Name == name {
			return p.Value
		}
	}
	return secret.String{}
}
