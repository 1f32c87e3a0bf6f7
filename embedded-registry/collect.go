package embeddedregistry

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/sirupsen/logrus"
	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
)

// CollectOptions say what garbage is collected, and where.
type CollectOptions struct {
	// ConfigPath is distribution's config.yml, which says where the images are.
	ConfigPath string
	// Rewrite is that of Options.
	Rewrite func(path string) string
	// Data is the folder with the images, if not "": ConfigPath is not looked at then.
	Data string
	// Untagged has manifests removed too that no tag and no other manifest leads to.
	Untagged bool
	// DryRun counts and removes nothing.
	DryRun bool
	// Gone, if not nil, is called with the digest of each blob or link that went or would
	// go, several times for one of which there are links. See SharedCache.
	Gone func(digest string)
}

// Collected is what was removed, or would be.
type Collected struct {
	Bytes     int64 `json:"bytes"` // of files, links among them, as storage has them
	Blobs     int   `json:"blobs"`
	Manifests int   `json:"manifests"` // revisions in repositories; a blob each is among Blobs
	Links     int   `json:"links"`     // other links
}

// Collect removes blobs that no manifest leads to, by distribution's own mark and
// sweep. Nobody may write to the storage meanwhile, which is for the caller to see to;
// reading is allowed. Interrupted at any point it leaves no manifest without its
// blobs, and another Collect finishes. A dry run goes the same way and counts the
// same things.
func Collect(ctx context.Context, o CollectOptions) (Collected, error) {
	kind, parameters, err := o.storage()
	if err != nil {
		return Collected{}, err
	}
	logrus.SetOutput(io.Discard) // it has a line for each thing removed
	defer leaveLog()
	driver, err := factory.Create(ctx, kind, parameters)
	if err != nil {
		return Collected{}, err
	}
	t := &tally{StorageDriver: driver, dryRun: o.DryRun, tell: o.Gone, gone: map[string]bool{}}
	if empty, err := t.empty(ctx); empty || err != nil {
		return Collected{}, err
	}
	registry, err := storage.NewRegistry(ctx, t)
	if err != nil {
		return Collected{}, err
	}
	if o.Untagged {
		if err := removeUntagged(ctx, t, registry); err != nil {
			return t.found, err
		}
	}
	// What is a dry run to distribution calls no Delete, which is what we count by.
	err = storage.MarkAndSweep(ctx, t, registry, storage.GCOpts{Quiet: true})
	return t.found, err
}

func (o CollectOptions) storage() (kind string, parameters configuration.Parameters, err error) {
	if o.Data != "" {
		return "filesystem", configuration.Parameters{"rootdirectory": o.Data}, nil
	}
	config, _, err := load(Options{ConfigPath: o.ConfigPath, Rewrite: o.Rewrite})
	if err != nil {
		return "", nil, err
	}
	return config.Storage.Type(), config.Storage.Parameters(), nil
}

// CheckCollect refuses a configuration, of a stock image too, whose garbage Collect
// cannot collect. It reports whether the registry must not run meanwhile: one that
// fetches from another writes when it is read.
func CheckCollect(configYAML []byte) (stop bool, err error) {
	var config struct {
		Storage struct {
			InMemory any `yaml:"inmemory"`
		} `yaml:"storage"`
		Proxy struct {
			RemoteURL string `yaml:"remoteurl"`
		} `yaml:"proxy"`
	}
	if err := yaml.Unmarshal(configYAML, &config); err != nil {
		return false, fault.Usage("regctl config validate FILE names the line", "%w", err)
	}
	if config.Storage.InMemory != nil {
		return false, fault.Usage("a restart empties it", "storage inmemory is gone with the process: there is no garbage to collect")
	}
	return config.Proxy.RemoteURL != "", nil
}

// tally counts what is removed. In a dry run it removes nothing, and those who look
// afterwards find no manifest that would have gone.
type tally struct {
	storagedriver.StorageDriver
	dryRun bool
	tell   func(digest string) // nil for nobody
	found  Collected
	gone   map[string]bool // paths
}

// Delete ends with its context, between two things.
func (t *tally) Delete(ctx context.Context, at string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	size, err := t.size(ctx, at)
	if err != nil {
		return err
	}
	if t.dryRun {
		t.gone[at] = true
	} else if err := t.StorageDriver.Delete(ctx, at); err != nil {
		return err
	}
	t.found.Bytes += size
	if t.tell != nil {
		t.tell(digestAt(at))
	}
	switch {
	case strings.Contains(at, "/v2/blobs/"):
		t.found.Blobs++
	case strings.Contains(at, "/_manifests/revisions/"):
		t.found.Manifests++
	default:
		t.found.Links++
	}
	return nil
}

// digestAt is that of a blob's folder, or of a link to it.
func digestAt(at string) string {
	folder, encoded := path.Split(strings.TrimSuffix(at, "/link"))
	folder = path.Clean(folder)
	if strings.HasPrefix(at, "/docker/registry/v2/blobs/") {
		folder = path.Dir(folder) // that of the first two digits
	}
	return path.Base(folder) + ":" + encoded
}

// size is that of all files at a path.
func (t *tally) size(ctx context.Context, path string) (int64, error) {
	info, err := t.Stat(ctx, path)
	if err != nil || !info.IsDir() {
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	var mu sync.Mutex // some drivers walk in parallel
	var size int64
	err = t.Walk(ctx, path, func(info storagedriver.FileInfo) error {
		mu.Lock()
		defer mu.Unlock()
		if !info.IsDir() {
			size += info.Size()
		}
		return nil
	})
	return size, err
}

// Walk passes over what is gone; a manifest's link lies in a folder of its own.
func (t *tally) Walk(ctx context.Context, root string, f storagedriver.WalkFn, o ...func(*storagedriver.WalkOptions)) error {
	return t.StorageDriver.Walk(ctx, root, func(info storagedriver.FileInfo) error {
		if t.gone[info.Path()] || t.gone[path.Dir(info.Path())] {
			return nil
		}
		return f(info)
	}, o...)
}

// List tells of a repository in which nothing was ever tagged that it has no tags. To
// distribution it has no manifests then either, and their links would stay while
// the blobs go.
func (t *tally) List(ctx context.Context, path string) ([]string, error) {
	list, err := t.StorageDriver.List(ctx, path)
	if isMissing(err) && strings.HasSuffix(path, "/_manifests/tags") {
		return nil, nil
	}
	return list, err
}

// empty tells whether no blob was ever pushed, which to distribution is an error.
func (t *tally) empty(ctx context.Context) (bool, error) {
	_, err := t.Stat(ctx, "/docker/registry/v2/blobs")
	if isMissing(err) {
		return true, nil
	}
	return false, err
}

func isMissing(err error) bool { return errors.As(err, new(storagedriver.PathNotFoundError)) }
