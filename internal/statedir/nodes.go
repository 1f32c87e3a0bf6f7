package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/host"
)

// Node is what is known of a machine of a swarm that the registry's image was brought
// to.
type Node struct {
	SchemaVersion int    `json:"schemaVersion"`
	ID            string `json:"id"` // the swarm's
	Name          string `json:"name"`
	// Target is where it was logged in to, Settings the flags that said how. No secrets.
	Target   string              `json:"target"`
	Settings map[string][]string `json:"settings,omitempty"`
	// Images are those that it has, or that were on their way when regctl was killed.
	Images []NodeImage `json:"images"`
}

// NodeImage is an image on a node.
type NodeImage struct {
	Ref string    `json:"ref"`
	ID  string    `json:"id"` // the engine's, sha256:…
	At  time.Time `json:"at,omitzero"`
	// Arrived is false until the node's engine has said that it holds it.
	Arrived bool `json:"arrived"`
}

// Image is what the node has under a reference.
func (n Node) Image(ref string) (NodeImage, bool) {
	i := slices.IndexFunc(n.Images, func(m NodeImage) bool { return m.Ref == ref })
	if i < 0 {
		return NodeImage{}, false
	}
	return n.Images[i], true
}

// Set records an image in place of what was known under its reference.
func (n *Node) Set(m NodeImage) {
	n.Unset(m.Ref)
	n.Images = append(n.Images, m)
}

// Unset forgets an image.
func (n *Node) Unset(ref string) {
	n.Images = slices.DeleteFunc(slices.Clone(n.Images), func(m NodeImage) bool { return m.Ref == ref })
}

// SaveNode replaces what is known of a node, whole or not at all; one without images is
// forgotten. Several may be saved at once.
func SaveNode(d Dir, n Node) error {
	if len(n.Images) > 0 {
		n.SchemaVersion = ClientVersion
		return saveIn(d.Nodes(), clientFile(n.ID), n)
	}
	path := filepath.Join(d.Nodes(), clientFile(n.ID))
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host.Failed("remove", path, err)
	}
	_ = os.Remove(d.Nodes()) // fails where there are others
	return nil
}

// LoadNodes reads all nodes, in the order of their files' names.
func LoadNodes(d Dir) ([]Node, error) { return loadAll[Node](d.Nodes()) }

// ForgetNodes removes all that is known of nodes. Whatever else lies in the folder
// stays, and the folder with it.
func ForgetNodes(d Dir) error { return forgetIn(d.Nodes()) }
