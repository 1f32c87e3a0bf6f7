// Package secret holds values that must not be printed.
package secret

import "unique"

// Mask is what stands in output where a secret would.
const Mask = "***"

// String is a secret text. It prints, formats and marshals as ***; Reveal gives
// the text itself. It is comparable.
//
// What is in it is a pointer: package fmt calls no methods on unexported fields, and
// would print the text of one that is held there.
type String struct{ text unique.Handle[string] }

// New wraps text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{unique.Make(text)}
}

// Reveal returns the text. Write it only to a 0600 file or a pipe.
func (s String) Reveal() string {
	if s.Empty() {
		return ""
	}
	return s.text.Value()
}

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s == String{} }

func (s String) String() string { return s.mask() }

// GoString keeps %#v from showing the text.
func (s String) GoString() string { return s.mask() }

// MarshalText keeps JSON and YAML from showing the text.
func (s String) MarshalText() ([]byte, error) { return []byte(s.mask()), nil }

func (s String) mask() string {
	if s.Empty() {
		return ""
	}
	return Mask
}
