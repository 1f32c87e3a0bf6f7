package engine

import "context"

// Fetch pulls a stock image that the engine has not got. One that it has is left
// as it is.
func (d *Docker) Fetch(ctx context.Context, ref string) error {
	images := Images{Docker: d}
	seen, err := images.Look(ctx, ref)
	if err != nil || seen.Exists {
		return err
	}
	return images.pull(ctx, ref)
}
