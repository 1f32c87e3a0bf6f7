package embeddedregistry

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/parameters"
)

// preflightTime is how long storage may take for one small object. Azure's client
// alone waits for seconds between its attempts.
const preflightTime = 20 * time.Second

// ErrNoDriver reports that this build holds no driver for the storage, and so can
// say nothing about it.
var ErrNoDriver = errors.New("this build has no such storage driver")

// IsRemote reports whether a driver keeps the images on another machine, where much
// can be wrong that a registry says at the first push only.
func IsRemote(driver string) bool {
	return slices.Contains([]string{"s3", "s3aws", "azure", "gcs"}, driver)
}

// StorageDriver is the one that configYAML names, "" if it names none.
func StorageDriver(configYAML []byte) string {
	config, err := parse(configYAML)
	if err != nil {
		return ""
	}
	return config.Storage.Type()
}

// CheckStorage writes, reads, lists and deletes one object of a random name in the
// storage that configYAML names, with the driver that the registry would use, and
// returns how long that took. It leaves nothing behind, unless it may not delete. A
// parameter that the driver refuses is a usage fault. Storage that is not remote is
// not looked at.
func CheckStorage(ctx context.Context, configYAML []byte, secrets []parameters.Parameter) (time.Duration, error) {
	config, err := parse(configYAML)
	if err != nil {
		return 0, err
	}
	lay(config, secrets)
	name := config.Storage.Type()
	switch {
	case !IsRemote(name):
		return 0, nil
	case !slices.Contains(drivers, name):
		return 0, ErrNoDriver
	}
	p := probe{driverName: name, params: config.Storage[name]}
	if p.driver, err = factory.Create(ctx, name, p.params); err != nil {
		return 0, fault.Usage("mend storage.options in regctl.yaml, or --storage-opt", "storage %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	began := time.Now()
	err = p.run(ctx)
	return time.Since(began), err
}

// probe is one object's life.
type probe struct {
	driverName string
	params     configuration.Parameters
	driver     storagedriver.StorageDriver
}

// call is one thing that the registry must be allowed to do.
type call struct {
	verb       string // "write an object"
	permission string // as the storage calls it, by driver
	do         func(context.Context) error
}

func (p probe) run(ctx context.Context) error {
	dir := "/regctl-preflight-" + strings.ToLower(rand.Text())
	object, content := path.Join(dir, "object"), []byte(rand.Text())
	calls := []call{
		{"write", "s3:PutObject", func(ctx context.Context) error { return p.driver.PutContent(ctx, object, content) }},
		{"read", "s3:GetObject", func(ctx context.Context) error {
			got, err := p.driver.GetContent(ctx, object)
			if err == nil && !bytes.Equal(got, content) {
				err = errors.New("what was written comes back as something else")
			}
			return err
		}},
		{"list", "s3:ListBucket", func(ctx context.Context) error {
			found, err := p.driver.List(ctx, dir)
			if err == nil && !slices.Contains(found, object) {
				err = errors.New("what was written is not listed")
			}
			return err
		}},
		{"delete", "s3:DeleteObject", func(ctx context.Context) error { return p.driver.Delete(ctx, object) }},
	}
	for i, c := range calls {
		if err := c.do(ctx); err != nil {
			if 0 < i && i < len(calls)-1 {
				_ = p.driver.Delete(ctx, object)
			}
			return p.explain(c, err)
		}
	}
	return nil
}

// where names the storage for people.
func (p probe) where() string {
	text := func(name string) string {
		if v := p.params[name]; v != nil {
			return fmt.Sprint(v)
		}
		return ""
	}
	switch p.driverName {
	case "azure":
		at := text("serviceurl")
		if at == "" {
			at = "account " + text("accountname")
		}
		return fmt.Sprintf("azure container %s at %s", text("container"), at)
	case "gcs":
		return "gcs bucket " + text("bucket")
	}
	at := text("regionendpoint")
	if at == "" {
		at = text("region")
	}
	return fmt.Sprintf("s3 bucket %s at %s", text("bucket"), at)
}
