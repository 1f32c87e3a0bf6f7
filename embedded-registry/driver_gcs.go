//go:build gcs

package embeddedregistry

import (
	// Google's client is larger than the rest of the registry, so it has a build of its own.
	_ "github.com/distribution/distribution/v3/registry/storage/driver/gcs"
)

var gcsDriver = []string{"gcs"}
