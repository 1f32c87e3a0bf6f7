package main_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
)

// nginxImage makes an image of this machine's nginx.
func nginxImage(t *testing.T) string {
	t.Helper()
	testenv.Need(t, "docker", "/usr/sbin/nginx", "ldd")
	files := map[string][]byte{"/usr/sbin/nginx": read(t, "/usr/sbin/nginx")}
	libraries, err := exec.Command("ldd", "/usr/sbin/nginx").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files[word] = read(t, word)
		}
	}
	image := enginetest.Name(t, "") + ":nginx"
	enginetest.Import(t, "", image, files, "ENV PATH=/usr/sbin:/usr/bin", `CMD ["nginx"]`)
	return image
}

// TestProxyImage has the proxy in a container too.
func TestProxyImage(t *testing.T) {
	testenv.Need(t, "root", "docker")
	bin, image := build(t), nginxImage(t)
	for name, flags := range map[string][]string{
		"embedded, registry asks": nil,
		"embedded, proxy asks":    {"--auth-at", "proxy"},
	} {
		t.Run(name, func(t *testing.T) { imaged(t, bin, image, flags...) })
	}
	t.Run("stock, proxy asks", func(t *testing.T) {
		stock := enginetest.Name(t, "") + ":3"
		enginetest.Registry3(t, "", stock)
		imaged(t, bin, image, "--auth-at", "proxy", "--image", stock)
	})
}

func imaged(t *testing.T, bin, image string, flags ...string) {
	p := &proxiedRun{run: newRun(t, bin, "pximage"), kind: "nginx"}
	p.told(t, firstPhrase, append([]string{
		"init", "--proxy", "nginx", "--proxy-image", image, "--host", "registry.test", "--port", p.port,
		"--auth", "htpasswd", "--user", "alice", "--password-stdin",
	}, flags...)...)
	check := func(password string) {
		t.Helper()
		if nobody, alice := p.asked(t, "", ""), p.asked(t, "alice", password); nobody != http.StatusUnauthorized || alice != http.StatusOK {
			t.Errorf("nobody %d, alice %d", nobody, alice)
		}
	}
	check(firstPhrase)
	if ports := enginetest.Docker(t, "", "port", p.name); ports != "" {
		t.Errorf("the registry's own container publishes %s", ports)
	}
	p.locations(t)
	before := p.started(t, "")
	p.must(t, "cert", "renew", "--force")
	if matches := p.must(t, "cert", "show", "-o", "json"); !strings.Contains(matches, `"servedMatches": true`) {
		t.Errorf("cert show: %s", matches)
	}
	p.told(t, secondPhrase, "user", "passwd", "alice", "--password-stdin")
	check(secondPhrase)
	if now := p.started(t, ""); now != before {
		t.Errorf("%v became %v", before, now)
	}
	if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
		t.Errorf("plan:\n%s", found)
	}
	if len(flags) == 0 {
		p.withoutImage(t, image)
	}
	p.must(t, "destroy", "--yes")
	p.noContainer(t)
	if found := enginetest.Docker(t, "", "network", "ls", "-q", "--filter", "name=regctl-"+p.name); found != "" {
		t.Error("destroy left the network")
	}
}

// withoutImage moves the registry out from behind its proxy's container and back.
func (p *proxiedRun) withoutImage(t *testing.T, image string) {
	t.Helper()
	path := filepath.Join(p.dir, "regctl.yaml")
	behind := read(t, path)
	text := bytes.Replace(behind, []byte("kind: nginx"), []byte("kind: none"), 1)
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.Contains(line, "image: "+image) })
	for _, text := range []string{strings.Join(lines, "\n"), string(behind)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.must(t, "apply")
		if code := p.asked(t, "alice", secondPhrase); code != http.StatusOK {
			t.Errorf("alice: %d", code)
		}
		if found := p.must(t, "plan"); !strings.Contains(found, "nothing to do") {
			t.Errorf("plan:\n%s", found)
		}
		if n, want := len(p.containers(t)), 1+strings.Count(text, "kind: nginx"); n != want {
			t.Errorf("%d containers, want %d", n, want)
		}
	}
}
