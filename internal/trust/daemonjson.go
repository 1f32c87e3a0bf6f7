package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// List is a key of daemon.json that holds a list of registries.
type List string

// The lists of dockerd's configuration that regctl has entries in.
const (
	InsecureRegistries List = "insecure-registries"
	RegistryMirrors    List = "registry-mirrors"
)

// DaemonJSON is one entry of a list in Docker's daemon.json. Order, indentation,
// line ends and non-ASCII stay as they are. dockerd reads plain JSON: comments and
// trailing commas are refused as it refuses them.
//
// How a list or an object came to be is told from its layout, since JSON has no
// comments: a list that we made is ["a"], one that we only entered is [ "a"].
type DaemonJSON struct {
	List  List
	Entry string
}

// made is the file that we write where there was none.
const (
	madeHead = "{\n    "
	madeTail = "\n}\n"
)

// Part implements Editor.
func (d DaemonJSON) Part() string { return partName(string(d.List), d.Entry) }

// Has implements Editor.
func (d DaemonJSON) Has(data []byte) bool {
	doc, err := d.parse(data)
	return err == nil && doc.entry >= 0
}

// Apply implements Editor.
func (d DaemonJSON) Apply(data []byte) ([]byte, error) {
	doc, err := d.parse(data)
	if err != nil || doc.entry >= 0 {
		return data, err
	}
	entry := quote(d.Entry)
	member := quote(string(d.List)) + ": [" + entry + "]"
	text := string(data)
	switch {
	case doc.blank:
		return []byte(madeHead + member + madeTail + text), nil
	case doc.list != nil && len(doc.list.Elements) > 0:
		end := doc.list.Elements[len(doc.list.Elements)-1]
		return splice(text, end.EndOffset, end.EndOffset, ","+gap(end.BeforeExtra)+entry), nil
	case doc.list != nil:
		at := doc.value.StartOffset + 1
		return splice(text, at, at, " "+entry), nil
	case len(doc.object.Members) > 0:
		end := doc.object.Members[len(doc.object.Members)-1]
		return splice(text, end.Value.EndOffset, end.Value.EndOffset, ","+gap(end.Name.BeforeExtra)+member), nil
	default:
		at := doc.start + 1
		return splice(text, at, at, member), nil
	}
}

// Remove implements Editor.
func (d DaemonJSON) Remove(data []byte) ([]byte, error) {
	doc, err := d.parse(data)
	if err != nil || doc.entry < 0 {
		return data, err
	}
	text, list := string(data), doc.list.Elements
	it := list[doc.entry]
	switch {
	case doc.entry > 0:
		return splice(text, list[doc.entry-1].EndOffset, it.EndOffset, ""), nil
	case len(list) > 1:
		return splice(text, it.StartOffset, list[1].StartOffset, ""), nil
	case string(it.BeforeExtra) != "" || string(it.AfterExtra) != "":
		// The list was there without an entry.
		from := it.StartOffset
		if strings.HasSuffix(string(it.BeforeExtra), " ") {
			from--
		}
		return splice(text, from, it.EndOffset, ""), nil
	}
	return d.removeMember(text, doc), nil
}

// removeMember takes out the key with its list, which we made, and the whole file
// if we made that.
func (d DaemonJSON) removeMember(text string, doc document) []byte {
	members := doc.object.Members
	it := members[doc.member]
	switch {
	case doc.member > 0:
		return splice(text, members[doc.member-1].Value.EndOffset, it.Value.EndOffset, "")
	case len(members) > 1:
		return splice(text, it.Name.StartOffset, members[1].Name.StartOffset, "")
	}
	member := text[it.Name.StartOffset:it.Value.EndOffset]
	if rest, ok := strings.CutPrefix(text, madeHead+member+madeTail); ok {
		return []byte(rest)
	}
	return splice(text, it.Name.StartOffset, it.Value.EndOffset, "")
}

// Emptied is the file with our list there but empty, when Remove takes the key
// away: dockerd keeps what it has when a SIGHUP finds no key, so an undo reloads
// it once over this. ok is false where Remove leaves the key in.
func (d DaemonJSON) Emptied(data []byte) (emptied []byte, ok bool) {
	doc, err := d.parse(data)
	if err != nil || doc.entry < 0 || len(doc.list.Elements) > 1 {
		return nil, false
	}
	it := doc.list.Elements[0]
	return splice(string(data), it.StartOffset, it.EndOffset, ""), true
}

// document is what an edit must know of a daemon.json.
type document struct {
	blank  bool // nothing but white space
	start  int  // of the object
	object *hujson.Object
	member int           // index of our list's key, -1 without
	value  *hujson.Value // its value
	list   *hujson.Array
	entry  int // index of our entry in it, -1 without
}

func (d DaemonJSON) parse(data []byte) (document, error) {
	doc := document{member: -1, entry: -1}
	if err := plainJSON(data); err != nil {
		return doc, err
	}
	if blankJSON(data) {
		doc.blank = true
		return doc, nil
	}
	root, err := hujson.Parse(data)
	if err != nil {
		return doc, refuse(1, jsonHint, "%v", err)
	}
	object, ok := root.Value.(*hujson.Object)
	if !ok {
		return doc, refuse(lineAt(data, root.StartOffset), jsonHint, "not a JSON object")
	}
	doc.object, doc.start = object, root.StartOffset
	for i := range object.Members {
		name, _ := object.Members[i].Name.Value.(hujson.Literal)
		if name.String() != string(d.List) {
			continue
		}
		if doc.member >= 0 {
			return doc, refuse(lineAt(data, object.Members[i].Name.StartOffset), "keep one of them", "%s is there twice", d.List)
		}
		doc.member, doc.value = i, &object.Members[i].Value
	}
	if doc.member < 0 {
		return doc, nil
	}
	return doc, d.readList(data, &doc)
}

func (d DaemonJSON) readList(data []byte, doc *document) error {
	line := lineAt(data, doc.value.StartOffset)
	list, ok := doc.value.Value.(*hujson.Array)
	if !ok {
		return refuse(line, `write it as a list: "`+string(d.List)+`": []`, "%s is not a list", d.List)
	}
	doc.list = list
	for i, v := range list.Elements {
		text, ok := v.Value.(hujson.Literal)
		if !ok || text.Kind() != '"' {
			return refuse(lineAt(data, v.StartOffset), jsonHint, "%s holds something that is not a string", d.List)
		}
		if doc.entry < 0 && d.means(text.String()) == d.means(d.Entry) {
			doc.entry = i
		}
	}
	return nil
}

// means is what dockerd takes an entry for: it drops a scheme before an insecure
// registry and adds a slash behind a mirror.
func (d DaemonJSON) means(entry string) string {
	if d.List == RegistryMirrors {
		return strings.TrimSuffix(entry, "/")
	}
	return strings.TrimPrefix(strings.TrimPrefix(entry, "http://"), "https://")
}

const jsonHint = "mend the file first: dockerd would not start with it either"

// plainJSON refuses what dockerd would not read at its next start.
func plainJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(data, []byte("\xff\xfe")) {
		return refuse(1, "save the file as UTF-8 without a byte order mark", "begins with a byte order mark, which older dockerd does not read")
	}
	if blankJSON(data) {
		return nil
	}
	if !utf8.Valid(data) {
		return refuse(badUTF8(data), jsonHint, "not UTF-8")
	}
	var raw json.RawMessage
	err := json.Unmarshal(data, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return refuse(lineAt(data, int(syntax.Offset)-1), jsonHint, "not JSON: %v", err)
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
