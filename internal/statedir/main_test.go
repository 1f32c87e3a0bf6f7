package statedir

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// childEnv makes this test binary do one thing instead of testing, so that it can
// be killed at it.
const childEnv = "REGCTL_STATEDIR_TEST_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "init":
		err = childInit(os.Args[1], os.Args[2])
	case "hold":
		err = childHold(Dir(os.Args[1]))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// child starts this binary as a child of that name.
func child(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// childHold locks d until it is killed.
func childHold(d Dir) error {
	if _, err := Acquire(context.Background(), d, time.Second, "regctl init"); err != nil {
		return err
	}
	fmt.Println("held")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

// made is a step that makes a value once, as certificates and secrets do.
type made struct{ path string }

func (m made) ref() host.Ref     { return host.Ref{Kind: host.File, Path: m.path} }
func (m made) Name() string      { return "secret" }
func (m made) Reads() []host.Ref { return []host.Ref{m.ref()} }

func (m made) Plan(seen host.Facts) (step.Change, error) {
	if seen[m.ref()].Exists {
		return step.Change{}, nil
	}
	make := func(context.Context) ([]host.Op, error) {
		uid, gid := self()
		want := host.Fact{Exists: true, Data: []byte(rand.Text()), Mode: 0o600, UID: uid, GID: gid}
		return []host.Op{{Ref: m.ref(), Action: host.Create, Want: want}}, nil
	}
	return step.Change{Items: []step.Item{{Target: m.path, Action: host.Create}}, Make: make}, nil
}

// initSteps are about what a registry with a certificate of its own needs.
func initSteps(d Dir, foreign string) []step.Step {
	uid, gid := self()
	var steps []step.Step
	for _, dir := range []string{"secrets", "certs", "serve", "serve/ctl", "serve/tls", "serve/tls/gen", "data"} {
		steps = append(steps, step.MakeDir{Path: d.Join(dir), Mode: 0o700, UID: uid, GID: gid})
	}
	steps = append(steps, made{d.Join("secrets", "http")}, made{d.Join("certs", "ca.key")})
	for _, file := range []string{"regctl.yaml", "certs/ca.crt", "serve/tls/gen/crt", "serve/tls/gen/key", "serve/config.yml", "serve/regctl-serve.yaml"} {
		data := strings.Repeat(file+"\n", 50)
		steps = append(steps, step.WriteFile{Path: d.Join(file), Data: []byte(data), Mode: 0o600, UID: uid, GID: gid})
	}
	steps = append(steps, step.MakeLink{Path: d.Join("serve", "tls", "current"), Target: "gen"})
	if foreign != "" {
		steps = append(steps, step.WriteFile{Path: foreign, Data: []byte("ours\n"), Mode: 0o644, UID: uid, GID: gid})
	}
	return steps
}

// childInit makes a registry, and kills itself at the n-th place that the
// environment names.
func childInit(dir, foreign string) error {
	ctx, d := context.Background(), Dir(dir)
	places := 0
	killAt, err := strconv.Atoi(os.Getenv("KILL_AT"))
	place := func() {
		if places++; err == nil && places == killAt {
			killSelf()
		}
	}
	h := host.NewLocal(nil)
	h.Progress = func(host.Op) { place() }
	h.Sync = func(f *os.File) error {
		place()
		defer place()
		return f.Sync()
	}
	fmt.Println("go")
	lock, err := Claim(ctx, d, filepath.Base(dir), 10*time.Second, "regctl init")
	if err != nil {
		return err
	}
	if _, err := Recover(ctx, d, h); err != nil {
		return err
	}
	s, err := LoadState(d)
	if err != nil {
		return err
	}
	planned, err := step.Plan(ctx, h, initSteps(d, foreign))
	if err != nil {
		return err
	}
	s.Phase = PhaseReady
	if _, err := step.Run(ctx, h, planned, &Journal{Dir: d, State: &s, Sync: h.Sync}); err != nil {
		return err
	}
	fmt.Printf("places %d\n", places)
	return lock.Release()
}

// destroy undoes everything, as a command would that knows only the directory.
func destroy(t *testing.T, d Dir) (left []string) {
	t.Helper()
	lock, err := Acquire(t.Context(), d, time.Second, "regctl destroy")
	must(t, err)
	h := host.NewLocal(nil)
	s, err := TakeStock(t.Context(), d, h)
	must(t, err)
	must(t, step.Undo(t.Context(), h, s.Receipts))
	left, err = Erase(d, lock)
	must(t, err)
	return left
}

func isExit(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}
