package trust

import (
	"bytes"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

const (
	addrA = "registry.test:5000"
	addrB = "[2001:db8::1]:5001"
)

// editorCase is an editor in two registries' hands, with files to start from.
type editorCase struct {
	name   string
	a, b   Editor
	decode func([]byte) (any, error)
	seeds  []string
}

func editorCases() []editorCase {
	const certs = "/etc/containerd/certs.d"
	return []editorCase{
		{"insecure", DaemonJSON{InsecureRegistries, addrA}, DaemonJSON{InsecureRegistries, addrB}, decodeObject, daemonSeeds()},
		{"mirrors", DaemonJSON{RegistryMirrors, "https://" + addrA}, DaemonJSON{RegistryMirrors, "https://" + addrB}, decodeObject, daemonSeeds()},
		{"hosts", HostsLine{addrA, "registry.test", "192.0.2.9"}, HostsLine{addrB, "other.test", "2001:db8::9"}, decodeLines, []string{
			"", "127.0.0.1 localhost\n", "127.0.0.1\tlocalhost\r\n::1 ip6-localhost\r\n", "127.0.0.1 localhost", "# no newline at end", "\n\n",
		}},
		{"flag", ShellFlag{"DOCKER_OPTS", addrA}, ShellFlag{"DOCKER_OPTS", addrB}, decodeNothing, []string{
			"", "# DOCKER_OPTS=\"--dns 8.8.8.8\"\n", "DOCKER_OPTS=\"\"\n", "DOCKER_OPTS=", "DOCKER_OPTS=''", "export DOCKER_OPTS='--debug' # why\nX=1\n",
			"DOCKER_OPTS=--debug\n", "DOCKER_OPTS=\"--debug --label=\\\"a b\\\" \"\r\nHTTP_PROXY=x\r\n", "DOCKER_OPTS=\" \"\nDOCKER_OPTS=\"--bip $X\"", "X=1",
		}},
		{"config_path", ConfigPath{addrA, 1, certs}, ConfigPath{addrB, 1, certs}, decodeConfig, []string{
			"", "version = 2\n", "version = 2\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"",
			"version = 2\r\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\r\n  config_path = \"\" # empty\r\n", "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n\n[x]\ny=1",
			"version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors]\n", "root = \"/x\"\n",
		}},
		{"hosts.toml", HostsTOML{addrA, "https://" + addrA, false, certs + "/100%, a b"}, HostsTOML{addrB, "http://" + addrB, true, ""}, decodeTOML, []string{
			"", "server = \"https://registry-1.docker.io\"\n", "[host.\"https://m.test\"]\n  capabilities = [\"pull\"]", "# note\r\nserver = 'https://x'\r\n",
		}},
		{"buildkitd.toml", BuildKitTOML{addrA, "docker.io", false, "/etc/ca"}, BuildKitTOML{Address: addrB, Plain: true}, decodeTOML, []string{
			"", "debug = true\n[worker.oci]\n  enabled = true", "[registry.\"other.test\"]\n  http = true\n", "# x\r\n",
		}},
		{"registries.yaml", RegistriesYAML{addrA, "https://" + addrA, "docker.io", "/etc/ca"}, RegistriesYAML{addrB, "http://" + addrB, "", ""}, decodeYAML, []string{
			"", "# none yet", "mirrors:\n  docker.io:\n    endpoint:\n      - \"https://m.test\"\n", "configs:\n  \"x.test\":\n    auth:\n      username: u\n      password: p",
			"mirrors:\r\nconfigs:\r\n  a.test: {tls: {ca_file: /x}}\r\n", "---\nmirrors:\n    docker.io:\n        endpoint: [https://a.test]\n", "configs: {}\n",
			"mirrors:\n  docker.io:\n    endpoint:\n    - https://m.test # first\n    rewrite:\n      a: b\n",
		}},
		{"docker-auth", DockerAuth{Address: addrA, Login: loginA()}, DockerAuth{Address: addrB, Login: loginA()}, decodeObject, dockerConfigs()},
	}
}

func decodeNothing([]byte) (any, error) { return nil, nil }

func decodeLines(data []byte) (any, error) {
	var all []any
	for _, l := range lines(data) {
		all = append(all, strings.TrimRight(l, "\r\n"))
	}
	return all, nil
}

// checkEditor holds an editor to its promise on one file.
func checkEditor(t *testing.T, c editorCase, data []byte) {
	t.Helper()
	for _, e := range []Editor{c.a, c.b} {
		if cleaned, err := e.Remove(data); err != nil || !bytes.Equal(cleaned, data) {
			return // what is there looks like ours already
		}
	}
	one, err := c.a.Apply(data)
	if err != nil {
		if fault.Hint(err) == "" {
			t.Errorf("%s: refused without a hint: %v\n%q", c.name, err, data)
		}
		return
	}
	if !c.a.Has(one) {
		t.Fatalf("%s: applied, yet Has is false\n%q\n%q", c.name, data, one)
	}
	if bytes.Equal(one, data) {
		return
	}
	old, err := c.decode(data)
	if err != nil {
		t.Fatalf("%s: edited a file that does not parse: %v\n%q", c.name, err, data)
	}
	if now, err := c.decode(one); err != nil || !includes(now, old) {
		t.Fatalf("%s: something else changed: %v\n%q\n%q", c.name, err, data, one)
	}
	if again, err := c.a.Apply(one); err != nil || !bytes.Equal(again, one) {
		t.Fatalf("%s: a second Apply changes the file: %v\n%q\n%q", c.name, err, one, again)
	}
	mustRemove(t, c.name, one, data, c.a)
	two, err := c.b.Apply(one)
	if err != nil || bytes.Equal(two, one) {
		return
	}
	if now, err := c.decode(two); err != nil || !includes(now, old) || !c.a.Has(two) || !c.b.Has(two) {
		t.Fatalf("%s: two do not live together: %v\n%q\n%q", c.name, err, data, two)
	}
	mustRemove(t, c.name, two, data, c.b, c.a)
	mustRemove(t, c.name, two, data, c.a, c.b)
}

func mustRemove(t *testing.T, name string, from, want []byte, editors ...Editor) {
	t.Helper()
	got := from
	for i, e := range editors {
		again, err := FromPart(e.Part())
		if auth, ok := e.(DockerAuth); ok {
			e = DockerAuth{Address: auth.Address} // a part names no secret
		}
		if err != nil || again != e || strings.ContainsAny(e.Part(), " \t\r\n") {
			t.Fatalf("%q names %+v, not %+v: %v", e.Part(), again, e, err)
		}
		if got, err = again.Remove(got); err != nil {
			t.Fatalf("%s: remove %s: %v", name, e.Part(), err)
		}
		if full := editors[i]; full.Has(got) {
			t.Fatalf("%s: %s is there after its removal\n%q", name, e.Part(), got)
		}
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: not restored\nwas    %q\nedited %q\nnow    %q", name, want, from, got)
	}
}

func TestEditorsUndo(t *testing.T) {
	for _, c := range editorCases() {
		t.Run(c.name, func(t *testing.T) {
			applied := 0
			for _, seed := range c.seeds {
				checkEditor(t, c, []byte(seed))
				if out, err := c.a.Apply([]byte(seed)); err == nil && string(out) != seed {
					applied++
				}
			}
			if applied*2 < len(c.seeds) {
				t.Errorf("only %d of %d files could be edited", applied, len(c.seeds))
			}
		})
	}
}

func fuzzEditor(f *testing.F, name string) {
	for _, c := range editorCases() {
		if c.name != name {
			continue
		}
		for _, seed := range c.seeds {
			f.Add([]byte(seed))
		}
		f.Fuzz(func(t *testing.T, data []byte) { checkEditor(t, c, data) })
	}
}

func FuzzInsecureRegistries(f *testing.F) { fuzzEditor(f, "insecure") }
func FuzzRegistryMirrors(f *testing.F)    { fuzzEditor(f, "mirrors") }
func FuzzHostsLine(f *testing.F)          { fuzzEditor(f, "hosts") }
func FuzzShellFlag(f *testing.F)          { fuzzEditor(f, "flag") }
func FuzzConfigPath(f *testing.F)         { fuzzEditor(f, "config_path") }
func FuzzHostsTOML(f *testing.F)          { fuzzEditor(f, "hosts.toml") }
func FuzzBuildKitTOML(f *testing.F)       { fuzzEditor(f, "buildkitd.toml") }
func FuzzRegistriesYAML(f *testing.F)     { fuzzEditor(f, "registries.yaml") }
func FuzzDockerAuth(f *testing.F)         { fuzzEditor(f, "docker-auth") }
