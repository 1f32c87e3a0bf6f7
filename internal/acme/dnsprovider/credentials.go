package dnsprovider

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// fileSuffix makes a variable name a file that holds the value, as lego has it.
const fileSuffix = "_FILE"

// Parse reads a credentials file: NAME=VALUE a line. Empty lines, lines that begin
// with #, a leading "export" and quotes around a value are as a shell would have them;
// nothing is expanded. file is its name, for errors, which show no value.
func Parse(file string, data []byte) (map[string]secret.String, error) {
	found := map[string]secret.String{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "=")
		if !ok || !isVariable(name) {
			return nil, fault.Usage("write NAME=VALUE, one a line", "%s:%d: this is no variable", file, number)
		}
		if _, twice := found[name]; twice {
			return nil, fault.Usage("remove one of the two", "%s:%d: %s is there twice", file, number, name)
		}
		found[name] = secret.New(unquote(value))
	}
	return found, nil
}

func isVariable(name string) bool {
	strange := func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	}
	return name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, strange)
}

func unquote(value string) string {
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// values are what one provider was given, by lego's main names.
type values struct {
	k    kind
	text map[string]string
	err  error // the first value that is not what it should be
}

// take sorts out the credentials. read is nil for a look that opens no file: then a
// value in one is there, and empty.
func (k kind) take(credentials map[string]secret.String, read func(string) ([]byte, error)) (*values, error) {
	v := &values{k: k, text: map[string]string{}}
	known := k.variables()
	given := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		value := credentials[name].Reveal()
		main := k.main(name)
		base, inFile := strings.CutSuffix(main, fileSuffix)
		switch {
		case slices.Contains(known, main):
		case inFile && slices.Contains(known, k.main(base)):
			main = k.main(base)
			if read == nil {
				given[main] = value != ""
				continue
			}
			data, err := read(value)
			if err != nil {
				return nil, fault.Usage("give the path of a file that can be read", "%s: %w", name, err)
			}
			value = strings.TrimSuffix(string(data), "\n")
		case !k.others:
			return nil, fault.Usage(k.name+" takes "+strings.Join(known, ", "), "the credentials file: %s does not know of %s", k.name, name)
		}
		v.text[main], given[main] = value, value != ""
	}
	if v.err = k.complete(given); v.err != nil {
		return nil, v.err
	}
	return v, nil
}

func (k kind) main(name string) string {
	if main, ok := k.alias[name]; ok {
		return main
	}
	return name
}

// complete wants one whole set of what the provider needs.
func (k kind) complete(given map[string]bool) error {
	var sets []string
	for _, set := range k.needs {
		if !slices.ContainsFunc(set, func(name string) bool { return !given[name] }) {
			return nil
		}
		sets = append(sets, strings.Join(set, " and "))
	}
	if len(sets) == 0 {
		return nil
	}
	return fault.Usage("write NAME=VALUE, one a line, into a file of mode 0600 and give it with --dns-credentials-file",
		"the DNS provider %s needs %s", k.name, strings.Join(sets, ", or "))
}

// get is "" for what was not given.
func (v *values) get(name string) string { return v.text[name] }

func (v *values) or(name, otherwise string) string {
	if text := v.text[name]; text != "" {
		return text
	}
	return otherwise
}

func (v *values) number(name string, otherwise int) int {
	text := v.text[name]
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if (err != nil || n < 0) && v.err == nil {
		v.err = fmt.Errorf("%s: want a whole number", name)
	}
	return n
}

func (v *values) yes(name string) bool {
	text := v.text[name]
	if text == "" {
		return false
	}
	yes, err := strconv.ParseBool(text)
	if err != nil && v.err == nil {
		v.err = fmt.Errorf("%s: want true or false", name)
	}
	return yes
}

func (v *values) seconds(name string, otherwise time.Duration) time.Duration {
	return time.Duration(v.number(name, int(otherwise/time.Second))) * time.Second
}

// The times that all providers have, with what they are where the file says nothing.
func (v *values) propagation(otherwise time.Duration) time.Duration {
	return v.seconds(v.k.prefix+"PROPAGATION_TIMEOUT", otherwise)
}

func (v *values) polling(otherwise time.Duration) time.Duration {
	return v.seconds(v.k.prefix+"POLLING_INTERVAL", otherwise)
}

func (v *values) ttl(otherwise int) int { return v.number(v.k.prefix+"TTL", otherwise) }

func (v *values) httpTimeout() time.Duration {
	return v.seconds(v.k.prefix+"HTTP_TIMEOUT", 30*time.Second)
}

// pace is how long to wait for a record; embedding it makes a provider a
// challenge.ProviderTimeout.
type pace struct{ propagation, polling time.Duration }

// Timeout is challenge.ProviderTimeout's.
func (p pace) Timeout() (timeout, interval time.Duration) { return p.propagation, p.polling }

func (v *values) pace() pace { return pace{v.propagation(2 * time.Minute), v.polling(2 * time.Second)} }
