package distconfig

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	yaml2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

func imported(t *testing.T, text string) (spec.Spec, []Moved) {
	t.Helper()
	s, moved, err := Import([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s, moved
}

func TestImportOfThePost(t *testing.T) {
	s, moved, err := Import(read(t, "testdata/validate/post-tls.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if s.TLS.Mode != spec.TLSFiles || s.TLS.Cert != "/etc/ssl/docker/docker_registry.crt" || s.TLS.Key != "/etc/ssl/docker/docker_registry.key" {
		t.Errorf("tls: %+v", s.TLS)
	}
	if s.Port != 5000 || s.Bind != "" || s.Storage.Driver != spec.StorageFilesystem {
		t.Errorf("%+v", s)
	}
	out, err := yaml.Marshal(struct {
		Spec  spec.Spec `yaml:"spec"`
		Moved []Moved   `yaml:"moved"`
	}{s, moved})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "import-post.yaml", out)
}

func TestImport(t *testing.T) {
	const head = "version: 0.1\n"
	for _, test := range []struct {
		name, text string
		want       spec.Spec
		moved      []string // FROM>TO
	}{
		{
			"address", head + "storage: inmemory\nhttp: {addr: '127.0.0.1:5001', http2: {disabled: false}, net: tcp}\n",
			spec.Spec{Port: 5001, Bind: "127.0.0.1", HTTP2: true, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory}},
			[]string{"http.addr>port", "http.addr>bind", "http.http2.disabled>http2"},
		},
		{
			"debug port", head + "storage: inmemory\nhttp: {debug: {addr: ':5001', prometheus: {enabled: true}}}\n",
			spec.Spec{Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory}},
			[]string{"http.debug>"},
		},
		{
			"ipv6", head + "storage: {inmemory: }\nhttp: {addr: '[::1]:443'}\n",
			spec.Spec{Port: 443, Bind: "::1", TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory}},
			[]string{"http.addr>port", "http.addr>bind"},
		},
		{
			"host", head + "storage: inmemory\nhttp: {host: 'https://registry.test:5000'}\n",
			spec.Spec{
				Port: 5000, Hosts: []string{"registry.test"}, TLS: spec.TLS{Mode: spec.TLSNone},
				Storage: spec.Storage{Driver: spec.StorageInMemory}, Config: tree{"http": tree{"host": "https://registry.test:5000"}},
			},
			[]string{"http.host>hosts"},
		},
		{
			"secrets", head + "storage: {filesystem: {rootdirectory: /old}}\nhttp: {secret: s}\nproxy: {remoteurl: 'https://x', password: 0123}\nloglevel: debug\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageFilesystem},
				Config: tree{
					"http": tree{"secret": "s"}, "proxy": tree{"remoteurl": "https://x", "password": "0123"}, "log": tree{"level": "debug"},
				},
			},
			[]string{"storage.filesystem.rootdirectory>data/ of the registry's directory", "loglevel>config.log.level"},
		},
		{
			"s3", head + "storage: {s3: {bucket: b, regionendpoint: 'http://m'}, delete: {enabled: yes}}\nauth: silly\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageFilesystem},
				Config: tree{
					"storage": tree{"s3": tree{"bucket": "b", "regionendpoint": "http://m"}, "delete": tree{"enabled": true}}, "auth": "silly",
				},
			},
			nil,
		},
		{
			"registry 2", head + "storage: inmemory\nredis: {addr: 'r:1', pool: {maxidle: 5, idletimeout: 1m}}\nreporting: {}\nhtpp: {}\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory},
				Config: tree{"redis": tree{"addrs": []any{"r:1"}, "maxidleconns": 5, "connmaxidletime": "1m"}},
			},
			[]string{
				"redis.addr>config.redis.addrs", "redis.pool.maxidle>config.redis.maxidleconns",
				"redis.pool.idletimeout>config.redis.connmaxidletime", "reporting>", "htpp>",
			},
		},
		{
			"there already", head + "storage: inmemory\ntls: {certificate: /a, key: /a.key, minimumtls: tls1.3}\nhttp: {tls: {certificate: /b, key: /b.key}}\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSFiles, Cert: "/b", Key: "/b.key"}, Storage: spec.Storage{Driver: spec.StorageInMemory},
				Config: tree{"http": tree{"tls": tree{"minimumtls": "tls1.3"}}},
			},
			[]string{"tls>http.tls", "http.tls.certificate>tls.cert", "http.tls.key>tls.key"},
		},
		{
			"acme", head + "storage: inmemory\nhttp: {tls: {letsencrypt: {cachefile: /c, email: a@b.c}}}\n",
			spec.Spec{Port: 5000, TLS: spec.TLS{Mode: spec.TLSSelfSigned}, Storage: spec.Storage{Driver: spec.StorageInMemory}},
			[]string{"http.tls.letsencrypt>"},
		},
		{
			"htpasswd", head + "storage: inmemory\nauth: {htpasswd: {realm: R, path: /etc/users}}\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory},
				Auth: spec.Auth{Mode: spec.AuthHtpasswd, Realm: "R", AllowPlaintext: true},
			},
			[]string{"auth.htpasswd.realm>auth.realm", "auth.htpasswd.path>auth/htpasswd of the registry's directory"},
		},
		{
			"token", head + "storage: inmemory\nhttp: {tls: {certificate: /c, key: /k}}\nauth: {token: {realm: 'https://a/t', service: s, issuer: i, rootcertbundle: /ca}}\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSFiles, Cert: "/c", Key: "/k"}, Storage: spec.Storage{Driver: spec.StorageInMemory},
				Auth: spec.Auth{Mode: spec.AuthToken, TokenRealm: "https://a/t", TokenService: "s", TokenIssuer: "i", TokenRootCA: "/ca"},
			},
			[]string{
				"http.tls.certificate>tls.cert", "http.tls.key>tls.key", "auth.token.realm>auth.tokenRealm",
				"auth.token.service>auth.tokenService", "auth.token.issuer>auth.tokenIssuer", "auth.token.rootcertbundle>auth.tokenRootCA",
			},
		},
		{
			"token by other means", head + "storage: inmemory\nauth: {token: {realm: 'https://a/t', service: s, issuer: i, jwks: /k, signingalgorithms: [ES256]}}\n",
			spec.Spec{
				Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory},
				Config: tree{"auth": tree{"token": tree{
					"realm": "https://a/t", "service": "s", "issuer": "i", "jwks": "/k", "signingalgorithms": []any{"ES256"},
				}}},
			},
			nil,
		},
		{
			"socket", head + "storage: inmemory\nhttp: {net: unix, addr: /run/r.sock}\n",
			spec.Spec{Port: 5000, TLS: spec.TLS{Mode: spec.TLSNone}, Storage: spec.Storage{Driver: spec.StorageInMemory}},
			[]string{"http.net>"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, moved := imported(t, test.text)
			if test.want.Version = 1; test.want.Auth.Mode == "" {
				test.want.Auth.Mode = spec.AuthNone
			}
			if !reflect.DeepEqual(s, test.want) {
				t.Errorf("got  %+v\nwant %+v", s, test.want)
			}
			var got []string
			for _, m := range moved {
				got = append(got, m.From+">"+m.To)
				if m.Line < 1 || m.String() == "" {
					t.Errorf("%+v", m)
				}
			}
			if !reflect.DeepEqual(got, test.moved) {
				t.Errorf("moved %q, want %q", got, test.moved)
			}
		})
	}
}

func TestImportRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":     "empty",
		"a: [": "YAML",
		"- a":  "keys belong",
		"version: 0.1\nstorage:\n  swift: {container: c}\n":                     "line 3: storage.swift",
		"version: 0.1\nstorage: inmemory\nlog: {level: loud}\n":                 "line 3: log.level",
		"version: 0.1\nstorage: {filesystem: {}, inmemory: {}}\n":               "only one",
		"version: 0.1\nstorage: inmemory\nhttp:\n  addr: nowhere\n":             "line 4: http.addr",
		"version: 0.1\nstorage: inmemory\nhttp:\n  addr: ':http'\n":             "line 4: http.addr",
		"version: 0.1\nstorage: inmemory\nhttp: {tls: {certificate: /c.pem}}\n": "needs its key",
	} {
		_, _, err := Import([]byte(text))
		if !fault.IsUsage(err) || fault.Hint(err) == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What an imported file set, the rendered one must set too, but for what
// regctl.yaml has its own keys for.
func TestImportedSettingsAreRendered(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(distributionDir(t), "cmd", "registry", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "testdata/render/overlay.yml", "testdata/render/stock3-s3.yml", "testdata/validate/post-nginx.yml")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text := read(t, file)
			s, _, err := Import(text)
			if err != nil {
				t.Fatal(err)
			}
			s = throughYAML(t, s)
			env := testEnv(Embedded)
			env.Addr = fmt.Sprintf("%s:%d", s.Bind, s.Port)
			out, err := Render(s, env)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(out, Embedded); err != nil {
				t.Error(err)
			}
			had, has := settings(t, text), settings(t, out)
			for path, value := range had {
				if top, _, _ := strings.Cut(path, "."); top == "headers" || top == "storagedriver" {
					path = map[string]string{"headers": "http.", "storagedriver": "health."}[top] + path
				}
				if strings.HasPrefix(path, "auth.htpasswd.") && s.Auth.Mode == spec.AuthHtpasswd {
					continue // in regctl-serve.yaml
				}
				if strings.HasPrefix(path, "http.debug.") {
					continue // left out, and said to be
				}
				if ownedHint(path) == "" && has[path] != value {
					t.Errorf("%s was %s and is %s", path, value, has[path])
				}
			}
		})
	}
}

func throughYAML(t *testing.T, s spec.Spec) (back spec.Spec) {
	t.Helper()
	text, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// settings flattens a file to its scalars and empty sections, as yaml.v2 has them.
func settings(t *testing.T, text []byte) map[string]string {
	t.Helper()
	var doc any
	if err := yaml2.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var flatten func(path string, v any)
	flatten = func(path string, v any) {
		switch v := v.(type) {
		case map[any]any:
			for k, below := range v {
				flatten(join(path, fmt.Sprint(k)), below)
			}
		case []any:
			for i, below := range v {
				flatten(fmt.Sprintf("%s[%d]", path, i), below)
			}
		case nil:
		default:
			all[path] = fmt.Sprintf("%T %v", v, v)
		}
	}
	flatten("", doc)
	return all
}

func FuzzImport(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yml")
	for _, file := range files {
		f.Add(string(read(f, file)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		findings, err := Validate([]byte(text))
		if err != nil {
			t.Error(err)
		}
		for _, finding := range findings {
			if finding.Line < 1 || finding.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+2 {
				t.Errorf("%q: %v", text, finding)
			}
		}
		if _, parseErr := parse([]byte(text)); parseErr != nil && len(findings) == 0 {
			t.Errorf("%q: distribution refuses it: %v", text, parseErr)
		}
		s, _, err := Import([]byte(text))
		if err != nil {
			return
		}
		s.TLS.Mode = spec.TLSNone
		env := testEnv(Embedded)
		env.Addr = fmt.Sprintf("%s:%d", s.Bind, s.Port)
		out, err := Render(s, env)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := Check(out, Embedded); err != nil {
			t.Errorf("%q: %v\n%s", text, err, out)
		}
	})
}
