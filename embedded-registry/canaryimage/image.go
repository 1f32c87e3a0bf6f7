package canaryimage

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of Docker's image manifest version 2, schema 2, for engines that do
// not know the OCI's: Docker up to 18.09.
const (
	DockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Manifest is a manifest or an index with its media type.
type Manifest struct {
	Type string
	Data []byte
}

// Image is the canary for every platform, told in the OCI's words and in Docker's:
// configurations and layer are the same.
type Image struct {
	Index       digest.Digest // OCI image index
	DockerIndex digest.Digest // Docker manifest list
	Manifests   map[digest.Digest]Manifest
	Blobs       map[digest.Digest][]byte
}

// dialect is one way to name the parts of an image.
type dialect struct{ index, manifest, config, layer string }

// New makes the image of a nonce. It has one layer with one file that holds the
// nonce.
func New(nonce string) (*Image, error) {
	plain, err := layer(nonce)
	if err != nil {
		return nil, err
	}
	img := &Image{Manifests: map[digest.Digest]Manifest{}, Blobs: map[digest.Digest][]byte{}}
	zipped := img.blob(storedGzip(plain))
	img.Index, err = img.index(zipped, digest.FromBytes(plain),
		dialect{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, v1.MediaTypeImageLayerGzip})
	if err != nil {
		return nil, err
	}
	img.DockerIndex, err = img.index(zipped, digest.FromBytes(plain),
		dialect{DockerList, dockerManifest, dockerConfig, dockerLayer})
	return img, err
}

// platforms are those that container engines on Linux run on.
func platforms() []v1.Platform {
	return []v1.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
		{OS: "linux", Architecture: "arm", Variant: "v6"},
		{OS: "linux", Architecture: "arm", Variant: "v5"},
		{OS: "linux", Architecture: "386"},
		{OS: "linux", Architecture: "ppc64le"},
		{OS: "linux", Architecture: "s390x"},
		{OS: "linux", Architecture: "riscv64"},
		{OS: "linux", Architecture: "loong64"},
		{OS: "linux", Architecture: "mips64le"},
	}
}

func (img *Image) index(layer v1.Descriptor, diffID digest.Digest, d dialect) (digest.Digest, error) {
	layer.MediaType = d.layer
	list := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: d.index}
	for _, p := range platforms() {
		data, err := json.Marshal(v1.Image{Platform: p, RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}}})
		if err != nil {
			return "", err
		}
		config := img.blob(data)
		config.MediaType = d.config
		one, err := img.manifest(d.manifest, v1.Manifest{
			Versioned: list.Versioned, MediaType: d.manifest, Config: config, Layers: []v1.Descriptor{layer},
		})
		if err != nil {
			return "", err
		}
		one.Platform = &p
		list.Manifests = append(list.Manifests, one)
	}
	whole, err := img.manifest(d.index, list)
	return whole.Digest, err
}

func (img *Image) manifest(mediaType string, value any) (v1.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return v1.Descriptor{}, err
	}
	dgst := digest.FromBytes(data)
	img.Manifests[dgst] = Manifest{mediaType, data}
	return v1.Descriptor{MediaType: mediaType, Digest: dgst, Size: int64(len(data))}, nil
}

func (img *Image) blob(data []byte) v1.Descriptor {
	dgst := digest.FromBytes(data)
	img.Blobs[dgst] = data
	return v1.Descriptor{Digest: dgst, Size: int64(len(data))}
}

func layer(nonce string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := nonce + "\n"
	if err := w.WriteHeader(&tar.Header{Name: "regctl-canary", Mode: 0o444, Size: int64(len(text)), Format: tar.FormatUSTAR}); err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// storedGzip puts data, less than 64 KiB, into gzip's form without compressing it
// (RFC 1951 3.2.4, RFC 1952). A compressor's bytes would change with Go's version,
// and the digests with them.
func storedGzip(data []byte) []byte {
	size := uint16(len(data))
	out := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1} // no name or time; one block, the last, stored
	out = binary.LittleEndian.AppendUint16(out, size)
	out = binary.LittleEndian.AppendUint16(out, ^size)
	out = append(out, data...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(data))
	return binary.LittleEndian.AppendUint32(out, uint32(len(data)))
}
