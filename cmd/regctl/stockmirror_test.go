package main_test

import (
	"strings"
	"testing"
)

// stockMirror makes a mirror of a stock image. What was pulled is pulled while the
// upstream is away, until the mirror is to start: it cannot then, and is not stopped to
// collect its garbage.
func stockMirror(t *testing.T, up, r *run, image string) {
	up.must(t, "init", "--host", "localhost", "--tls", "none", "--runtime", "process", "--port", up.port)
	p := up.pushed(t, "")
	init := []string{
		"init", "--host", "localhost", "--tls", "none", "--port", r.port, "--runtime", "docker", "--image", image,
		"--add-host", "upstream.test:" + bridge(t), "--mirror-of", "http://upstream.test:" + up.port,
	}
	if said := r.must(t, init...); !strings.Contains(said, "does not start while http://upstream.test:"+up.port+" is away") {
		t.Errorf("init:\n%s", said)
	}
	there := strings.NewReplacer("127.0.0.1:"+up.port, "127.0.0.1:"+r.port)
	p = pushed{there.Replace(p.ref), there.Replace(p.digest)}
	r.pulled(t, "", p)
	r.must(t, "restart")
	if err := pushRandom(mustRef(t, p.ref)); err == nil || !strings.Contains(err.Error(), "UNSUPPORTED") {
		t.Errorf("push: %v", err)
	}

	before := r.started(t, "")
	if said := r.must(t, "gc", "--yes", "--untagged"); !strings.Contains(said, "stopping") || r.started(t, "") == before {
		t.Errorf("gc:\n%s", said)
	}
	up.must(t, "stop")
	r.pulled(t, "", p)
	before = r.started(t, "")
	code, said := r.fails(t, "gc", "--yes")
	if code != 1 || !strings.Contains(said, "would not start again while http://upstream.test") || r.started(t, "") != before {
		t.Errorf("gc while the upstream is away: %d\n%s", code, said)
	}
	r.pulled(t, "", p)

	code, said = r.fails(t, "restart")
	if code != 1 || !strings.Contains(said, "did not start: Get \"http://upstream.test:") {
		t.Errorf("restart while the upstream is away: %d\n%s", code, said)
	}
	up.must(t, "start")
	r.healthy(t) // the engine tries again
	r.pulled(t, "", p)
	r.must(t, "destroy", "--yes")
}
