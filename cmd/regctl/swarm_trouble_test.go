package main_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testfleet"
)

// refuses what cannot be made, and leaves nothing.
func (s *swarmRun) refuses(t *testing.T) {
	t.Helper()
	const local = "init --runtime swarm --tls none --host swarm.test"
	last := s.Workers[1]
	last.KillSSHD()
	for _, tt := range []struct {
		code       int
		args, want string
	}{
		{2, local + " --replicas 2", "would each have images of their own"},
		{1, s.shared(4), "4 registries need as many nodes"},
		{1, s.shared(1, "--constraint node.labels.none==x"), "none that is up and meets the constraints"},
		{2, s.shared(2, "--nodes root@h7"), `no node of the swarm is called "h7"`},
		{1, s.shared(2), "1 of 2 nodes cannot be given the image, and none is to start without: " + last.Name + ": "},
	} {
		if _, said := s.regctl(t, tt.code, tt.args); !strings.Contains(said, tt.want) || !strings.Contains(said, "hint: ") {
			t.Errorf("regctl %s said\n%s\nwant %q", tt.args, said, tt.want)
		}
		s.gone(t, "after it refused "+tt.args, s.Nodes()...)
	}
	last.StartSSHD()
}

// killed kills init as it brings the image to nodes, and as it makes the service. The first
// is cleared away by destroy, the second finished by init.
func (s *swarmRun) killed(t *testing.T) {
	t.Helper()
	s.killAt(t, "loading the image on", s.shared(2))
	s.regctl(t, 0, "destroy --yes")
	s.gone(t, "after destroy of what was killed", s.Nodes()...)

	s.killAt(t, "waiting for the tasks", s.shared(2))
	s.regctl(t, 0, s.shared(2))
	if now := s.status(t); now.State != "running" || !now.Healthy || len(now.Tasks) != 2 {
		t.Errorf("after init again: %+v", now)
	}
	s.heals(t)
	s.regctl(t, 0, "destroy --yes")
	s.gone(t, "after destroy", s.Nodes()...)
}

// heals takes the image from the node that has no task, and drains one that has: swarm
// then finds that it is missing, and apply brings it once more.
func (s *swarmRun) heals(t *testing.T) {
	t.Helper()
	tasks := map[string]bool{}
	for _, task := range s.status(t).Tasks {
		tasks[task.Node] = true
	}
	var free, busy *testfleet.Host
	for _, h := range s.Nodes() {
		if tasks[h.Name] {
			busy = h
		} else {
			free = h
		}
	}
	if free == nil || busy == nil {
		t.Fatalf("two tasks on three nodes: %v", tasks)
	}
	free.Run("docker image rm $(docker images -q)")
	s.Manager.Run("docker node update --availability drain " + busy.Name)
	s.become(t, time.Minute, "without a task for lack of the image", func(now swarmStatus) bool {
		return now.State == "degraded" && strings.Contains(s.Manager.Run("docker service ps --no-trunc registry"), "No such image")
	})
	_, said := s.regctl(t, 0, "apply")
	s.become(t, time.Minute, "running", func(now swarmStatus) bool { return now.State == "running" && now.Healthy })
	if free != s.Manager && !strings.Contains(said, free.Name+" has the image") {
		t.Errorf("apply said\n%s", said)
	}
	s.Manager.Run("docker node update --availability active " + busy.Name)
}

// killAt kills regctl -9 when it says something.
func (s *swarmRun) killAt(t *testing.T, when, args string) {
	t.Helper()
	cmd := s.Manager.Command(t.Context(), "echo $$ >/run/killed.pid; exec regctl "+args) // tasks are called regctl too
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	hit := false
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), when) && !hit {
			hit = true
			s.Manager.Run("kill -KILL $(cat /run/killed.pid)")
		}
	}
	if err := cmd.Wait(); err == nil || !hit {
		t.Fatalf("regctl %s was to be killed as it said %q: %v, %v", args, when, hit, err)
	}
}

// oneAddress measures what an update costs where one node has the images.
func (s *swarmRun) oneAddress(t *testing.T) {
	t.Helper()
	s.regctl(t, 0, "init --runtime swarm --tls none --host swarm.test --port "+swarmPort)
	if at := s.Manager.Run("docker service ps --format '{{.Node}}' registry"); at != s.Manager.Name {
		t.Errorf("the task is on %q, and the images on %s", at, s.Manager.Name)
	}
	if out := s.Workers[0].Run("docker images -q"); out != "" {
		t.Errorf("a node that can have no task has an image: %s", out)
	}
	pause := s.longestPause(t)
	_, said := s.regctl(t, 0, "restart")
	longest := pause()
	if !strings.Contains(said, "nobody answers") || strings.Index(said, "nobody answers") > strings.Index(said, "waiting for") {
		t.Errorf("the pause is not stated before:\n%s", said)
	}
	if longest < 100*time.Millisecond || longest > time.Minute {
		t.Errorf("it was away for %s", longest)
	}
	t.Logf("one address: away for %.1f s", longest.Seconds())
	s.regctl(t, 0, "destroy --yes")
	s.gone(t, "after destroy", s.Nodes()...)
}

// longestPause asks the manager's address again and again; the function returned ends
// that and tells the longest time without an answer.
func (s *swarmRun) longestPause(t *testing.T) func() time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan time.Duration)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := "http://" + net.JoinHostPort(s.Manager.Addr, swarmPort) + "/v2/"
	answers := func() bool {
		resp, err := client.Get(url)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		longest, last := time.Duration(0), time.Now()
		for ctx.Err() == nil {
			<-tick.C
			if answers() {
				longest, last = max(longest, time.Since(last)), time.Now()
			}
		}
		result <- max(longest, time.Since(last))
	}()
	return func() time.Duration {
		cancel()
		return <-result
	}
}
