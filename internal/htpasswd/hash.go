package htpasswd

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// Costs of bcrypt, each twice the work of the one before. Ten is some 50 ms.
const (
	DefaultCost = 10
	MinCost     = 6
	MaxCost     = 15 // beyond it one login would hold a core for seconds
)

// maxPassword is bcrypt's own limit, in bytes: what is beyond would not count.
const maxPassword = 72

// CheckName refuses a name that the file, or HTTP's Basic authentication (RFC 7617),
// cannot hold.
func CheckName(name string) error {
	const hint = "letters, digits, dots and hyphens are safe, 255 bytes at most"
	switch {
	case name == "":
		return fault.Usage(hint, "the user's name is empty")
	case strings.Contains(name, ":"):
		return fault.Usage(hint, "user %q: a colon ends the name in htpasswd and on the wire", name)
	case len(name) > 255:
		return fault.Usage(hint, "the user's name has %d bytes", len(name))
	case name[0] == '#' || strings.TrimSpace(name) != name:
		return fault.Usage(hint, "user %q: htpasswd would take the line for something else", name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fault.Usage(hint, "user %q: has characters that htpasswd cannot hold", name)
	}
	return nil
}

// CheckCost refuses a cost that is too cheap to guess at, or too dear to serve.
func CheckCost(cost int) error {
	if cost < MinCost || cost > MaxCost {
		return fault.Usage(fmt.Sprintf("leave --cost out for %d", DefaultCost), "a bcrypt cost of %d: want %d to %d", cost, MinCost, MaxCost)
	}
	return nil
}

// Hash makes the bcrypt hash of a password.
func Hash(password secret.String, cost int) (string, error) {
	if err := CheckCost(cost); err != nil {
		return "", err
	}
	text := password.Reveal()
	switch {
	case text == "":
		return "", fault.Usage("choose another", "the password is empty")
	case len(text) > maxPassword:
		return "", fault.Usage("choose a shorter one", "the password has %d bytes, and bcrypt reads %d", len(text), maxPassword)
	case strings.ContainsAny(text, "\x00\r\n"):
		return "", fault.Usage("choose another", "the password has a line end or a zero byte in it")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(text), cost)
	return string(hash), err
}

// Verify reports whether hash is of password. It takes the time that the hash's cost
// says; a hash that is none of bcrypt's, or dearer than MaxCost, is never matched.
func Verify(hash, password string) bool {
	return Usable(hash) && bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

// Usable reports whether a hash is one that Verify works on.
func Usable(hash string) bool { c := Cost(hash); return c > 0 && c <= MaxCost }

// Cost is a bcrypt hash's; 0 for another kind.
func Cost(hash string) int {
	if !strings.HasPrefix(hash, "$2") || len(hash) != 60 {
		return 0
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return 0
	}
	return cost
}

// Dummy is a hash that matches no password and takes the time of any other of that cost.
func Dummy(cost int) string {
	return fmt.Sprintf("$2a$%02d$regctlregctlregctlregeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", cost)
}

// Kind names what made a hash, for people.
func Kind(hash string) string {
	switch {
	case Cost(hash) > 0:
		return "bcrypt"
	case strings.HasPrefix(hash, "$apr1$"):
		return "apr1 (MD5)"
	case strings.HasPrefix(hash, "{SHA}"):
		return "SHA-1"
	case strings.HasPrefix(hash, "$5$"), strings.HasPrefix(hash, "$6$"):
		return "SHA-crypt"
	case strings.HasPrefix(hash, "$2"):
		return "damaged bcrypt"
	case len(hash) == 13 && !strings.HasPrefix(hash, "$"):
		return "crypt"
	}
	return "unknown"
}
