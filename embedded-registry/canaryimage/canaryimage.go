// Package canaryimage is the image by which regctl proves that a client can pull:
// the file that asks a registry to serve it, and its bytes. It is pure: the
// registry and the command that verifies each make the image from the file, and
// come to the same digests.
package canaryimage

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Repository is where the image is served. Nothing can be pushed there.
const Repository = "regctl/canary"

// Version is the form of the file and the image that this program knows. A change
// of one byte of the image is a new version.
const Version = 1

// MaxFile is the most bytes that a file has.
const MaxFile = 4 << 10

// File is ctl/canary, in JSON or YAML. The registry serves the image while the file
// is there and Expires has not come.
type File struct {
	Version int `json:"version" yaml:"version"`
	// Tag is the image's one tag.
	Tag string `json:"tag" yaml:"tag"`
	// Nonce makes the image one that no client has seen: 16 to 128 letters and digits.
	Nonce string `json:"nonce" yaml:"nonce"`
	// Expires ends what a killed command could not end.
	Expires time.Time `json:"expires" yaml:"expires"`
	// Credential, made by Credential, opens the canary and nothing else; "" means
	// that it takes the registry's own authentication.
	Credential string `json:"credential,omitempty" yaml:"credential,omitempty"`
}

var (
	validTag        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	validNonce      = regexp.MustCompile(`^[A-Za-z0-9]{16,128}$`)
	validCredential = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// Parse reads a File; unknown keys are refused.
func Parse(data []byte) (File, error) {
	var f File
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("is empty")
		}
		return File{}, oneLine(err)
	}
	switch {
	case f.Version != Version:
		return File{}, fmt.Errorf("version: this registry knows %d, not %d", Version, f.Version)
	case !validTag.MatchString(f.Tag):
		return File{}, fmt.Errorf("tag: %q is none", f.Tag)
	case !validNonce.MatchString(f.Nonce):
		return File{}, errors.New("nonce: want 16 to 128 letters and digits")
	case f.Expires.IsZero():
		return File{}, errors.New("expires: is missing")
	case f.Credential != "" && !validCredential.MatchString(f.Credential):
		return File{}, errors.New("credential: want sha256: and 64 hexadecimal digits")
	}
	return f, nil
}

// oneLine joins the lines that yaml's errors have.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// Marshal writes f in the form that Parse reads.
func (f File) Marshal() ([]byte, error) {
	data, err := json.Marshal(f)
	return append(data, '\n'), err
}

// Credential is File.Credential for a user and a password. The password must be
// random: the hash is a fast one.
func Credential(user, password string) string {
	sum := sha256.Sum256([]byte(user + ":" + password))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Opens reports whether a user and a password are f's credential.
func (f File) Opens(user, password string) bool {
	return f.Credential != "" && subtle.ConstantTimeCompare([]byte(f.Credential), []byte(Credential(user, password))) == 1
}
