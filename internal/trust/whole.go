package trust

import "bytes"

// whole is a file of ours in a place where somebody else's may stand already. The
// original comes back from the client's own record. Remove counts only where
// somebody else has changed the file since: then it is theirs, and stays.
type whole struct {
	id    string
	store Store
	data  []byte
}

// Part implements Editor.
func (w whole) Part() string { return partName("file", w.id, string(w.store)) }

// Has implements Editor.
func (w whole) Has(data []byte) bool { return bytes.Equal(data, w.data) }

// Apply implements Editor.
func (w whole) Apply([]byte) ([]byte, error) { return w.data, nil }

// Remove implements Editor.
func (w whole) Remove(data []byte) ([]byte, error) {
	if w.data != nil && w.Has(data) {
		return nil, nil
	}
	return data, nil
}
