package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/testfleet"
	"github.com/regctl/regctl/internal/tests3"
)

// swarmRun is a swarm with regctl on its manager, an S3 server that all nodes reach, and a
// client that is no part of it.
type swarmRun struct {
	*testfleet.Swarm
	client *testfleet.Host
	s3     *tests3.Server
}

const swarmPort = "5000"

func newSwarmRun(t *testing.T, workers int) *swarmRun {
	t.Helper()
	testenv.Need(t, "root")
	s := &swarmRun{Swarm: testfleet.NewSwarm(t, workers, 1)}
	s.client = s.Clients[0]
	s.s3 = tests3.New(t, s.Gateway())
	s.Install(build(t))
	keys := "accesskey = " + tests3.AccessKey + "\nsecretkey = " + tests3.SecretKey + "\n"
	if err := s.Manager.WriteFile("/root/s3keys", []byte(keys)); err != nil {
		t.Fatal(err)
	}
	s.Resolve(append(s.Nodes(), s.client), s.Nodes()...)
	return s
}

// shared is init with as many registries, in S3.
func (s *swarmRun) shared(replicas int, more ...string) string {
	return fmt.Sprintf("init --runtime swarm --host %s --port %s --replicas %d --storage s3 --storage-opt region=us-east-1 --storage-opt regionendpoint=%s"+
		" --storage-opt bucket=%s --storage-opt forcepathstyle=true --storage-secret-file /root/s3keys %s",
		testfleet.SwarmName, swarmPort, replicas, s.s3.URL, tests3.Bucket, strings.Join(more, " "))
}

// regctl runs it on the manager and demands an exit status.
func (s *swarmRun) regctl(t *testing.T, code int, args string) (out, said string) {
	t.Helper()
	cmd := s.Manager.Command(t.Context(), "regctl "+args)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	t.Logf("%.1f s: regctl %.60s\n%s", time.Since(start).Seconds(), args, stderr.String())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("regctl %s: exit status %d, want %d\n%s\n%s", args, got, code, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// made is what the swarm and its nodes have of a registry: services, configs, secrets,
// images, containers and files.
func (s *swarmRun) made(nodes ...*testfleet.Host) string {
	all := []string{s.Manager.Run("docker service ls -q; docker config ls -q; docker secret ls -q; ls -d /var/lib/regctl 2>/dev/null || :")}
	for _, h := range nodes {
		all = append(all, h.Run("docker images -q; docker ps -aq; docker volume ls -q"))
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}

// gone demands that nothing is left anywhere.
func (s *swarmRun) gone(t *testing.T, when string, nodes ...*testfleet.Host) {
	t.Helper()
	if left := s.made(nodes...); strings.TrimSpace(left) != "" {
		t.Errorf("%s there is left:\n%s", when, left)
	}
}

func (s *swarmRun) ref(name string) string { return testfleet.SwarmName + ":" + swarmPort + "/" + name }

// push has the client's Docker push an image of random content, and forget it.
func (s *swarmRun) push(name string) error {
	_, err := s.client.Exec(fmt.Sprintf(`set -e; mkdir -p /run/%[2]s; cd /run/%[2]s; head -c 262144 /dev/urandom >layer; tar cf ../%[2]s.tar layer
docker import ../%[2]s.tar %[1]s >/dev/null; docker push -q %[1]s; docker image rm %[1]s`, s.ref(name), name))
	return err
}

func (s *swarmRun) pull(name string) error {
	_, err := s.client.Exec("docker pull -q " + s.ref(name) + " && docker image rm " + s.ref(name))
	return err
}

// pulls is what came of those of the client.
type pulls struct {
	mu      sync.Mutex
	done    int
	failed  []error
	slowest time.Duration
}

func (p *pulls) add(err error, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if err != nil {
		p.failed = append(p.failed, err)
	}
	p.slowest = max(p.slowest, took)
}

func (p *pulls) String() string {
	return fmt.Sprintf("%d pulls, %d failed, the slowest took %.1f s", p.done, len(p.failed), p.slowest.Seconds())
}

// pulling has workers of the client's Docker pull without pause. stop ends that and
// tells what came of it.
func (s *swarmRun) pulling(t *testing.T, workers int) (stop func() *pulls) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	found := &pulls{}
	for i := range workers {
		name := fmt.Sprintf("load%d", i)
		if err := s.push(name); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				err := s.pull(name)
				found.add(err, time.Since(start))
			}
		})
	}
	return func() *pulls {
		cancel()
		all.Wait()
		return found
	}
}

type swarmStatus struct {
	State, Detail string
	Healthy       bool
	Tasks         []struct{ Node, State string }
}

func (s *swarmRun) status(t *testing.T) (found swarmStatus) {
	t.Helper()
	out, _ := s.Manager.Command(t.Context(), "regctl status -o json").Output() // it exits with the state's own status
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return found
}

// become waits until the status is one.
func (s *swarmRun) become(t *testing.T, within time.Duration, what string, is func(swarmStatus) bool) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		now := s.status(t)
		if is(now) {
			return time.Since(start)
		}
		if time.Since(start) > within {
			t.Fatalf("within %s it is not %s: %+v\n%s", within, what, now, s.Manager.Run("docker node ls; docker service ps --no-trunc registry"))
		}
	}
}

// TestSwarm makes registries on three nodes whose kernel has no IPVS. See
// swarm_trouble_test.go for what is refused, and for what is killed. One swarm serves all.
func TestSwarm(t *testing.T) {
	t.Parallel()
	s := newSwarmRun(t, 2)
	s.refuses(t)
	s.killed(t)
	s.oneAddress(t)
	s.lives(t)
}

// lives is a registry that is updated and upgraded under load, loses a node, and leaves
// nothing.
func (s *swarmRun) lives(t *testing.T) {
	t.Helper()
	nodes := s.Nodes()
	s.regctl(t, 0, s.shared(2, "--dry-run"))
	s.gone(t, "after a dry run", nodes...)
	_, said := s.regctl(t, 0, s.shared(2))
	for _, w := range s.Workers {
		if !strings.Contains(said, w.Name+" has the image") {
			t.Errorf("init said\n%s", said)
		}
	}
	if out, said := s.regctl(t, 0, "plan"); !strings.Contains(out, "nothing to do") || strings.Contains(said, "upgrade") {
		t.Errorf("plan:\n%s%s", out, said)
	}
	s.regctl(t, 0, "trust-clients --yes --store docker --hosts "+s.client.Name)
	if err := s.push("app"); err != nil {
		t.Fatal(err)
	}
	s.rolls(t)
	s.upgrades(t)
	s.outlives(t)
	if err := s.pull("app"); err != nil {
		t.Error(err)
	}
	s.regctl(t, 0, "untrust-clients --yes --all")
	out, said := s.regctl(t, 0, "destroy --yes")
	if !strings.Contains(out, "kept image regctl/registry:") {
		t.Errorf("destroy with a node that is away:\n%s%s", out, said)
	}
	var left []*testfleet.Host
	for _, h := range nodes {
		if _, err := h.Exec("true"); err == nil {
			left = append(left, h)
		}
	}
	s.gone(t, "after destroy", left...)
}

// rolls changes all that makes tasks anew under load: not one pull may fail.
func (s *swarmRun) rolls(t *testing.T) {
	t.Helper()
	stop := s.pulling(t, 2)
	for _, args := range []string{"restart", "cert renew --force", "cert rotate-ca --yes"} {
		began := s.tasks()
		s.regctl(t, 0, args)
		for id := range strings.Lines(s.tasks()) {
			if strings.Contains(began, strings.TrimSpace(id)) {
				t.Errorf("%s left a task as it was", args)
			}
		}
	}
	found := stop()
	t.Log(found)
	if len(found.failed) > 0 {
		t.Errorf("pulls failed: %v", found.failed)
	}
	if n := len(strings.Fields(s.Manager.Run("docker config ls -q"))); n != 1 {
		t.Errorf("%d configs are there, want that of the certificate alone", n)
	}
}

// tasks are those that are to run, by their IDs.
func (s *swarmRun) tasks() string {
	return s.Manager.Run("docker service ps -q --filter desired-state=running registry")
}

// outlives cuts the power of a worker that has a task: swarm makes another elsewhere.
func (s *swarmRun) outlives(t *testing.T) {
	t.Helper()
	var lost *testfleet.Host
	for _, task := range s.status(t).Tasks {
		for _, w := range s.Workers {
			if w.Name == task.Node {
				lost = w
			}
		}
	}
	if lost == nil {
		t.Fatalf("no worker has a task: %+v", s.status(t))
	}
	stop := s.pulling(t, 1)
	start := time.Now()
	lost.Stop()
	s.become(t, 2*time.Minute, "degraded", func(now swarmStatus) bool { return now.State == "degraded" })
	seen := time.Since(start)
	s.become(t, 2*time.Minute, "running again", func(now swarmStatus) bool { return now.State == "running" && now.Healthy })
	restored := time.Since(start)
	t.Logf("%s lost its power: seen after %.1f s, two tasks run again after %.1f s; %s", lost.Name, seen.Seconds(), restored.Seconds(), stop())
}
