package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// object is an object in a JSON file, and the offset of its brace.
type object struct {
	*hujson.Object
	start int
}

// parseObject reads a file that holds one object, as those who read plain JSON do:
// no comments, no trailing commas. blank is a file with nothing but white space.
func parseObject(data []byte, hint string) (o object, blank bool, err error) {
	if err := plainJSON(data, hint); err != nil {
		return o, false, err
	}
	if blankJSON(data) {
		return o, true, nil
	}
	root, err := hujson.Parse(data)
	if err != nil {
		return o, false, refuse(1, hint, "%v", err)
	}
	top, ok := root.Value.(*hujson.Object)
	if !ok {
		return o, false, refuse(lineAt(data, root.StartOffset), hint, "not a JSON object")
	}
	return object{top, root.StartOffset}, false, nil
}

// find gives the index of a key, -1 for none. One that is there twice is refused:
// readers differ in which they take.
func (o object) find(data []byte, key string) (int, error) {
	at := -1
	for i := range o.Members {
		if o.name(i) != key {
			continue
		}
		if at >= 0 {
			return -1, refuse(lineAt(data, o.Members[i].Name.StartOffset), "keep one of them", "%s is there twice", key)
		}
		at = i
	}
	return at, nil
}

func (o object) name(i int) string {
	name, _ := o.Members[i].Name.Value.(hujson.Literal)
	return name.String()
}

// gap is the white space before a new last member: what the last one has.
func (o object) gap() string { return gap(o.Members[len(o.Members)-1].Name.BeforeExtra) }

// add puts a member at the end.
func (o object) add(text, member string) []byte {
	if len(o.Members) == 0 {
		return splice(text, o.start+1, o.start+1, member)
	}
	end := o.Members[len(o.Members)-1].Value.EndOffset
	return splice(text, end, end, ","+o.gap()+member)
}

// cut takes a member out, with the comma that it needed.
func (o object) cut(text string, i int) []byte {
	it := o.Members[i]
	switch {
	case i > 0:
		return splice(text, o.Members[i-1].Value.EndOffset, it.Value.EndOffset, "")
	case len(o.Members) > 1:
		return splice(text, it.Name.StartOffset, o.Members[1].Name.StartOffset, "")
	}
	return splice(text, it.Name.StartOffset, it.Value.EndOffset, "")
}

// plainJSON refuses what a reader of plain JSON does not take.
func plainJSON(data []byte, hint string) error {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(data, []byte("\xff\xfe")) {
		return refuse(1, "save the file as UTF-8 without a byte order mark", "begins with a byte order mark, which not every Docker reads")
	}
	if blankJSON(data) {
		return nil
	}
	if !utf8.Valid(data) {
		return refuse(badUTF8(data), hint, "not UTF-8")
	}
	var raw json.RawMessage
	err := json.Unmarshal(data, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return refuse(lineAt(data, int(syntax.Offset)-1), hint, "not JSON: %v", err)
	}
	return err
}

func blankJSON(data []byte) bool { return len(bytes.Trim(data, " \t\r\n")) == 0 }

func badUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return lineAt(data, i)
		}
		i += size
	}
	return 0
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always marshals
	}
	return string(b)
}

// gap is the white space before a new neighbour of something.
func gap(before hujson.Extra) string {
	if len(before) == 0 {
		return " "
	}
	return string(before)
}

func splice(text string, from, to int, with string) []byte {
	return []byte(text[:from] + with + text[to:])
}
