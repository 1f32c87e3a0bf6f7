package distconfig

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

type tree = map[string]any

func testEnv(f Flavour) Env {
	return Env{Serve: "/etc/regctl", Data: "/var/lib/registry", Addr: ":5000", HTTPSecret: "0123456789abcdef", Flavour: f}
}

func testSpec(mode string, config tree) spec.Spec {
	return spec.Spec{
		Version: 1, Hosts: []string{"registry.test"}, Port: 5000,
		TLS: spec.TLS{Mode: mode}, Storage: spec.Storage{Driver: spec.StorageFilesystem}, Config: config,
	}
}

var renderings = []struct {
	name string
	spec spec.Spec
	env  Env
}{
	{"plain", testSpec(spec.TLSNone, nil), testEnv(Embedded)},
	{"tls", testSpec(spec.TLSSelfSigned, nil), testEnv(Embedded)},
	{"stock2-redis", testSpec(spec.TLSFiles, tree{
		"storage": tree{"cache": tree{"blobdescriptor": "redis"}},
		"redis": tree{
			"addrs": []any{"redis:6379"}, "password": "p", "poolsize": 64, "maxidleconns": 16, "connmaxidletime": "300s",
		},
	}), testEnv(Stock2)},
	{"stock3-s3", testSpec(spec.TLSSelfSigned, tree{"storage": tree{
		"s3": tree{"bucket": "images", "regionendpoint": "http://minio:9000", "secretkey": "yes"}, "redirect": tree{"disable": true},
	}}), testEnv(Stock3)},
	{"token", func() spec.Spec {
		s := testSpec(spec.TLSSelfSigned, nil)
		s.Auth = spec.Auth{
			Mode: spec.AuthToken, TokenRealm: "https://auth.example.com/token?a=b", TokenService: "registry.test: 5000", TokenIssuer: "them",
			TokenRootCA: "/ca.pem", TokenJWKS: "/keys.json",
		}
		return s
	}(), testEnv(Stock3)},
	{"inmemory", func() spec.Spec {
		s := testSpec(spec.TLSNone, nil)
		s.Storage.Driver, s.HTTP2 = spec.StorageInMemory, true
		return s
	}(), testEnv(Embedded)},
	{"mirror", mirrorSpec(), func() Env {
		e := testEnv(Embedded)
		e.MirrorPassword = "0123"
		return e
	}()},
	{"stock2-mirror", mirrorSpec(), testEnv(Stock2)},
	{"overlay", testSpec(spec.TLSSelfSigned, tree{
		"log": tree{
			"level": "debug", "fields": tree{"environment": "test"},
			"hooks": []any{tree{
				"type": "mail", "levels": []any{"panic"}, "disabled": true,
				"options": tree{"smtp": tree{"addr": "mail.example.com:25", "username": "u", "password": "p"}, "from": "a@b.c", "to": []any{"d@e.f"}},
			}},
		},
		"storage": tree{
			"filesystem": tree{"maxthreads": 50}, "delete": tree{"enabled": true}, "tag": tree{"concurrencylimit": 8},
			"maintenance": tree{"uploadpurging": tree{"enabled": false}, "readonly": tree{"enabled": true}},
		},
		"http": tree{
			"host": "https://registry.test:5000", "secret": "of my own", "draintimeout": "30s",
			"headers": tree{"X-Content-Type-Options": nil, "Strict-Transport-Security": []any{"max-age=1"}},
			"tls":     tree{"minimumtls": "tls1.3"},
		},
		"notifications": tree{"endpoints": []any{tree{
			"name": "hook", "url": "http://localhost:1/", "headers": tree{"Authorization": []any{"Bearer t"}}, "timeout": "1s", "threshold": 3, "backoff": "1s",
		}}},
		"proxy":  tree{"remoteurl": "https://registry-1.docker.io", "username": "me", "password": "0123"},
		"health": nil, "catalog": tree{"maxentries": 50},
	}), testEnv(Embedded)},
}

func mirrorSpec() spec.Spec {
	s := testSpec(spec.TLSNone, nil)
	s.Mirror = spec.Mirror{Of: spec.DockerHub, Username: "me", PasswordFile: "/pw", Open: true}
	return s
}

func TestRenderRefusesAMirrorTTLForVersion2(t *testing.T) {
	s := mirrorSpec()
	s.Mirror.TTL = "24h"
	if _, err := Render(s, testEnv(Stock2)); !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
}

func TestRenderGoldens(t *testing.T) {
	for _, r := range renderings {
		t.Run(r.name, func(t *testing.T) {
			got, err := Render(r.spec, r.env)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "render/"+r.name+".yml", got)
			if err := Check(got, r.env.Flavour); err != nil {
				t.Error(err)
			}
			if _, err := configuration.Parse(bytes.NewReader(got)); err != nil {
				t.Error(err)
			}
			again, _ := Render(r.spec, r.env)
			if !bytes.Equal(got, again) {
				t.Error("a second rendering differs")
			}
		})
	}
}

// NewApp panics on what it cannot use, which no parser tells.
func TestNewAppTakesWhatIsRendered(t *testing.T) {
	for _, r := range renderings {
		if r.env.Flavour != Embedded || r.name == "overlay" || r.name == "mirror" { // a mirror asks its upstream
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			r.env.Data = t.TempDir()
			got, err := Render(r.spec, r.env)
			if err != nil {
				t.Fatal(err)
			}
			config, err := parse(got)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := config.Storage["maintenance"]["uploadpurging"].(map[any]any); !ok {
				t.Error("uploadpurging is not of the type that NewApp wants")
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if err := handlers.NewApp(ctx, config).Shutdown(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRenderRefusesOwnedKeys(t *testing.T) {
	for path, hint := range map[string]string{
		"http.addr": "port", "http.net": "port", "http.tls.certificate": "tls.cert", "http.tls.key": "tls.key",
		"http.tls.letsencrypt": "tls.mode", "http.http2.disabled": "http2", "storage.filesystem.rootdirectory": "--dir",
	} {
		config := tree{}
		if _, err := assign(config, newSchema(Embedded), strings.Split(path, "."), "other"); err != nil {
			t.Fatal(err)
		}
		_, err := Render(testSpec(spec.TLSSelfSigned, config), testEnv(Embedded))
		if !fault.IsUsage(err) || !strings.Contains(fault.Hint(err), hint) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, hint %q", path, err, fault.Hint(err))
		}
	}
	same := tree{"http": tree{"addr": ":5000"}}
	if _, err := Render(testSpec(spec.TLSNone, same), testEnv(Embedded)); err != nil {
		t.Errorf("the address it would render anyway: %v", err)
	}
}

func TestRenderOverlay(t *testing.T) {
	for _, test := range []struct {
		name        string
		config      tree
		has, hasNot string
	}{
		{"bare driver", tree{"storage": "inmemory"}, "inmemory: {}", "filesystem"},
		{"null driver", tree{"storage": tree{"inmemory": nil}}, "inmemory: {}", "filesystem"},
		{"older cache key", tree{"storage": tree{"cache": tree{"layerinfo": "inmemory"}}}, "layerinfo: inmemory", "blobdescriptor"},
		{"older log level", tree{"loglevel": "error"}, "loglevel: error", "level: warn"},
		{"ambiguous text", tree{"proxy": tree{"remoteurl": "https://x", "password": "on"}}, `password: "on"`, ""},
	} {
		got, err := Render(testSpec(spec.TLSNone, test.config), testEnv(Embedded))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if !bytes.Contains(got, []byte(test.has)) || test.hasNot != "" && bytes.Contains(got, []byte(test.hasNot)) {
			t.Errorf("%s: want %q and not %q in\n%s", test.name, test.has, test.hasNot, got)
		}
		if err := Check(got, Embedded); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, test := range []struct {
		config  tree
		flavour Flavour
		want    string
	}{
		{tree{"htpp": tree{}}, Embedded, "htpp"},
		{tree{"storage": tree{"delete": tree{"enabled": "yes"}}}, Embedded, "storage.delete.enabled"},
		{tree{"storage": tree{"s3": tree{"bucket": "b"}, "azure": tree{"accountname": "a", "container": "c"}}}, Stock3, "only one"},
		{tree{"redis": tree{"addr": "redis:6379"}}, Stock3, "redis.addrs"},
		{tree{"storage": tree{"tag": tree{"concurrencylimit": 1}}}, Stock2, "registry 2"},
		{tree{"auth": tree{"token": tree{"realm": "r", "service": "s", "issuer": "i", "jwks": "/j"}}}, Stock2, "registry 2"},
		{tree{"tags": tree{"maxtags": -1}}, Embedded, "maxtags"},
		{tree{"version": "0.2"}, Embedded, "version"},
	} {
		got, err := Render(testSpec(spec.TLSNone, test.config), testEnv(test.flavour))
		if err == nil {
			err = Check(got, test.flavour)
		}
		if !fault.IsUsage(err) || !strings.Contains(err.Error(), test.want) || fault.Hint(err) == "" {
			t.Errorf("%v: %v", test.config, err)
		}
	}
}

func TestCheckIgnoresTheEnvironment(t *testing.T) {
	t.Setenv("REGISTRY_STORAGE", "inmemory: {}\nfilesystem: {}\n")
	t.Setenv("REGISTRY_LOG_LEVEL", "nonsense")
	if err := Check(read(t, "testdata/render/plain.yml"), Embedded); err != nil {
		t.Error(err)
	}
}

// Any text must reach distribution as it was given, through two YAML libraries.
func FuzzRenderKeepsText(f *testing.F) {
	for _, text := range []string{"", "yes", "0123", "1:30", "0b1", "~", "***", "a: b", "- x", "#", "\n a", "é\u2028", "=", "<<", "2001-01-01"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text {
			return
		}
		env := testEnv(Embedded)
		env.HTTPSecret = text
		got, err := Render(testSpec(spec.TLSNone, tree{"proxy": tree{"remoteurl": "https://x", "password": text}}), env)
		if err != nil {
			return
		}
		config, err := parse(got)
		if err != nil {
			t.Fatalf("%q: %v\n%s", text, err, got)
		}
		if config.Proxy.Password != text || config.HTTP.Secret != text {
			t.Errorf("%q came out as %q and %q", text, config.Proxy.Password, config.HTTP.Secret)
		}
	})
}

func TestRegistry2ReadsNoKeySets(t *testing.T) {
	s := testSpec(spec.TLSSelfSigned, nil)
	s.Auth = spec.Auth{Mode: spec.AuthToken, TokenRealm: "https://a/", TokenService: "s", TokenIssuer: "i", TokenJWKS: "/keys.json"}
	if _, err := Render(s, testEnv(Stock2)); !fault.IsUsage(err) || !strings.Contains(fault.Hint(err), "--token-root-ca") {
		t.Errorf("%v, hint %q", err, fault.Hint(err))
	}
	s.Auth.TokenRootCA, s.Auth.TokenJWKS = "/ca.pem", ""
	got, err := Render(s, testEnv(Stock2))
	if err == nil {
		err = Check(got, Stock2)
	}
	if err != nil {
		t.Error(err)
	}
}
