package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
)

func TestContractOverSSH(t *testing.T) {
	s := startSSHD(t)
	h, err := s.dial(t, "root", s.options())
	must(t, err)
	contract(t, func(*testing.T) host.Host { return h })
	ledgerContract(t, func(*testing.T) host.Host { return h })
}

// works looks at a file and writes another.
func works(t *testing.T, h host.Host) error {
	t.Helper()
	root := t.TempDir()
	put(t, filepath.Join(root, "seen"), odd, 0o644)
	seen := host.Ref{Kind: host.Source, Path: filepath.Join(root, "seen")}
	facts, err := h.Look(t.Context(), []host.Ref{seen, {Kind: host.File, Path: "/none"}})
	if err != nil {
		return err
	}
	if string(facts[seen].Data) != odd {
		t.Errorf("saw %+v", facts[seen])
	}
	if _, err := h.Do(t.Context(), []host.Op{file(filepath.Join(root, "new"), odd)}); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(root, "new"))
	if string(data) != odd {
		t.Errorf("wrote %q", data)
	}
	return err
}

func TestLoginShells(t *testing.T) {
	s := startSSHD(t, "Banner "+"/etc/hostname")
	for _, user := range []string{"root", "bash", "dash", "fish", "csh"} {
		h, err := s.dial(t, user, s.options())
		if err == nil {
			err = works(t, h)
		}
		if err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
}

func TestSudo(t *testing.T) {
	s := startSSHD(t)
	tests := []struct {
		user, password, want string
		asked                int32
	}{
		{"free", "", "", 0},
		{"free", password, "", 0},
		{"asker", password, "", 1},
		{"fishes", password, "", 1},
		{"asker", "wrong; touch /tmp/x", "asker: sudo does not take that password", 1},
		{"asker", "", "asker: sudo asks asker for a password", 0},
		{"cached", password, "", 1},
		{"cached", password, "", 0},
		{"cached", "", "", 0},
		{"tty", "", "tty: sudo there wants a terminal (requiretty)", 0},
		{"plain", password, "plain: plain may not use sudo", 1},
	}
	for _, tt := range tests {
		opts := s.options()
		var asked atomic.Int32
		if tt.password != "" {
			opts.BecomePassword = func() (secret.String, error) {
				asked.Add(1)
				return secret.New(tt.password), nil
			}
		}
		h, err := s.dial(t, tt.user, opts)
		must(t, err)
		err = works(t, h)
		got := ""
		if err != nil {
			got = err.Error()
			if fault.Hint(err) == "" {
				t.Errorf("%s: %v has no hint", tt.user, err)
			}
		}
		if got != tt.want || asked.Load() != tt.asked {
			t.Errorf("%s with %q: %q, asked %d times; want %q, %d", tt.user, tt.password, got, asked.Load(), tt.want, tt.asked)
		}
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	must(t, err)
	if strings.Contains(string(log), password) {
		t.Error("the password is in sshd's log")
	}
}

func TestAsTheUserWhoLoggedIn(t *testing.T) {
	s := startSSHD(t)
	opts := s.options()
	opts.AsLogin = true
	h, err := s.dial(t, "plain", opts)
	must(t, err)
	facts, err := h.Look(t.Context(), []host.Ref{host.MachineRef()})
	must(t, err)
	m := host.ParseMachine(facts[host.MachineRef()])
	if m.UID != 12345 || m.Login != "plain" || m.LoginHome != filepath.Join(s.dir, "home-plain") || m.OS == "" || m.Tools["openssl"] == "" {
		t.Errorf("%+v", m)
	}
	// What the user may not do fails as it would here.
	_, err = h.Do(t.Context(), []host.Op{file("/etc/regctl-test", "x")})
	if err == nil || err.Error() != "write /etc/regctl-test: permission denied" || fault.Hint(err) == "" {
		t.Error(err)
	}
	path := filepath.Join(s.dir, "home-plain", "theirs")
	put(t, path, "{}", 0o644)
	must(t, os.Chown(path, 12345, 12345))
	carryOut(t, h, edited{path, "one"})
	state := filepath.Join(s.dir, "home-plain", ".local")
	if _, err := os.Stat(filepath.Join(state, "state", "regctl", "undo")); err != nil {
		t.Error(err)
	}
	carryOut(t, h, left{edited{path, "one"}})
	if _, err := os.Stat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", state, err)
	}
}

func TestInterrupted(t *testing.T) {
	s := startSSHD(t)
	h, err := s.dial(t, "root", s.options())
	must(t, err)
	pipe := filepath.Join(t.TempDir(), "f")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Do(ctx, []host.Op{file(pipe, "x")}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(pipe); err == nil {
		t.Error("it was done all the same")
	}
	must(t, works(t, h))
}
