package statedir

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/regctl/regctl/internal/host"
)

// runFile is beside the clients' files; none of theirs begins with a dot.
const runFile = ".run.json"

// ClientRun is a run over clients: the last one, from which --retry-failed goes on.
type ClientRun struct {
	SchemaVersion int       `json:"schemaVersion"`
	ID            string    `json:"id"`
	Started       time.Time `json:"started"`
	// Hosts are those that the run was to reach, in order.
	Hosts []string `json:"hosts"`
	// Settings are the flags that a retry takes over. No secrets.
	Settings map[string][]string `json:"settings,omitempty"`
	// Lost are hosts of earlier runs that were killed before they could say what
	// became of them.
	Lost []string `json:"lost,omitempty"`
}

// BeginClientRun puts on record that a run is about to reach hosts, and gives it an
// ID and a time. d is locked. Call it before the first host is touched: what a killed
// run may have touched is known from then on.
func BeginClientRun(d Dir, hosts []string, settings map[string][]string) (ClientRun, error) {
	run := ClientRun{
		SchemaVersion: ClientVersion, ID: rand.Text(), Started: time.Now().UTC().Truncate(time.Second),
		Hosts: hosts, Settings: settings,
	}
	if err := sweep(d.Clients(), false); err != nil {
		return ClientRun{}, err
	}
	last, ok, err := LastClientRun(d)
	if err != nil {
		return ClientRun{}, err
	}
	if ok {
		clients, err := LoadClients(d)
		if err != nil {
			return ClientRun{}, err
		}
		for _, h := range last.unheard(clients) {
			if !slices.Contains(hosts, h) {
				run.Lost = append(run.Lost, h)
			}
		}
	}
	return run, saveIn(d.Clients(), runFile, run)
}

// LastClientRun reads the run that was begun last; ok is false when there was none.
func LastClientRun(d Dir) (run ClientRun, ok bool, err error) {
	ok, err = loadIn(d.Clients(), runFile, &run)
	return run, ok, err
}

// Unfinished lists the run's hosts that failed, were not reached or were never heard
// of again, in the run's order.
func (r ClientRun) Unfinished(clients []Client) []string {
	done := map[string]bool{}
	for _, c := range clients {
		if c.Run == r.ID && c.Status != ClientFailed && c.Status != ClientNotReached {
			done[c.Host] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(r.Hosts), func(h string) bool { return done[h] })
}

// unheard lists the hosts that may hold something of ours although no record says so.
func (r ClientRun) unheard(clients []Client) []string {
	heard, known := map[string]bool{}, map[string]bool{}
	for _, c := range clients {
		heard[c.Host] = c.Run == r.ID
		known[c.Host] = true
	}
	var lost []string
	for _, h := range r.Hosts {
		if !heard[h] {
			lost = append(lost, h)
		}
	}
	for _, h := range r.Lost {
		if !known[h] && !slices.Contains(lost, h) {
			lost = append(lost, h)
		}
	}
	return lost
}

// MayTrust lists every host that may hold something of ours: the clients that do by
// their record, and those that a killed run may have come to.
func MayTrust(d Dir) ([]string, error) {
	clients, err := LoadClients(d)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, c := range clients {
		if c.Trusts() {
			hosts = append(hosts, c.Host)
		}
	}
	run, ok, err := LastClientRun(d)
	if err != nil || !ok {
		return hosts, err
	}
	for _, h := range run.unheard(clients) {
		if !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	return hosts, nil
}

// Followers lists every host that is to be brought along when the registry changes:
// those of MayTrust, and those that trust it by the public CAs.
func Followers(d Dir) ([]string, error) {
	hosts, err := MayTrust(d)
	if err != nil {
		return nil, err
	}
	clients, err := LoadClients(d)
	for _, c := range clients {
		if len(c.Follows) > 0 && !slices.Contains(hosts, c.Host) {
			hosts = append(hosts, c.Host)
		}
	}
	return hosts, err
}

// TidyClients ends a run: it forgets the clients that hold nothing of ours any more,
// unless they failed, the folder when nobody is left in it, and what a killed run left.
func TidyClients(d Dir) error {
	if err := sweep(d.Clients(), true); err != nil {
		return err
	}
	clients, err := LoadClients(d)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, c := range clients {
		if !c.Trusts() && len(c.Follows) == 0 && (c.Status == ClientChanged || c.Status == ClientUnchanged) {
			gone[c.Host] = true
		}
	}
	run, ok, err := LastClientRun(d)
	if err != nil || len(gone) == 0 {
		return err
	}
	if ok { // first: a host that has neither record nor file would count as lost
		isGone := func(h string) bool { return gone[h] }
		run.Hosts, run.Lost = slices.DeleteFunc(run.Hosts, isGone), slices.DeleteFunc(run.Lost, isGone)
		if len(run.Hosts)+len(run.Lost) == 0 && len(gone) == len(clients) {
			return ForgetClients(d)
		}
		if err := saveIn(d.Clients(), runFile, run); err != nil {
			return err
		}
	}
	for _, c := range clients {
		if !gone[c.Host] {
			continue
		}
		path := filepath.Join(d.Clients(), clientFile(c.Key))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return host.Failed("remove", path, err)
		}
	}
	return nil
}
