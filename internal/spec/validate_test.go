package spec

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

// good is a spec that passes, to be spoilt.
func good() Spec {
	s := Default()
	s.Hosts, s.Runtime = []string{"registry.test"}, RuntimeDocker
	return s
}

func TestValidateAccepts(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"defaults":             func(*Spec) {},
		"runtime not settled":  func(s *Spec) { s.Runtime = "" },
		"short name":           func(s *Spec) { s.Hosts = []string{"registry"} },
		"localhost on 443":     func(s *Spec) { s.Hosts, s.Port = []string{"localhost"}, 443 },
		"IPv6 on 443":          func(s *Spec) { s.Hosts, s.Port = []string{"::1"}, 443 },
		"short name second":    func(s *Spec) { s.Hosts, s.Port = []string{"registry.test", "registry"}, 443 },
		"IPv6 bind":            func(s *Spec) { s.Bind = "::" },
		"IPv6 add-host":        func(s *Spec) { s.AddHosts = []string{"cache:2001:db8::5", "b.test:10.0.0.1"} },
		"digest":               func(s *Spec) { s.Image = "registry@sha256:" + strings.Repeat("a", 64) },
		"own pair":             func(s *Spec) { s.TLS.Mode, s.TLS.Cert, s.TLS.Key = TLSFiles, "/c", "/k" },
		"leaf as long as CA":   func(s *Spec) { s.TLS.CertDays, s.TLS.CADays = 30, 30 },
		"process with nothing": func(s *Spec) { s.Runtime = RuntimeProcess },
	} {
		s := good()
		change(&s)
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change     func(*Spec)
		want, hint string
	}{
		"no version":         {func(s *Spec) { s.Version = 0 }, "version: it is missing", "version: 1"},
		"newer":              {func(s *Spec) { s.Version = 2 }, "version: 2 is newer", "newer one"},
		"name with a slash":  {func(s *Spec) { s.Name = "a/b" }, "name (--name): \"a/b\"", "letters"},
		"name of one letter": {func(s *Spec) { s.Name = "a" }, "name (--name)", "2 to 48"},
		"dots for a name":    {func(s *Spec) { s.Name = ".." }, "name (--name)", "first"},
		"no hosts":           {func(s *Spec) { s.Hosts = nil }, "hosts (--host): there is none", "registry.test"},
		"bad host":           {func(s *Spec) { s.Hosts = []string{"foo_bar..x"} }, "hosts (--host): \"foo_bar..x\"", "hyphens"},
		"host not normal":    {func(s *Spec) { s.Hosts = []string{"A.test"} }, "normal form", "a.test"},
		"host twice":         {func(s *Spec) { s.Hosts = []string{"a.test", "a.test"} }, "twice", "once"},
		"port 0":             {func(s *Spec) { s.Port = 0 }, "port (--port): 0", "1 to 65535"},
		"port 70000":         {func(s *Spec) { s.Port = 70000 }, "port (--port): 70000", "1 to 65535"},
		"no dot on 443":      {func(s *Spec) { s.Hosts, s.Port = []string{"registry"}, 443 }, "Docker Hub", "with a dot"},
		"no dot on 80":       {func(s *Spec) { s.Hosts, s.Port, s.TLS.Mode = []string{"registry"}, 80, TLSNone }, "port 80", "--port"},
		"bind to a name":     {func(s *Spec) { s.Bind = "localhost" }, "bind (--bind): \"localhost\"", "127.0.0.1"},
		"bind in brackets":   {func(s *Spec) { s.Bind = "[::1]" }, "bind (--bind)", "without brackets"},
		"bind with a zone":   {func(s *Spec) { s.Bind = "fe80::1%eth0" }, "zone", "zone"},
		"mode misspelt":      {func(s *Spec) { s.TLS.Mode = "selfsinged" }, "tls.mode (--tls): unknown value \"selfsinged\"", "did you mean selfsigned?"},
		"mode unheard of":    {func(s *Spec) { s.TLS.Mode = "rot13" }, "tls.mode (--tls)", "one of selfsigned, files, letsencrypt or none"},
		"key type":           {func(s *Spec) { s.TLS.KeyType = "dsa" }, "tls.keyType (--key-type)", "ecdsa256"},
		"no days":            {func(s *Spec) { s.TLS.CertDays = 0 }, "tls.certDays (--cert-days): 0 days", "1 to 36500"},
		"too many days":      {func(s *Spec) { s.TLS.CADays = 1e6 }, "tls.caDays (--ca-days)", "1 to 36500"},
		"leaf outlives CA":   {func(s *Spec) { s.TLS.CertDays, s.TLS.CADays = 31, 30 }, "outlive its CA of 30", "--ca-days"},
		"files without key":  {func(s *Spec) { s.TLS.Mode, s.TLS.Cert = TLSFiles, "/c" }, "tls.key (--key)", "--key FILE"},
		"key without files":  {func(s *Spec) { s.TLS.Key = "/k" }, "tls.key (--key)", "--tls files"},
		"relative path":      {func(s *Spec) { s.TLS.Mode, s.TLS.Cert, s.TLS.Key = TLSFiles, "c", "/k" }, "tls.cert (--cert)", "whole path"},
		"newline in a path":  {func(s *Spec) { s.TLS.Mode, s.TLS.Cert, s.TLS.Key = TLSFiles, "/c\n", "/k" }, "tls.cert (--cert)", "rename"},
		"storage misspelt":   {func(s *Spec) { s.Storage.Driver = "filesytem" }, "storage.driver (--storage)", "did you mean filesystem?"},
		"volume in memory":   {func(s *Spec) { s.Storage = Storage{Driver: StorageInMemory, Volume: "v1"} }, "storage.volume (--data-volume)", "filesystem"},
		"s3 bucket":          {func(s *Spec) { s.Storage = Storage{Driver: StorageS3} }, "storage.options (--storage-opt): s3 needs bucket", "bucket="},
		"azure container":    {func(s *Spec) { s.Storage = Storage{Driver: StorageAzure, Options: map[string]any{"accountname": "a"}} }, "azure needs container", "container="},
		"swift endpoint":     {func(s *Spec) { s.Storage = Storage{Driver: StorageSwift, Options: map[string]any{"bucket": "b"}} }, "swift needs regionendpoint", "regionendpoint="},
		"oss region":         {func(s *Spec) { s.Storage = Storage{Driver: StorageOSS, Options: map[string]any{"bucket": "b"}} }, "oss needs region", "region="},
		"volume name":        {func(s *Spec) { s.Storage.Volume = "/srv/images" }, "storage.volume (--data-volume)", "letters"},
		"runtime":            {func(s *Spec) { s.Runtime = "kubernetes" }, "runtime (--runtime)", "docker, process or swarm"},
		"runtime auto":       {func(s *Spec) { s.Runtime = "auto" }, "runtime (--runtime)", "docker, process or swarm"},
		"process and image":  {func(s *Spec) { s.Runtime, s.Image = RuntimeProcess, "registry:2" }, "image (--image)", "--runtime docker"},
		"process and volume": {func(s *Spec) { s.Runtime, s.Storage.Volume = RuntimeProcess, "v1" }, "storage.volume", "--runtime docker"},
		"process and hosts":  {func(s *Spec) { s.Runtime, s.AddHosts = RuntimeProcess, []string{"a:10.0.0.1"} }, "addHosts (--add-host)", "/etc/hosts"},
		"image":              {func(s *Spec) { s.Image = "Registry:2" }, "image (--image): \"Registry:2\"", "registry:2"},
		"image and binary":   {func(s *Spec) { s.Image, s.LinuxBinary = "registry:2", "/b" }, "linuxBinary (--linux-binary)", "not both"},
		"relative binary":    {func(s *Spec) { s.LinuxBinary = "b" }, "linuxBinary (--linux-binary)", "whole path"},
		"add-host alone":     {func(s *Spec) { s.AddHosts = []string{"cache.test"} }, "NAME:IP", "cache.test:10.0.0.5"},
		"add-host brackets":  {func(s *Spec) { s.AddHosts = []string{"cache.test:[::1]"} }, "no IP address", "without brackets"},
		"add-host name":      {func(s *Spec) { s.AddHosts = []string{"a b:10.0.0.5"} }, "no DNS name", "cache.test"},
		"add-host reversed":  {func(s *Spec) { s.AddHosts = []string{"10.0.0.5:cache.test"} }, "no DNS name", "cache.test"},
	} {
		s := good()
		tc.change(&s)
		err := s.Validate()
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(fault.Hint(err), tc.hint) || !fault.IsUsage(err) {
			t.Errorf("%s: hint %q, want %q", name, fault.Hint(err), tc.hint)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, tc := range []struct {
		host, mode        string
		port              int
		endpoint, address string
	}{
		{"registry.test", TLSSelfSigned, 5000, "https://registry.test:5000", "registry.test:5000"},
		{"registry.test", TLSFiles, 443, "https://registry.test", "registry.test"},
		{"registry.test", TLSNone, 443, "http://registry.test:443", "registry.test:443"},
		{"registry.test", TLSNone, 80, "http://registry.test", "registry.test"},
		{"registry.test", TLSSelfSigned, 80, "https://registry.test:80", "registry.test:80"},
		{"2001:db8::1", TLSSelfSigned, 5000, "https://[2001:db8::1]:5000", "[2001:db8::1]:5000"},
		{"2001:db8::1", TLSSelfSigned, 443, "https://[2001:db8::1]", "[2001:db8::1]"},
		{"192.0.2.1", TLSNone, 5000, "http://192.0.2.1:5000", "192.0.2.1:5000"},
	} {
		s := good()
		s.Hosts, s.TLS.Mode, s.Port = []string{tc.host}, tc.mode, tc.port
		if s.Endpoint() != tc.endpoint || s.Address() != tc.address {
			t.Errorf("%s, %s", s.Endpoint(), s.Address())
		}
	}
}

func TestWarnings(t *testing.T) {
	s := good()
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("warnings for the default: %v", w)
	}
	s.Hosts = []string{"2001:db8::1"}
	s.TLS.Mode, s.Storage.Driver = TLSNone, StorageInMemory
	all := strings.Join(s.Warnings(), "\n")
	for _, want := range []string{"older Docker", "[2001:db8::1]:5000", "in clear", "gone when the registry stops"} {
		if !strings.Contains(all, want) {
			t.Errorf("no word of %q in:\n%s", want, all)
		}
	}
	for driver, want := range map[string]string{StorageOSS: "virtual-host style", StorageSwift: "path style"} {
		s := good()
		s.Storage = Storage{Driver: driver, Options: map[string]any{"bucket": "b", "regionendpoint": "https://h"}}
		if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "its S3 interface is used, at https://h, "+want) {
			t.Errorf("%s: %v", driver, w)
		}
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		s := good()
		s.Hosts = []string{host}
		if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "no other machine") {
			t.Errorf("%s: %v", host, w)
		}
	}
}
