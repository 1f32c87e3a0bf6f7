package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testissuer"
)

// rules replaces auth.rules of regctl.yaml, which stand before storage.
func (r *run) rules(t *testing.T, rules string) {
	t.Helper()
	path := filepath.Join(r.dir, "regctl.yaml")
	text := regexp.MustCompile(`(?s)  rules:.*?\n\n`).ReplaceAll(read(t, path), []byte("  rules:\n"+rules+"\n"))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// in is the same login in another repository.
func (c dockerClient) in(repository string) dockerClient {
	address, _, _ := strings.Cut(c.repository, "/")
	c.repository = address + "/" + repository
	return c
}

// denied demands that a push is refused in those words.
func (c dockerClient) denied(t *testing.T, who, words string) {
	t.Helper()
	if _, err := c.push(); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%s pushes to %s: %v, want %q", who, c.repository, err, words)
	}
}

// TestOwnTokens has the registry give out its tokens: rules and users change while it
// runs on, and the docker command does what they allow and no more.
func TestOwnTokens(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "tokens")
		r.told(t, "alice-phrase", "init", "--host", "registry.test", "--port", r.port, "--runtime", runtime,
			"--auth", "token", "--token-server", "builtin", "--user", "alice", "--password-stdin")
		before := r.identity(t, runtime)
		r.told(t, "carol-phrase", "user", "add", "carol", "--password-stdin")
		alice, carol, nobody := r.client(t).in("team/app"), r.client(t).in("team/app"), r.client(t).in("team/app")
		if err := alice.login("alice", "no-such-phrase"); err == nil || !strings.Contains(err.Error(), "unauthorized") {
			t.Errorf("a login with a wrong password: %v", err)
		}
		for c, user := range map[dockerClient]string{alice: "alice", carol: "carol"} {
			if err := c.login(user, user+"-phrase"); err != nil {
				t.Error(err)
			}
		}
		wrong := r.command("trust-clients", "--hosts", "registry.test", "--login", "alice", "--password-stdin")
		wrong.Stdin = strings.NewReader("no-such-phrase\n")
		if out, err := wrong.CombinedOutput(); wrong.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "does not let alice in") {
			t.Errorf("trust-clients --login with a wrong password: %v\n%s", err, out)
		}
		carol.pushes(t, "carol, by the rule that init writes")
		nobody.denied(t, "somebody without a login", "authentication required")

		r.rules(t, "    - {who: [alice], repositories: ['**'], actions: [push]}\n"+
			"    - {who: ['*'], repositories: [team/*], actions: [pull]}\n"+
			"    - {who: [anonymous], repositories: [public/*], actions: [pull]}\n")
		r.must(t, "apply")
		carol.denied(t, "carol, for whom the rule has gone,", "denied")
		alice.pushes(t, "alice")
		alice.in("public/app").pushes(t, "alice")
		for repository, may := range map[string]bool{"team/app": false, "public/app": true} {
			c := nobody.in(repository)
			if err := c.run(nil, "pull", c.repository+":pushed"); (err == nil) != may {
				t.Errorf("somebody without a login pulls %s: %v", repository, err)
			}
			_, _ = docker("", nil, "image", "rm", "-f", c.repository+":pushed")
		}
		if err := carol.run(nil, "pull", carol.repository+":pushed"); err != nil {
			t.Errorf("carol pulls: %v", err)
		}
		_, _ = docker("", nil, "image", "rm", "-f", carol.repository+":pushed")
		r.must(t, "user", "remove", "alice", "--yes")
		alice.denied(t, "alice, who was removed,", "unauthorized")
		if now := r.identity(t, runtime); now != before {
			t.Errorf("%s became %s: it was restarted", before, now)
		}
		if found := r.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan:\n%s", found)
		}
		if said := r.out(t, "status", "-o", "json"); !strings.Contains(said, `"mode": "token"`) || !strings.Contains(said, `"users": 1`) {
			t.Errorf("status: %s", said)
		}
	})
}

// TestTokensBehindProxy has the docker of another machine, which trusts nobody but by
// the CA, get its tokens through nginx and Apache: it must be sent to https.
func TestTokensBehindProxy(t *testing.T) {
	testenv.Need(t, "root", "docker", "dockerd")
	bin := build(t)
	client := enginetest.DockerdWithEtc(t, "registry.test")
	for _, kind := range []proxy.Kind{proxy.Nginx, proxy.Apache} {
		t.Run(string(kind), func(t *testing.T) {
			server := proxytest.Start(t, kind)
			p := &proxiedRun{run: newRun(t, bin, "pxtokens"), kind: string(kind), client: client, server: server}
			p.told(t, firstPhrase, "init", "--proxy", p.kind, "--host", "registry.test", "--port", p.port, "--runtime", "process",
				"--auth", "token", "--token-server", "builtin", "--user", "alice", "--password-stdin")
			p.told(t, secondPhrase, "user", "add", "bob", "--password-stdin")
			p.rules(t, "    - {who: [alice], repositories: [team/*], actions: [push]}\n    - {who: [bob], repositories: [team/*], actions: [pull]}\n")
			p.must(t, "apply")
			p.trusted(t)
			alice, bob := p.docker(t).in("team/app"), p.docker(t).in("team/app")
			alice.denied(t, "alice before her login", "authentication required")
			if err := alice.login("alice", firstPhrase); err != nil {
				t.Error(err)
			}
			if err := bob.login("bob", secondPhrase); err != nil {
				t.Error(err)
			}
			alice.pushes(t, "alice, logged in")
			bob.denied(t, "bob", "denied")
			alice.in("other/app").denied(t, "alice elsewhere", "denied")
			p.must(t, "destroy", "--yes")
		})
	}
}

// TestOthersTokens sends clients to a token server of somebody else's: ours with its
// key set, and a stock image with the certificate of its CA.
func TestOthersTokens(t *testing.T) {
	testenv.Need(t, "docker")
	bin, image := build(t), enginetest.Name(t, "")+":3"
	enginetest.Registry3(t, "", image)
	for kind, flags := range map[string][]string{
		"embedded": {"--runtime", "process", "--token-jwks"},
		"stock":    {"--image", image, "--token-root-ca"},
	} {
		t.Run(kind, func(t *testing.T) {
			r := newRun(t, bin, "issued-"+kind)
			i := &testissuer.Issuer{
				Service: "registry.test", Name: "them", Chain: kind == "stock", Anonymous: true,
				Users: map[string]string{"alice": "alice-phrase", "carol": "carol-phrase"},
				May:   func(user, _, action string) bool { return user == "alice" || user == "carol" && action == "pull" },
			}
			if err := i.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(i.Close)
			file := filepath.Join(t.TempDir(), "keys")
			keys := i.JWKS
			if i.Chain {
				keys = i.CA
			}
			if err := os.WriteFile(file, keys, 0o600); err != nil {
				t.Fatal(err)
			}
			base := append(append([]string{"init"}, flags...), file, "--host", "registry.test", "--port", r.port,
				"--auth", "token", "--token-realm", i.URL, "--token-service", "registry.test", "--token-issuer", "them")
			r.refusesIssuer(t, i, base)
			r.must(t, base...)
			runtime := map[bool]string{true: "docker", false: "process"}[i.Chain]
			before := r.identity(t, runtime)
			if err := os.WriteFile(file, []byte("no keys"), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, said := r.fails(t, "apply"); code != 2 || !strings.Contains(said, file) {
				t.Errorf("damaged keys: exit status %d\n%s", code, said)
			}
			if now := r.identity(t, runtime); now != before {
				t.Errorf("%s became %s by keys that are damaged", before, now)
			}
			if err := os.WriteFile(file, append(keys, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
			r.must(t, "apply")
			if now := r.identity(t, runtime); now == before {
				t.Error("the registry did not take over changed keys")
			}
			r.issued(t, i)
		})
	}
}

// refusesIssuer demands that nothing is made for a token server that could not serve.
func (r *run) refusesIssuer(t *testing.T, i *testissuer.Issuer, base []string) {
	t.Helper()
	for _, flaw := range testissuer.Flaws() {
		i.Spoil(flaw)
		if code, said := r.fails(t, base...); code != 1 || !strings.Contains(said, "would refuse") || !strings.Contains(said, "hint: ") {
			t.Errorf("%s: exit status %d\n%s", flaw, code, said)
		}
	}
	i.Spoil(testissuer.None)
	code, said := r.fails(t, append(base, "--token-realm", strings.Replace(i.URL, "/auth", "/nowhere", 1))...)
	if code != 1 || !strings.Contains(said, "404") {
		t.Errorf("the wrong path: exit status %d\n%s", code, said)
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("something was made: %v", err)
	}
}

// issued goes through what clients meet.
func (r *run) issued(t *testing.T, i *testissuer.Issuer) {
	t.Helper()
	alice, carol := r.client(t).in("team/app"), r.client(t).in("team/app")
	alice.denied(t, "alice before her login", "denied")
	if err := alice.login("alice", "wrong"); err == nil {
		t.Error("a login with a wrong password")
	}
	for c, user := range map[dockerClient]string{alice: "alice", carol: "carol"} {
		if err := c.login(user, user+"-phrase"); err != nil {
			t.Error(err)
		}
	}
	alice.pushes(t, "alice")
	carol.denied(t, "carol", "denied")
	for _, flaw := range testissuer.Flaws() {
		i.Spoil(flaw)
		if err := alice.login("alice", "alice-phrase"); err == nil {
			t.Errorf("%s: it was taken", flaw)
		}
	}
	i.Spoil(testissuer.None)
	if code, said := r.fails(t, "user", "add", "bob"); code != 2 || !strings.Contains(said, i.URL) {
		t.Errorf("user add: exit status %d\n%s", code, said)
	}
	if said := r.must(t, "doctor"); !strings.Contains(said, "gives out tokens that the registry takes") {
		t.Errorf("doctor:\n%s", said)
	}
	i.Close() // what is there already can be looked after without it
	path := filepath.Join(r.dir, "regctl.yaml")
	text := append(bytes.TrimSpace(read(t, path)), []byte("\n# a word\n")...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if found := r.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
	if code, said := r.fails(t, "doctor"); code == 0 || !strings.Contains(said, "does not answer") {
		t.Errorf("doctor: exit status %d\n%s", code, said)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(i.URL), []byte(i.URL+"/other"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := r.fails(t, "apply"); code != 1 || !strings.Contains(said, "does not answer") {
		t.Errorf("another realm, and nobody there: exit status %d\n%s", code, said)
	}
}
