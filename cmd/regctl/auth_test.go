package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
)

// TestUsers has users come and go on a registry that runs on: real logins, pushes and
// pulls by the docker command, and the same process from first to last.
func TestUsers(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	runtimes(t, func(t *testing.T, runtime string) {
		r := newRun(t, bin, "users")
		r.must(t, "init", "--host", "registry.test", "--port", r.port, "--runtime", runtime)
		before := r.identity(t, runtime)
		r.pushed(t, "")
		r.users(t)
		if now := r.identity(t, runtime); now != before {
			t.Errorf("%s became %s: it was restarted", before, now)
		}
		if found := r.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan:\n%s", found)
		}
	})
}

func (r *run) users(t *testing.T) {
	const first, second, wrong = "pa55-phrase-one", "pa55-phrase-two", "no-such-phrase"
	alice, bob := r.client(t), r.client(t)
	said := r.told(t, first, "user", "add", "alice", "--password-stdin")
	if _, err := alice.push(); err == nil || !strings.Contains(err.Error(), "no basic auth credentials") {
		t.Errorf("a push before login: %v", err)
	}
	if err := alice.login("alice", wrong); err == nil || !strings.Contains(err.Error(), "401 Unauthorized") && !strings.Contains(err.Error(), "unauthorized") {
		t.Errorf("a login with a wrong password: %v", err)
	}
	if err := alice.login("alice", first); err != nil {
		t.Error(err)
	}
	alice.pushes(t, "alice, logged in")

	generated := strings.TrimSpace(r.out(t, "user", "add", "bob"))
	if len(generated) < 20 || strings.Contains(generated, "\n") {
		t.Fatalf("the generated password is %q", generated)
	}
	if err := bob.login("bob", generated); err != nil {
		t.Error(err)
	}
	said += r.told(t, second, "user", "passwd", "alice", "--password-stdin", "--grace", "1h")
	alice.pushes(t, "alice, by the old password in its grace")
	if err := bob.login("alice", second); err != nil {
		t.Errorf("alice's new password: %v", err)
	}
	r.must(t, "user", "remove", "alice", "--yes")
	refused := time.Now()
	if _, err := alice.push(); err == nil || !strings.Contains(err.Error(), "unauthorized") {
		t.Errorf("alice's push after she was removed: %v", err)
	}
	if took := time.Since(refused); took > 20*time.Second { // Docker tries what it takes for passing for 50
		t.Errorf("docker took %s to say that alice is let in no more", took)
	}
	if list := r.out(t, "user", "list", "-o", "json"); strings.Contains(list, "alice") || !strings.Contains(list, `"bcryptCost": 10`) {
		t.Errorf("list: %s", list)
	}
	for _, secret := range []string{first, second, generated} {
		if strings.Contains(said, secret) {
			t.Errorf("a password is in\n%s", said)
		}
		if out, err := exec.Command("grep", "-rlF", secret, r.dir).CombinedOutput(); err == nil {
			t.Errorf("a password is in %s", out)
		}
	}
	path := filepath.Join(r.dir, "regctl.yaml")
	text := read(t, path)
	if !bytes.Contains(text, []byte("# DNS names and IP addresses")) {
		t.Errorf("the comments went:\n%s", text)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte("mode: htpasswd"), []byte("mode: none"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	r.must(t, "apply")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-tick.C {
		if _, err := r.client(t).push(); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("with authentication off: %v", err)
		}
	}
}

// TestStockUsers has a stock image ask for passwords: it is restarted for that, and
// for no user after it.
func TestStockUsers(t *testing.T) {
	testenv.Need(t, "docker")
	image := enginetest.Name(t, "") + ":3"
	enginetest.Registry3(t, "", image)
	r := newRun(t, build(t), "stockusers") // after the image, and so gone before it is
	r.must(t, "init", "--image", image, "--host", "registry.test", "--port", r.port)
	r.told(t, "one-phrase", "user", "add", "alice", "--password-stdin")
	before := r.started(t, "")
	r.told(t, "two-phrase", "user", "add", "bob", "--password-stdin")
	c := r.client(t)
	if _, err := c.push(); err == nil {
		t.Error("a push before login went through")
	}
	for user, password := range map[string]string{"alice": "one-phrase", "bob": "two-phrase"} {
		if err := c.login(user, password); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	c.pushes(t, "bob or alice")
	if now := r.started(t, ""); now != before {
		t.Errorf("%v became %v: a user restarted it", before, now)
	}
	if code, said := r.fails(t, "user", "passwd", "bob", "--grace", "1h"); code != 2 || !strings.Contains(said, "hint:") {
		t.Errorf("--grace: exit status %d\n%s", code, said)
	}
}

// identity tells one life of the registry from another.
func (r *run) identity(t *testing.T, runtime string) string {
	t.Helper()
	if runtime == "docker" {
		return fmt.Sprint(r.started(t, ""))
	}
	holder := engine.PortHolder(":" + r.port)
	if !strings.HasPrefix(holder, "pid ") {
		t.Fatalf("port %s is held by %q", r.port, holder)
	}
	return holder
}

// told runs a command that reads a password from standard input.
func (r *run) told(t testing.TB, password string, args ...string) string {
	t.Helper()
	cmd := r.command(args...)
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("regctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// out is what a command prints on standard output.
func (r *run) out(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.command(args...).Output()
	if err != nil {
		t.Fatalf("regctl %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// dockerClient is a docker command with logins of its own.
type dockerClient struct{ config, repository, sock string }

func (r *run) client(t *testing.T) dockerClient {
	return dockerClient{config: t.TempDir(), repository: "127.0.0.1:" + r.port + "/" + r.name}
}

func (c dockerClient) run(stdin []byte, args ...string) error {
	_, err := docker(c.sock, stdin, append([]string{"--config", c.config}, args...)...)
	return err
}

func (c dockerClient) login(user, password string) error {
	address, _, _ := strings.Cut(c.repository, "/")
	return c.run([]byte(password), "login", "--username", user, "--password-stdin", address)
}

// push makes an image and pushes it; the engine keeps nothing of it.
func (c dockerClient) push() (ref string, err error) {
	ref = c.repository + ":pushed"
	if _, err := docker(c.sock, layer(), "import", "-", ref); err != nil {
		return ref, err
	}
	defer func() { _, _ = docker(c.sock, nil, "image", "rm", "-f", ref) }()
	return ref, c.run(nil, "push", ref)
}

// pushes demands that a push and a pull go through.
func (c dockerClient) pushes(t *testing.T, who string) {
	t.Helper()
	ref, err := c.push()
	if err == nil {
		err = c.run(nil, "pull", ref)
		_, _ = docker(c.sock, nil, "image", "rm", "-f", ref)
	}
	if err != nil {
		t.Errorf("%s: %v", who, err)
	}
}
