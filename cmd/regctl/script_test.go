package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/regctl/regctl/internal/testenv"
)

// TestScripts runs testdata/script: regctl as an operator uses it, the real
// executable against the machine's real engine. Each script has a name and a
// directory of its own, and whatever it leaves running is destroyed at its end.
func TestScripts(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir:       filepath.Join("..", "..", "testdata", "script"),
		Setup:     func(env *testscript.Env) error { return setup(env, bin) },
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"appendto":   appendTo,
			"eventually": eventually,
			"freeport":   freePort,
			"listing":    listing,
			"oneerror":   oneError,
			"pushpull":   pushPull,
			"status":     exitStatus,
		},
	})
}

// build makes the static executable that all scripts share.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "regctl")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

func setup(env *testscript.Env, bin string) error {
	name := fmt.Sprintf("script-%d-%d", os.Getpid(), time.Now().UnixNano()%1e9)
	env.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("NAME", name)
	env.Setenv("REGCTL_NAME", name)
	env.Setenv("REGCTL_DIR", filepath.Join(env.WorkDir, "reg"))
	env.Setenv("DIR", filepath.Join(env.WorkDir, "reg"))
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Defer(func() {
		cmd := exec.Command(bin, "destroy", "--yes", "--quiet")
		cmd.Env = env.Vars
		cmd.Dir = env.WorkDir
		_ = cmd.Run()
	})
	return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
}

// condition gives scripts [has:THING]; see testenv for the things.
func condition(cond string) (bool, error) {
	thing, ok := strings.CutPrefix(cond, "has:")
	if !ok {
		return false, fmt.Errorf("unknown condition %s", cond)
	}
	if testenv.Has(thing) {
		return true, nil
	}
	if testenv.Strict() {
		return false, fmt.Errorf("this machine lacks %s, and nothing may be skipped", thing)
	}
	return false, nil
}

// appendTo FILE ADDITION: adds the second file's content to the first.
func appendTo(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0]) + ts.ReadFile(args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// oneError demands that the last command said exactly an error and a hint.
func oneError(ts *testscript.TestScript, _ bool, _ []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stderr")), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "error: ") || !strings.HasPrefix(lines[1], "hint: ") {
		ts.Fatalf("want one error line and one hint line, got:\n%s", strings.Join(lines, "\n"))
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("want nothing on stdout, got:\n%s", out)
	}
}

// freePort VAR...: sets each variable to a TCP port that is free now.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		l, err := net.Listen("tcp", ":0")
		ts.Check(err)
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
		ts.Check(l.Close())
	}
}

// status N COMMAND...: runs the command and demands exactly that exit status.
func exitStatus(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		var exit *exec.ExitError
		if !asExit(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: exit status %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// eventually COMMAND...: runs the command until it succeeds, for 30 s at most.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ts.Exec(args[0], args[1:]...)
		if (err == nil) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: still %v after 30 s", strings.Join(args, " "), err)
		}
		<-tick.C
	}
}

// pushPull HOST:PORT: builds a small image of random content, pushes it with the
// docker CLI, forgets it, pulls it again and compares the digest.
func pushPull(ts *testscript.TestScript, _ bool, args []string) {
	ref := args[0] + "/" + ts.Getenv("NAME") + "/probe:" + strconv.FormatInt(time.Now().UnixNano(), 36)
	layer := filepath.Join(ts.Getenv("WORK"), "layer.tar")
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), "layer"), []byte(ref), 0o600))
	docker(ts, "", "tar", "-C", ts.Getenv("WORK"), "-cf", layer, "layer")
	docker(ts, "", "docker", "import", layer, ref)
	defer func() { _ = exec.Command("docker", "image", "rm", "-f", ref).Run() }()
	docker(ts, "", "docker", "push", ref)
	want := docker(ts, "", "docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", ref)
	docker(ts, "", "docker", "image", "rm", ref)
	docker(ts, "", "docker", "pull", ref)
	if got := docker(ts, "", "docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", ref); got != want {
		ts.Fatalf("pulled %s, pushed %s", got, want)
	}
}

func docker(ts *testscript.TestScript, stdin string, argv ...string) string {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(ts.Getenv("WORK"), "docker"))
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		ts.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, out.String(), errOut.String())
	}
	return strings.TrimSpace(out.String())
}

// listing FILE DIR...: writes what the folders hold (paths, modes, sizes, times)
// and the containers and volumes of this script's registry to FILE, to compare.
func listing(ts *testscript.TestScript, _ bool, args []string) {
	var out strings.Builder
	for _, dir := range args[1:] {
		root := ts.MkAbs(dir)
		err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, strings.TrimPrefix(path, root), info.Mode(), info.Size(), info.ModTime().UnixNano())
			return nil
		})
		ts.Check(err)
	}
	if testenv.Has("docker") {
		fmt.Fprintln(&out, docker(ts, "", "docker", "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}", "--filter", "name="+ts.Getenv("NAME")))
		fmt.Fprintln(&out, docker(ts, "", "docker", "volume", "ls", "-q", "--filter", "name="+ts.Getenv("NAME")))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o600))
}

func asExit(err error, to **exec.ExitError) bool {
	exit, ok := err.(*exec.ExitError)
	*to = exit
	return ok
}
