package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
)

// config is the same for both registries: what the suite deletes must be deletable.
func config(t *testing.T, addr string) []byte {
	t.Helper()
	return fmt.Appendf(nil, `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http: {addr: %q, secret: conformance}
`, t.TempDir(), addr)
}

// startDistribution runs distribution's own program until the test ends.
func startDistribution(t *testing.T, bin string) (addr string) {
	t.Helper()
	// It cannot be handed a listener: the port is free now, and the wait below
	// tells should another process take it first.
	addr = listen(t, func(l net.Listener) { l.Close() })
	file := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(file, config(t, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "serve", file)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := answers(t, addr); err != nil {
		cmd.Process.Kill()
		_ = cmd.Wait()
		t.Fatalf("distribution's registry: %v\n%s", err, log.String())
	}
	return addr
}

// startEmbedded serves the embedded registry in this process until the test ends.
func startEmbedded(t *testing.T) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	addr = listen(t, func(l net.Listener) {
		data := config(t, l.Addr().String())
		go func() {
			done <- embeddedregistry.Serve(ctx, embeddedregistry.Options{ConfigData: data, Listener: l, Log: io.Discard})
		}()
	})
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the embedded registry: %v", err)
		}
	})
	if err := answers(t, addr); err != nil {
		t.Fatalf("the embedded registry: %v", err)
	}
	return addr
}

func listen(t *testing.T, use func(net.Listener)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	use(l)
	return addr
}

// answers waits until /v2/ does, ten seconds at most.
func answers(t *testing.T, addr string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/v2/", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("/v2/ says %s", resp.Status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no answer in 10 s: %w", err)
		}
	}
}
