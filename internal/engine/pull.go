package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/regctl/regctl/internal/secret"
)

// Pull is an image to be pulled, and all of its digests that are known before.
type Pull struct {
	Repository, Tag string
	Digests         []string // of what the tag stands for, one of them
	User            string   // "" where nobody is asked
	Password        secret.String
}

const (
	// pullTime is how long a registry that has just started may take to know of the image.
	pullTime = 5 * time.Second
	// pullMost is how much of one thing is read: what is pulled is small.
	pullMost = 1 << 20
)

// Pull gets an index, the first image in it, and all that this is made of, as the OCI
// distribution specification has it ("Pull"), and checks every digest. A registry that
// does not know of the tag at once is asked again, for 5 seconds.
func (e Endpoint) Pull(ctx context.Context, p Pull) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	limited, cancel := context.WithTimeout(ctx, pullTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var data []byte
	for {
		if data, err = e.fetch(limited, client, p, "manifests", p.Tag, v1.MediaTypeImageIndex); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return err
		}
	}
	if got := digest.FromBytes(data).String(); !slices.Contains(p.Digests, got) {
		return fmt.Errorf("%s:%s came back as %s", p.Repository, p.Tag, got)
	}
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil || len(index.Manifests) == 0 {
		return fmt.Errorf("%s:%s is no index of images: %w", p.Repository, p.Tag, err)
	}
	return e.fetchImage(ctx, client, p, index.Manifests[0])
}

func (e Endpoint) fetchImage(ctx context.Context, client *http.Client, p Pull, which v1.Descriptor) error {
	data, err := e.fetch(ctx, client, p, "manifests", which.Digest.String(), which.MediaType)
	if err != nil {
		return err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return fmt.Errorf("%s: %w", which.Digest, err)
	}
	for _, part := range append(manifest.Layers, manifest.Config) {
		if _, err := e.fetch(ctx, client, p, "blobs", part.Digest.String(), part.MediaType); err != nil {
			return err
		}
	}
	return nil
}

// fetch gets one thing; one that is named by a digest must have it.
func (e Endpoint) fetch(ctx context.Context, client *http.Client, p Pull, kind, name, accept string) ([]byte, error) {
	at, err := url.JoinPath(e.URL, "v2", p.Repository, kind, name)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	if p.User != "" {
		req.SetBasicAuth(p.User, p.Password.Reveal())
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(resp.Body, pullMost)); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", at, resp.Status)
	}
	if want, err := digest.Parse(name); err == nil && digest.FromBytes(data.Bytes()) != want {
		return nil, fmt.Errorf("%s has other bytes than its digest says", at)
	}
	return data.Bytes(), nil
}
