package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host/script"
)

// imageID is an image's ID as the Docker Engine writes it.
var imageID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// LoadImage has the host's Docker Engine hold the image with an ID, sha256 and 64 hex
// digits. Where it is not there, archive is called to write what docker save printed,
// compressed or not, which docker load reads on the host as it comes: nothing is left on
// its disk beside the image. It reports whether the image had to be sent. An engine that
// gives the archive another ID is an error.
func (s *SSH) LoadImage(ctx context.Context, id string, archive func(io.Writer) error) (sent bool, err error) {
	a, err := s.aboutImage(ctx, "load", id)
	if err != nil {
		return false, err
	}
	defer a.close()
	verb, why, err := a.next()
	if err == nil && verb == "send" {
		sent = true
		if err := a.send(archive); err != nil {
			return sent, err
		}
		verb, why, err = a.next()
	}
	switch {
	case err != nil:
		return sent, s.lost(ctx, err)
	case verb == "had", verb == "has":
		return sent, nil
	case verb == "other":
		return sent, fault.Fail("see `docker info` there: it must be of the same architecture and keep images in the same kind of store as the engine here (Storage Driver)",
			"%s: its Docker Engine does not take the image for %s: %s", s.name, id, why)
	}
	return sent, s.noImage(verb, why)
}

// DropImage has the host's Docker Engine let go of the image with an ID, unless a
// container uses it. Containers of a swarm's tasks that have ended go with it; those that
// have not are given some 10 s to, with wait. It reports whether the image is gone, which
// one that was never there is; else why it stays.
func (s *SSH) DropImage(ctx context.Context, id string, wait bool) (gone bool, why string, err error) {
	verb := "drop"
	if wait {
		verb = "await"
	}
	a, err := s.aboutImage(ctx, verb, id)
	if err != nil {
		return false, "", err
	}
	defer a.close()
	verb, why, err = a.next()
	switch {
	case err != nil:
		return false, "", s.lost(ctx, err)
	case verb == "dropped", verb == "lacks":
		return true, "", nil
	case verb == "keeps":
		return false, why, nil
	}
	return false, "", s.noImage(verb, why)
}

func (s *SSH) noImage(verb, why string) error {
	switch verb {
	case "lacks":
		return fault.Fail("install Docker's client there", "%s: there is no docker to load an image with", s.name)
	case "fails":
		return fault.Fail("see that dockerd runs there: docker info", "%s: docker load: %s", s.name, why)
	}
	return fmt.Errorf("%s: unexpected answer %q", s.name, verb)
}

// imageTalk is a script.Image that runs.
type imageTalk struct {
	pipe    *pipe
	answers answers
	refused bool        // it reads no more
	quiet   func() bool // ends the watch over the context
}

func (s *SSH) aboutImage(ctx context.Context, verb, id string) (*imageTalk, error) {
	if !imageID.MatchString(id) {
		return nil, fmt.Errorf("%q is no image ID", id)
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	marker := "regctl-" + hex.EncodeToString(random)
	p, err := s.start(ctx, loaded(script.Image(), fmt.Appendf(nil, "%s\n%s\n%s\n", marker, verb, id)))
	if err != nil {
		return nil, err
	}
	// An archive that is cut off is not loaded.
	ended := context.AfterFunc(ctx, func() {
		p.stop()
		_ = s.client.Close()
	})
	return &imageTalk{pipe: p, answers: answers{marker: marker, in: p.out}, quiet: ended}, nil
}

// next is the script's next answer.
func (a *imageTalk) next() (verb, why string, err error) {
	line, _, err := a.answers.next()
	verb, why, _ = strings.Cut(line, " ")
	return verb, strings.TrimSpace(why), err
}

// send writes the archive and its end. An engine that stops reading says why itself.
func (a *imageTalk) send(archive func(io.Writer) error) error {
	err := archive(a)
	if end, ok := a.pipe.in.(interface{ CloseWrite() error }); ok {
		_ = end.CloseWrite() // fails where nobody reads any more
	}
	if a.refused {
		return nil
	}
	return err
}

// Write implements io.Writer.
func (a *imageTalk) Write(p []byte) (int, error) {
	n, err := a.pipe.in.Write(p)
	a.refused = a.refused || err != nil
	return n, err
}

func (a *imageTalk) close() {
	a.quiet()
	_ = a.pipe.close() // what it had to say has been read
}
