package trust

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/regctl/regctl/internal/fault"
)

// Editor puts one thing of ours into a file that belongs to somebody else and
// takes it out again. It is pure: bytes in, bytes out. Several editors share one
// file and leave it in any order.
//
// Apply and Remove leave every byte alone that is not ours, and Remove(Apply(x))
// is x. A file that does not parse is refused with an error that names the line.
// Where the thing is there already, by whoever's hand, Apply returns its input.
type Editor interface {
	Apply(data []byte) ([]byte, error)
	Remove(data []byte) ([]byte, error)
	// Has reports whether the file says already what Apply would make it say.
	Has(data []byte) bool
	// Part names what the editor puts in, as one line; FromPart is its inverse.
	Part() string
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func word(yes bool, is, isNot string) string {
	if yes {
		return is
	}
	return isNot
}

// refuse is the error for a file that we do not dare to edit. line counts from 1;
// 0 is for the file as a whole.
func refuse(line int, hint, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if line > 0 {
		text = fmt.Sprintf("line %d: %s", line, text)
	}
	return fault.Fail(hint, "%s", text)
}

// lineAt is the number of the line that an offset lies in.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n"))
}

// settled is the last check of an edit: what was there is there still, and taking
// our part out gives it back to the byte. A file with a shape that we misread is
// thereby refused, never damaged.
func settled(before, after []byte, e Editor, decode func([]byte) (any, error)) ([]byte, error) {
	back, err := e.Remove(after)
	if err != nil || !bytes.Equal(back, before) {
		return nil, refuse(0, "make the entry by hand", "the file's layout is one that regctl cannot edit and undo")
	}
	old, err := decode(before)
	if err != nil {
		return nil, err
	}
	now, err := decode(after)
	if err != nil || !includes(now, old) {
		return nil, refuse(0, "make the entry by hand", "the file's layout is one that regctl cannot add to without changing the rest")
	}
	return after, nil
}

// includes reports whether all that part says is said by whole too.
func includes(whole, part any) bool {
	switch p := part.(type) {
	case nil:
		return true
	case map[string]any:
		w, ok := whole.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range p {
			got, there := w[k]
			if !there || !includes(got, v) {
				return false
			}
		}
		return true
	case []any:
		w, ok := whole.([]any)
		if !ok {
			return false
		}
		for _, v := range w {
			if len(p) > 0 && reflect.DeepEqual(v, p[0]) {
				p = p[1:]
			}
		}
		return len(p) == 0
	}
	return reflect.DeepEqual(whole, part)
}
