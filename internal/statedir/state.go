package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// Phase is how far a registry has come.
type Phase string

// Phases of a registry.
const (
	PhaseCreating Phase = "creating" // never finished yet
	PhaseReady    Phase = "ready"
	PhaseKept     Phase = "kept" // destroyed but for its data
)

// StateVersion is the schema of state.json that this program writes for a registry that
// it makes or upgrades. Version 2 came with Program: a regctl that knows 1 alone would
// run whatever registry it finds from itself. One of version 1 is read, and written as
// such, until it is upgraded, for an older regctl may renew its certificate.
const StateVersion = 2

// State is what was applied. It holds originals of files changed outside the
// directory, so its file is 0600.
type State struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	Phase         Phase  `json:"phase"`
	Runtime       string `json:"runtime,omitempty"`
	Image         string `json:"image,omitempty"` // reference of the image in use
	// Program is the version of the regctl that serves and renews; "" where that is not
	// known, of schema version 1 for one.
	Program string `json:"program,omitempty"`
	TLS     string `json:"tls,omitempty"` // tls.mode as applied
	// PublicCA says that clients trust it, as applied, as they trust the rest of the
	// internet; Address is how they name it.
	PublicCA bool   `json:"publicCA,omitempty"`
	Address  string `json:"address,omitempty"`
	Engine   string `json:"engine,omitempty"` // address of the Docker Engine in use
	// UID and GID own serve/ and data/, and the registry runs as them.
	UID int `json:"uid"`
	GID int `json:"gid"`
	// Made lists the directories made to hold the registry, the outermost first
	// and the registry's own last. Those that were there before are not in it.
	Made        []string  `json:"made,omitempty"`
	CreatedAt   time.Time `json:"createdAt,omitzero"`
	LastApplied time.Time `json:"lastApplied,omitzero"`
	// Renewal is the last attempt to renew the certificate; nil before the first.
	Renewal *Renewal `json:"renewal,omitempty"`
	// Rotation is the replacement of the CA, or of TLS, that is under way; nil when there is none.
	Rotation *Rotation `json:"rotation,omitempty"`
	// Upgrade is the move to another program that is under way; nil when there is none.
	Upgrade *Upgrade `json:"upgrade,omitempty"`
	// Restored is the SHA-256 of the archive that the registry came from; "" of others.
	Restored string `json:"restored,omitempty"`
	// Receipts lead back to the machine as it was before the registry.
	Receipts []host.Receipt `json:"receipts,omitempty"`
	// Batch is the last journal that went into Receipts.
	Batch string `json:"batch,omitempty"`
}

// Upgrade leads back to the program before, or on to the one after.
type Upgrade struct {
	Since time.Time `json:"since"`
	// Image is what the registry ran from before; "" without one of ours.
	Image string `json:"image,omitempty"`
	// Receipts are those of the upgrade alone, of each try, oldest first.
	Receipts []host.Receipt `json:"receipts,omitempty"`
	// Proven says that the registry was seen to serve: there is no way back any more, and
	// what the program before left behind goes.
	Proven bool `json:"proven,omitempty"`
}

// note keeps what leads back. A restart is kept as well, unlike in State.Receipts.
func (u *Upgrade) note(receipts []host.Receipt) {
	for _, r := range receipts {
		if r.Changed {
			u.Receipts = append(u.Receipts, r)
		}
	}
}

// Renewal is one attempt to renew the certificate.
type Renewal struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"` // why it failed; "" when it did not
	Hint  string    `json:"hint,omitempty"`
	// Leaf is the fingerprint of the leaf that a failure left in use: once there is
	// another, the failure is of the past.
	Leaf string `json:"leaf,omitempty"`
}

// RotationPhase is how far a new CA, or the change of TLS as such, has come.
type RotationPhase string

// Phases of a rotation.
const (
	Spreading   RotationPhase = "spreading"   // clients come to trust the next CA too
	Withdrawing RotationPhase = "withdrawing" // it is in force, and the old one leaves the clients

	// Following says that clients hold two forms of the registry, or may, since apply
	// changes what they must know of it.
	Following RotationPhase = "following"
)

// Rotation is the replacement of a CA, or of TLS as such.
type Rotation struct {
	Phase RotationPhase `json:"phase"`
	Since time.Time     `json:"since"`
	// Skipped are the hosts that were not made to trust the new CA before the switch.
	Skipped []string `json:"skipped,omitempty"`
	// Prepared says, while they follow, that all of them were ready for the switch.
	Prepared bool `json:"prepared,omitempty"`
}

// LoadState reads d's state. Where there is none it is the zero State, whose Phase
// is empty.
func LoadState(d Dir) (State, error) {
	data, err := os.ReadFile(d.State())
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, readFault(d.State(), err)
	}
	return ParseState(d, data)
}

// ParseState reads what was in d's state file.
func ParseState(d Dir, data []byte) (State, error) {
	var version struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return State{}, damaged(d, err)
	}
	if version.SchemaVersion > StateVersion {
		return State{}, fault.Fail("use the newer regctl that wrote it", "%s has schema version %d, and this regctl knows %d",
			d.State(), version.SchemaVersion, StateVersion)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, damaged(d, err)
	}
	if s.SchemaVersion < 1 || s.Phase == "" {
		return State{}, damaged(d, errors.New("it has no schemaVersion and phase"))
	}
	return s, nil
}

func damaged(d Dir, err error) error {
	return fault.Fail("restore it from a backup: it is how regctl knows what to undo", "%s is damaged: %w", d.State(), err)
}

// Save replaces d's state on disk, whole or not at all.
func Save(d Dir, s State) error { return save(d, s, nil) }

// save takes the place of Save where syncs are counted.
func save(d Dir, s State, sync func(*os.File) error) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	uid, gid := self()
	local := host.NewLocal(nil)
	local.Sync = sync
	_, err = local.Do(context.Background(), []host.Op{{
		Ref:    host.Ref{Kind: host.File, Path: d.State()},
		Action: host.Change,
		Want:   host.Fact{Exists: true, Data: data, Mode: 0o600, UID: uid, GID: gid},
		Before: host.AnyBefore,
	}})
	return err
}

func encode(s State) ([]byte, error) {
	if s.SchemaVersion == 0 {
		s.SchemaVersion = StateVersion
	}
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}
