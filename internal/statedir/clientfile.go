package statedir

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// longestKey leaves room for a hash and .json in the 255 bytes that a name may have.
const longestKey = 180

// clientFile is the name of a key's file: the key itself where it is an ordinary
// name, %XX for what some file system takes for something else. Upper case is
// escaped too: some do not tell it from lower case, and users' names differ by it.
func clientFile(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '@', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	name := b.String()
	if len(name) > longestKey {
		name = fmt.Sprintf("%s~%x", name[:longestKey], sha256.Sum256([]byte(key)))[:longestKey+1+32]
	}
	return name + ".json"
}
