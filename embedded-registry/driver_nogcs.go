//go:build !gcs

package embeddedregistry

// gcsDriver is empty: see driver_gcs.go.
var gcsDriver []string
