//go:build linux

package proxytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/testenv"
)

// Instance is a proxy with a tree of its own.
type Instance struct {
	Kind proxy.Kind
	Root string // in place of /etc/nginx or /etc/apache2
	// Bin goes first on PATH: its nginx, or its apache2 and apachectl, use Root.
	// proxy.Find, and a regctl with that PATH, then find this one.
	Bin string
	// ErrorLog is where it complains.
	ErrorLog string
	// Neighbour is the address, of nginx the unix socket, of a site that is somebody else's: GET / there
	// answers "neighbour".
	Neighbour string
	// Addr is an address of 127.0.0.0/8 with a port that no other test has.
	// Plain is another.
	Addr, Plain string
	pidFile     string
}

// Start is New, Run, and PATH set for the length of the test, which cannot be parallel.
func Start(t testing.TB, kind proxy.Kind) *Instance {
	t.Helper()
	i := New(t, kind)
	t.Setenv("PATH", i.Bin+":"+os.Getenv("PATH"))
	i.Run(t)
	return i
}

// New lays the tree out and starts nothing. It skips where the server is not
// installed. Whatever runs with that tree is ended with the test.
func New(t testing.TB, kind proxy.Kind) *Instance {
	t.Helper()
	testenv.Need(t, "root")
	// Not t.TempDir: the workers must get in.
	top, err := os.MkdirTemp("", "regctl-"+string(kind)+"-") //nolint:usetesting // see above
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(top) })
	must(t, os.Chmod(top, 0o755))
	i := &Instance{
		Kind: kind, Root: filepath.Join(top, "etc"), Bin: filepath.Join(top, "bin"),
		ErrorLog: filepath.Join(top, "log", "error.log"), Neighbour: filepath.Join(top, "run", "neighbour.sock"),
	}
	// Its own address rather than a port that was free a moment ago.
	n := rand.Uint32()
	i.Addr = fmt.Sprintf("127.%d.%d.%d:7443", 1+n>>16%254, n>>8%256, 1+n%254)
	i.Plain = strings.Replace(i.Addr, ":7443", ":7080", 1)
	for _, dir := range []string{"etc/conf.d", "etc/sites-available", "etc/sites-enabled", "bin", "log", "run", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(top, dir), 0o755))
	}
	if kind == proxy.Apache {
		i.layApache(t, top)
	} else {
		i.layNginx(t, top)
	}
	t.Cleanup(func() { i.stop(t) })
	return i
}

// Run starts the proxy.
func (i *Instance) Run(t testing.TB) {
	t.Helper()
	command := []string{"nginx"}
	if i.Kind == proxy.Apache {
		command = []string{"apache2ctl", "-k", "start"}
	}
	i.RunAs(t, i.pidFile, command...)
}

// RunAs starts a proxy that the test has laid out by itself: a program of Bin, which
// leaves that pid file.
func (i *Instance) RunAs(t testing.TB, pidFile string, command ...string) {
	t.Helper()
	i.pidFile = pidFile
	if out, err := exec.Command(filepath.Join(i.Bin, command[0]), command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	await(t, "the proxy to run", func() bool { return i.PID() != 0 })
}

// Write puts a file into the tree.
func (i *Instance) Write(t testing.TB, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(i.Root, name), []byte(text), 0o644))
}

// PID is the master's; 0 if none runs.
func (i *Instance) PID() int {
	data, err := os.ReadFile(i.pidFile)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || !alive(pid) {
		return 0
	}
	return pid
}

func (i *Instance) stop(t testing.TB) {
	pid := i.PID()
	if pid == 0 {
		return
	}
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	await(t, "the proxy to end", func() bool { return !alive(pid) })
}

// Held counts the bytes that the proxy's processes have in files that are deleted
// already or that lie in its own tree, but for its logs: temporary ones, that is.
func (i *Instance) Held(t testing.TB) int64 {
	t.Helper()
	var held int64
	pids := []int{i.PID()}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(t, err)
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(data), fmt.Sprintf(") S %d ", i.PID())) || strings.Contains(string(data), fmt.Sprintf(") R %d ", i.PID())) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			must(t, err)
			pids = append(pids, pid)
		}
	}
	if len(pids) < 2 {
		t.Fatal("the proxy has no workers")
	}
	for _, pid := range pids {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		must(t, err)
		for _, fd := range fds {
			target, err := os.Readlink(fd)
			if err != nil || strings.HasSuffix(target, ".log") {
				continue
			}
			if info, err := os.Stat(fd); err == nil && info.Mode().IsRegular() {
				held += info.Size()
			}
		}
	}
	return held
}

// ReadOnly mounts the tree over itself so that nobody can write there, until the test
// ends.
func (i *Instance) ReadOnly(t testing.TB) {
	t.Helper()
	if err := syscall.Mount(i.Root, i.Root, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("needs mount: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(i.Root, syscall.MNT_DETACH)) })
	must(t, syscall.Mount("", i.Root, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
}

// alive does not count one that has died and that nobody has asked after.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// AskNeighbour gets / of the site that is somebody else's.
func (i *Instance) AskNeighbour(t testing.TB) string {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		network := map[proxy.Kind]string{proxy.Nginx: "unix", proxy.Apache: "tcp"}[i.Kind]
		return (&net.Dialer{}).DialContext(ctx, network, i.Neighbour)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://neighbour/")
	must(t, err)
	defer resp.Body.Close()
	body := make([]byte, 64)
	n, _ := resp.Body.Read(body) // its length is checked by the caller's comparison
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body[:n])))
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
