package trust

import (
	"regexp"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/regctl/regctl/internal/secret"
)

// maskForeign hides what looks like a secret in a file that is not ours.
func maskForeign(data []byte) []byte {
	if root, err := hujson.Parse(data); err == nil {
		maskJSON(&root, false)
		return maskURLs(root.Pack())
	}
	return maskURLs(maskPairs(data))
}

// maskPairs hides the rest of a line behind a name that promises a secret.
func maskPairs(data []byte) []byte {
	return regexp.MustCompile(`(?i)((?:password|passwd|secret|auth|token|identity_?token)["']?[ \t]*[:=][ \t]*)([^\s{\[][^\r\n]*)`).
		ReplaceAll(data, []byte("${1}"+secret.Mask))
}

func maskURLs(data []byte) []byte {
	return regexp.MustCompile(`(://)[^/\s@"']+@`).ReplaceAll(data, []byte("${1}"+secret.Mask+"@"))
}

// maskJSON hides whatever lies below a key that promises a secret, on whichever
// line, and the HTTP headers of Docker's client, which may be credentials.
func maskJSON(v *hujson.Value, all bool) {
	switch it := v.Value.(type) {
	case *hujson.Object:
		for i := range it.Members {
			name, _ := it.Members[i].Name.Value.(hujson.Literal)
			maskJSON(&it.Members[i].Value, all || secretName(name.String()))
		}
	case *hujson.Array:
		for i := range it.Elements {
			maskJSON(&it.Elements[i], all)
		}
	case hujson.Literal:
		switch {
		case all:
			v.Value = hujson.String(secret.Mask)
		case it.Kind() == '"':
			text := it.String()
			if masked := string(maskPairs([]byte(text))); masked != text {
				v.Value = hujson.String(masked)
			}
		}
	}
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, end := range []string{"password", "passwd", "secret", "auth", "token", "httpheaders"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
