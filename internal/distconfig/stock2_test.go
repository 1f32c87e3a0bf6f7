package distconfig

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/testenv"
)

// The schema of registry 2 is a table here; a real one says whether it is right.
func TestRegistry2StartsOnWhatIsRendered(t *testing.T) {
	testenv.Need(t, "docker-registry")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(Stock2)
	env.Addr, env.Data = listener.Addr().String(), t.TempDir()
	listener.Close()
	text, err := Render(testSpec(spec.TLSNone, tree{
		"storage": tree{"cache": tree{"blobdescriptor": "redis"}},
		"redis":   tree{"addrs": []any{"127.0.0.1:1"}, "poolsize": 64, "maxidleconns": 16, "connmaxidletime": "300s"},
		"http":    tree{"draintimeout": "1s"},
		"catalog": tree{"maxentries": 10},
	}), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(text, Stock2); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var log bytes.Buffer
	registry := exec.CommandContext(ctx, "docker-registry", "serve", file)
	registry.Stdout, registry.Stderr = &log, &log
	if err := registry.Start(); err != nil {
		t.Fatal(err)
	}
	answered := answers(ctx, "http://"+env.Addr+"/v2/")
	cancel()
	_ = registry.Wait() // killed by us
	if !answered {
		t.Errorf("it did not answer:\n%s", log.String())
	}
}

func answers(ctx context.Context, url string) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
