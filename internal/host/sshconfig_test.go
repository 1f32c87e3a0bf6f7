package host

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func resolved(t *testing.T, opts SSHOptions, target string) (endpoint, error) {
	t.Helper()
	d, err := NewDialer(opts)
	if err != nil {
		t.Fatal(err)
	}
	d.self = "me"
	parsed, err := ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	return d.resolve(t.Context(), parsed, true)
}

const userConfig = `
Include extra/*
Host web
	HostName %h.example
	Port=2222
	User "deploy"
	IdentityFile ~/keys/%r
	IdentityFile %d/keys/second
	IdentitiesOnly yes
	UserKnownHostsFile ~/known /dev/null
Host behind
	ProxyJump u@bastion:2200,inner
	HostKeyAlias alias
Host odd !odd1
	ProxyCommand nc -X 5 %h %p %%
Host *
	User everybody
`

func TestSSHConfig(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, ".ssh", "config")
	write(t, config, userConfig)
	write(t, filepath.Join(home, ".ssh", "extra", "a"), "Host included\nPort 7\n")
	usual := []string{home + "/.ssh/id_ed25519", home + "/.ssh/id_ecdsa", home + "/.ssh/id_rsa"}
	known := []string{home + "/.ssh/known_hosts", home + "/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	tests := []struct {
		target string
		opts   SSHOptions
		want   endpoint
	}{
		{"web", SSHOptions{}, endpoint{
			host: "web.example", port: 2222, user: "deploy", only: true,
			identities: []string{home + "/keys/deploy", home + "/keys/second"},
			knownHosts: append([]string{home + "/known", "/dev/null"}, known[2:]...),
		}},
		{"root@web:22", SSHOptions{User: "other", Port: 1, Identities: []string{"/k"}, KnownHosts: []string{"/kh"}, Jump: "j"}, endpoint{
			host: "web.example", port: 22, user: "root", only: true, identities: []string{"/k"}, chosen: true,
			knownHosts: []string{"/kh"}, jumps: []string{"j"},
		}},
		{"behind", SSHOptions{}, endpoint{
			host: "behind", port: 22, user: "everybody", identities: usual, knownHosts: known,
			jumps: []string{"u@bastion:2200", "inner"}, keyAlias: "alias",
		}},
		{"behind", SSHOptions{User: "flag", Jump: "none"}, endpoint{
			host: "behind", port: 22, user: "flag", identities: usual, knownHosts: known, keyAlias: "alias",
		}},
		{"odd", SSHOptions{}, endpoint{
			host: "odd", port: 22, user: "everybody", identities: usual, knownHosts: known, proxyCommand: "nc -X 5 odd 22 %",
		}},
		{"included", SSHOptions{}, endpoint{host: "included", port: 7, user: "everybody", identities: usual, knownHosts: known}},
		{"web", SSHOptions{ConfigFile: "none"}, endpoint{host: "web", port: 22, user: "me", identities: usual, knownHosts: known}},
	}
	for _, tt := range tests {
		tt.opts.Home = home
		if tt.opts.ConfigFile == "" {
			tt.opts.ConfigFile = config // the machine's own is not ours to rely on
		}
		got, err := resolved(t, tt.opts, tt.target)
		got.given = Target{}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", tt.target, err, got, tt.want)
		}
	}
	if _, err := resolved(t, SSHOptions{Home: home, ConfigFile: home + "/none"}, "a"); err == nil {
		t.Error("a config that is not there was passed over")
	}
}

// What Red Hat ships has a Match block, which ssh itself is asked about.
func TestSSHConfigWithMatch(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, "config")
	rhel, err := filepath.Abs("testdata/rhel9/ssh_config")
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, "Host web\n\tHostName 10.1.2.3\n\tPort 2222\nMatch host 10.1.2.3 user root\n\tProxyJump bastion\nHost *\nInclude "+
		filepath.Dir(rhel)+"/ssh_config.d/*.conf\n")
	t.Run("with ssh", func(t *testing.T) {
		testenv.Need(t, "ssh")
		got, err := resolved(t, SSHOptions{Home: home, ConfigFile: config}, "root@web")
		if err != nil || got.host != "10.1.2.3" || got.port != 2222 || !reflect.DeepEqual(got.jumps, []string{"bastion"}) {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("without ssh", func(t *testing.T) {
		t.Setenv("PATH", home)
		for _, tt := range []struct{ config, place string }{{config, config + ":4"}, {rhel, "50-redhat.conf:3"}} {
			var warnings []string
			opts := SSHOptions{Home: home, ConfigFile: tt.config, Warn: func(s string) { warnings = append(warnings, s) }}
			d, err := NewDialer(opts)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"web", "other"} {
				got, err := d.resolve(t.Context(), Target{Given: name, Host: name}, true)
				if err != nil || got.jumps != nil || (tt.config == config && name == "web" && got.port != 2222) {
					t.Errorf("%+v, %v", got, err)
				}
			}
			if len(warnings) != 1 || !strings.Contains(warnings[0], tt.place) {
				t.Errorf("warnings %q, want one with %s", warnings, tt.place)
			}
		}
	})
}
