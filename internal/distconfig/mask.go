package distconfig

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/regctl/regctl/internal/secret"
)

// masked stands for a secret, quoted so that what was YAML is YAML still: a
// bare *** would be an alias.
const masked = `"` + secret.Mask + `"`

// Keys whose values are secrets: those that end in one of secretEndings, and
// secretNames. They are those of distribution 3 and 2.8, and, as middleware and
// HTTP headers are named by anybody, what such names usually end in.
var (
	secretEndings = []string{"secret", "password", "passwd", "apikey", "licensekey", "privatekey", "authorization", "cookie"}
	secretNames   = []string{
		"accesskey", "secretkey", "accountkey", "connectionstring", "sessiontoken", "private_key_id",
		"accesskeyid", "accesskeysecret", "tempurlcontainerkey", "x-auth-token", "x-registry-auth",
	}
)

// IsSecret reports whether the value of a key of this name must not be shown.
func IsSecret(name string) bool {
	name = strings.ToLower(name)
	// cloudfront's privatekey is a path, but it costs little to hide one.
	return slices.Contains(secretNames, name) ||
		slices.ContainsFunc(secretEndings, func(end string) bool { return strings.HasSuffix(plain(name), end) })
}

// Mask puts *** in place of every secret in a config.yml: the values of keys
// that IsSecret, and passwords inside URLs. Everything else stays byte for
// byte and what was YAML stays YAML, but for comment lines, where the rest of
// the line after such a key goes. In text that is no YAML the rest of the line
// goes, and what is indented below it.
func Mask(data []byte) []byte {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return []byte(masked + "\n") // not text: nothing in it can be told from a secret
	}
	out, ok := maskNodes(data)
	if !ok {
		out = maskLines(data)
	}
	out = commented.ReplaceAllFunc(out, func(line []byte) []byte {
		m := commented.FindSubmatch(line)
		if !IsSecret(string(m[2])) {
			return line
		}
		return slices.Concat(m[1], m[2], m[3], []byte(masked))
	})
	return urlPassword.ReplaceAll(out, []byte("${1}"+secret.Mask+"@"))
}

var (
	commented   = regexp.MustCompile(`(?m)^([ \t]*#[ \t#-]*["']?)([\w.-]+)(["']?[ \t]*:[ \t]+)(\S[^\r\n]*)`)
	anyKey      = regexp.MustCompile(`([\w.-]+)["']?[ \t]*:[ \t]*`)
	urlPassword = regexp.MustCompile(`(://[^/\s:@"']*:)[^@/\s"']+@`)
)

// maskLines is for text that is no YAML: better too much than too little.
func maskLines(data []byte) []byte {
	var out []byte
	deeper := -1 // lines indented more than this belong to a secret
	for line := range bytes.Lines(data) {
		text := bytes.TrimRight(line, "\r\n")
		end := line[len(text):]
		indent := len(text) - len(bytes.TrimLeft(text, " \t"))
		if deeper >= 0 && (indent > deeper || indent == len(text)) {
			text = append(bytes.Clone(text[:indent]), masked...)
		} else {
			deeper = -1
		}
		for _, m := range anyKey.FindAllSubmatchIndex(text, -1) {
			if IsSecret(string(text[m[2]:m[3]])) {
				text, deeper = append(bytes.Clone(text[:m[1]]), masked...), indent
				break
			}
		}
		out = append(append(out, text...), end...)
	}
	return out
}
