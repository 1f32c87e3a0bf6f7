package host

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is a line of what a machine has recorded of our doing: a part of ours in a
// file (Edit), a thing that we made (File, Dir, Credential), or an action that a
// change of ours called for and that has not been seen done (Act). The ledger lies beside the
// originals of edited files, for root alone, and goes when nothing is left in it.
//
// An op of kind File or Dir that names a Part is recorded before it is carried out,
// so that what a killed run made is known as ours. Create and Change of a File note
// it and write it; a file that has the wanted content without being noted is
// somebody else's, left alone and not noted. Create of a Dir makes it where there is
// none, one level deep; a directory that is there, through a symlink too, stays as it
// is. Remove takes away only what is noted: a File when its part is the last to have
// noted it and nobody else has changed it, a Dir when it is empty, whichever of our
// parts made it. What stays because it is, or holds, somebody else's is no longer
// noted. An entry whose thing is not there says only that somebody meant to make it.
type Entry struct {
	Kind Kind   // File, Dir, Credential or Edit
	Path string // as a later op must name it
	Part string
	Hash string // Fact.Hash of the thing as we left it or meant to, a Credential's without its secret

	content string // SHA-256 of a file's bytes
}

// LedgerRef reads all that a machine has recorded, for ParseLedger.
func LedgerRef() Ref { return Ref{Kind: Runtime, Path: "ledger"} }

// ParseLedger reads the Fact of LedgerRef. What it does not understand it passes
// over: a line that was cut short is one whose thing was not made.
func ParseLedger(f Fact) []Entry {
	var all []Entry
	for line := range strings.Lines(string(f.Data)) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(words) < 4 || !strings.HasSuffix(line, "\n") {
			continue
		}
		kind := Kind(words[0])
		if kind != Credential && kind != Act && (!strings.HasPrefix(words[3], "/") || kind != Edit && !kind.noted()) {
			continue
		}
		e := Entry{Kind: kind, Part: words[1], Hash: strings.TrimPrefix(words[2], "-"), Path: words[3]}
		if cut := strings.LastIndexByte(e.Hash, ':'); cut > len("sha256") {
			e.Hash, e.content = e.Hash[:cut], e.Hash[cut+1:]
		}
		all = append(all, e)
	}
	return all
}

// noted reports whether the ledger has things of that kind.
func (k Kind) noted() bool { return k == File || k == Dir || k == Credential }

// noted gives a fact the record that a ledger has of it.
func noted(ledger []Entry, ref Ref, fact Fact) Fact {
	if !ref.Kind.noted() {
		return fact
	}
	var r Record
	hash := fact.Hash()
	if ref.Kind == Credential {
		hash = bare(fact).Hash()
	}
	// An empty file is one that we were kept from writing.
	asLeft := !fact.Exists || ref.Kind == Dir || ref.Kind == File && fact.Foreign == "" && len(fact.Data) == 0
	sum := sha256.Sum256(fact.Data)
	content := hex.EncodeToString(sum[:])
	for _, e := range ledger {
		if e.Kind != ref.Kind || e.Path != ref.Path {
			continue
		}
		if !slices.Contains(r.Parts, e.Part) {
			r.Parts = append(r.Parts, e.Part)
		}
		asLeft = asLeft || e.Hash == hash || fact.Foreign == "" && e.content == content
	}
	if len(r.Parts) > 0 {
		r.Others = !asLeft
		fact.Edit = &r
	}
	return fact
}

// ledger is this machine's own.
func (l *Local) ledger() ([]Entry, error) {
	dir := l.UndoDir
	if dir == "" {
		if dir = undoDir(); dir == "" {
			return nil, nil
		}
	}
	path := filepath.Join(dir, "ledger")
	data, err := os.ReadFile(path)
	if isNotThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, Failed("read", path, err)
	}
	return ParseLedger(Fact{Data: data}), nil
}

// undoDir is where the script keeps the record of our doing; "" without a home.
func undoDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/regctl/undo"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "regctl", "undo")
}
