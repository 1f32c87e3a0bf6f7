package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// reloadTime is how long a server may take to put new workers to work. nginx alone
// tries 2.5 s for an address that is taken.
const reloadTime = 20 * time.Second

// Reload checks the configuration and has the running server take it over; it returns
// when no worker of the old one accepts connections any more. Where the server refuses
// it, what was served is served still, and the error has the server's own words. One
// that does not run is only checked.
func Reload(ctx context.Context, server Server) error {
	if err := check(ctx, server); err != nil || server.PID == 0 {
		return err
	}
	log := openLog(server.ErrorLog)
	defer log.close()
	old := children(server.PID)
	master, err := os.FindProcess(server.PID)
	if err == nil {
		err = master.Signal(reloadSignal(server.Kind))
	}
	if errors.Is(err, os.ErrPermission) {
		return fault.Fail("run regctl as root", "%s (pid %d) takes no signal from us", server.Kind, server.PID)
	}
	if err != nil {
		return fmt.Errorf("reload %s (pid %d): %w", server.Kind, server.PID, err)
	}
	return takenOver(ctx, server, old, log)
}

func check(ctx context.Context, server Server) error {
	_, said, err := server.run(ctx, "-t")
	switch {
	case err == nil:
		return nil
	case server.Kind == Apache:
		return apacheBroken(said, err)
	default:
		return nginxBroken(said, err)
	}
}

func reloadSignal(kind Kind) os.Signal {
	if kind == Apache {
		return gracefulSignal // apachectl graceful, which sends no more than that
	}
	return syscall.SIGHUP
}

// takenOver waits until there are workers that were not there and of the old ones
// none takes connections.
func takenOver(ctx context.Context, server Server, old map[int]string, log *logTail) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var since time.Time // the first new worker
	for {
		fresh, stale := generations(server.Kind, old, children(server.PID))
		if fresh && since.IsZero() {
			since = time.Now()
		}
		if fresh && (!stale || server.Kind == Apache && lingers(old, time.Since(since))) {
			return nil
		}
		ended := !isServer(server.PID)
		// Any request to some other site may have Apache log what looks like an end.
		if why := log.complaint(server.Kind, server.PID); why != "" && (ended || server.Kind == Nginx) {
			return fault.Fail(portHint(why), "%s did not take the new configuration over: %s", server.Kind, why)
		}
		if ended {
			return fault.Fail("its error log says why: "+server.ErrorLog, "%s (pid %d) has ended", server.Kind, server.PID)
		}
		select {
		case <-ctx.Done():
			return fault.Fail("its error log says why: "+server.ErrorLog,
				"%s (pid %d) did not take the new configuration over within %s", server.Kind, server.PID, reloadTime)
		case <-tick.C:
		}
	}
}

// lingers reports whether the old workers of an Apache, all told to end since a while ago,
// are there only for requests that they have: one that serves a long pull has closed its
// listeners.
func lingers(old map[int]string, since time.Duration) bool {
	for pid := range old {
		if since < lingerTime && listens(pid) {
			return false
		}
	}
	return since > time.Second
}

// lingerTime is when an old worker that still listens is waited for no more.
const lingerTime = 5 * time.Second

// logTail reads what a log gets from now on.
type logTail struct {
	file *os.File
	text []byte
}

func openLog(path string) *logTail {
	f, err := os.Open(path)
	if err != nil {
		return &logTail{} // it complains elsewhere, and the time runs out
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		f.Close()
		return &logTail{}
	}
	return &logTail{file: f}
}

func (l *logTail) close() {
	if l.file != nil {
		l.file.Close()
	}
}
