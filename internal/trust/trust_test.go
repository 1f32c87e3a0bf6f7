package trust

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

const pemA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

func secure() Registry { return Registry{Host: "registry.test", Port: 5000, CA: []byte(pemA)} }
func plain() Registry  { return Registry{Host: "registry.test", Port: 5000, Plain: true} }

const (
	debian   = "uid 0\ngid 0\nhome /root\nlogin-home /root\nos-release ID=debian\ntool update-ca-certificates /usr/sbin/x\n"
	redhat   = "uid 0\ngid 0\nhome /root\nos-release ID=\"centos\"\nos-release ID_LIKE=\"rhel fedora\"\n"
	dockerd  = "tool dockerd /usr/sbin/dockerd\ntool docker /usr/bin/docker\ntool containerd /usr/bin/containerd\ndaemon dockerd 99\ndaemon containerd 98\ndockerd-pid 99\n"
	v20      = "dockerd-version Docker version 20.10.24+dfsg1, build 5d6db84\n"
	v27      = "dockerd-version Docker version 27.1.0, build 1\n"
	flagged  = "dockerd-arg /usr/bin/dockerd\ndockerd-arg --insecure-registry\ndockerd-arg old.test:5000\n"
	rootUser = "uid 1000\ngid 1000\nhome /home/u\nlogin-uid 1000\nlogin-gid 1000\nlogin-home /home/u\nos-release ID=debian\nsocket /run/user/1000/docker.sock\n"
)

func TestStores(t *testing.T) {
	mirror := secure()
	mirror.MirrorOf = "https://registry-1.docker.io"
	quay := secure()
	quay.MirrorOf = "https://quay.io"
	own, six := secure(), secure()
	own.Port = 443
	six.Host = "2001:db8::1"
	for _, c := range []struct {
		name, machine string
		files         map[string]string
		r             Registry
		stores        []Store
		opts          Options
		want          string // stores with their effects
		made          []string
		acts          string
	}{
		{"docker", debian + dockerd + v20, nil, secure(), nil, Options{}, "docker now", []string{"/etc/docker/certs.d/registry.test:5000/ca.crt"}, ""},
		{
			"docker on 443", debian + dockerd + v20, nil, own, nil,
			Options{},
			"docker now",
			[]string{"/etc/docker/certs.d/registry.test/ca.crt", "/etc/docker/certs.d/registry.test:443/ca.crt"},
			"",
		},
		{"docker by an IPv6 address", debian + dockerd + v20, nil, six, nil, Options{}, "docker now", []string{"/etc/docker/certs.d/[2001:db8::1]:5000/ca.crt"}, ""},
		{"another's ca.crt", debian + dockerd + v20, map[string]string{"/etc/docker/certs.d/registry.test:5000/ca.crt": "theirs"}, secure(), nil, Options{}, "docker now", nil, ""},
		{
			"insecure", debian + dockerd + v20,
			map[string]string{"/etc/docker/daemon.json": "{\r\n \"hosts\": [\"fd://\"]}"},
			plain(), nil,
			Options{},
			"insecure reload", nil,
			`validate-dockerd /etc/docker/daemon.json, reload-dockerd, docker-info-shows "registry.test:5000"`,
		},
		{
			"insecure with mirrors on Docker 27", debian + dockerd + v27,
			map[string]string{"/etc/docker/daemon.json": `{"registry-mirrors": []}`},
			plain(), nil,
			Options{},
			"insecure reload", nil,
			`validate-dockerd /etc/docker/daemon.json, reload-dockerd, docker-info-shows "registry.test:5000"`,
		},
		{
			"insecure with mirrors on Docker 20.10", debian + dockerd + v20,
			map[string]string{"/etc/docker/daemon.json": `{"registry-mirrors": []}`},
			plain(), nil,
			Options{Restart: true},
			"insecure reload", nil,
			`validate-dockerd /etc/docker/daemon.json, restart-service docker, docker-info-shows "registry.test:5000"`,
		},
		{"legacy on Debian", debian + dockerd + v20 + flagged, map[string]string{"/etc/default/docker": "DOCKER_OPTS=\"--insecure-registry old.test:5000\"\n"}, plain(), nil, Options{Restart: true}, "legacy restart", nil, `restart-service docker, docker-info-shows "registry.test:5000"`},
		{"legacy on Red Hat", redhat + dockerd + v20 + flagged, map[string]string{"/etc/sysconfig/docker": "OPTIONS='--selinux-enabled'\n# INSECURE_REGISTRY='--insecure-registry'\n"}, plain(), nil, Options{Restart: true}, "legacy restart", nil, `restart-service docker, docker-info-shows "registry.test:5000"`},
		{"rootless", rootUser, nil, secure(), nil, Options{}, "docker-rootless now", []string{"/home/u/.config/docker/certs.d/registry.test:5000/ca.crt"}, ""},
		{"podman", debian + "tool podman /usr/bin/podman\n", nil, secure(), nil, Options{}, "podman now", []string{"/etc/containers/certs.d/registry.test:5000/ca.crt"}, ""},
		{"podman over plain HTTP", debian + "tool podman /usr/bin/podman\n", nil, plain(), nil, Options{}, "insecure now", []string{"/etc/containers/registries.conf.d/regctl-registry.test_5000.conf"}, ""},
		{
			"containerd with config_path", debian + "tool containerd /usr/bin/containerd\n",
			map[string]string{"/etc/containerd/config.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"/etc/containerd/hosts:/x\"\n"},
			secure(), nil,
			Options{},
			"containerd now",
			[]string{"/etc/containerd/hosts/registry.test:5000/ca.crt", "/etc/containerd/hosts/registry.test:5000/hosts.toml"},
			"",
		},
		{"containerd beside a Docker that does not run", debian + "tool dockerd /x\ntool containerd /y\ndaemon containerd 98\n", map[string]string{"/etc/containerd/config.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n"}, secure(), nil, Options{}, "docker now, containerd now", []string{"/etc/containerd/certs.d/registry.test:5000/ca.crt", "/etc/containerd/certs.d/registry.test:5000/hosts.toml", "/etc/docker/certs.d/registry.test:5000/ca.crt"}, ""},
		{"containerd named beside a Docker that does not run", debian + "tool dockerd /x\ntool containerd /y\ndaemon containerd 98\n", nil, secure(), []Store{Containerd}, Options{Restart: true}, "containerd restart", []string{"/etc/containerd/certs.d/registry.test:5000/ca.crt", "/etc/containerd/certs.d/registry.test:5000/hosts.toml", "/etc/containerd/config.toml"}, "restart-service containerd"},
		{"containerd without it", debian + "tool containerd /usr/bin/containerd\n", nil, plain(), nil, Options{Restart: true}, "insecure restart", []string{"/etc/containerd/certs.d/registry.test:5000/hosts.toml", "/etc/containerd/config.toml"}, "restart-service containerd"},
		{"nerdctl", debian + "tool nerdctl /usr/bin/nerdctl\n", nil, secure(), nil, Options{}, "containerd now", []string{"/etc/containerd/certs.d/registry.test:5000/ca.crt", "/etc/containerd/certs.d/registry.test:5000/hosts.toml"}, ""},
		{"k3s", debian + "daemon k3s-server 7\n", nil, secure(), nil, Options{Restart: true}, "k3s restart", []string{"/etc/rancher/k3s/certs.d/registry.test:5000/ca.crt", "/etc/rancher/k3s/registries.yaml"}, "restart-service k3s"},
		{"k3s agent and mirror", debian + "daemon k3s-agent 7\n", nil, mirror, nil, Options{Restart: true, AsMirror: true}, "k3s restart, mirror restart", []string{"/etc/rancher/k3s/certs.d/registry.test:5000/ca.crt", "/etc/rancher/k3s/registries.yaml"}, "restart-service k3s-agent"},
		{"buildkit", debian + "tool buildkitd /usr/bin/buildkitd\n", nil, secure(), nil, Options{}, "buildkit restart", []string{"/etc/buildkit/buildkitd.toml", "/etc/buildkit/certs.d/registry.test:5000/ca.crt"}, ""},
		{"os", debian + dockerd + v20, nil, secure(), []Store{OS}, Options{}, "os now (restart dockerd)", []string{"/usr/local/share/ca-certificates/regctl-registry.test_5000.crt"}, "update-ca-certificates"},
		{"os on Red Hat", redhat, nil, secure(), []Store{OS}, Options{}, "os now", []string{"/etc/pki/ca-trust/source/anchors/regctl-registry.test_5000.crt"}, "update-ca-trust"},
		{
			"mirror", debian + dockerd + v27, nil, mirror, nil,
			Options{AsMirror: true},
			"docker now, mirror reload",
			[]string{"/etc/docker/certs.d/registry.test:5000/ca.crt", "/etc/docker/daemon.json"},
			`validate-dockerd /etc/docker/daemon.json, reload-dockerd, docker-info-shows "https://registry.test:5000/"`,
		},
		{
			"mirror of another registry beside Docker", debian + dockerd + v27 + "tool podman /x\n", nil, quay, nil,
			Options{AsMirror: true},
			"docker now, podman now, mirror now",
			[]string{"/etc/containers/certs.d/registry.test:5000/ca.crt", "/etc/containers/registries.conf.d/regctl-registry.test_5000-mirror.conf", "/etc/docker/certs.d/registry.test:5000/ca.crt"},
			"",
		},
		{"map-host", debian + dockerd + v20, map[string]string{"/etc/hosts": "127.0.0.1 localhost"}, secure(), nil, Options{MapHost: "192.0.2.5"}, "map-host now, docker now", []string{"/etc/docker/certs.d/registry.test:5000/ca.crt"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory(c.machine, c.files)
			before := m.tree()
			placed, err := trusting(t, m, c.r, c.stores, c.opts)
			if err != nil {
				t.Fatalf("%v (hint: %s)", err, fault.Hint(err))
			}
			var got []string
			for _, p := range placed {
				text := string(p.Store) + " " + string(p.Effect)
				if p.Pending != "" {
					text += " (" + p.Pending + ")"
				}
				got = append(got, text)
				if _, ok := m.files[p.Path]; !ok {
					t.Errorf("%s: no file at %s", p.Store, p.Path)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("stores: %s, want %s", strings.Join(got, ", "), c.want)
			}
			made := slices.DeleteFunc(slices.Sorted(maps.Keys(m.files)), func(name string) bool { _, old := c.files[name]; return old })
			if !slices.Equal(made, c.made) {
				t.Errorf("made %q, want %q", made, c.made)
			}
			if acts := strings.Join(m.acts, ", "); acts != c.acts {
				t.Errorf("told: %s, want %s", acts, c.acts)
			}
			untrusting(t, m, c.opts, c.r)
			if after := m.tree(); !maps.Equal(before, after) {
				t.Errorf("not restored:\n%v\n%v", before, after)
			}
		})
	}
}

// TestEntryThatDockerdHasNotRead is there, by somebody's hand, and not in effect.
func TestEntryThatDockerdHasNotRead(t *testing.T) {
	held := map[string]string{daemonConfig: `{"insecure-registries": ["registry.test:5000"]}`}
	m := newMemory(debian+dockerd+v20, held)
	before := m.tree()
	if _, err := trusting(t, m, plain(), nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.acts, ", "); got != `validate-dockerd /etc/docker/daemon.json, reload-dockerd, docker-info-shows "registry.test:5000"` {
		t.Errorf("told: %s", got)
	}
	if len(m.parts) > 0 || !maps.Equal(before, m.tree()) {
		t.Errorf("it was touched: %v", m.tree())
	}
	m.info = "" // docker info says nothing
	if placed, err := trusting(t, m, plain(), nil, Options{}); err != nil || len(placed) != 1 {
		t.Errorf("%v, %+v", err, placed)
	}
}

func TestRefused(t *testing.T) {
	quay := secure()
	quay.MirrorOf = "https://quay.io"
	const cri = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  [plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"x.test\"]\n    endpoint = [\"http://x.test\"]\n"
	for _, c := range []struct {
		name, machine string
		files         map[string]string
		r             Registry
		stores        []Store
		opts          Options
		want, hint    string
	}{
		{"no runtime", debian, nil, secure(), nil, Options{}, "no container runtime", "--store os"},
		{"legacy without --restart", debian + dockerd + flagged, nil, plain(), nil, Options{}, "takes effect only when docker restarts", "--restart"},
		{"Docker 20.10 with mirrors", debian + dockerd + v20, map[string]string{"/etc/docker/daemon.json": `{"registry-mirrors": ["https://m.test"]}`}, plain(), nil, Options{}, "45552", "--restart"},
		{"daemon.json that does not parse", debian + dockerd + v20, map[string]string{"/etc/docker/daemon.json": "{\n\"a\": 1,\n}"}, plain(), nil, Options{}, "/etc/docker/daemon.json: line 3: not JSON", "mend the file"},
		{"flag and key", debian + dockerd + flagged, nil, plain(), []Store{Insecure}, Options{}, "would not start", "legacy"},
		{"old containerd registries", debian + "tool containerd /usr/bin/containerd\n", map[string]string{"/etc/containerd/config.toml": cri}, secure(), nil, Options{Restart: true}, "mirrors (line 3)", "hosts.toml"},
		{"config_path without --restart", debian + "tool containerd /usr/bin/containerd\n", nil, secure(), nil, Options{}, "takes effect only when containerd restarts", "--restart"},
		{"k3s without --restart", debian + "tool k3s /usr/bin/k3s\n", nil, secure(), nil, Options{}, "takes effect only when k3s-agent restarts", "--restart"},
		{"Docker mirror of quay.io", debian + dockerd + v27, nil, quay, nil, Options{AsMirror: true}, "quay.io", "--as-mirror"},
		{"no mirror", debian + dockerd + v27, nil, secure(), nil, Options{AsMirror: true}, "not a mirror", "--mirror-of"},
		{"a CA over plain HTTP", debian + dockerd + v27, nil, plain(), []Store{Docker}, Options{}, "plain HTTP", "insecure"},
		{"no such store", debian, nil, secure(), []Store{"dokcer"}, Options{}, "no store", "docker"},
		{"root's rootless", debian, nil, secure(), []Store{Rootless}, Options{}, "root's", "--user"},
		{"another address", debian + dockerd, map[string]string{"/etc/hosts": "::1 a\n10.0.0.1 REGISTRY.test\n"}, secure(), nil, Options{MapHost: "10.0.0.2"}, "/etc/hosts: line 2: registry.test has another address", "--map-host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory(c.machine, c.files)
			before := m.tree()
			_, err := trusting(t, m, c.r, c.stores, c.opts)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.Hint(err), c.hint) {
				t.Errorf("got %v (hint: %s)", err, fault.Hint(err))
			}
			if !maps.Equal(before, m.tree()) || len(m.acts) > 0 {
				t.Error("the host was touched")
			}
		})
	}
}

// A client is told why its Docker does not use a mirror that its podman uses.
func TestDockerPassedOver(t *testing.T) {
	quay := secure()
	quay.MirrorOf = "https://quay.io"
	placed, err := trusting(t, newMemory(debian+dockerd+v27+"tool podman /x\n", nil), quay, nil, Options{AsMirror: true})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range placed {
		all = append(all, p.Warnings...)
	}
	if len(all) != 1 || !strings.Contains(all[0], "passed over") || !strings.Contains(all[0], "quay.io") {
		t.Errorf("warnings: %q", all)
	}
}

// TestTwoRegistries has two registries in the same files and folders, and each leave
// first, or both at once.
func TestTwoRegistries(t *testing.T) {
	tls := secure()
	tls.Port = 5001
	files := map[string]string{
		"/etc/docker/daemon.json": "{\n  \"debug\": true\n}\n", "/etc/hosts": "127.0.0.1 localhost",
		"/etc/rancher/k3s/registries.yaml": "configs:\n  x.test:\n    auth:\n      password: p\n",
	}
	for _, empty := range []bool{false, true} {
		for _, out := range [][][]Registry{{{plain()}, {tls}}, {{tls}, {plain()}}, {{plain(), tls}}} {
			m := newMemory(debian+dockerd+v27+"tool k3s /x\ntool crictl /x\ntool podman /x\n", files)
			if empty {
				m = newMemory(m.machine, map[string]string{"/etc/hosts": ""})
			}
			before := m.tree()
			opts := Options{Restart: true, MapHost: "192.0.2.5"}
			for _, r := range []Registry{plain(), tls} {
				if _, err := trusting(t, m, r, nil, opts); err != nil {
					t.Fatal(err)
				}
			}
			untrusting(t, m, opts, out[0]...)
			if len(out) > 1 {
				left := out[1][0].Address()
				if !strings.Contains(string(m.files["/etc/hosts"].Data), left) || !m.dirs["/etc/containers"] || !strings.Contains(string(m.files["/etc/containerd/config.toml"].Data), "config_path") {
					t.Errorf("%s lost its entries: %s", left, m.files["/etc/hosts"].Data)
				}
				untrusting(t, m, opts, out[1]...)
			}
			if after := m.tree(); !maps.Equal(before, after) || len(m.noted) > 0 {
				t.Errorf("%v: not restored:\n%v\n%v\nnoted: %+v", out, before, after, m.noted)
			}
		}
	}
}

func TestUndoReloads(t *testing.T) {
	m := newMemory(debian+dockerd+v20, map[string]string{"/etc/docker/daemon.json": "{}"})
	if _, err := trusting(t, m, plain(), nil, Options{}); err != nil {
		t.Fatal(err)
	}
	m.acts = nil
	untrusting(t, m, Options{}, plain())
	if got := strings.Join(m.acts, ", "); got != `reload-dockerd, docker-info-lacks "registry.test:5000"` {
		t.Errorf("told: %s", got)
	}
}

// TestUndoThatNeedsARestart does it with leave to restart, and without.
func TestUndoThatNeedsARestart(t *testing.T) {
	mirrors := map[string]string{"/etc/docker/daemon.json": `{"registry-mirrors": ["https://m.test"], "insecure-registries": ["x.test"]}`}
	for _, c := range []struct {
		name, machine string
		files         map[string]string
		r             Registry
		stores        []Store
		pending, acts string
	}{
		{"a flag", debian + dockerd + v20 + flagged, map[string]string{"/etc/default/docker": "\n"}, plain(), nil, "restart docker", "restart-service docker"},
		{"config_path", debian + "daemon containerd 8\ntool containerd /x\n", nil, secure(), nil, "restart containerd", "restart-service containerd"},
		{"k3s", debian + "daemon k3s-server 7\n", nil, secure(), nil, "restart k3s", "restart-service k3s"},
		{"rke2", debian + "daemon rke2 7\ntool rke2 /x\n", nil, secure(), nil, "restart rke2-agent", "restart-service rke2-agent"},
		{"buildkit", debian + "daemon buildkitd 7\n", nil, secure(), nil, "restart buildkit", "restart-service buildkit"},
		{"mirrors on Docker 20.10", debian + dockerd + v20, mirrors, plain(), nil, "restart docker", "restart-service docker"},
		{"the OS", debian + dockerd + v20, nil, secure(), []Store{OS}, "restart dockerd", "update-ca-certificates"},
		{"podman with CRI-O", debian + "daemon crio 7\n", nil, plain(), nil, "reload crio", ""},
		{"rootless", rootUser, nil, plain(), nil, "systemctl --user reload docker", ""},
	} {
		for _, restart := range []bool{false, true} {
			m := newMemory(c.machine, c.files)
			if _, err := trusting(t, m, c.r, c.stores, Options{Restart: true}); err != nil {
				t.Fatal(c.name, err)
			}
			m.acts = nil
			placed := untrusting(t, m, Options{Restart: restart}, c.r)
			pending, told := c.pending, c.acts
			switch restarts := strings.HasPrefix(told, "restart"); {
			case restart && restarts:
				pending = ""
			case restarts:
				told = ""
			}
			if got := strings.Join(m.acts, ", "); got != told || placed[len(placed)-1].Pending != pending {
				t.Errorf("%s, restart %v: told %q, pending %q", c.name, restart, got, placed[len(placed)-1].Pending)
			}
		}
	}
}

// TestAdopted has runs that were cut short, and a CA that is replaced.
func TestAdopted(t *testing.T) {
	const path = "/etc/docker/certs.d/registry.test:5000/ca.crt"
	renewed := secure()
	renewed.CA = []byte(strings.ReplaceAll(pemA, "AAAA", "BBBB"))
	m := newMemory(debian+dockerd+v20, nil)
	before := m.tree()
	if _, err := trusting(t, m, secure(), nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := trusting(t, m, renewed, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := string(m.files[path].Data); got != string(renewed.CA) || len(m.originals) > 0 {
		t.Errorf("the CA is %q", got)
	}
	delete(m.files, path) // noted and not written
	untrusting(t, m, Options{}, secure())
	if after := m.tree(); !maps.Equal(before, after) {
		t.Errorf("not restored:\n%v\n%v", before, after)
	}
}

func TestPartOf(t *testing.T) {
	const a = addrB
	for _, c := range []struct {
		part  string
		store Store
	}{
		{DaemonJSON{InsecureRegistries, a}.Part(), Insecure},
		{DaemonJSON{RegistryMirrors, "https://" + a}.Part(), Mirror},
		{HostsLine{a, "x", "192.0.2.1"}.Part(), MapHost},
		{ShellFlag{"OPTIONS", a}.Part(), Legacy},
		{ConfigPath{a, 2, "/x"}.Part(), Containerd},
		{HostsTOML{a, "https://" + a, true, "/x"}.Part(), Containerd},
		{BuildKitTOML{Address: a}.Part(), BuildKit},
		{RegistriesYAML{ID: a}.Part(), K3s},
		{whole{id: a, store: Podman}.Part(), Podman},
		{partName("docker-auth", a), LoginStore},
		{partName("dir", a), ""},
	} {
		if registry, store := PartOf(c.part); registry != a || store != c.store {
			t.Errorf("%s: %q, %q", c.part, registry, store)
		}
	}
	for _, part := range []string{"", "x", "who,knows"} {
		if registry, store := PartOf(part); registry != "" || store != "" {
			t.Errorf("%q: %q, %q", part, registry, store)
		}
	}
}

func TestMasked(t *testing.T) {
	got := string(maskForeign([]byte("  password: hunter2\nHTTP_PROXY=http://u:hunter2@p.test\nauth = \"hunter2\"\n\"token\": \"hunter2\"\n")))
	if strings.Contains(got, "hunter2") {
		t.Errorf("a secret shows: %s", got)
	}
}
