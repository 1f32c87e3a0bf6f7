package host

// Edit is a file of somebody else that holds a part of ours: daemon.json,
// /etc/hosts. An op writes the whole file as it ought to be; symlinks are followed;
// owner, mode, label, extended attributes and ACLs stay. Want.Mode, Want.UID and
// Want.GID count only for a file that was not there.
//
// Op.Part names the part of ours that the op is about: a registry's name, say, of
// letters, digits, dots and dashes. Create and Change put it in; before the first
// does, the original is kept on that machine, for root alone, with the list of the
// parts in it. Remove takes the part out: Want is the file without it. When it was
// the last and nobody else has changed the file since, what is brought back instead
// is the original, to the byte, or its absence. Then the record goes too. A Remove
// for a part that is not in the record does nothing.
const Edit Kind = "edit"

// Record is what a machine keeps about a file with parts of ours, or about a file or
// a directory that is ours.
type Record struct {
	Parts    []string `json:"parts"`
	Others   bool     `json:"others,omitempty"`   // somebody else has changed the file since
	Original string   `json:"original,omitempty"` // Hash of the original, "" if there was no file
}

// Has reports whether part is in the file.
func (r *Record) Has(part string) bool {
	if r == nil {
		return false
	}
	for _, p := range r.Parts {
		if p == part {
			return true
		}
	}
	return false
}
