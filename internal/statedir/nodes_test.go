package statedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNodes(t *testing.T) {
	d := Dir(t.TempDir())
	one := Node{ID: "id1", Name: "n1", Target: "root@n1:2222", Settings: map[string][]string{"jump": {"none"}}}
	one.Set(NodeImage{Ref: "a:1", ID: "sha256:1"})
	one.Set(NodeImage{Ref: "a:2", ID: "sha256:2"})
	one.Set(NodeImage{Ref: "a:1", ID: "sha256:1", Arrived: true})
	two := Node{ID: "Id1", Name: "n2", Target: "n2"} // another than id1
	two.Set(NodeImage{Ref: "a:1"})
	must(t, SaveNode(d, one))
	must(t, SaveNode(d, two))
	all, err := LoadNodes(d)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, n := range all {
		if n.ID == one.ID && (n.Target != one.Target || n.Settings["jump"][0] != "none" || len(n.Images) != 2) {
			t.Errorf("got %+v, want %+v", n, one)
		}
	}
	if m, ok := one.Image("a:1"); !ok || !m.Arrived {
		t.Errorf("got %+v, %v", m, ok)
	}
	one.Unset("a:1")
	one.Unset("a:2")
	must(t, SaveNode(d, one))
	if all, err := LoadNodes(d); err != nil || len(all) != 1 || all[0].Name != "n2" {
		t.Errorf("%+v, %v", all, err)
	}
	must(t, os.WriteFile(filepath.Join(d.Nodes(), "id3.json"), []byte("{"), 0o600))
	if _, err := LoadNodes(d); err == nil || !strings.Contains(err.Error(), "id3.json is damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	must(t, ForgetNodes(d))
	if _, err := os.Stat(d.Nodes()); !os.IsNotExist(err) {
		t.Errorf("%s: %v", d.Nodes(), err)
	}
}
