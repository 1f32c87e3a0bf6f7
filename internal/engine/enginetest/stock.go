package enginetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testenv"
)

// The images of Docker Hub begin with a shell script that takes a configuration
// as its argument; this does the same without a shell.
var likeDockerHub = []string{`ENTRYPOINT ["/bin/registry", "serve"]`, "VOLUME /var/lib/registry", "EXPOSE 5000"}

// Registry3 makes an image ref of distribution's own program, as registry:3 is.
func Registry3(t testing.TB, sock, ref string) {
	t.Helper()
	// Its cloud drivers' modules are not in our go.mod but in that of the tools.
	out, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), ".ci", "tools", "oci", "go.mod")
	exe := build(t, "-o", filepath.Join(t.TempDir(), "registry"), "-modfile="+tools, "github.com/distribution/distribution/v3/cmd/registry")
	Import(t, sock, ref, map[string][]byte{"/bin/registry": read(t, exe)},
		append(likeDockerHub, `CMD ["/etc/distribution/config.yml"]`)...)
}

// Registry2 makes an image ref of Debian's docker-registry, as registry:2 is.
func Registry2(t testing.TB, sock, ref string) {
	t.Helper()
	testenv.Need(t, "docker-registry", "ldd")
	exe, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"/bin/registry": read(t, exe)}
	libraries, err := exec.CommandContext(context.Background(), "ldd", exe).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", exe, err)
	}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files[word] = read(t, word)
		}
	}
	Import(t, sock, ref, files, append(likeDockerHub, `CMD ["/etc/docker/registry/config.yml"]`)...)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
