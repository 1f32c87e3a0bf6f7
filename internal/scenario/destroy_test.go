package scenario

import (
	"slices"
	"testing"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
)

// An image that an upgrade removed, and that a killed one had brought before anybody
// noted it, is not made again by destroy.
func TestDestroyMakesNothing(t *testing.T) {
	there := host.Fact{Exists: true}
	ref := func(path string) host.Ref { return host.Ref{Kind: engine.KindImage, Path: path} }
	r := &Registry{state: statedir.State{
		Image: "regctl/registry:now",
		Receipts: []host.Receipt{
			{Ref: host.Ref{Kind: engine.KindContainer, Path: "registry"}, Action: host.Change, Before: there, Changed: true},
			{Ref: ref("regctl/registry:now"), Action: host.Create, Changed: true},
			{Ref: ref("regctl/registry:past"), Action: host.Remove, Before: there, Changed: true},
		},
	}}
	var made []string
	for _, receipt := range r.made() {
		made = append(made, receipt.Path)
		if receipt.Action != host.Create || receipt.Before.Exists {
			t.Errorf("%s counts as there before: %+v", receipt.Path, receipt)
		}
	}
	if want := []string{"regctl/registry:now", "regctl/registry:past", "registry"}; !slices.Equal(made, want) {
		t.Errorf("made %q, want %q", made, want)
	}
}
