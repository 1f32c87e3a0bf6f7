package clients

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
)

// TestHolds has a store that goes take all its files along in the record: an insecure
// registry has one of Docker's and one of podman's.
func TestHolds(t *testing.T) {
	c := statedir.Client{Stores: []statedir.ClientStore{
		{Store: "insecure", Path: "/etc/docker/daemon.json"},
		{Store: "insecure", Path: "/etc/containers/registries.conf.d/a.conf"},
		{Store: "os", Path: "/anchors/a.crt"},
		{Store: "map-host", Path: "/etc/hosts"},
	}}
	Holds(&c, Report{Stores: []Store{
		{Store: trust.Insecure, Path: "/etc/docker/daemon.json", Status: Changed, Gone: true},
		{Store: trust.OS, Path: "/anchors/a2.crt", Status: Changed, Gone: true},
		{Store: trust.Docker, Path: "/etc/docker/certs.d/a/ca.crt", Status: Changed},
		{Store: trust.MapHost, Path: "/etc/hosts", Status: Unchanged},
	}})
	var got []string
	for _, s := range c.Stores {
		got = append(got, s.Store+" "+s.Path)
	}
	if want := "os /anchors/a.crt, map-host /etc/hosts, docker /etc/docker/certs.d/a/ca.crt"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}
