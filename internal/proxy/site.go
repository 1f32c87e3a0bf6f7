package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/regctl/regctl/internal/host"
)

// KindNginxSite and KindApacheSite are sites: the file at Ref.Path, its link where one
// makes it count, its certificates, and that the server has taken them over. Data is a
// siteState.
const (
	KindNginxSite  host.Kind = "nginx site"
	KindApacheSite host.Kind = "apache site"
)

// siteTime is how long a check and a reload may take.
const siteTime = time.Minute

type siteState struct {
	Text    string `json:"text"`
	PEM     string `json:"pem,omitempty"` // chain and key
	Enabled bool   `json:"enabled"`
	// Pending says that someone was stopped between writing and reloading.
	Pending bool `json:"pending,omitempty"`
}

func (s siteState) fact() host.Fact {
	data, _ := json.Marshal(s) // strings and bools cannot fail
	return host.Fact{Exists: true, Data: data, Mode: 0o644}
}

func siteOf(f host.Fact) (s siteState, err error) {
	if f.Exists {
		err = json.Unmarshal(f.Data, &s)
	}
	return s, err
}

// Sites is the host.Handler of a kind of site.
type Sites struct{ Kind Kind }

// Look reads the site's files. The server is not asked.
func (Sites) Look(_ context.Context, path string) (host.Fact, error) {
	text, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return host.Fact{}, err
	}
	pending := exists(pendingPath(path))
	if missing && !pending {
		return host.Fact{}, nil
	}
	if !missing && !strings.HasPrefix(string(text), mark) {
		return host.Fact{Exists: true, Data: text, Foreign: "a site that regctl did not make"}, nil
	}
	s := siteState{Text: string(text), Enabled: !missing, Pending: pending}
	if link := enabledPath(path); link != "" && s.Enabled {
		target, err := os.Readlink(link)
		s.Enabled = err == nil && target == linkTarget(path)
	}
	for _, link := range moduleLinks(path, s.Text) {
		s.Enabled = s.Enabled && exists(link)
	}
	if pem := pemPath(s.Text); pem != "" {
		data, err := os.ReadFile(pem)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return host.Fact{}, err
		}
		s.PEM = string(data)
	}
	return s.fact(), nil
}

// Do writes a site, or takes it away, and has the running server take that over. When
// the check or the reload fails, the files are as before and what was served still is.
// It goes on to the end when ctx ends: half a change would be found by the next reload.
func (h Sites) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	if err := ctx.Err(); err != nil {
		return host.Fact{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), siteTime)
	defer cancel()
	server, err := Find(ctx, h.Kind)
	switch {
	case op.Action == host.Remove:
		return host.Fact{}, removeSite(ctx, server, err, op.Path)
	case err != nil:
		return host.Fact{}, err
	case op.Action == host.Restart:
		err = Reload(ctx, server)
	default:
		err = h.apply(ctx, server, op)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

func (h Sites) apply(ctx context.Context, server Server, op host.Op) error {
	want, err := siteOf(op.Want)
	if err != nil {
		return err
	}
	before, err := h.Look(ctx, op.Path)
	if err != nil {
		return err
	}
	old, err := siteOf(before)
	if err != nil {
		return err
	}
	if err := writeFile(pendingPath(op.Path), nil, 0o600); err != nil {
		return readOnly(err)
	}
	if err = writeSite(op.Path, old, want); err == nil {
		err = h.takeOver(ctx, server)
	}
	if err == nil {
		return remove(pendingPath(op.Path))
	}
	// The server refused it or never saw it, and serves what it did.
	back := writeSite(op.Path, want, old)
	if back == nil {
		back = remove(pendingPath(op.Path))
	}
	if server.PID != 0 && runningPID(server.PIDFile) == 0 { // an Apache that could not go on has ended
		back = errors.Join(back, server.revive(ctx))
	}
	return errors.Join(err, back)
}

// takeOver reloads, once it is sure that an Apache would survive it.
func (h Sites) takeOver(ctx context.Context, server Server) error {
	if h.Kind != Apache {
		return Reload(ctx, server)
	}
	after, err := Find(ctx, h.Kind)
	if err != nil {
		return err
	}
	if err := server.mayGrow(after.Listens); err != nil {
		return err
	}
	return Reload(ctx, after)
}

// removeSite takes the files away even where the server is gone or broken by others,
// which found says.
func removeSite(ctx context.Context, server Server, found error, path string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeFile(pendingPath(path), nil, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return readOnly(err)
	}
	if err := writeSite(path, siteState{Text: string(text)}, siteState{}); err != nil {
		return err
	}
	modules := moduleLinks(path, string(text))
	var gone *notInstalledError
	if errors.As(found, &gone) {
		return remove(pendingPath(path))
	}
	if found == nil {
		found = Reload(ctx, server)
		if found != nil && len(modules) > 0 && writeModules(modules) == nil && Reload(ctx, server) == nil {
			found = nil // somebody else has come to need them
		}
	}
	return errors.Join(found, remove(pendingPath(path)))
}
