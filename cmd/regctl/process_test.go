package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/regctl/regctl/internal/engine"
)

// pidFile FILE: writes the pid of the process that listens on $PORT.
func pidFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strconv.Itoa(listener(ts))), 0o600))
}

// loopID FILE: writes the pid of the process that renews the registry's certificate.
func loopID(ts *testscript.TestScript, _ bool, args []string) {
	var record struct{ PID int }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(engine.LoopPIDFile(ts.Getenv("DIR")))), &record))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strconv.Itoa(record.PID)), 0o600))
}

// kill9 kills the process that listens on $PORT, and waits until it is gone.
func kill9(ts *testscript.TestScript, _ bool, _ []string) {
	pid := listener(ts)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	ts.Check(waitGone(pid))
}

// gone FILE: demands that the process whose pid FILE holds has ended.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(waitGone(pid))
}

func listener(ts *testscript.TestScript) (pid int) {
	port := ts.Getenv("PORT")
	if _, err := fmt.Sscanf(engine.PortHolder(":"+port), "pid %d", &pid); err != nil {
		ts.Fatalf("nobody listens on %s: %v", port, err)
	}
	return pid
}

// waitGone waits until a process has ended; whether its parent has taken note of
// that is none of our business.
func waitGone(pid int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ") {
			return nil
		}
	}
	return fmt.Errorf("process %d has not ended", pid)
}
