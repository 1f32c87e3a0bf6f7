package statedir

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

// ClientVersion is the schema of the files in DIR/clients that this program writes.
const ClientVersion = 1

// ClientStatus is what the last run made of a client.
type ClientStatus string

// What a run can make of a client.
const (
	ClientChanged    ClientStatus = "changed"
	ClientUnchanged  ClientStatus = "unchanged"
	ClientFailed     ClientStatus = "failed"
	ClientNotReached ClientStatus = "not reached"
	ClientDrifted    ClientStatus = "drifted" // found by a check, not by a run
)

// Client is what is known of one host that was asked to trust the registry: paths
// and times. The contents of its files and their hashes stay on the host.
type Client struct {
	SchemaVersion int `json:"schemaVersion"`
	// Key is the host in its one form (fleet.Key) and names the file.
	Key string `json:"key"`
	// Host is the host as the last run had it.
	Host string `json:"host"`
	// Run is the ID of that run, Status, Error and Hint what came of it.
	Run    string       `json:"run,omitempty"`
	Status ClientStatus `json:"status"`
	Error  string       `json:"error,omitempty"`
	Hint   string       `json:"hint,omitempty"`
	// Settings are the flags that the client was reached with and that say what was
	// asked of it: a later command goes by them. No secrets.
	Settings map[string][]string `json:"settings,omitempty"`
	// Addresses are those by which it came to know the registry, oldest first.
	Addresses []string `json:"addresses,omitempty"`
	// Stores are those that hold something of ours. Save a client without any when all
	// was undone: TidyClients then forgets it.
	Stores []ClientStore `json:"stores,omitempty"`
	// Follows are the stores that need nothing of ours, since the public CAs vouch for the
	// registry: the host is to be brought along when that changes.
	Follows []string `json:"follows,omitempty"`
	// Verified is nil when the last run was not asked to verify.
	Verified   *bool  `json:"verified"`
	VerifiedBy string `json:"verifiedBy,omitempty"`
	// LastSeen is when the host last answered, LastTried when it was last asked.
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	LastTried time.Time `json:"lastTried,omitzero"`
}

// ClientStore is one place on a client that regctl changed.
type ClientStore struct {
	Store   string    `json:"store"`
	Path    string    `json:"path"`
	Pending string    `json:"pending,omitempty"` // what it waits for to take effect
	Since   time.Time `json:"since,omitzero"`
}

// Trusts reports whether the host holds something of ours.
func (c Client) Trusts() bool { return len(c.Stores) > 0 }

// SaveClient replaces what is known of a client, whole or not at all. Several may be
// saved at once.
func SaveClient(d Dir, c Client) error {
	c.SchemaVersion = ClientVersion
	return saveIn(d.Clients(), clientFile(c.Key), c)
}

// saveIn writes a file of DIR/clients or the like.
func saveIn(folder, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return host.Failed("make", folder, err)
	}
	uid, gid := self()
	_, err = host.NewLocal(nil).Do(context.Background(), []host.Op{{
		Ref:    host.Ref{Kind: host.File, Path: filepath.Join(folder, name)},
		Action: host.Change,
		Want:   host.Fact{Exists: true, Data: append(data, '\n'), Mode: 0o600, UID: uid, GID: gid},
		Before: host.AnyBefore,
	}})
	return err
}

// LoadClient reads what is known of a client; ok is false when that is nothing.
func LoadClient(d Dir, key string) (c Client, ok bool, err error) {
	ok, err = loadIn(d.Clients(), clientFile(key), &c)
	return c, ok, err
}

func loadIn(folder, name string, v any) (bool, error) {
	path := filepath.Join(folder, name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, readFault(path, err)
	}
	var version struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err = json.Unmarshal(data, &version); err == nil && version.SchemaVersion < 1 {
		err = errors.New("it has no schemaVersion")
	}
	if err == nil && version.SchemaVersion > ClientVersion {
		return false, fault.Fail("use the newer regctl that wrote it", "%s has schema version %d, and this regctl knows %d", path, version.SchemaVersion, ClientVersion)
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		hint := "remove it, and run trust-clients for that host again"
		if filepath.Base(folder) == "nodes" {
			hint = "remove it, and run regctl apply: that looks again whether the image is there"
		}
		return false, fault.Fail(hint, "%s is damaged: %w", path, err)
	}
	return true, nil
}

// LoadClients reads all clients, in the order of their files' names.
func LoadClients(d Dir) ([]Client, error) { return loadAll[Client](d.Clients()) }

func loadAll[T any](folder string) ([]T, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, readFault(folder, err)
	}
	var all []T
	for _, e := range entries {
		if !isClientFile(e.Name()) {
			continue
		}
		var one T
		ok, err := loadIn(folder, e.Name(), &one)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// ForgetClients removes all that is known of clients. Whatever else lies in the
// folder stays, and the folder with it.
func ForgetClients(d Dir) error { return forgetIn(d.Clients()) }

func forgetIn(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return readFault(folder, err)
	}
	for _, e := range entries {
		if name := e.Name(); isClientFile(name) || name == runFile || tempName.MatchString(name) {
			if err := os.Remove(filepath.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return host.Failed("remove", filepath.Join(folder, name), err)
			}
		}
	}
	_ = os.Remove(folder) // fails where something of others is in it
	return nil
}

func isClientFile(name string) bool {
	return strings.HasSuffix(name, ".json") && !strings.HasPrefix(name, ".")
}
