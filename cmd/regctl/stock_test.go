package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testfleet"
)

// TestStockImage runs distribution's own images, version 2 and 3, by --image.
func TestStockImage(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	name := enginetest.Name(t, "")
	for _, stock := range []struct {
		tag  string
		make func(t testing.TB, sock, ref string)
	}{{"2", enginetest.Registry2}, {"3", enginetest.Registry3}} {
		image := name + ":" + stock.tag
		stock.make(t, "", image)
		t.Run(stock.tag, func(t *testing.T) {
			for _, tls := range []string{"none", "selfsigned"} {
				t.Run(tls, func(t *testing.T) { stockImage(t, newRun(t, bin, "stock"), image, tls) })
			}
			t.Run("mirror", func(t *testing.T) { stockMirror(t, newRun(t, bin, "stockup"), newRun(t, bin, "stockmirror"), image) })
		})
	}
	t.Run("from 2 to 3", func(t *testing.T) { stockUpgrades(t, newRun(t, bin, "stock-up"), name) })
}

// stockUpgrades moves a registry from one stock image to another, by way of one that does
// not serve.
func stockUpgrades(t *testing.T, r *run, name string) {
	broken := name + ":broken"
	enginetest.Import(t, "", broken, map[string][]byte{"/tiny": read(t, enginetest.Tiny(t))}, `ENTRYPOINT ["/tiny", "fail"]`, `CMD ["/etc/distribution/config.yml"]`)
	r.must(t, "init", "--image", name+":2", "--host", "registry.test", "--port", r.port)
	p := r.pushed(t, "")
	files := func() string {
		return string(read(t, filepath.Join(r.dir, "regctl.yaml"))) + string(read(t, filepath.Join(r.dir, "serve", "config.yml")))
	}
	before := files()
	if said := r.must(t, "upgrade", "--yes"); !strings.Contains(said, "nothing to do") {
		t.Errorf("upgrade to nothing new:\n%s", said)
	}
	start := time.Now()
	if code, said := r.fails(t, "upgrade", "--yes", "--image", broken); code != 1 || !strings.Contains(said, "did not take over") || !strings.Contains(said, "serves again: ") {
		t.Errorf("upgrade to an image that does not serve: %d\n%s", code, said)
	}
	if after := files(); after != before {
		t.Errorf("what was\n%s\ncame back as\n%s", before, after)
	}
	r.pulled(t, "", p)
	whole := time.Since(start)
	for _, tag := range []string{"3", "2", "3"} {
		moment := r.killedAt(t, whole, "upgrade", "--yes", "--image", name+":"+tag)
		r.must(t, "apply")
		image := enginetest.Docker(t, "", "inspect", "--format", "{{.Config.Image}}", r.name)
		if yaml := string(read(t, filepath.Join(r.dir, "regctl.yaml"))); !strings.Contains(yaml, "\nimage: "+image+" ") {
			t.Errorf("killed after %v: apply has %s run, and regctl.yaml says\n%s", moment, image, yaml)
		}
		r.pulled(t, "", p)
	}
	said := r.must(t, "upgrade", "--yes", "--image", name+":3")
	if after := files(); !strings.Contains(after, "image: "+name+":3") {
		t.Errorf("regctl.yaml and config.yml are\n%s", after)
	}
	if now := enginetest.Docker(t, "", "inspect", "--format", "{{.Config.Image}}", r.name); now != name+":3" {
		t.Errorf("it runs %s:\n%s", now, said)
	}
	r.pulled(t, "", p)
	life := r.started(t, "")
	if said := r.must(t, "upgrade", "--image", name+":3"); !strings.Contains(said, "nothing to do") {
		t.Errorf("the second upgrade:\n%s", said)
	}
	if now := r.started(t, ""); now != life {
		t.Errorf("the second upgrade turned %v into %v", life, now)
	}
	enginetest.Docker(t, "", "image", "inspect", name+":2") // not ours to remove
	r.must(t, "destroy", "--yes")
}

func stockImage(t *testing.T, r *run, image, tls string) {
	init := []string{"init", "--image", image, "--tls", tls, "--host", "registry.test", "--port", r.port}
	r.must(t, init...)
	p := r.pushed(t, "")
	if said := r.must(t, init...); !strings.Contains(said, "nothing to do") {
		t.Errorf("the same init again:\n%s", said)
	}
	if mounts := enginetest.Docker(t, "", "inspect", "--format", "{{range .Mounts}}{{.Type}};{{end}}", r.name); mounts != "bind;bind;" {
		t.Errorf("mounts %q, want two binds and no volume for nobody to remove", mounts)
	}
	before := r.started(t, "")

	r.edit(t, "\nconfig:\n  log:\n    level: debug\n  storage:\n    delete:\n      enabled: true\n")
	if code, said := r.fails(t, "plan"); code != 4 || !strings.Contains(said, "level: debug") {
		t.Errorf("plan: exit status %d, want 4 and the new level:\n%s", code, said)
	}
	r.must(t, "apply")
	after := r.started(t, "")
	if before.id != after.id || before.at == after.at {
		t.Errorf("apply of a setting turned %v into %v, want the same container started again", before, after)
	}
	if said := r.must(t, "apply"); !strings.Contains(said, "nothing to do") {
		t.Errorf("the same apply again:\n%s", said)
	}
	r.pulled(t, "", p)
	r.must(t, "restart")
	r.pulled(t, "", p)
	if said := r.must(t, "status", "-o", "json", "--check"); !strings.Contains(said, `"image": "`+image+`"`) {
		t.Errorf("status does not name the image:\n%s", said)
	}

	if tls == "selfsigned" {
		r.stockRenews(t, image)
		r.pulled(t, "", p)
	} else {
		r.stockCollects(t)
	}

	r.must(t, "destroy", "--yes")
	r.noContainer(t)
	enginetest.Docker(t, "", "image", "inspect", image) // not ours to remove
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", r.dir, err)
	}
}

// stockRenews renews the certificate of a stock registry, which loads it once: it is
// restarted, after that is said.
func (r *run) stockRenews(t *testing.T, image string) {
	t.Helper()
	before := r.started(t, "")
	said := r.must(t, "cert", "renew", "--force")
	first, second := strings.Index(said, image+" loads its certificate when it starts: it is restarted"), strings.Index(said, "restarting container")
	if first < 0 || second < first {
		t.Errorf("cert renew does not say first that it restarts:\n%s", said)
	}
	if after := r.started(t, ""); before.id != after.id || before.at == after.at {
		t.Errorf("cert renew turned %v into %v, want the same container started again", before, after)
	}
	r.must(t, "cert", "show")
	before = r.started(t, "")
	r.must(t, "cert", "renew")
	if after := r.started(t, ""); after != before {
		t.Error("a renewal that is not due restarted the container")
	}
}

// container is one life of a container.
type container struct{ id, at string }

func (r *run) started(t *testing.T, sock string) container {
	t.Helper()
	id, at, _ := strings.Cut(enginetest.Docker(t, sock, "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", r.name), " ")
	return container{id, at}
}

// pushed pushes a new image to the registry and pulls it back, through the engine
// of this machine at sock, over loopback, where Docker asks for no certificate.
func (r *run) pushed(t *testing.T, sock string) pushed {
	t.Helper()
	p, err := push(sock, "127.0.0.1:"+r.port+"/"+r.name)
	if err != nil {
		t.Fatal(err)
	}
	r.pulled(t, sock, p)
	return p
}

func (r *run) pulled(t *testing.T, sock string, p pushed) {
	t.Helper()
	if err := p.pull(sock); err != nil {
		t.Fatal(err)
	}
}

// edit adds text to regctl.yaml, as an editor would.
func (r *run) edit(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(r.dir, "regctl.yaml")
	if err := os.WriteFile(path, append(read(t, path), text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRotateStockImage has hosts come to another CA of a stock registry, which loads its
// certificate when it starts: it is restarted, after that is said. So does apply, for a
// name that the CA may not sign for.
func TestRotateStockImage(t *testing.T) {
	testenv.Need(t, "docker")
	image := enginetest.Name(t, "") + ":3"
	enginetest.Registry3(t, "", image)
	f := newFleetRun(t, testfleet.Hosts(1, testfleet.Docker), "--runtime", "docker", "--image", image)
	hosts := f.fleet.Hosts()
	placed := "/etc/docker/certs.d/" + f.address() + "/ca.crt"
	f.over(t, 0, "trust-clients", "--store", "docker", "--hosts", "h0").all(t, 1, "changed", "curl")
	yaml := filepath.Join(f.dir, "regctl.yaml")
	for _, args := range [][]string{{"cert", "rotate-ca", "--yes"}, {"apply"}} {
		before, was := f.started(t, ""), f.ca(t)
		if args[0] == "apply" {
			write(t, yaml, strings.Replace(string(read(t, yaml)), "- "+testfleet.RegistryName, "- "+testfleet.RegistryName+"\n  - other.example", 1))
		}
		said := f.must(t, args...)
		first, second := strings.Index(said, image+" loads its certificate when it starts: it is restarted"), strings.Index(said, "restarting container")
		if first < 0 || second < first {
			t.Errorf("%v does not say first that it restarts:\n%s", args, said)
		}
		if after := f.started(t, ""); before.id != after.id || before.at == after.at {
			t.Errorf("%v turned %v into %v, want the same container started again", args, before, after)
		}
		if f.ca(t) == was {
			t.Errorf("%v: the CA is as it was", args)
		}
		f.holds(t, hosts, placed, true)
	}
	f.over(t, 0, "untrust-clients", "--all")
	f.must(t, "destroy", "--yes")
}
