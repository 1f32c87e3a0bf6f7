package trust

import (
	"strings"

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
	default:
		return doc.object.add(text, member), nil
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
	it := doc.object.Members[doc.member]
	member := text[it.Name.StartOffset:it.Value.EndOffset]
	if rest, ok := strings.CutPrefix(text, madeHead+member+madeTail); ok {
		return []byte(rest)
	}
	return doc.object.cut(text, doc.member)
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
	object object
	member int           // index of our list's key, -1 without
	value  *hujson.Value // its value
	list   *hujson.Array
	entry  int // index of our entry in it, -1 without
}

func (d DaemonJSON) parse(data []byte) (document, error) {
	doc := document{member: -1, entry: -1}
	var err error
	if doc.object, doc.blank, err = parseObject(data, jsonHint); err != nil || doc.blank {
		return doc, err
	}
	if doc.member, err = doc.object.find(data, string(d.List)); err != nil || doc.member < 0 {
		return doc, err
	}
	doc.value = &doc.object.Members[doc.member].Value
	return doc, d.readList(data, &doc)
}

func (d DaemonJSON) readList(data []byte, doc *document) error {
	line := lineAt(data, doc.value.StartOffset)
	list, ok := doc.value.Value.(*hujson.Array)
	if !ok {
		was := strings.TrimSpace(string(data[doc.value.StartOffset:doc.value.EndOffset]))
		if !strings.HasPrefix(was, `"`) || strings.Contains(was, "@") {
			was = "" // null, say, or with a password in it
		}
		return refuse(line, "write it as a list: "+quote(string(d.List))+": ["+was+"]", "%s is not a list", d.List)
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
