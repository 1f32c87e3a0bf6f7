// Package secret holds values that must not be printed.
package secret

// Mask is what stands in output where a secret would.
const Mask = "***"

// String is a secret text. It prints, formats and marshals as ***; Reveal gives
// the text itself.
type String struct{ text string }

// New wraps text.
func New(text string) String { return String{text} }

// Reveal returns the text. Write it only to a 0600 file or a pipe.
func (s String) Reveal() string { return s.text }

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s.text == "" }

func (s String) String() string { return s.mask() }

// GoString keeps %#v from showing the text.
func (s String) GoString() string { return s.mask() }

// MarshalText keeps JSON and YAML from showing the text.
func (s String) MarshalText() ([]byte, error) { return []byte(s.mask()), nil }

func (s String) mask() string {
	if s.text == "" {
		return ""
	}
	return Mask
}
