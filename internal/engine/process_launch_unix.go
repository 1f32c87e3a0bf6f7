//go:build unix

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// readyFD is the descriptor on which a detached process writes a line once it
// serves, as s6 services do.
const readyFD = 3

// launch starts p in a session of its own and waits until it serves. It notes
// itself in pidFile. The process
// gets nothing of ours: no terminal, no folder, no environment, no descriptor but
// one for its errors, which it lets go of when it serves, and readyFD.
func launch(ctx context.Context, pidFile string, p Process) error {
	ready, readyW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	defer readyW.Close()
	said, saidW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	defer saidW.Close()
	cmd := exec.Command(p.Exe, p.Args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stderr = saidW
	cmd.ExtraFiles = []*os.File{readyW} // becomes readyFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	// Both ends here go, so that ours read EOF when the process's are gone.
	_, _ = readyW.Close(), saidW.Close()

	words := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(io.LimitReader(said, 64<<10))
		words <- string(text)
		_, _ = io.Copy(io.Discard, said)
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // goes on for as long as we live: no zombie
	serves := make(chan bool, 1)
	go func() {
		n, _ := ready.Read(make([]byte, 1))
		serves <- n == 1
	}()

	select {
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-exited //nolint:errcheck // killed, as it was told
		forgetProcess(pidFile, cmd.Process.Pid)
		return context.Cause(ctx)
	case ok := <-serves:
		if ok {
			return nil
		}
		// It ends, or gave the descriptor up without a word.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err = <-exited
	case err = <-exited:
	}
	if r, ok, _ := findProcess(pidFile); ok && string(canonical(r.Process)) == string(canonical(p)) {
		return nil // another start was quicker
	}
	forgetProcess(pidFile, cmd.Process.Pid)
	return startFault(<-words, err)
}

// stop asks the process that pidFile tells of to end, lets it drain, and kills it
// when it takes longer than that.
func (h Processes) stop(ctx context.Context, pidFile string) error {
	r, ok, err := findProcess(pidFile)
	if err != nil || !ok {
		return err
	}
	proc, err := os.FindProcess(r.PID)
	if err != nil {
		return err
	}
	defer func() { _ = proc.Release() }()
	// On Linux proc is a pidfd: if the process is still ours now, no signal can
	// reach another one that gets its pid later.
	if !alive(r) {
		return nil
	}
	for _, try := range []struct {
		signal os.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, h.Drain}, {syscall.SIGKILL, 10 * time.Second}} {
		if err := proc.Signal(try.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("signal pid %d: %w", r.PID, err)
		}
		if gone, err := awaitEnd(ctx, r, try.wait); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("pid %d does not end", r.PID)
}

func awaitEnd(ctx context.Context, r pidRecord, wait time.Duration) (bool, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for alive(r) {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-deadline.C:
			return !alive(r), nil
		case <-tick.C:
		}
	}
	return true, nil
}

func alive(r pidRecord) bool {
	start, ok := startTime(r.PID)
	return ok && start == r.Start
}

// detach is for a process that launch started, once it serves: it tells the
// parent, and lets standard output and error go to crashLog, which is where the
// trace of a crash will be. At most 1 MB of older traces is kept.
func detach(crashLog string) error {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND | syscall.O_NOFOLLOW
	if info, err := os.Lstat(crashLog); err == nil && info.Size() > 1<<20 {
		flags |= os.O_TRUNC
	}
	crash, err := os.OpenFile(crashLog, flags, 0o600)
	if err != nil {
		return err
	}
	defer crash.Close()
	for _, fd := range []int{1, 2} {
		if err := dup2(int(crash.Fd()), fd); err != nil {
			return fmt.Errorf("redirect to %s: %w", crashLog, err)
		}
	}
	ready := os.NewFile(readyFD, "ready")
	_, _ = ready.WriteString("\n") // a parent that has died does not care
	return ready.Close()
}
