package engine

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

func TestEngineThatDoesNotAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	api, err := client.NewClientWithOpts(client.WithHost("unix://" + path))
	if err != nil {
		t.Fatal(err)
	}
	err = (&Docker{api: api, host: "unix://" + path}).connect(t.Context(), 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), path+" accepts connections but does not answer") {
		t.Errorf("got %v", err)
	}
}

func TestRemapBase(t *testing.T) {
	uid, gid, err := remapBase("/var/lib/docker/231072.231073")
	if uid != 231072 || gid != 231073 || err != nil {
		t.Errorf("got %d, %d, %v", uid, gid, err)
	}
	for _, dir := range []string{"/var/lib/docker", "/var/lib/docker/a.b", ""} {
		if _, _, err := remapBase(dir); err == nil {
			t.Errorf("%q: no error", dir)
		}
	}
}

func TestMajorOf(t *testing.T) {
	tests := []struct {
		config, version string
		want            int
	}{
		{"/etc/docker/registry/config.yml", "", 2},
		{"/etc/distribution/config.yml", "2.8.3", 3},
		{"/config.yml", "2.8.3", 2},
		{"/config.yml", "v3.0.0-rc.1", 3},
		{"", "/bin/registry github.com/distribution/distribution/v3 v3.1.2", 3},
		{"", "registry github.com/docker/distribution 2.8.2+ds1", 2},
		{"", "registry github.com/distribution/distribution/v3 (devel)", 0},
		{"", "v30.1", 0},
		{"", "", 0},
	}
	for _, tt := range tests {
		if got := majorOf(tt.config, tt.version); got != tt.want {
			t.Errorf("majorOf(%q, %q) = %d, want %d", tt.config, tt.version, got, tt.want)
		}
	}
}
