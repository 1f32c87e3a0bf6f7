package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/scenario"
)

type imageBuildOptions struct {
	scenario.ImageOptions
	contextOnly  string
	push, dryRun bool
}

func newImageBuild(a *app) *cobra.Command {
	var o imageBuildOptions
	cmd := &cobra.Command{
		Use:   "build -t REF",
		Short: "Build an image that runs as this registry by plain docker run",
		Long: `Build an image that runs as this registry by plain docker run: its config.yml is
in it, and with --bake-certs its certificate, key and users. Where there is no
registry, it is a plain one over HTTP. It is made FROM scratch around this program,
or with --base on top of a registry image, through the Docker API; --context-only
writes the Dockerfile and what it copies, for docker build by hand.`,
		Example: `  regctl image build -t registry.example.com/own-registry:1
  regctl image build -t own-registry --bake-certs && docker run -d -p 5000:5000 own-registry
  regctl image build -t own-registry --context-only ctx && docker build -t own-registry ctx
  regctl image build -t own-registry --base registry:3`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runImageBuild(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.Ref, "tag", "t", "", "the image's name, for example registry.example.com/own-registry:1")
	f.BoolVar(&o.BakeCerts, "bake-certs", false, "put the certificate, its private key, the users and other secrets into the image, for all who can pull it")
	f.StringVar(&o.contextOnly, "context-only", "", "write the build context into this folder, and build nothing")
	f.StringVar(&o.Base, "base", "", "begin with this registry image (2 or 3) instead of this program")
	f.StringVar(&o.LinuxBinary, "linux-binary", "", "regctl for linux, to make the image of where this executable is another system's")
	f.BoolVar(&o.push, "push", false, "push the image when it is built")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the Dockerfile and the names of what goes in, and make nothing")
	return cmd
}

func (o *imageBuildOptions) check() error {
	switch {
	case o.Ref == "":
		return fault.Usage("for example -t own-registry:1", "--tag: the image needs a name")
	case o.push && o.contextOnly != "":
		return fault.Usage("leave one of them out", "--push: with --context-only there is no image to push")
	case o.Base != "" && o.LinuxBinary != "":
		return fault.Usage("leave one of them out", "--linux-binary: the image is made from %s", o.Base)
	}
	for flag, ref := range map[string]string{"--tag": o.Ref, "--base": o.Base} {
		if ref == "" {
			continue
		}
		const hint = "for example registry.example.com/own-registry:1"
		named, err := reference.ParseNormalizedNamed(ref)
		if err != nil {
			return fault.Usage(hint, "%s: %q is no image reference: %v", flag, ref, err)
		}
		if _, fixed := named.(reference.Digested); fixed && flag == "--tag" {
			return fault.Usage(hint, "--tag: %s names an image that there is: nothing can be built under a digest", ref)
		}
	}
	return readable(o.LinuxBinary)
}

func (a *app) runImageBuild(ctx context.Context, o *imageBuildOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	r, err := a.findAny()
	if err != nil {
		return err
	}
	o.Version = a.sys.Version
	if o.Fetch = o.contextOnly == "" && !o.dryRun; o.Fetch || o.Base != "" {
		docker, err := engine.OpenDocker(ctx, os.Getenv)
		if err == nil {
			defer docker.Close()
			o.Docker = docker
		} else if o.Fetch {
			return err
		}
	}
	own, err := r.OwnImage(ctx, o.ImageOptions)
	if err != nil {
		return err
	}
	for _, w := range own.Warnings {
		a.ui.Warn("%s", w)
	}
	result := imageResult{SchemaVersion: 1, Ref: o.Ref, Run: append([]string{"docker", "run", "-d", "-p", "5000:5000"}, append(own.Run, o.Ref)...)}
	for _, f := range own.Files {
		result.Files = append(result.Files, f.Name)
	}
	switch {
	case o.dryRun:
		return a.showDryImage(own, result)
	case o.contextOnly != "":
		return a.saveContext(o.contextOnly, own, result)
	}
	return a.buildImage(ctx, o, own, result)
}

// imageResult is what image build prints.
type imageResult struct {
	SchemaVersion int      `json:"schemaVersion"`
	Ref           string   `json:"ref"`
	ID            string   `json:"id,omitempty"`
	Digest        string   `json:"digest,omitempty"` // of what was pushed
	Context       string   `json:"context,omitempty"`
	Files         []string `json:"files"`
	Run           []string `json:"run"` // the command that starts it
}

func (a *app) showDryImage(own *scenario.OwnImage, result imageResult) error {
	return a.ui.Result(result, func(w io.Writer) {
		for _, f := range own.Files {
			fmt.Fprintf(w, "%04o %s\n", f.Mode.Perm(), f.Name)
		}
		fmt.Fprintf(w, "\n%s", own.Files[0].Data)
	})
}

func (a *app) saveContext(dir string, own *scenario.OwnImage, result imageResult) error {
	result.Context = absolute(dir)
	changed, err := image.SaveContext(result.Context, own.Files)
	if err != nil {
		return err
	}
	if !changed {
		a.ui.Say("nothing to do: %s is as wanted", result.Context)
	}
	return a.ui.Result(result, func(w io.Writer) {
		fmt.Fprintf(w, "docker build -t %s %s\n%s\n", result.Ref, result.Context, strings.Join(result.Run, " "))
	})
}

func (a *app) buildImage(ctx context.Context, o *imageBuildOptions, own *scenario.OwnImage, result imageResult) (err error) {
	if o.Base == "" {
		info, err := image.Describe(own.Context.Exe)
		if err != nil {
			return err
		}
		if err := o.Docker.Runs(ctx, info); err != nil {
			return err
		}
	}
	progress := func(text string) { a.ui.Say("%s", text) }
	if result.ID, err = o.Docker.Build(ctx, o.Ref, own.Files, progress); err != nil {
		return err
	}
	if o.push {
		if result.Digest, err = o.Docker.Push(ctx, o.Ref, progress); err != nil {
			return err
		}
	}
	return a.ui.Result(result, func(w io.Writer) {
		if result.Digest != "" {
			fmt.Fprintf(w, "pushed %s@%s\n", result.Ref, result.Digest)
		}
		fmt.Fprintf(w, "%s is %s\n%s\n", result.Ref, result.ID, strings.Join(result.Run, " "))
	})
}
