// Package clients makes hosts trust a registry, takes that back, and asks whether it
// still holds: one host at a time, and over a fleet with a record of each.
//
// What regctl placed on a host is known on that host, by its ledger; the records kept
// here are for people and for finding the hosts again. So a run that was killed is
// finished by running it again, and undone like any other.
package clients

import (
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/trust"
)

// Status is what became of a host or of one store on it.
type Status string

// What a run can make of a host.
const (
	Changed   Status = "changed"
	Unchanged Status = "unchanged"
	Failed    Status = "failed"
	Drifted   Status = "drifted" // Check alone: not as it was left
)

// Report is what came of one host.
type Report struct {
	Status Status
	Stores []Store
	// Verified is nil when that was not asked for.
	Verified   *bool
	VerifiedBy string   // "docker pull, podman pull"
	Warnings   []string // that hold for this host
	// Reached says that the host answered at all.
	Reached bool
	// AsLogin says that it was done by the user who logged in, without root.
	AsLogin bool
}

// Store is one store on one host.
type Store struct {
	Store      trust.Store
	Path       string // "" where nothing had to be placed
	Status     Status
	Pending    string // what is left for people to do
	VerifiedBy string
	Note       string
	// Gone says that what was there is taken out.
	Gone bool
	// Items are what is or would be changed, for a dry run and for drift.
	Items []step.Item
}

// Diff is the change of a store as one text.
func (s Store) Diff() string {
	var text string
	for _, item := range s.Items {
		text += doing(item) + "\n" + item.Diff
	}
	return text
}

// doing says what an item is about: "change /etc/hosts", "reload dockerd".
func doing(item step.Item) string {
	if strings.HasPrefix(item.Target, "/") || item.Action != host.Restart {
		return string(item.Action) + " " + item.Target
	}
	if service, ok := strings.CutPrefix(item.Target, "restart-service "); ok {
		return "restart " + service
	}
	if what, ok := strings.CutPrefix(item.Target, "reload-"); ok {
		return "reload " + what
	}
	return "run " + item.Target
}

// stores names the stores of placements, each path once.
func stores(plans []plan, was Status) []Store {
	var all []Store
	for _, p := range plans {
		status := Unchanged
		if !p.planned.Empty() {
			status = was
		}
		s := Store{Store: p.Store, Path: p.Path, Status: status, Pending: p.Pending, Items: p.planned.Items()}
		if status == Unchanged {
			s.Pending = "" // it took effect, or people know already
		}
		i := slices.IndexFunc(all, func(o Store) bool { return o.Store == s.Store && o.Path == s.Path })
		if i < 0 {
			all = append(all, s)
			continue
		}
		if s.Status != Unchanged {
			all[i].Status, all[i].Pending = s.Status, s.Pending
		}
		all[i].Items = append(all[i].Items, s.Items...)
	}
	return all
}

// whole is the status of a host by those of its stores.
func whole(all []Store) Status {
	for _, s := range all {
		if s.Status != Unchanged {
			return s.Status
		}
	}
	return Unchanged
}
