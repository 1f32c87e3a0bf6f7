package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
)

func newGC(a *app) *cobra.Command {
	var dryRun, untagged bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove blobs that no image needs any more",
		Long: `Remove blobs that no manifest leads to, and say how many bytes that freed. The
registry goes on serving reads. Writes are put off meanwhile: those that have begun
are waited for, others are told 503 with Retry-After, which Docker tries again. It
asks first; --yes goes ahead.

A stock image (--image), a mirror and a registry in a swarm are stopped for it, and
started again.

--dry-run counts what would go, byte for byte, and lets the registry be.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.gc(cmd.Context(), untagged, dryRun) },
	}
	cmd.Flags().BoolVar(&untagged, "untagged", false, "remove manifests first that neither a tag nor another manifest leads to")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count what would be removed, and remove nothing")
	return cmd
}

type gcResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	DryRun        bool   `json:"dryRun"`
	embeddedregistry.Collected
}

func (a *app) gc(ctx context.Context, untagged, dryRun bool) error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	stops, err := r.MayCollect()
	if err != nil {
		return err
	}
	a.attend(r)
	if !dryRun {
		question := "collect the garbage of registry %s? Pushes are put off meanwhile"
		if stops {
			question = "stop registry %s, collect its garbage, and start it again?"
		}
		if err := a.ui.Confirm(ctx, fmt.Sprintf(question, r.Name())); err != nil {
			return err
		}
	}
	if err := r.Connect(ctx); err != nil {
		return err
	}
	if dryRun {
		found, err := r.CountGarbage(ctx, untagged)
		if err != nil {
			return err
		}
		return a.showGC(r.Name(), true, found)
	}
	if err := r.Lock(ctx, a.flag.lockTimeout, "regctl gc"); err != nil {
		return err
	}
	found, err := r.Collect(ctx, untagged, stops)
	if err := firstError(err, r.Unlock()); err != nil {
		return err
	}
	return a.showGC(r.Name(), false, found)
}

func (a *app) showGC(name string, dryRun bool, found embeddedregistry.Collected) error {
	if found == (embeddedregistry.Collected{}) {
		a.ui.Say("nothing to do: there is no garbage")
	}
	return a.ui.Result(gcResult{1, name, dryRun, found}, func(w io.Writer) {
		verb := "freed"
		if dryRun {
			verb = "would free"
		}
		fmt.Fprintf(w, "%s %d bytes: %d %s, %d %s, %d other %s\n", verb, found.Bytes,
			found.Blobs, plural(found.Blobs, "blob"), found.Manifests, plural(found.Manifests, "manifest"), found.Links, plural(found.Links, "link"))
	})
}
