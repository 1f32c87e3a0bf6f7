package testfleet_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/testfleet"
)

func TestSwarm(t *testing.T) {
	s := testfleet.NewSwarm(t, 1, 1, testfleet.Sudo)
	if out := s.Manager.Run("docker node ls --format '{{.Hostname}} {{.Status}} {{.ManagerStatus}}' | sort"); out != "h0 Ready Leader\nh1 Ready " {
		t.Errorf("the nodes are\n%s", out)
	}
	if out, err := s.Clients[0].Exec("docker info --format '{{.Swarm.LocalNodeState}}'"); out != "inactive" {
		t.Errorf("a client's engine: %q, %v", out, err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec ssh -o BatchMode=yes -n ops@h1 hostname\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Install(program)
	if out := s.Manager.Run("regctl"); out != "h1" {
		t.Errorf("a program that logs in to the worker: %q", out)
	}
	s.Resolve(s.Clients, s.Workers[0], s.Manager)
	out := strings.Fields(s.Clients[0].Run("getent ahostsv4 " + testfleet.SwarmName + " | grep STREAM"))
	if len(out) < 4 || out[0] != s.Workers[0].Addr || !strings.Contains(strings.Join(out[1:], " "), s.Manager.Addr) {
		t.Errorf("the name resolves to %q", out)
	}
}
