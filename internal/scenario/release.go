package scenario

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
)

// A registry goes on with the program that it was made from, or last upgraded to: its
// image, and the copy in DIR/bin. What another regctl renders it gets by apply; that
// regctl itself takes over by upgrade alone.

// Release is a program that runs a registry, or would.
type Release struct {
	Version string `json:"version"`           // of regctl; "" where that is not known
	Image   string `json:"image,omitempty"`   // what a container runs
	Program string `json:"program,omitempty"` // digits that stand for DIR/bin/regctl
	Layout  int    `json:"layout"`            // schema of state.json
}

func (v Release) String() string {
	return fmt.Sprintf("regctl %s (%s)", cmp.Or(v.Version, "of unknown version"), cmp.Or(v.Image, v.Program, "nothing runs of it"))
}

// keptProgram is the copy in DIR/bin that stays as it is, "" where there is none.
func (r *Registry) keptProgram() string {
	path := r.Dir.Join("bin", "regctl")
	if r.upgrading || r.state.Phase != statedir.PhaseReady {
		return ""
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// program is the executable that DIR/bin is to hold a copy of.
func (r *Registry) program() (string, error) {
	if kept := r.keptProgram(); kept != "" {
		return kept, nil
	}
	return image.Executable()
}

// sameProgram reports whether the copy in DIR/bin is of this executable.
func (r *Registry) sameProgram() bool {
	own, err := image.Executable()
	return err == nil && shortIdentity(own) == shortIdentity(r.Dir.Join("bin", "regctl"))
}

// shortIdentity is "" of what is not there.
func shortIdentity(path string) string {
	id, err := image.Identity(path)
	if err != nil {
		return ""
	}
	return id[:12]
}

// keptImage is the image of ours that the registry goes on with, "" where there is none
// that the engine still has.
func (r *Registry) keptImage(ctx context.Context, docker *engine.Docker) (string, error) {
	if r.upgrading || r.state.Phase != statedir.PhaseReady {
		return "", nil
	}
	found, err := docker.Inspect(ctx, string(r.Dir), r.Spec.Name)
	if err != nil {
		return "", err
	}
	ref := cmp.Or(found.Container.Image, r.state.Image)
	if !strings.HasPrefix(ref, image.Repository+":") {
		return "", nil
	}
	fact, err := engine.Images{Docker: docker}.Look(ctx, ref)
	if err != nil || !fact.Exists {
		return "", err
	}
	return ref, nil
}

// Releases are the program that runs the registry, from the image running if that is
// known, and the one that upgrade has it run. The two are equal where there is nothing
// to upgrade.
func (r *Registry) Releases(running string) (from, to Release) {
	to = Release{Version: r.Version, Image: r.Spec.Image, Layout: statedir.StateVersion}
	from = Release{Version: r.state.Program, Image: cmp.Or(running, r.state.Image), Layout: r.state.SchemaVersion}
	if r.Spec.Runtime != spec.RuntimeProcess && to.Image == "" {
		to.Image = r.ourImage()
	}
	if r.Spec.Runtime == spec.RuntimeProcess || r.Spec.TLS.Mode != spec.TLSNone {
		from.Program = shortIdentity(r.Dir.Join("bin", "regctl"))
		if own, err := image.Executable(); err == nil && from.Program != "" { // start makes one that is not there
			to.Program = shortIdentity(own)
		}
	}
	if from.Image == to.Image && from.Program == to.Program {
		from.Version = to.Version // another record of it is a build that has no name of its own
	}
	return from, to
}

// Behind says in a line that another program than this one runs the registry, or that
// an upgrade was cut short; "" where all is well.
func (r *Registry) Behind(running string) string {
	if r.state.Phase != statedir.PhaseReady {
		return ""
	}
	from, to := r.Releases(running)
	if r.Spec.Image != "" { // another one in regctl.yaml is for apply too
		to.Image = from.Image
	}
	switch {
	case r.state.Upgrade != nil:
		return "an upgrade was cut short: regctl upgrade finishes it"
	case to.Image == "" && r.Spec.Runtime != spec.RuntimeProcess: // none can be made of this executable
		return ""
	case from.Image == to.Image && from.Program == to.Program:
		if from.Layout == to.Layout {
			return ""
		}
		return fmt.Sprintf("%s has schema version %d, and this regctl writes %d: regctl upgrade moves it", r.Dir.State(), from.Layout, to.Layout)
	case Older(to.Version, from.Version):
		return fmt.Sprintf("%s runs %s, and this is the older %s: use that one", r.Name(), from, to.Version)
	}
	return fmt.Sprintf("%s runs %s, and this is %s: regctl upgrade moves it", r.Name(), from, to)
}
