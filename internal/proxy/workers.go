package proxy

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// children are the processes whose parent is pid, with their command lines: nginx
// writes there what a worker is about.
func children(pid int) map[int]string {
	all := map[int]string{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return all
	}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if _, state, parent := statFields(data); err != nil || parent != pid || state == "Z" {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if err == nil {
			all[child] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return all
}

// statFields are a process's name, state and parent, as proc(5)'s stat has them; the
// name is in parentheses and may hold anything.
func statFields(stat []byte) (comm, state string, parent int) {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return "", "", 0
	}
	fields := strings.Fields(string(stat[to+1:]))
	if len(fields) < 2 {
		return "", "", 0
	}
	parent, _ = strconv.Atoi(fields[1]) // the kernel's own number
	return string(stat[from+1 : to]), fields[0], parent
}

// listens reports whether a process has a TCP socket that listens (proc(5), net/tcp). Of
// one that cannot be looked at it is not known to.
func listens(pid int) bool {
	listening := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == "0A" {
				listening["socket:["+fields[9]+"]"] = true
			}
		}
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(open, func(fd string) bool {
		to, err := os.Readlink(fd)
		return err == nil && listening[to]
	})
}

// generations reports whether there are workers that were not there, and whether there
// are still some of the old ones that may take connections. An Apache does not show
// that: each of its old ones counts until it has ended.
func generations(kind Kind, old, now map[int]string) (fresh, stale bool) {
	for pid, title := range now {
		if kind == Nginx && !strings.Contains(title, "worker process") {
			continue // the cache's
		}
		_, was := old[pid]
		fresh = fresh || !was
		stale = stale || was && !strings.Contains(title, "is shutting down")
	}
	return fresh, stale
}

// What a server logs when it does not go on: nginx's master by its pid, and Apache
// before it ends.
var (
	nginxComplaint  = regexp.MustCompile(`(?m)\[emerg\] (\d+)#\d+: (.*)$`)
	apacheComplaint = regexp.MustCompile(`(?m):(?:emerg|alert|crit|error)\] \[pid (\d+)[^\]]*\] (.*)$`)
)

// complaint is why the master pid goes on as before, or has ended, if it has said so
// since. nginx tries an address that is taken five times before it gives up.
func (l *logTail) complaint(kind Kind, pid int) string {
	if l.file == nil {
		return ""
	}
	more, _ := io.ReadAll(l.file) // what cannot be read says nothing
	l.text = append(l.text, more...)
	form := nginxComplaint
	if kind == Apache {
		form = apacheComplaint
	}
	var all []string
	for _, m := range form.FindAllSubmatch(l.text, -1) {
		if string(m[1]) == strconv.Itoa(pid) {
			all = append(all, string(m[2]))
		}
	}
	switch {
	case len(all) == 0:
		return ""
	case kind == Apache, all[len(all)-1] == "still could not bind()":
		return all[0] // the rest is what follows from it
	case strings.HasPrefix(all[len(all)-1], "bind() to "):
		return ""
	}
	return all[len(all)-1]
}

// portHint says what to do about an address that is taken.
func portHint(why string) string {
	if strings.Contains(why, "ddress already in use") {
		return "free the port, or choose another --port"
	}
	return "mend that and run the same command again"
}
