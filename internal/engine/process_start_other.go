//go:build !linux

package engine

import (
	"os/exec"
	"strconv"
	"strings"
)

// startTime identifies the life of a process by the second in which it started,
// as ps(1) prints it. Where there is no ps nothing is known of any process.
func startTime(pid int) (string, bool) {
	ps := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	ps.Env = []string{"PATH=/bin:/usr/bin", "LC_ALL=C", "TZ=UTC"}
	out, err := ps.Output()
	state, start, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok || strings.HasPrefix(state, "Z") {
		return "", false
	}
	return strings.TrimSpace(start), true
}
