package host_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/testfleet"
)

// TestImages brings an image from one Docker to that of a host that is as unhelpful as
// they come, and takes it away again.
func TestImages(t *testing.T) {
	fleet := testfleet.New(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker),
		testfleet.Hosts(1, testfleet.Docker, testfleet.SudoPassword, testfleet.OneSession, testfleet.NoSFTP, testfleet.Shell("/usr/bin/fish"), testfleet.Noisy),
		testfleet.Hosts(1),
	)...)
	from, to := fleet.Host(0), fleet.Host(1)
	from.Run("head -c 300000 /dev/urandom >/tmp/data; tar -C /tmp -cf /tmp/layer.tar data; docker import /tmp/layer.tar tiny:1; docker save tiny:1 >/tmp/tiny.tar")
	id := from.Run("docker image inspect --format '{{.Id}}' tiny:1")
	saved, err := from.ReadFile("/tmp/tiny.tar")
	must(t, err)
	dialer, err := host.NewDialer(host.SSHOptions{
		ConfigFile:     fleet.SSHConfig(),
		BecomePassword: func() (secret.String, error) { return secret.New(testfleet.Password), nil },
	})
	must(t, err)
	t.Cleanup(dialer.Close)
	on := func(h *testfleet.Host) *host.SSH {
		target, err := host.ParseTarget(h.Name)
		must(t, err)
		s, err := dialer.Dial(t.Context(), target)
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	whole := func(w io.Writer) error {
		zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err == nil {
			_, err = io.Copy(zip, bytes.NewReader(saved))
		}
		return errors.Join(err, zip.Close())
	}
	load := func(h *testfleet.Host, id string, archive func(io.Writer) error, want bool, fault string) {
		t.Helper()
		sent, err := on(h).LoadImage(t.Context(), id, archive)
		if sent != want || (err == nil) != (fault == "") || fault != "" && !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: sent %t, %v; want %t, %q", h.Name, sent, err, want, fault)
		}
	}
	holds := func(want string) {
		t.Helper()
		if out := to.Run("docker images --format '{{.Repository}}:{{.Tag}}'"); out != want {
			t.Errorf("the host has the images %q, want %q", out, want)
		}
	}

	load(from, id, whole, false, "")
	load(fleet.Host(2), id, whole, false, "h2: docker load: Cannot connect")
	load(to, id, func(io.Writer) error { return errors.New("no archive") }, true, "no archive")
	load(to, id, func(w io.Writer) error { _, err := w.Write([]byte("not a tar at all\n")); return err }, true, "docker load: ")
	ctx, cancel := context.WithCancel(t.Context())
	_, err = on(to).LoadImage(ctx, id, func(w io.Writer) error {
		_, _ = w.Write(saved[:len(saved)/2])
		cancel()
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	holds("")
	load(to, id, whole, true, "")
	load(to, id, whole, false, "")
	holds("tiny:1")
	load(to, "sha256:"+strings.Repeat("0", 64), whole, true, "does not take the image")

	drop := func(want bool, reason string) {
		t.Helper()
		gone, why, err := on(to).DropImage(t.Context(), id, true)
		if err != nil || gone != want || !strings.Contains(why, reason) {
			t.Errorf("drop: %t, %q, %v; want %t, %q", gone, why, err, want, reason)
		}
	}
	to.Run("docker create --name user tiny:1 command")
	drop(false, "container")
	to.Run("docker rm user")
	drop(true, "")
	drop(true, "")
	holds("")
}
