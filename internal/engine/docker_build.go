package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker/docker/api/types/build"
	dockerimage "github.com/docker/docker/api/types/image"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
)

// Build has the engine make an image of a build context, by the builder that every
// engine has built in. It pulls nothing: a base image must be there. It returns the
// image's id.
func (d *Docker) Build(ctx context.Context, ref string, files []image.ContextFile, progress func(string)) (string, error) {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := image.WriteContext(w, files)
		written <- err
		w.CloseWithError(err)
	}()
	resp, err := d.api.ImageBuild(ctx, r, build.ImageBuildOptions{
		Tags: []string{ref}, Dockerfile: "Dockerfile", Remove: true, ForceRemove: true, Version: build.BuilderV1,
	})
	// The writer ends with the reader, also where the engine did not read it all.
	_ = r.CloseWithError(errors.New("the engine stopped reading"))
	werr := <-written
	if err != nil {
		return "", errors.Join(err, werr)
	}
	defer resp.Body.Close()
	if err := followBuild(resp.Body, progress); err != nil {
		return "", fmt.Errorf("docker build of %s: %w", ref, err)
	}
	seen, err := d.api.ImageInspect(ctx, ref)
	return seen.ID, err
}

func followBuild(body io.Reader, progress func(string)) error {
	return eachLine(body, func(line reported) {
		if progress != nil && strings.HasPrefix(line.Stream, "Step ") {
			progress(strings.TrimSpace(line.Stream))
		}
	})
}

// Push sends an image to the registry that its reference names, with the credential
// that docker login has kept. It returns the manifest's digest.
func (d *Docker) Push(ctx context.Context, ref string, progress func(string)) (digest string, err error) {
	auth, err := credentials(ref)
	if err != nil {
		return "", err
	}
	body, err := d.api.ImagePush(ctx, ref, dockerimage.PushOptions{RegistryAuth: auth})
	if err == nil {
		defer body.Close()
		err = eachLine(body, func(line reported) {
			if line.Aux.Digest != "" {
				digest = line.Aux.Digest
			}
			if progress != nil && line.Status == "Pushed" {
				progress(ref + " " + line.ID + " pushed")
			}
		})
	}
	if err != nil && ctx.Err() == nil {
		err = fault.Fail("docker login, or regctl trust-clients for this machine, may be what it lacks; the image is built", "push of %s: %w", ref, err)
	}
	return digest, err
}

// reported is a line of what the engine reports.
type reported struct {
	ID, Status, Stream, Error string
	Aux                       struct{ Digest string }
}

func eachLine(body io.Reader, do func(reported)) error {
	for lines := json.NewDecoder(body); ; {
		var line reported
		err := lines.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return errors.New(line.Error)
		}
		do(line)
	}
}
