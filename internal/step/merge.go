package step

import "github.com/regctl/regctl/internal/host"

// Merge adds the receipts of a later batch to what is known already: one for each
// thing, with the original from before the first change and the hash that the
// last one left. What is back at its original, or was never changed, drops out.
// Undo of the result gives back the machine as it was before all of them.
func Merge(old, later []host.Receipt) []host.Receipt {
	index := map[host.Ref]int{}
	var all []host.Receipt
	for _, r := range append(append([]host.Receipt{}, old...), later...) {
		if !r.Changed || r.Action == host.Wait || r.Action == host.Restart && r.After == r.Before.Hash() {
			continue
		}
		i, known := index[r.Ref]
		if !known {
			index[r.Ref] = len(all)
			all = append(all, r)
			continue
		}
		all[i].After = r.After
		all[i].Action = mergedAction(all[i], r.Action)
	}
	var kept []host.Receipt
	for _, r := range all {
		if r.After != r.Before.Hash() {
			kept = append(kept, r)
		}
	}
	return kept
}

// mergedAction names what the whole did. Of a thing that was only ever started
// and stopped it is the first, since its inverse leads back.
func mergedAction(whole host.Receipt, last host.Action) host.Action {
	lifecycle := map[host.Action]bool{host.Start: true, host.Stop: true, host.Restart: true}
	switch {
	case lifecycle[whole.Action] && lifecycle[last]:
		return whole.Action
	case !whole.Before.Exists:
		return host.Create
	case whole.After == "":
		return host.Remove
	default:
		return host.Change
	}
}
