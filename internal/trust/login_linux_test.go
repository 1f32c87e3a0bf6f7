package trust

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/testfleet"
)

// The passwords that the registry takes from the user ci.
const (
	firstSecret = "Sesam öffne'dich $(id)"
	nextSecret  = "an0ther-secret"
)

// withLogins serves a registry over TLS to a fleet, for the user ci with either secret.
func withLogins(t *testing.T, fleet *testfleet.Fleet) Registry {
	t.Helper()
	dir := t.TempDir()
	config := pki.Config{Hosts: []string{testfleet.RegistryName}, CertDays: 2, CADays: 3, Name: "test", Now: time.Now()}
	ca, caKey, err := pki.NewCA(config)
	mustBe(t, err)
	chain, key, err := pki.Issue(ca, caKey, config)
	mustBe(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort(fleet.Gateway(), "0"))
	mustBe(t, err)
	var users strings.Builder
	for i, s := range []string{firstSecret, nextSecret} {
		hash, err := bcrypt.GenerateFromPassword([]byte(s), bcrypt.MinCost)
		mustBe(t, err)
		fmt.Fprintf(&users, "%s:%s\n", []string{"ci", "deploy"}[i], hash)
	}
	for name, data := range map[string][]byte{"chain": chain, "key": key, "htpasswd": []byte(users.String())} {
		mustBe(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	yml := strings.ReplaceAll(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: DIR/data}}
http: {addr: '127.0.0.1:0', secret: s, tls: {certificate: DIR/chain, key: DIR/key}}
auth: {htpasswd: {realm: r, path: DIR/htpasswd}}
`, "DIR", dir)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan bool, 1), make(chan error, 1)
	go func() {
		done <- embeddedregistry.Serve(ctx, embeddedregistry.Options{
			ConfigPath: filepath.Join(dir, "config.yml"), ConfigData: []byte(yml), Listener: l, Log: io.Discard,
			Ready: func(net.Addr) { ready <- true },
		})
	}()
	t.Cleanup(func() { cancel(); <-done }) //nolint:errcheck // it ended
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("the registry is not ready")
	}
	return Registry{Host: testfleet.RegistryName, Port: l.Addr().(*net.TCPAddr).Port, CA: ca}
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onFleet is a host of a fleet, logged in to.
type onFleet struct {
	*testing.T
	h    *testfleet.Host
	ssh  *host.SSH
	r    Registry
	home string
}

func reach(t *testing.T, fleet *testfleet.Fleet, i int, r Registry) onFleet {
	t.Helper()
	h := fleet.Host(i)
	ssh, err := host.DialSSH(t.Context(), host.Target{Given: h.Name, User: h.User, Host: h.Addr, Port: h.Port}, host.SSHOptions{
		Identities: []string{fleet.Key()}, KnownHosts: []string{fleet.KnownHosts()}, ConfigFile: "none", ConnectTimeout: 20 * time.Second,
	})
	mustBe(t, err)
	t.Cleanup(func() { mustBe(t, ssh.Close()) })
	home := "/root"
	if h.User != "root" {
		home = "/home/" + h.User
	}
	return onFleet{t, h, ssh, r, home}
}

func (f onFleet) client() (Client, []host.Entry) {
	f.Helper()
	seen, err := f.ssh.Look(f.Context(), append(Reads(), host.LoginDockerConfigRef(), host.LedgerRef()))
	mustBe(f.T, err)
	return SeenClient(seen), host.ParseLedger(seen[host.LedgerRef()])
}

func (f onFleet) plan(login Login) ([]Placement, step.Planned, error) {
	f.Helper()
	c, _ := f.client()
	placed, err := Plan(f.r, c, []Store{Docker}, Options{Login: &login})
	if err != nil {
		return nil, step.Planned{}, err
	}
	planned, err := step.Plan(f.Context(), f.ssh, steps(placed))
	return placed, planned, err
}

// trust stores a login, and sees that nothing is left to do and nothing was shown.
func (f onFleet) trust(login Login) Placement {
	f.Helper()
	placed, planned, err := f.plan(login)
	if err != nil {
		f.Fatalf("%v (hint: %s)", err, fault.Hint(err))
	}
	receipts, err := step.Run(f.Context(), f.ssh, planned, noJournal{})
	mustBe(f.T, err)
	last := placed[len(placed)-1]
	if text := fmt.Sprintf("%+v %+v %+v", planned.Items(), last, bareReceipts(receipts)); strings.Contains(text, login.auth()) || strings.Contains(text, login.Password.Reveal()) {
		f.Errorf("the password shows: %s", text)
	}
	_, again, err := f.plan(login)
	if err != nil || !again.Empty() {
		f.Errorf("a second plan: %v, %+v", err, again.Items())
	}
	return last
}

// bareReceipts are receipts as they are kept: without contents.
func bareReceipts(all []host.Receipt) []host.Receipt {
	all = slices.Clone(all)
	for i := range all {
		if all[i].Kind == host.Edit || all[i].Kind == host.File {
			all[i].Before.Data = nil
		}
	}
	return all
}

// untrust takes back what a store placed, or all if that is "".
func (f onFleet) untrust(only Store) {
	f.Helper()
	c, entries := f.client()
	placed, err := Undo(c, entries, []string{f.r.Address()}, Options{})
	mustBe(f.T, err)
	if only != "" {
		placed = slices.DeleteFunc(placed, func(p Placement) bool { return p.Store != only })
	}
	carryOut(f.T, f.ssh, steps(placed))
}

// as runs a command as the user who logs in.
func (f onFleet) as(command string) (string, error) {
	return f.h.Exec("cd / && su -s /bin/sh " + f.h.User + " -c '" + command + "'")
}

func (f onFleet) mustAs(command string) string {
	f.Helper()
	out, err := f.as(command)
	mustBe(f.T, err)
	return out
}

// pushes has the real client push and pull as that user.
func (f onFleet) pushes() {
	f.Helper()
	image := f.r.Address() + "/" + f.h.Name + ":1"
	f.mustAs("docker push -q " + image + " && docker rmi " + image + " && docker pull -q " + image)
}

// podmanToo sees that the real podman has the login of ci, and clears up after it.
func (f onFleet) podmanToo() {
	f.Helper()
	if got := f.mustAs("podman login --get-login " + f.r.Address() + "; rm -rf ~/.local ~/.config"); !strings.HasSuffix("\n"+got, "\nci") {
		f.Errorf("podman is logged in as %q", got)
	}
}

// mayNot sees that without a login there is no pull.
func (f onFleet) mayNot() {
	f.Helper()
	if out, err := f.as("docker pull -q " + f.r.Address() + "/" + f.h.Name + ":1"); err == nil || !strings.Contains(err.Error(), "no basic auth credentials") {
		f.Errorf("a pull without a login: %s, %v", out, err)
	}
}

// holding lists the files on the host that hold a secret, in any form.
func (f onFleet) holding(login Login) string {
	f.Helper()
	mustBe(f.T, f.h.WriteFile("/dev/shm/needles", []byte(login.auth()+"\n"+login.Password.Reveal()+"\n")))
	return f.h.Run("grep -rlFa -f /dev/shm/needles /etc /root /home /var/lib/[!cd]* /run /tmp /var/tmp /var/log /usr/local || [ $? = 1 ]; rm /dev/shm/needles")
}

func TestLoginOnAFleet(t *testing.T) {
	const theirs = "{\r\n  \"psFormat\": \"dück\",\r\n  \"auths\": {\r\n    \"other.test\": {\"auth\": \"dTpw\"}\r\n  }\r\n}"
	fleet := testfleet.New(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker, testfleet.Podman),
		testfleet.Hosts(1, testfleet.Docker, testfleet.Podman, testfleet.Sudo, testfleet.File("/home/ops/.docker/config.json", theirs)),
	)...)
	r := withLogins(t, fleet)
	for i := range 2 {
		f := reach(t, fleet, i, r)
		f.h.Run("chmod 666 /var/run/docker.sock && cd /tmp && echo hello >hello && tar cf - hello | docker import - " + r.Address() + "/" + f.h.Name + ":1 && rm hello")
		before := f.h.Tree()
		config := f.home + "/.docker/config.json"

		login := Login{"ci", secret.New(firstSecret)}
		p := f.trust(login)
		if p.Store != LoginStore || p.Path != config || p.Effect != Now || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "base64 in "+config) {
			t.Errorf("%+v", p)
		}
		f.pushes()
		f.podmanToo()
		if got := f.holding(login); got != config {
			t.Errorf("the password is in %q", got)
		}
		owner, mode := f.h.User, "600"
		if i == 1 {
			mode = "644" // theirs, as it was
		}
		if got := f.h.Run("stat -c %U:%G:%a " + config); got != owner+":"+owner+":"+mode {
			t.Errorf("%s: %s", config, got)
		}

		f.untrust("")
		if diff := before.Diff(f.h.Tree()); len(diff) > 0 {
			t.Errorf("not as before:\n%s", strings.Join(diff, "\n"))
		}

		f.trust(login)
		// The password changes, and Docker's own client writes the file meanwhile.
		next := Login{"deploy", secret.New(nextSecret)}
		f.trust(next)
		f.pushes()
		if i == 1 {
			f.mustAs("docker logout other.test")
		}
		if got := f.holding(login) + f.holding(next); got != config {
			t.Errorf("the passwords are in %q", got)
		}
		f.untrust(LoginStore)
		f.mayNot()
		f.untrust("")
		if got := f.holding(next); got != "" {
			t.Errorf("the password is still in %q", got)
		}
		if i == 0 {
			if diff := before.Diff(f.h.Tree()); len(diff) > 0 {
				t.Errorf("not as before:\n%s", strings.Join(diff, "\n"))
			}
		} else if data, err := f.h.ReadFile(config); err != nil || string(data) != "{\n\t\"auths\": {},\n\t\"psFormat\": \"dück\"\n}" {
			t.Errorf("%q, %v", data, err)
		}
	}
}

// helper keeps logins as the helpers of docker/docker-credential-helpers do, and notes
// what it and all other processes were started with.
const helper = `#!/bin/sh
for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done >>/tmp/argv-$(id -un)
umask 077
mkdir -p "$HOME/.kept" || exit
case $1 in
store)
	in=$(cat)
	url=${in#*'"ServerURL":"'}
	printf '%s\n' "$in" >"$HOME/.kept/${url%%'"'*}"
	;;
get)
	url=$(cat)
	cat "$HOME/.kept/$url" 2>/dev/null && exit
	echo 'credentials not found in native keychain'
	exit 1
	;;
erase) rm "$HOME/.kept/$(cat)" ;;
list) echo '{}' ;;
esac
`

func TestLoginWithAHelper(t *testing.T) {
	const config = `{"credsStore": "other", "credHelpers": {"registry.test:PORT": "kept_1"}}`
	fleet := testfleet.New(t, slices.Concat(
		testfleet.Hosts(1, testfleet.Docker, testfleet.Podman, testfleet.File("/usr/local/bin/docker-credential-kept_1", helper)),
		testfleet.Hosts(1, testfleet.Docker, testfleet.Sudo, testfleet.Podman, testfleet.File("/usr/local/bin/docker-credential-kept_1", helper)),
	)...)
	r := withLogins(t, fleet)
	for i := range 2 {
		f := reach(t, fleet, i, r)
		dir := f.home + "/.docker"
		f.h.Run("chmod 755 /usr/local/bin/docker-credential-kept_1; chmod 666 /var/run/docker.sock; mkdir " + dir + "; chown " + f.h.User + " " + dir +
			" && cd /tmp && echo hello >hello && tar cf - hello | docker import - " + r.Address() + "/" + f.h.Name + ":1 && rm hello")
		mustBe(t, f.h.WriteFile(dir+"/config.json", []byte(strings.ReplaceAll(config, "PORT", fmt.Sprint(r.Port)))))
		f.h.Run("chown " + f.h.User + " " + dir + "/config.json")
		before := f.h.Tree()

		login := Login{"ci", secret.New(firstSecret)}
		p := f.trust(login)
		if p.Store != LoginStore || p.Path != "docker-credential-kept_1" || len(p.Warnings) != 0 {
			t.Errorf("%+v", p)
		}
		kept := f.home + "/.kept/" + r.Address()
		if got := f.h.Run("stat -c %U:%a " + kept); got != f.h.User+":600" {
			t.Errorf("kept as %s", got)
		}
		f.pushes()
		if got := f.h.Run("cd " + f.home + "/.docker && cat config.json"); got != strings.ReplaceAll(config, "PORT", fmt.Sprint(r.Port)) {
			t.Errorf("config.json is %s", got)
		}
		if got := f.holding(login); got != kept {
			t.Errorf("the password is in %q", got)
		}
		f.podmanToo()

		// Another password, by way of su: not every system has runuser.
		f.h.Run("mv /usr/sbin/runuser /usr/sbin/runuser.away")
		next := Login{"deploy", secret.New(nextSecret)}
		f.trust(next)
		f.pushes()
		f.untrust(LoginStore)
		f.mayNot()
		if got := f.holding(login) + f.holding(next); got != "" {
			t.Errorf("a password is still in %q", got)
		}
		f.untrust("")
		f.h.Run("rmdir " + f.home + "/.kept")
		if diff := before.Diff(f.h.Tree()); len(diff) > 0 {
			t.Errorf("not as before:\n%s", strings.Join(diff, "\n"))
		}
		argv := f.h.Run("cat /tmp/argv-" + f.h.User)
		if strings.Count(argv, "kept_1 store") == 0 || strings.Contains(argv, firstSecret) || strings.Contains(argv, nextSecret) || strings.Contains(argv, login.auth()) {
			t.Errorf("what was started: %s", argv)
		}
		if out := f.h.Run("stat -c %U /tmp/argv-* | sort -u"); out != f.h.User { // podman's user namespace calls it root
			t.Errorf("the helper ran as %s", out)
		}
	}
}
