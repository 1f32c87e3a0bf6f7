package embeddedregistry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
	"github.com/regctl/regctl/internal/fault"
)

// canary serves the image that ctl/canary asks for, from memory: a mirror and a
// registry that is read-only have it too, no storage ever does, and the catalog
// does not list it. Its repository cannot be pushed to.
type canary struct {
	file   string
	prefix string // of the URL paths in its repository
	gate   *gate
	secret string                // that several registries share; "" of one by itself
	access auth.AccessController // of a token; nil: whom the gate admits may pull

	mu     sync.Mutex
	data   []byte // of the file, as it was read last
	shown  shown  // what data asks for
	word   string // that was asked by last
	signed shown  // what word asks for
}

type shown struct {
	file  canaryimage.File
	image *canaryimage.Image // nil: the file is absent or wrong
}

// newCanary guards the image as the app guards others; the app does not lend its
// access controller.
func newCanary(ctl string, config *configuration.Configuration, g *gate) (*canary, error) {
	c := &canary{
		gate:   g,
		secret: config.HTTP.Secret,
		file:   filepath.Join(ctl, "canary"),
		prefix: strings.TrimSuffix(config.HTTP.Prefix, "/") + "/v2/" + canaryimage.Repository + "/",
	}
	if kind := config.Auth.Type(); kind != "" && !strings.EqualFold(kind, "none") {
		var err error
		if c.access, err = auth.GetAccessController(kind, config.Auth.Parameters()); err != nil {
			return nil, fault.Usage("", "auth.%s: %w", kind, err)
		}
	}
	g.canary = c
	return c, nil
}

// serve takes the requests that are about the canary's repository.
func (c *canary) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what, ours := strings.CutPrefix(r.URL.Path, c.prefix)
		if !ours || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		now, name, what := c.named(what)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if now.image == nil && (reads || r.Method == http.MethodDelete) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		switch {
		case !reads:
			_ = errcode.ServeJSON(w, errcode.ErrorCodeDenied.
				WithMessage(canaryimage.Repository+" is kept for regctl's own check of its clients: nothing can be pushed there"))
		case c.allows(w, r, name, now.file):
			now.answer(w, r, what)
		}
	})
}

// named is the image that a path below the prefix asks for, its repository, and the rest
// of the path.
func (c *canary) named(path string) (now shown, repository, rest string) {
	word, rest, _ := strings.Cut(path, "/")
	repository = canaryimage.Repository + "/" + word
	if now = c.bySignature(repository); now.image != nil {
		return now, repository, rest
	}
	return c.look(), canaryimage.Repository, path
}

// bySignature is the image that a repository's name itself asks for, if it does. A pull
// asks several times for one.
func (c *canary) bySignature(repository string) shown {
	word := canaryimage.WordOf(repository)
	if word == "" {
		return shown{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if word != c.word || c.signed.image == nil {
		file, ok := canaryimage.Signed(c.secret, word)
		if !ok {
			return shown{}
		}
		image, err := canaryimage.New(file.Nonce)
		if err != nil {
			logrus.Errorf("canary: %v", err)
			return shown{}
		}
		c.word, c.signed = word, shown{file, image}
	}
	if time.Now().After(c.signed.file.Expires) {
		return shown{}
	}
	return c.signed
}

// look reads the file each time, so that what was removed is gone at once; only
// requests for the canary pay for that.
func (c *canary) look() shown {
	data, err := readAtMost(c.file, canaryimage.MaxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		data = []byte(err.Error()) // told once, as of a file that is wrong
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !bytes.Equal(data, c.data) {
		c.data, c.shown = data, shown{}
		if err == nil {
			c.shown, err = show(data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			logrus.Errorf("%s: %v", c.file, err)
		}
	}
	if c.shown.image != nil && time.Now().After(c.shown.file.Expires) {
		return shown{}
	}
	return c.shown
}

func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("is longer than %d bytes", limit)
	}
	return data, err
}

func show(data []byte) (shown, error) {
	file, err := canaryimage.Parse(data)
	if err != nil {
		return shown{}, err
	}
	image, err := canaryimage.New(file.Nonce)
	return shown{file, image}, err
}

// allows answers the request itself where it does not.
func (c *canary) allows(w http.ResponseWriter, r *http.Request, repository string, file canaryimage.File) bool {
	if user, password, ok := r.BasicAuth(); ok && file.Opens(user, password) {
		return true
	}
	if c.access == nil {
		if c.gate.showsCanaryToken(r, file) {
			return true
		}
		_, ok := c.gate.enters(w, r)
		return ok
	}
	wanted := auth.Access{Resource: auth.Resource{Type: "repository", Name: repository}, Action: "pull"}
	_, err := c.access.Authorized(r, wanted)
	if err == nil {
		return true
	}
	var challenge auth.Challenge
	if !errors.As(err, &challenge) {
		logrus.Errorf("error checking authorization: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return false
	}
	challenge.SetHeaders(r, w)
	_ = errcode.ServeJSON(w, errcode.ErrorCodeUnauthorized.WithDetail([]auth.Access{wanted}))
	return false
}

// answer serves what lies at a path inside the repository.
func (s shown) answer(w http.ResponseWriter, r *http.Request, path string) {
	kind, name, _ := strings.Cut(path, "/")
	switch {
	case kind == "manifests":
		dgst := digest.Digest(name)
		if name == s.file.Tag {
			dgst = s.tagged(r)
		}
		if m, ok := s.image.Manifests[dgst]; ok {
			content(w, r, m.Type, dgst, m.Data)
			return
		}
		_ = errcode.ServeJSON(w, errcode.ErrorCodeManifestUnknown.WithDetail(map[string]string{"reference": name}))
	case kind == "blobs":
		if data, ok := s.image.Blobs[digest.Digest(name)]; ok {
			content(w, r, "application/octet-stream", digest.Digest(name), data)
			return
		}
		_ = errcode.ServeJSON(w, errcode.ErrorCodeBlobUnknown.WithDetail(name))
	case path == "tags/list":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"name\":%q,\"tags\":[%q]}\n", canaryimage.Repository, s.file.Tag)
	default:
		_ = errcode.ServeJSON(w, errcode.ErrorCodeNameUnknown)
	}
}

// tagged is the OCI's index, unless the client knows Docker's form alone.
func (s shown) tagged(r *http.Request) digest.Digest {
	accept := strings.Join(r.Header["Accept"], ",")
	oci := s.image.Manifests[s.image.Index].Type
	if strings.Contains(accept, canaryimage.DockerList) && !strings.Contains(accept, oci) {
		return s.image.DockerIndex
	}
	return s.image.Index
}

func content(w http.ResponseWriter, r *http.Request, mediaType string, dgst digest.Digest, data []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Docker-Content-Digest", dgst.String())
	h.Set("Etag", `"`+dgst.String()+`"`)
	h.Set("Cache-Control", "no-store") // a proxy's copy would outlive the file
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
