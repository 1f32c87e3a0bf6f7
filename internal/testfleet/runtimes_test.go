package testfleet_test

import (
	"archive/tar"
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

// layer is a root file system with one file.
func layer(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o644, Size: 6}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRuntimes(t *testing.T) {
	const config = "{\r\n\t\"debug\": true\r\n}"
	fleet := testfleet.New(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker, testfleet.DaemonJSONLink(config)),
		testfleet.Hosts(1, testfleet.Docker, testfleet.BrokenDaemonJSON),
		testfleet.Hosts(1, testfleet.Podman, testfleet.Containerd),
	)...)
	linked, broken, other := fleet.Host(0), fleet.Host(1), fleet.Host(2)

	for h, engine := range map[*testfleet.Host]string{linked: "docker", other: "podman"} {
		if err := h.WriteFile("/tmp/layer.tar", layer(t)); err != nil {
			t.Fatal(err)
		}
		h.Run(engine + " import /tmp/layer.tar tiny:1 && " + engine + " save -o /tmp/tiny.tar tiny:1 && " +
			engine + " rmi tiny:1 && " + engine + " load -i /tmp/tiny.tar")
		if out := h.Run(engine + " images --format '{{.Repository}}:{{.Tag}}'"); !strings.HasSuffix(out, "tiny:1") {
			t.Errorf("%s has the image %q", engine, out)
		}
		for path := range h.Tree() {
			if strings.HasPrefix(path, "/var/lib/"+engine+"/") {
				t.Fatalf("%s is in the tree", path)
			}
		}
	}
	if out := linked.Run("docker info --format '{{.Debug}} {{.Name}}'"); out != "true h0" {
		t.Errorf("docker info: %s", out)
	}
	if data, err := linked.ReadFile("/etc/docker/daemon.json"); err != nil || string(data) != config {
		t.Errorf("daemon.json: %q, %v", data, err)
	}
	pid := linked.Run("pidof dockerd")
	linked.Run("service docker restart && until docker version; do sleep 0.1; done")
	if linked.Run("pidof dockerd") == pid {
		t.Error("the engine is not restarted")
	}

	// It answers, and a SIGHUP does not end it, but it would not start again.
	broken.Run("pkill -HUP -x dockerd; docker version")
	if out, err := broken.Exec("dockerd --validate --config-file /etc/docker/daemon.json 2>&1 || dockerd --pidfile /run/second"); err == nil {
		t.Errorf("the broken configuration is valid:\n%s", out)
	}

	other.Run("ctr version && test -S /run/containerd/containerd.sock")
}
