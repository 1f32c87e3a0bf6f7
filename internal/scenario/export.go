package scenario

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/regctl/regctl/internal/export"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/image"
	"github.com/regctl/regctl/internal/spec"
)

// Workload is the registry as another engine is to run it. ref names the image that this
// engine gets it from; "" is the one that the registry runs here.
func (r *Registry) Workload(ref string) (export.Workload, error) {
	c := chosenImage{args: []string{containerConfig}}
	if r.Spec.Image == "" {
		c.args = []string{"serve", containerConfig}
		c.health = []string{image.Entrypoint, "probe", containerConfig}
	}
	if c.info.Ref = ref; ref == "" {
		var err error
		if c.info.Ref, err = r.imageRef(); err != nil {
			return export.Workload{}, err
		}
	}
	if r.Spec.Runtime == spec.RuntimeProcess {
		return export.Workload{}, fault.Usage("regctl init --runtime docker makes one that can be exported",
			"the registry is a process of this machine, whose config.yml has this machine's paths")
	}
	if r.Spec.Proxied() {
		return export.Workload{}, fault.Usage("set proxy: {kind: none} in a copy of the registry's settings for the other engine",
			"the registry listens where %s on this machine alone reaches it", r.Spec.Proxy.Kind)
	}
	want := container(r.Spec, r.Dir, "", c)
	w := export.Workload{
		Name: want.Name, Image: want.Image, Args: want.Args, Health: want.Health, UID: r.state.UID, GID: r.state.GID,
		Bind: r.Spec.Bind, Port: r.Spec.Port, Inside: containerPort,
		Env: want.Env, AddHosts: want.AddHosts,
	}
	for _, m := range want.Mounts {
		w.Mounts = append(w.Mounts, export.Mount{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly, Volume: m.Volume})
	}
	var err error
	w.Files, err = r.served()
	return w, err
}

// imageRef is the image that runs, or would run.
func (r *Registry) imageRef() (string, error) {
	if r.Spec.Image != "" {
		return r.Spec.Image, nil
	}
	if r.state.Image != "" {
		return r.state.Image, nil
	}
	exe, err := image.Executable()
	if err != nil {
		return "", err
	}
	info, err := image.Describe(exe)
	return info.Ref, err
}

// served are the files below serve/, the pair in use under its link's name. What a
// registry is told while it runs is left out.
func (r *Registry) served() (map[string][]byte, error) {
	files := map[string][]byte{}
	root := r.Dir.Serve()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (rel == "ctl" || strings.HasPrefix(rel, "tls/")):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"tls/current/crt", "tls/current/key"} {
		data, err := os.ReadFile(r.Dir.Join("serve", filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = bytes.Clone(data)
	}
	return files, nil
}
