package spec

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// anySpec draws a valid spec; the same seed gives the same one.
func anySpec(seed uint64) Spec {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	s := Default()
	s.Name, s.Port = pick("registry", "images", "a.b-c_d"), pick2(r, 5000, 5001, 8443)
	for _, h := range []string{"registry.test", "xn--bcher-kva.test", "192.0.2.10", "::1", "2001:db8::10", "other.test"} {
		if r.IntN(2) == 0 {
			s.Hosts = append(s.Hosts, h)
		}
	}
	r.Shuffle(len(s.Hosts), func(i, j int) { s.Hosts[i], s.Hosts[j] = s.Hosts[j], s.Hosts[i] })
	if len(s.Hosts) == 0 {
		s.Hosts = []string{"only.test"}
	}
	s.Bind = pick("", "", "127.0.0.1", "::1")
	s.Runtime = pick(RuntimeDocker, RuntimeProcess)
	s.HTTP2 = r.IntN(3) == 0
	s.TLS.CertDays = pick2(r, 365, 30, 1)
	s.TLS.KeyType = pick("ecdsa256", "ed25519")
	s.TLS.Mode = pick(TLSNone, TLSFiles, TLSSelfSigned)
	if s.TLS.Mode == TLSFiles {
		s.TLS.Cert, s.TLS.Key, s.TLS.CACert = "/etc/a b/crt", "/etc/#key: [x]", pick("", "/ca 'x' \"y\"", "/ü")
	}
	if r.IntN(4) == 0 {
		s.TLS = acmeTLS(s.TLS, pick)
	}
	if s.Runtime == RuntimeDocker {
		s.Storage.Volume, s.Image = pick("", "images"), pick("", "registry:2", "localhost:5000/r@sha256:"+strings.Repeat("a", 64))
		if r.IntN(2) == 0 {
			s.AddHosts = []string{"cache.test:10.0.0.5", "six:2001:db8::5"}[:1+r.IntN(2)]
		}
	}
	s.Config = anyMap(r, 3)
	return s
}

func pick2(r *rand.Rand, from ...int) int { return from[r.IntN(len(from))] }

// anyMap draws distribution keys of every shape; nil for none.
func anyMap(r *rand.Rand, depth int) map[string]any {
	var m map[string]any
	for _, key := range []string{"log", "level", "X-Odd: key", "true", "7", "", "#", "ü"} {
		if r.IntN(3) > 0 {
			continue
		}
		if m == nil {
			m = map[string]any{}
		}
		m[key] = anyValue(r, depth)
	}
	return m
}

func anyValue(r *rand.Rand, depth int) any {
	texts := []string{"", "debug", "yes", "null", "5", "1e3", "0x1F", "2001-01-01", "a: b", "a #b", "- x", "'", `"`, "two\nlines\n", "# text\n", " lead", "trail ", "\ttab", "é€", "{a}", "[", "!t", "&a", "*a", "|", ">", "%d", "@x", "`", "~", "\x7f"}
	switch n := r.IntN(8); {
	case n == 0:
		return r.IntN(100) - 50
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return 1.5
	case n == 3:
		return nil
	case n == 4 && depth > 0:
		return []any{anyValue(r, depth-1), texts[r.IntN(len(texts))]}
	case n >= 5 && depth > 0:
		if m := anyMap(r, depth-1); m != nil {
			return m
		}
		return map[string]any{}
	}
	return texts[r.IntN(len(texts))]
}

// FuzzEdit starts from any file that parses and walks it through drawn specs:
// whatever the file looks like, Parse(Edit(x, a, b)) is b.
func FuzzEdit(f *testing.F) {
	for seed := range uint64(60) {
		f.Add([]byte(commented), seed)
	}
	f.Add([]byte(`{version: 1, hosts: [registry.test], runtime: docker}`), uint64(7))
	f.Add([]byte("version: 1\r\nhosts: [\"a.test\" ,\r\n 'b.test']\r\nruntime: docker\r\ntls:\r\n"), uint64(8))
	f.Add([]byte("? version\n: 1\n? hosts\n: [registry.test]\n? runtime\n: docker\n"), uint64(9))
	f.Add([]byte("version: 1\nruntime: docker\nhosts:\n- a.test\nconfig:\n  log: {}\n  http: |\n    text\n    # more\n\n\n"), uint64(10))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		current, err := Parse("regctl.yaml", data)
		if err != nil {
			return
		}
		if _, err := tree(current); err != nil || strings.Contains(fmt.Sprint(current.Config), "NaN") {
			return // NaN is not even equal to itself
		}
		for i := range uint64(4) {
			want := anySpec(seed + i)
			out, err := Edit(data, current, want)
			if err != nil {
				t.Fatalf("%v\nin:\n%s\nwant: %+v", err, data, want)
			}
			got, err := Parse("regctl.yaml", out)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%v\ngot:  %+v\nwant: %+v\nin:\n%s\nout:\n%s", err, got, want, data, out)
			}
			data, current = out, got
		}
	})
}

// FuzzParse looks for panics, and for files whose spec does not survive Marshal.
func FuzzParse(f *testing.F) {
	f.Add([]byte(commented))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("regctl.yaml", data)
		if err != nil || strings.Contains(fmt.Sprint(s.Config), "NaN") {
			return
		}
		out, err := Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse("regctl.yaml", out); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%v\ngot:  %+v\nwant: %+v\n%s", err, again, s, out)
		}
	})
}

func TestMarshalIsReadBack(t *testing.T) {
	for seed := range uint64(300) {
		want := anySpec(seed)
		out, err := Marshal(want)
		if err != nil {
			t.Fatalf("%d: %v", seed, err)
		}
		if got, err := Parse("regctl.yaml", out); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\ngot:  %+v\nwant: %+v\n%s", err, got, want, out)
		}
	}
}
