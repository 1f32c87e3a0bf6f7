package scenario

import (
	"context"

	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/step"
)

// chosenImage is what the container runs, and how.
type chosenImage struct {
	step                     step.Step
	exe                      string
	info                     image.Info // of a stock image, and of one that is kept, only Ref
	own                      bool       // it is made of this executable
	flavour                  distconfig.Flavour
	entrypoint, args, health []string
	env                      []string
}

// ours is the image made of our own executable, or of the one that the registry runs
// from already.
func (c *chosenImage) ours(ctx context.Context, docker *engine.Docker, r *Registry) (err error) {
	c.flavour = distconfig.Embedded
	c.args = []string{"serve", containerConfig}
	c.health = []string{image.Entrypoint, "probe", containerConfig}
	kept, err := r.keptImage(ctx, docker)
	if err != nil {
		return err
	}
	if kept != "" && kept != r.ourImage() { // ours can be made again, should it go meanwhile
		c.info.Ref, c.step = kept, engine.StockImage(kept)
		return nil
	}
	if c.exe = r.Spec.LinuxBinary; c.exe == "" {
		if c.exe, err = image.Executable(); err != nil {
			return err
		}
	}
	if c.info, err = image.Describe(c.exe); err != nil {
		return err
	}
	c.step, c.own = engine.OurImage(c.info), true
	return docker.Runs(ctx, c.info)
}

// stock is an image that the operator named. It has to be asked which version it
// holds, so it is pulled if the engine has not got it.
func (c *chosenImage) stock(ctx context.Context, docker *engine.Docker, ref string) error {
	if err := docker.Fetch(ctx, ref); err != nil {
		return err
	}
	about, err := docker.InspectStock(ctx, ref, containerConfig)
	if err != nil {
		return err
	}
	c.info.Ref, c.own = ref, true
	c.step = engine.StockImage(ref)
	c.entrypoint, c.args, c.env = about.Entrypoint, about.Args, about.Env
	c.flavour = distconfig.Stock3
	if about.Major == 2 {
		c.flavour = distconfig.Stock2
	}
	return nil
}
