package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// Find asks the proxy of that kind on PATH what it is and where it reads sites from.
// Nothing is changed. The errors have hints: not installed, its own configuration
// broken (by which file), no include that would read a site of ours.
func Find(ctx context.Context, kind Kind) (Server, error) {
	var s Server
	var err error
	if kind == Apache {
		s, err = findApache(ctx)
	} else {
		s, err = findNginx(ctx)
	}
	if err != nil {
		return Server{}, err
	}
	s.Kind = kind
	s.IPv6 = hasIPv6()
	s.PID = runningPID(s.PIDFile)
	return s, s.findGroup()
}

// look finds the first program of these names on PATH, or where a login that is not
// root's does not look.
func look(names ...string) (string, bool) {
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin")
	for _, dir := range dirs {
		for _, name := range names {
			path := filepath.Join(dir, name)
			if !filepath.IsAbs(path) {
				continue
			}
			if path, err := exec.LookPath(path); err == nil {
				return path, true
			}
		}
	}
	return "", false
}

// run answers what the server's program prints, on both streams.
func (s Server) run(ctx context.Context, args ...string) (out, said string, err error) {
	words := append(append([]string{}, s.Command...), args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// runningPID is the master's, 0 if the file is absent or is left from one that died.
func runningPID(file string) int {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 1 || !isServer(pid) {
		return 0
	}
	return pid
}

// isServer tells a master from an unrelated process that has got its number since, and
// from one that has died and that nobody has asked after.
func isServer(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	comm, state, _ := statFields(stat)
	switch comm {
	case "nginx", "openresty", "angie", "apache2", "httpd", "httpd-prefork":
		return state != "Z"
	}
	return false
}

// hasIPv6 reports whether a listener on IPv6 can be had: where it cannot, a server
// that is told to have one does not start.
func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// findGroup looks up the workers' user, and their group where it was not named.
func (s *Server) findGroup() error {
	if u, err := user.Lookup(s.User); err == nil {
		s.UID, _ = strconv.Atoi(u.Uid)
		s.GID, _ = strconv.Atoi(u.Gid)
		if _, err := user.LookupGroup(s.User); s.Group == "" && err == nil {
			s.Group = s.User // nginx takes the group of the user's name
		}
		if s.Group == "" {
			if g, err := user.LookupGroupId(u.Gid); err == nil {
				s.Group = g.Name
			}
			return nil
		}
	}
	if id, ok := strings.CutPrefix(s.Group, "#"); ok { // as Apache has it
		gid, err := strconv.Atoi(id)
		s.GID = gid
		return err
	}
	g, err := user.LookupGroup(s.Group)
	if err != nil {
		return fault.Fail(fmt.Sprintf("mend the user and the group in %s", s.Conf), "%s runs its workers as %s:%s: no such group", s.Kind, s.User, s.Group)
	}
	s.GID, err = strconv.Atoi(g.Gid)
	return err
}
