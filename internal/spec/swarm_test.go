package spec

import (
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

// swarmed is a spec of three registries in a swarm that passes, to be spoilt.
func swarmed() Spec {
	s := good()
	s.Runtime, s.Replicas = RuntimeSwarm, 3
	s.Storage = Storage{Driver: StorageS3, Options: map[string]any{"bucket": "b"}}
	return s
}

func TestValidateSwarm(t *testing.T) {
	files := Storage{Driver: StorageFilesystem}
	for name, tc := range map[string]struct {
		change func(*Spec)
		want   string // "" passes
		hint   string
	}{
		"three with S3":        {func(*Spec) {}, "", ""},
		"one on a disk":        {func(s *Spec) { s.Storage, s.Replicas = files, 1 }, "", ""},
		"shared disk":          {func(s *Spec) { s.Storage = Storage{Driver: StorageFilesystem, Shared: true} }, "", ""},
		"constraints":          {func(s *Spec) { s.Swarm.Constraints = []string{"node.labels.zone != a b", "node.role==worker"} }, "", ""},
		"nodes":                {func(s *Spec) { s.Swarm.Nodes = []string{"root@n1:2222", "n2=none"} }, "", ""},
		"dns-01":               {func(s *Spec) { s.TLS = fromCA(ChallengeDNS) }, "", ""},
		"three on a disk":      {func(s *Spec) { s.Storage = files }, "replicas (--replicas): the images are in a folder of this machine", "--storage-shared"},
		"three in memory":      {func(s *Spec) { s.Storage = Storage{Driver: StorageInMemory} }, "replicas (--replicas)", "filesystem"},
		"three mirrors":        {func(s *Spec) { s.Mirror.Of = "https://registry-1.docker.io" }, "replicas (--replicas)", "--mirror-of"},
		"http-01":              {func(s *Spec) { s.TLS = fromCA("") }, "tls.challenge (--challenge)", "dns-01"},
		"proxy":                {func(s *Spec) { s.Proxy.Kind = ProxyNginx }, "proxy.kind (--proxy)", "several nodes"},
		"bind":                 {func(s *Spec) { s.Bind = "10.0.0.1" }, "bind (--bind)", "--runtime docker"},
		"stock image":          {func(s *Spec) { s.Image = "registry:3" }, "image (--image): each node would pull", "--runtime docker"},
		"shared volume":        {func(s *Spec) { s.Storage = Storage{Driver: StorageFilesystem, Volume: "v1", Shared: true} }, "storage.volume (--data-volume)", "DIR/data"},
		"shared S3":            {func(s *Spec) { s.Storage.Shared = true }, "storage.shared (--storage-shared)", "leave it out"},
		"dotted name":          {func(s *Spec) { s.Name = "a.b" }, "name (--name)", "hyphens"},
		"publish":              {func(s *Spec) { s.Swarm.Publish = "ingres" }, "swarm.publish (--publish)", "did you mean ingress?"},
		"constraint":           {func(s *Spec) { s.Swarm.Constraints = []string{"zone=a"} }, "swarm.constraints (--constraint)", "node.labels.zone==a"},
		"node":                 {func(s *Spec) { s.Swarm.Nodes = []string{"root at n1"} }, "swarm.nodes (--nodes)", "root@"},
		"constraint elsewhere": {func(s *Spec) { s.Runtime, s.Replicas, s.Swarm.Constraints = RuntimeDocker, 1, []string{"node.id==a"} }, "swarm (--runtime)", "--runtime swarm"},
		"shared elsewhere": {func(s *Spec) {
			s.Runtime, s.Replicas, s.Storage = RuntimeDocker, 1, Storage{Driver: StorageFilesystem, Shared: true}
		}, "storage.shared", "--runtime swarm"},
		"Redis on loopback": {func(s *Spec) { s.Redis.URL = "redis://127.0.0.1" }, "redis.url (--redis)", "docker0"},
	} {
		s := swarmed()
		tc.change(&s)
		err := s.Validate()
		switch {
		case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !fault.IsUsage(err)):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(fault.Hint(err), tc.hint):
			t.Errorf("%s: hint %q, want %q", name, fault.Hint(err), tc.hint)
		}
	}
}

func fromCA(challenge string) TLS {
	t := Default().TLS
	t.Mode, t.Email, t.AcceptTOS, t.Challenge = TLSLetsEncrypt, "ops@example.com", true, challenge
	if challenge == ChallengeDNS {
		t.DNSProvider, t.DNSCredentialsFile = "rfc2136", "/etc/dns"
	}
	return t
}

func TestMarshalSwarm(t *testing.T) {
	want := swarmed()
	want.Swarm = Swarm{PublishHost, []string{"node.labels.registry==yes"}, []string{"root@n2:2222"}}
	want.Replicas, want.Storage = 2, Storage{Driver: StorageFilesystem, Shared: true}
	out, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse("regctl.yaml", out); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\ngot:  %+v\nwant: %+v\n%s", err, got, want, out)
	}
}
