package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/testenv"
)

// TestUpgrade moves a registry from one regctl to another: what others do leaves it
// alone, a build that does not serve is taken back, and a kill is finished.
func TestUpgrade(t *testing.T) {
	old, next := buildAs(t, "v0.3.0", "."), buildAs(t, "", "./testdata/next")
	runtimes(t, func(t *testing.T, runtime string) {
		u := &upgradeRun{run: newRun(t, old, "upgrade-"+runtime), old: old, next: next}
		u.told(t, firstPhrase, "init", "--host", "127.0.0.1", "--runtime", runtime, "--port", u.port, "--auth", "htpasswd", "--user", "alice", "--password-stdin")
		u.want, u.image = u.kept(t), u.status(t).Image
		pull := u.push(t)
		u.bin = next
		u.othersRest(t)
		u.asksFirst(t)
		u.takesBack(t)
		u.moves(t)
		pull(t)
		u.refusesOlder(t)
		u.killed(t)
		u.must(t, "destroy", "--yes")
		if _, err := os.Stat(u.dir); !os.IsNotExist(err) {
			t.Errorf("destroy left %s: %v", u.dir, err)
		}
		u.noContainer(t)
	})
}

type upgradeRun struct {
	*run
	old, next string
	want      string // what no upgrade changes
	image     string // of the old one, "" without a container
}

// kept is all that an upgrade leaves as it is.
func (u *upgradeRun) kept(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"regctl.yaml", "certs/ca.crt", "certs/ca.key", "certs/domain.crt", "serve/config.yml", "serve/htpasswd", "serve/regctl-serve.yaml", "secrets/http"} {
		all.WriteString(name + "\n" + string(read(t, filepath.Join(u.dir, name))))
	}
	return all.String()
}

// status is what status knows of the program.
func (u *upgradeRun) status(t *testing.T) (s struct {
	Version, Image string
	Warnings       []string
},
) {
	t.Helper()
	u.json(t, &s, "status", "--check")
	return s
}

// json runs a command and reads what it prints.
func (u *upgradeRun) json(t *testing.T, into any, args ...string) {
	t.Helper()
	out, err := u.command(append(args, "-o", "json")...).Output()
	if err == nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		t.Fatalf("regctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// runs demands that the registry serves, from that version.
func (u *upgradeRun) runs(t *testing.T, version string) {
	t.Helper()
	if s := u.status(t); s.Version != version {
		t.Fatalf("status: %+v, want version %s", s, version)
	}
	if got := u.authClient(t).status(t, "alice", firstPhrase); got != 200 {
		t.Fatalf("alice is answered %d", got)
	}
	if got := u.kept(t); got != u.want {
		t.Fatalf("now there is\n%s\nwhat was before is\n%s", got, u.want)
	}
	u.noHalfFile(t)
}

// othersRest has another regctl than that of the registry do its work: it goes on as it is.
func (u *upgradeRun) othersRest(t *testing.T) {
	t.Helper()
	before := u.life(t)
	for _, args := range [][]string{{"plan"}, {"apply"}, {"start"}, {"init"}} {
		if said := u.must(t, args...); !strings.Contains(said, "regctl v0.3.0 (") || !strings.Contains(said, "regctl upgrade moves it") {
			t.Errorf("%v does not say that the registry is another's:\n%s", args, said)
		}
	}
	u.told(t, "bobs-phrase", "user", "add", "bob", "--password-stdin")
	u.must(t, "user", "remove", "bob", "--yes")
	u.must(t, "cert", "renew")
	if after := u.life(t); after != before {
		t.Errorf("%s became %s", before, after)
	}
	if s := u.status(t); len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "regctl upgrade moves it") {
		t.Errorf("status warns of %q", s.Warnings)
	}
	u.runs(t, "v0.3.0")
}

func (u *upgradeRun) asksFirst(t *testing.T) {
	t.Helper()
	before := tree(t, u.dir)
	if code, said := u.fails(t, "upgrade"); code != 2 || !strings.Contains(said, "hint: run it again with --yes") {
		t.Errorf("upgrade without a terminal: %d\n%s", code, said)
	}
	if code, said := u.fails(t, "upgrade", "--yes", "--image", "registry:3"); code != 2 || !strings.Contains(said, "runs no stock image") {
		t.Errorf("upgrade --image: %d\n%s", code, said)
	}
	said := u.must(t, "upgrade", "--dry-run")
	if !strings.Contains(said, "upgrade "+u.name+" from regctl v0.3.0 (") || !strings.Contains(said, "change "+filepath.Join(u.dir, "bin", "regctl")) {
		t.Errorf("upgrade --dry-run:\n%s", said)
	}
	if after := tree(t, u.dir); after != before {
		t.Error("upgrade without a yes changed the registry's directory")
	}
}

// takesBack upgrades to a build that does not serve, killed before and not.
func (u *upgradeRun) takesBack(t *testing.T) {
	t.Helper()
	mute := filepath.Join(u.dir, "serve", "mute")
	write(t, mute, "")
	program := string(read(t, filepath.Join(u.dir, "bin", "regctl")))
	for range 2 {
		start := time.Now()
		code, said := u.fails(t, "upgrade", "--yes")
		if code != 1 || !strings.Contains(said, "did not take over") || !strings.Contains(said, "serves again: ") || !strings.Contains(said, "this build does not serve\nhint: ") {
			t.Errorf("upgrade to a build that does not serve: %d\n%s", code, said)
		}
		u.runs(t, "v0.3.0")
		if string(read(t, filepath.Join(u.dir, "bin", "regctl"))) != program || u.status(t).Image != u.image {
			t.Error("the program before did not come back")
		}
		if said := u.must(t, "plan"); !strings.Contains(said, "nothing to do") {
			t.Errorf("plan after it was taken back:\n%s", said)
		}
		u.killedAt(t, time.Since(start), "upgrade", "--yes")
	}
	// Without the file the last one, if it was killed, is finished by the next.
	if err := os.Remove(mute); err != nil {
		t.Fatal(err)
	}
}

func (u *upgradeRun) moves(t *testing.T) {
	t.Helper()
	var done struct {
		SchemaVersion int
		Changed       bool
		From, To      struct {
			Version, Image string
			Layout         int
		}
		Changes []struct{ Target, Action string }
	}
	u.json(t, &done, "upgrade", "--yes")
	if done.SchemaVersion != 1 || !done.Changed || done.To.Version != "v0.4.0" || done.To.Layout != 2 || len(done.Changes) == 0 {
		t.Errorf("upgrade -o json: %+v", done)
	}
	u.runs(t, "v0.4.0")
	if now := u.status(t); len(now.Warnings) > 0 || now.Image != done.To.Image {
		t.Errorf("status: %+v, want image %q", now, done.To.Image)
	}
	if u.image != "" && enginetest.Docker(t, "", "images", "-q", u.image) != "" {
		t.Errorf("%s is left", u.image)
	}
	if left, _ := filepath.Glob(filepath.Join(u.dir, "bin", "*")); len(left) != 1 {
		t.Errorf("in bin: %v", left)
	}
	before := u.life(t)
	if said := u.must(t, "upgrade"); !strings.Contains(said, "nothing to do: ") {
		t.Errorf("the second upgrade:\n%s", said)
	}
	if after := u.life(t); after != before {
		t.Errorf("the second upgrade turned %s into %s", before, after)
	}
}

// push pushes an image as alice; what it returns pulls it back.
func (u *upgradeRun) push(t *testing.T) func(*testing.T) {
	t.Helper()
	config := t.TempDir()
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("docker", append([]string{"--config", config}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if !testenv.Has("docker") {
		return func(*testing.T) {}
	}
	address := "127.0.0.1:" + u.port
	ref := address + "/" + u.name + ":1"
	enginetest.Import(t, "", ref, map[string][]byte{"/layer": layer()})
	login := exec.Command("docker", "--config", config, "login", "-u", "alice", "--password-stdin", address)
	login.Stdin = strings.NewReader(firstPhrase)
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("docker login: %v\n%s", err, out)
	}
	docker("push", "-q", ref)
	digest := docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", ref)
	docker("image", "rm", "-f", ref)
	return func(t *testing.T) {
		t.Helper()
		docker("pull", "-q", ref)
		if got := docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", ref); got != digest {
			t.Errorf("pulled %s, pushed %s", got, digest)
		}
	}
}

func (u *upgradeRun) refusesOlder(t *testing.T) {
	t.Helper()
	u.bin = u.old
	before := u.life(t)
	if code, said := u.fails(t, "upgrade", "--yes"); code != 2 || !strings.Contains(said, "runs regctl v0.4.0, and this is the older v0.3.0") {
		t.Errorf("upgrade by an older one: %d\n%s", code, said)
	}
	if said := u.must(t, "apply"); !strings.Contains(said, "this is the older v0.3.0") {
		t.Errorf("apply by an older one:\n%s", said)
	}
	if after := u.life(t); after != before {
		t.Errorf("%s became %s", before, after)
	}
	u.runs(t, "v0.4.0")
}

// killed goes to and fro, and is killed on the way.
func (u *upgradeRun) killed(t *testing.T) {
	t.Helper()
	start := time.Now()
	u.must(t, "upgrade", "--yes", "--downgrade")
	whole := time.Since(start)
	for i := range 4 {
		version := "v0.4.0"
		if u.bin = u.next; i%2 == 1 {
			u.bin, version = u.old, "v0.3.0"
		}
		moment := u.killedAt(t, whole, "upgrade", "--yes", "--downgrade")
		if i == 2 { // others go on with what there is
			u.must(t, "apply")
		}
		if said := u.must(t, "upgrade", "--yes", "--downgrade"); strings.Contains(said, "did not") {
			t.Fatalf("killed after %v: %s", moment, said)
		}
		u.runs(t, version)
		if said := u.must(t, "plan"); !strings.Contains(said, "nothing to do") || strings.Contains(said, "upgrade") {
			t.Fatalf("killed after %v: plan:\n%s", moment, said)
		}
		if left, _ := filepath.Glob(filepath.Join(u.dir, "bin", "*")); len(left) != 1 {
			t.Fatalf("killed after %v: in bin there is %v", moment, left)
		}
	}
}

// TestUpgradeReplicas upgrades two replicas behind nginx under load.
func TestUpgradeReplicas(t *testing.T) {
	testenv.Need(t, "root", "docker")
	old, next := buildAs(t, "v0.3.0", "."), buildAs(t, "", "./testdata/next")
	proxytest.Start(t, proxy.Nginx)
	c := &clusterRun{run: newRun(t, old, "upgrade-cl")}
	c.must(t, "init", "--tls", "none", "--host", "127.0.0.1", "--proxy", "nginx", "--port", c.port, "--runtime", "docker", "--replicas", "2")
	before := enginetest.Docker(t, "", "inspect", "--format", "{{.Config.Image}}", c.name)
	crew := c.crew(2)
	stop := crew.work(t)
	c.bin = next
	c.must(t, "upgrade", "--yes")
	crew.round(t)
	stop()
	images := strings.Fields(enginetest.Docker(t, "", "inspect", "--format", "{{.Config.Image}}", c.name, c.second()))
	if len(images) != 2 || images[0] != images[1] || images[0] == before {
		t.Errorf("they run %v, before %s", images, before)
	}
	if left := enginetest.Docker(t, "", "images", "-q", before); left != "" {
		t.Errorf("%s is left", before)
	}
	lives := c.lives(t)
	if said := c.must(t, "upgrade"); !strings.Contains(said, "nothing to do") {
		t.Errorf("the second upgrade:\n%s", said)
	}
	if after := c.lives(t); strings.Join(after, " ") != strings.Join(lives, " ") {
		t.Errorf("the second upgrade turned %v into %v", lives, after)
	}
	c.must(t, "destroy", "--yes")
}
