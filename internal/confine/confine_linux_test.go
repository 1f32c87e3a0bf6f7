package confine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
)

const id = 65532

// child is a real process, static as regctl itself is, confined in dir.
type child struct {
	*exec.Cmd
	dir, addr string
}

func start(t *testing.T, addr string) *child {
	t.Helper()
	testenv.Need(t, "root", "go")
	bin := filepath.Join(t.TempDir(), "confined")
	build := exec.Command("go", "build", "-o", bin, "./testdata/confined")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// As mktemp -d makes it: no other user can enter, and neither can they above.
	dir, err := os.MkdirTemp("", "confine") //nolint:usetesting // its place matters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, sub := range []string{"serve/tls", "data", "logs", "certs"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
	must(t, os.WriteFile(filepath.Join(dir, "certs", "ca.key"), []byte("secret"), 0o600))
	pair(t, dir, "1", "first")
	for _, sub := range []string{"serve", "data", "logs"} {
		must(t, filepath.Walk(filepath.Join(dir, sub), func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, id, id)
		}))
	}
	c := &child{exec.Command(bin, dir, addr), dir, addr}
	c.Env = []string{"GOTRACEBACK=none"}
	c.Stderr = os.Stderr
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	await(t, func() bool { return c.subject() == "first" })
	return c
}

// pair writes a TLS pair as a new generation and swaps current to it.
func pair(t *testing.T, dir, generation, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	gen := filepath.Join(dir, "serve", "tls", generation)
	must(t, os.Mkdir(gen, 0o700))
	for file, block := range map[string]*pem.Block{
		"crt": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		must(t, os.WriteFile(filepath.Join(gen, file), pem.EncodeToMemory(block), 0o600))
		must(t, os.Chown(filepath.Join(gen, file), id, id))
	}
	must(t, os.Chown(gen, id, id))
	next := filepath.Join(dir, "serve", "tls", "next")
	must(t, os.Symlink(generation, next))
	must(t, os.Rename(next, filepath.Join(dir, "serve", "tls", "current")))
}

func (c *child) client() *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

func (c *child) subject() string {
	conn, err := tls.Dial("tcp", c.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return ""
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// try asks the child to do something and returns its answer, and whether it could.
func (c *child) try(t *testing.T, what, path string) (string, bool) {
	t.Helper()
	resp, err := c.client().Get("https://" + c.addr + "/" + what + "?path=" + url.QueryEscape(path))
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(body), resp.StatusCode == http.StatusOK
}

func TestConfined(t *testing.T) {
	c := start(t, freeAddr(t))

	for _, path := range []string{"certs/ca.key", "serve/../certs/ca.key"} {
		if body, ok := c.try(t, "read", filepath.Join(c.dir, path)); ok || !strings.Contains(body, "permission denied") {
			t.Errorf("read %s: %q", path, body)
		}
	}
	if body, ok := c.try(t, "climb", ""); ok || !strings.Contains(body, "permission denied") {
		t.Errorf("read by way of a descriptor's parent: %q", body)
	}
	if body, ok := c.try(t, "setuid", ""); ok || !strings.Contains(body, "not permitted") {
		t.Errorf("setuid(0): %q", body)
	}

	written := filepath.Join(c.dir, "data", "blob")
	if body, ok := c.try(t, "write", written); !ok {
		t.Fatalf("write: %s", body)
	}
	info, err := os.Stat(written)
	must(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != id || st.Gid != id {
		t.Errorf("data is owned by %d:%d", st.Uid, st.Gid)
	}

	pair(t, c.dir, "2", "second")
	if got := c.subject(); got != "second" {
		t.Errorf("after the swap of tls/current the certificate is %q", got)
	}

	for range 12 {
		if body, ok := c.try(t, "log", ""); !ok {
			t.Fatalf("log: %s", body)
		}
	}
	await(t, func() bool {
		files, _ := filepath.Glob(filepath.Join(c.dir, "logs", "*.log"))
		return len(files) == 3
	})
	threads(t, c.Process.Pid)
}

// threads checks every thread's credentials as the kernel reports them.
func threads(t *testing.T, pid int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	must(t, err)
	if len(tasks) < 2 {
		t.Fatalf("%d threads: this proves nothing", len(tasks))
	}
	for _, task := range tasks {
		data, err := os.ReadFile(task)
		must(t, err)
		status := strings.Join(strings.Fields(string(data)), " ") + " "
		for _, want := range []string{
			" Uid: 65532 65532 65532 65532 ", " Gid: 65532 65532 65532 65532 ", " Groups: NStgid:",
			" CapInh: 0000000000000000 ", " CapPrm: 0000000000000000 ", " CapEff: 0000000000000000 ",
			" CapAmb: 0000000000000000 ", " NoNewPrivs: 1 ",
		} {
			if !strings.Contains(status, want) {
				t.Errorf("%s lacks %q:\n%s", task, want, data)
			}
		}
	}
}

func TestPrivilegedPort(t *testing.T) {
	for port := 1023; port > 900; port-- {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			must(t, l.Close())
			threads(t, start(t, addr).Process.Pid)
			return
		}
	}
	t.Fatal("no free port below 1024")
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func await(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("condition not met in 20 s")
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
