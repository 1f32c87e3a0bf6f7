package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/confine"
	"github.com/regctl/regctl/internal/image"
)

// SweepOptions is the command line of `regctl sweep`, the process that removes blobs:
// one of its own, so that it can be the user that they belong to and no more.
type SweepOptions struct {
	Config   string // distribution's config.yml; "" with Data
	Data     string // the folder with the images; "" is as Config says
	User     string // "UID:GID" to go on as; "" stays who we are
	Untagged bool
	DryRun   bool
	List     bool // the digests too
}

// Swept is what that process answers.
type Swept struct {
	embeddedregistry.Collected

	// Digests are those of blobs that went, or would go, and of links to them; with List
	// alone.
	Digests []string `json:"digests,omitempty"`
}

// Args are o as a command line.
func (o SweepOptions) Args() []string {
	args := []string{"sweep"}
	for flag, value := range map[string]string{"--registry-config": o.Config, "--images": o.Data, "--run-as": o.User} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if o.Untagged {
		args = append(args, "--untagged")
	}
	if o.DryRun {
		args = append(args, "--dry-run")
	}
	if o.List {
		args = append(args, "--list")
	}
	return args
}

// RunSweep is that process. It writes a Swept as JSON to out,
// and stops early when alive, on which nothing is ever sent, ends: whoever asked for
// it has died.
func RunSweep(ctx context.Context, o SweepOptions, alive io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, alive)
		cancel(errors.New("nobody waits for this any more"))
	}()
	confined, err := o.confine()
	if err != nil {
		return err
	}
	options := embeddedregistry.CollectOptions{
		ConfigPath: confined.Rewrite(o.Config), Rewrite: confined.Rewrite, Data: confined.Rewrite(o.Data),
		Untagged: o.Untagged, DryRun: o.DryRun,
	}
	digests := map[string]bool{}
	if o.List {
		options.Gone = func(digest string) { digests[digest] = true }
	}
	found, err := embeddedregistry.Collect(ctx, options)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return json.NewEncoder(out).Encode(Swept{found, slices.Sorted(maps.Keys(digests))})
}

func (o SweepOptions) confine() (*confine.Confined, error) {
	if o.User == "" {
		return nil, nil
	}
	uid, gid, err := confine.ParseUser(o.User)
	if err != nil {
		return nil, err
	}
	if o.Data != "" {
		return confine.Enter(uid, gid, o.Data)
	}
	return confine.Enter(uid, gid, filepath.Dir(o.Config))
}

// Sweep runs `regctl sweep` on this machine. Should we be killed, it reads the end of
// its input at once, and removes nothing after what it is just removing.
func Sweep(ctx context.Context, o SweepOptions) (found Swept, err error) {
	exe, err := image.Executable()
	if err != nil {
		return found, err
	}
	cmd := exec.CommandContext(ctx, exe, o.Args()...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return found, err
	}
	defer alive.Close()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return found, sweepFailed(ctx, err, said.String())
	}
	return found, json.Unmarshal(out.Bytes(), &found)
}

// sweepFailed says what the process said.
func sweepFailed(ctx context.Context, err error, said string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, "error: "); ok {
			return errors.New(strings.TrimSpace(text))
		}
	}
	return fmt.Errorf("regctl sweep: %w: %s", err, strings.TrimSpace(said))
}
