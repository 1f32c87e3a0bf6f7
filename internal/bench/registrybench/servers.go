package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// registry is one that runs.
type registry struct {
	name, addr string
	tls        bool
	took       time.Duration // from exec to the first 200
	cmd        *exec.Cmd
	client     *http.Client
	basic      bool // asks for the bench's user
}

// ourConfig is what regctl renders, as far as it matters here.
const ourConfig = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
http:
  addr: %s
  secret: measured
  headers: {X-Content-Type-Options: [nosniff]}
%s
health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}
`

// debianConfig is /etc/docker/registry/config.yml without auth.
const debianConfig = `version: 0.1
log: {fields: {service: registry}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
http:
  addr: %s
  headers: {X-Content-Type-Options: [nosniff]}
%s
health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}
`

// start runs a registry and waits for its first 200.
func start(ctx context.Context, s settings, name string, tls bool) (*registry, error) {
	return startWith(ctx, s, name, tls, "")
}

// startWith has the registry ask for passwords, of the users in a file.
func startWith(ctx context.Context, s settings, name string, tls bool, users string) (*registry, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, name)
	if err != nil {
		return nil, err
	}
	r := &registry{name: name, addr: addr, tls: tls, client: &http.Client{}}
	section := ""
	if tls {
		if section, err = r.pair(dir); err != nil {
			return nil, err
		}
	}
	config, template, args := filepath.Join(dir, "config.yml"), debianConfig, []string{s.debian, "serve"}
	if name == "ours" {
		template, args[0] = ourConfig, s.regctl
	}
	text := fmt.Sprintf(template, filepath.Join(dir, "data"), addr, section)
	if users != "" {
		text += fmt.Sprintf("auth: {htpasswd: {realm: bench, path: %s}}\n", users)
		r.basic, r.client.Transport = true, benchUser{}
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r.cmd = exec.CommandContext(ctx, args[0], append(args[1:], config)...)
	var stderr bytes.Buffer
	if name == "ours" {
		r.cmd.Stderr = &stderr
	}
	begin := time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	deadline := begin.Add(10 * time.Second)
	for {
		resp, err := r.client.Get(r.url("/v2/"))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				r.took = time.Since(begin)
				return r, nil
			}
		}
		if time.Now().After(deadline) {
			r.stop()
			return nil, fmt.Errorf("%s: did not start: %s", name, stderr.String())
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (r *registry) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	_ = r.cmd.Wait()
}

func (r *registry) url(path string) string {
	if r.tls {
		return "https://" + r.addr + path
	}
	return "http://" + r.addr + path
}

// rss is the process's resident memory in MiB.
func (r *registry) rss() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil // MiB
		}
	}
	return 0, errors.New("no VmRSS")
}

// pair writes a certificate that is its own CA, and returns the http.tls section.
func (r *registry) pair(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	r.client.Transport = insecureTransport()
	crt, keyFile := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	return fmt.Sprintf("  tls: {certificate: %s, key: %s}", crt, keyFile), errors.Join(
		os.WriteFile(crt, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// alone measures what needs no other registry.
func alone(ctx context.Context, s settings) error {
	fi, err := os.Stat(s.regctl)
	if err != nil {
		return err
	}
	var starts, memory []float64
	for range max(s.rounds, 5) {
		r, err := start(ctx, s, "ours", false)
		if err != nil {
			return err
		}
		time.Sleep(time.Second) // idle
		mb, err := r.rss()
		r.stop()
		if err != nil {
			return err
		}
		starts = append(starts, float64(r.took.Microseconds())/1000)
		memory = append(memory, mb)
	}
	reportLimit("serve: start to first 200", median(starts), "ms", 30)
	reportLimit("serve: idle RSS", median(memory), "MiB", 30)
	reportLimit("static stripped executable", float64(fi.Size())/(1<<20), "MiB", 28)
	return nil
}

func reportLimit(name string, got float64, unit string, most float64) {
	fmt.Printf("%-30s %9.1f %s, want <= %.0f: %s\n", name, got, unit, most, verdict(got <= most))
}
