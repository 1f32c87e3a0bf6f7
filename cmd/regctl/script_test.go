package main_test

import (
	"errors"
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

	"github.com/regctl/regctl/internal/engine"
	"github.com/regctl/regctl/internal/testenv"
)

// TestScripts runs testdata/script: regctl as an operator uses it, the real
// executable against the machine's real engine. Each script has a name and a
// directory of its own, and whatever it leaves running is destroyed at its end.
func TestScripts(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "..", "testdata", "script"),
		// Else an empty folder stays in the machine's own for each run.
		WorkdirRoot: t.TempDir(),
		Setup:       func(env *testscript.Env) error { return setup(env, bin) },
		Condition:   condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"appendto":   appendTo,
			"certs":      makeCerts,
			"eventually": eventually,
			"freeport":   freePort,
			"gone":       gone,
			"kill9":      kill9,
			"listing":    listing,
			"oneerror":   oneError,
			"overtag":    overtag,
			"onejson":    oneJSON,
			"pid":        pidFile,
			"loopid":     loopID,
			"pull":       pullBack,
			"push":       pushTo,
			"pushpull":   pushPull,
			"status":     exitStatus,
		},
	})
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
		for _, dir := range []string{"reg", "other"} { // the second is where scripts restore to
			cmd := exec.Command(bin, "destroy", "--yes", "--quiet", "--dir", filepath.Join(env.WorkDir, dir))
			cmd.Env = env.Vars
			cmd.Dir = env.WorkDir
			_ = cmd.Run()
		}
		if volumes, err := docker("", nil, "volume", "ls", "-q", "--filter", "name="+name); err == nil && volumes != "" {
			_, _ = docker("", nil, append([]string{"volume", "rm"}, strings.Fields(volumes)...)...)
		}
	})
	return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
}

// condition gives scripts [has:THING], see testenv for the things, [systemd], whether
// that would run a process, and [loop], whether neither it nor cron would renew.
func condition(cond string) (bool, error) {
	switch found := engine.FindSupervision(); cond {
	case "systemd":
		return found.Systemd, nil
	case "loop":
		return found == engine.Supervision{}, nil
	}
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
		if !errors.As(err, &exit) {
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

// pushPull HOST:PORT: pushes an image of random content with the docker command,
// forgets it, pulls it again and compares the digest.
func pushPull(ts *testscript.TestScript, _ bool, args []string) {
	p, err := push("", args[0]+"/"+ts.Getenv("NAME"))
	ts.Check(err)
	ts.Check(p.pull(""))
}

// pushTo HOST:PORT FILE: is the first half of pushPull; FILE is for pullBack.
func pushTo(ts *testscript.TestScript, _ bool, args []string) {
	p, err := push("", args[0]+"/"+ts.Getenv("NAME"))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(p.ref+"\n"+p.digest), 0o600))
}

// pullBack FILE: pulls what was pushed before.
func pullBack(ts *testscript.TestScript, _ bool, args []string) {
	ref, digest, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Check(pushed{ref, digest}.pull(""))
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
		containers, err := docker("", nil, "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}", "--filter", "name="+ts.Getenv("NAME"))
		ts.Check(err)
		volumes, err := docker("", nil, "volume", "ls", "-q", "--filter", "name="+ts.Getenv("NAME"))
		ts.Check(err)
		fmt.Fprintln(&out, containers, volumes)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o600))
}
