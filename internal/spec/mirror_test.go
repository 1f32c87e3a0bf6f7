package spec

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

// mirroring is a mirror of a private upstream that is open to all.
func mirroring() Spec {
	s := good()
	s.Mirror = Mirror{Of: "https://up.test:5000", Username: "puller", PasswordFile: "/pw", CACert: "/ca.crt", TTL: "24h", Open: true}
	return s
}

func TestMirrorIsReadBack(t *testing.T) {
	want := mirroring()
	data, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("regctl.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(want, got); len(d) > 0 {
		t.Errorf("%v in\n%s", d, data)
	}
	plain := strings.Split(string(data), "# A pull-through")[0] + "mirror: {of: docker.io}\nruntime: docker\n"
	if got, err = Parse("regctl.yaml", []byte(plain)); err != nil || got.Mirror.Of != DockerHub {
		t.Errorf("%q, %v", got.Mirror.Of, err)
	}
	if _, err = Parse("regctl.yaml", []byte(strings.Replace(plain, "of:", "off:", 1))); err == nil || !strings.Contains(fault.Hint(err), "mirror.of") {
		t.Errorf("a misspelt key: %v, %s", err, fault.Hint(err))
	}
}

func TestNormalizeMirror(t *testing.T) {
	for given, want := range map[string]string{
		"docker.io": DockerHub, "https://registry-1.docker.io": DockerHub, "https://hub.docker.com/": DockerHub, "index.docker.io": DockerHub,
		"quay.io": "https://quay.io", "http://10.0.0.1:5000/": "http://10.0.0.1:5000", "": "", "http://a b": "http://a b",
	} {
		if got := NormalizeMirror(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

func TestMirrorRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change     func(*Spec)
		want, hint string
	}{
		"no upstream":      {func(s *Spec) { s.Mirror.Of = "" }, "mirror.of (--mirror-of)", "docker.io"},
		"no URL":           {func(s *Spec) { s.Mirror.Of = "http://a b" }, "no URL", "docker.io"},
		"another scheme":   {func(s *Spec) { s.Mirror.Of = "ftp://a" }, "no URL of a registry", "https://"},
		"a path":           {func(s *Spec) { s.Mirror.Of = "https://a/library" }, "goes on", "alone"},
		"password in URL":  {func(s *Spec) { s.Mirror.Of = "https://a:hunter2@b" }, "credentials", "--mirror-password-file"},
		"not normal":       {func(s *Spec) { s.Mirror.Of = "https://docker.io" }, "normal form", DockerHub},
		"open to all":      {func(s *Spec) { s.Mirror.Open = false }, "mirror.open (--mirror-open)", "--auth htpasswd"},
		"no password":      {func(s *Spec) { s.Mirror.PasswordFile = "" }, "password", "--mirror-password-file"},
		"nobody's":         {func(s *Spec) { s.Mirror.Username = "" }, "whose password", "--mirror-username"},
		"relative":         {func(s *Spec) { s.Mirror.PasswordFile = "pw" }, "absolute", "whole path"},
		"name with colon":  {func(s *Spec) { s.Mirror.Username = "a:b" }, "nobody's name", "upstream"},
		"ttl":              {func(s *Spec) { s.Mirror.TTL = "7 days" }, "no duration", "168h"},
		"negative ttl":     {func(s *Spec) { s.Mirror.TTL = "-1h" }, "no duration", "168h"},
		"CA of plain HTTP": {func(s *Spec) { s.Mirror.Of = "http://a" }, "plain HTTP", "https"},
		"CA in stock":      {func(s *Spec) { s.Image = "registry:3" }, "stock image", "--image"},
		"two of them":      {func(s *Spec) { s.Config = map[string]any{"proxy": map[string]any{"remoteurl": "https://x"}} }, "config.proxy", "config:"},
	} {
		s := mirroring()
		tc.change(&s)
		err := s.Validate()
		if !fault.IsUsage(err) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(fault.Hint(err), tc.hint) {
			t.Errorf("%s: %v, hint %q", name, err, fault.Hint(err))
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: shows the password", name)
		}
	}
}

func TestMirrorWarnings(t *testing.T) {
	s := mirroring()
	s.Mirror.CACert = ""
	if w := s.Warnings(); len(w) > 0 {
		t.Errorf("a sound one: %q", w)
	}
	s.Mirror.Of, s.Auth.Mode, s.Image = "http://up.test", AuthHtpasswd, "registry:3"
	s.Redis.URL = "redis://cache.example.com:6379"
	all := strings.Join(s.Warnings(), "\n")
	for _, want := range []string{"in clear", "no credentials", "does not start", "of no use to a mirror"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
}
