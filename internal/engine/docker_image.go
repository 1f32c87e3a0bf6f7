package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/step"
)

// imageFact is what an image is known by: one of ours by the ID that image.Describe
// gives it, any other by its layers, which unlike its engine's id are the same in
// every kind of image store.
type imageFact struct {
	Ours   string   `json:"ours,omitempty"`
	Layers []string `json:"layers,omitempty"`
}

// Images is the host.Handler of KindImage. An image of ours is made of an
// executable, any other is pulled. Only images of ours are ever removed, and
// only where no container uses them.
type Images struct {
	Docker *Docker
	Exe    string     // what images of ours are made of
	Info   image.Info // as image.Describe tells
	// Progress, if set, is told how a pull goes, a short line at a time.
	Progress func(string)
}

// ErrImageGone reports that an image was there when the plan was made and is not
// any more: the last other registry that used it was destroyed meanwhile.
var ErrImageGone = errors.New("no longer in the Docker Engine")

// OurImage is the step that has the image made of our executable in the engine.
func OurImage(info image.Info) step.Step { return imageStep{info.Ref, info.ID} }

// StockImage is the step that has somebody else's image in the engine.
func StockImage(ref string) step.Step { return imageStep{ref, ""} }

type imageStep struct {
	image string
	ours  string // the ID that it must have; "" takes whatever the reference stands for
}

func (s imageStep) ref() host.Ref     { return host.Ref{Kind: KindImage, Path: s.image} }
func (s imageStep) Name() string      { return s.ref().String() }
func (s imageStep) Reads() []host.Ref { return []host.Ref{s.ref()} }

// Plan implements step.Step.
func (s imageStep) Plan(seen host.Facts) (step.Change, error) {
	now := seen[s.ref()]
	want := host.Fact{Exists: true}
	action, how := host.Create, "pull it"
	if s.ours != "" {
		want.Data = canonical(imageFact{Ours: s.ours})
		how = "make it of this program and load it"
		if now.Exists {
			action = host.Change
		}
	}
	if now.Exists && (s.ours == "" || now.Hash() == want.Hash()) {
		return step.Change{}, nil
	}
	return step.Change{
		Items: []step.Item{{Target: s.Name(), Action: action, Diff: how}},
		Ops:   []host.Op{{Ref: s.ref(), Action: action, Want: want, Before: now.Hash()}},
	}, nil
}

// Look implements host.Handler.
func (h Images) Look(ctx context.Context, ref string) (host.Fact, error) {
	seen, err := h.Docker.api.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return host.Fact{}, nil
	}
	if err != nil {
		return host.Fact{}, err
	}
	fact := imageFact{Layers: seen.RootFS.Layers}
	if seen.Config != nil && seen.Config.Labels[image.Label] != "" {
		fact = imageFact{Ours: seen.Config.Labels[image.Label]}
	}
	return host.Fact{Exists: true, Data: canonical(fact)}, nil
}

// Do implements host.Handler.
func (h Images) Do(ctx context.Context, op host.Op) (host.Fact, error) {
	var err error
	switch {
	case op.Action == host.Remove:
		err = h.remove(ctx, op.Path)
	case strings.HasPrefix(op.Path, image.Repository+":"):
		err = h.load(ctx, op.Path)
	default:
		err = h.pull(ctx, op.Path)
	}
	if err != nil {
		return host.Fact{}, err
	}
	return h.Look(ctx, op.Path)
}

func (h Images) load(ctx context.Context, ref string) error {
	if h.Info.Ref != ref {
		return fault.Fail("run the same command again", "image %s: %w", ref, ErrImageGone) // and this program makes another
	}
	if err := h.Docker.Runs(ctx, h.Info); err != nil {
		return err
	}
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := image.Write(w, h.Exe, h.Info)
		written <- err
		w.CloseWithError(err)
	}()
	resp, err := h.Docker.api.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	// The writer ends with the reader, also where the engine did not read it all.
	_ = r.CloseWithError(errors.New("the engine stopped reading"))
	if werr := <-written; err != nil {
		return errors.Join(err, werr)
	}
	defer resp.Body.Close()
	return h.follow(ref, resp.Body)
}

func (h Images) pull(ctx context.Context, ref string) error {
	auth, err := credentials(ref)
	if err != nil {
		return err
	}
	body, err := h.Docker.api.ImagePull(ctx, ref, dockerimage.PullOptions{RegistryAuth: auth})
	if err == nil {
		defer body.Close()
		err = h.follow(ref, body)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fault.Fail("load it by hand (docker load) and run the same command again, or leave --image out: regctl brings a registry along",
		"image %s is not here and cannot be pulled: %w", ref, err)
}

// credentials are what docker login has kept for the image's registry.
func credentials(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fault.Usage("it looks like registry:3 or host.example:5000/registry:2", "image %q: %w", ref, err)
	}
	server := reference.Domain(named)
	if server == "docker.io" {
		server = "https://index.docker.io/v1/"
	}
	file, err := config.Load(config.Dir())
	if err != nil {
		return "", err
	}
	auth, err := file.GetAuthConfig(server)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(auth)
	return base64.URLEncoding.EncodeToString(data), err
}

// pulling are the steps of a pull that are worth a line; the engine reports many
// more, and a load's several times over.
var pulling = map[string]bool{"Pulling fs layer": true, "Pull complete": true}

// follow reads the engine's report on a load or pull to its end.
func (h Images) follow(ref string, body io.Reader) error {
	for lines := json.NewDecoder(body); ; {
		var line struct{ ID, Status, Error string }
		err := lines.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return errors.New(line.Error)
		case h.Progress != nil && pulling[line.Status]:
			h.Progress(strings.TrimSpace(ref + " " + line.ID + " " + line.Status))
		}
	}
}

// remove leaves alone what is not ours, is gone, or is used by any container or service
// of a swarm. A container of a task that has ended uses nothing, and goes with it.
func (h Images) remove(ctx context.Context, ref string) error {
	seen, err := h.Docker.api.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if seen.Config == nil || seen.Config.Labels[image.Label] == "" {
		return nil
	}
	services, err := h.Docker.ImageServices(ctx, seen.ID)
	if err != nil || len(services) > 0 {
		return err
	}
	users, err := h.Docker.api.ContainerList(ctx, container.ListOptions{
		All:     true,
		Filters: filters.NewArgs(filters.Arg("ancestor", ref)),
	})
	if err != nil || slices.ContainsFunc(users, uses) {
		return err
	}
	for _, c := range users {
		if err := h.Docker.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			return err
		}
	}
	_, err = h.Docker.api.ImageRemove(ctx, ref, dockerimage.RemoveOptions{})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil // it went, or a container was made of it, just now
	}
	return err
}

// uses reports whether a container needs its image: not that of a swarm's task which runs
// no more, and which the swarm keeps for its history.
func uses(c container.Summary) bool {
	return c.Labels["com.docker.swarm.task.id"] == "" ||
		!slices.Contains([]string{container.StateCreated, container.StateExited, container.StateDead}, c.State)
}

// OurImages lists references of images that regctl made, in use or not.
func (d *Docker) OurImages(ctx context.Context) ([]string, error) {
	found, err := d.api.ImageList(ctx, dockerimage.ListOptions{Filters: filters.NewArgs(filters.Arg("label", image.Label))})
	if err != nil {
		return nil, err
	}
	var refs []string
	for _, one := range found {
		for _, tag := range one.RepoTags {
			if strings.HasPrefix(tag, image.Repository+":") {
				refs = append(refs, tag)
			}
		}
	}
	return refs, nil
}
