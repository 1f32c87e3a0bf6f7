package engine

import (
	"fmt"
	"os"
	"strings"
)

// startTime identifies the life of a process: the boot it belongs to and the
// clock tick at which it started (proc(5), stat, field 22). A process that has
// ended and was not waited for by its parent counts as ended.
func startTime(pid int) (string, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// Field 2, the name in parentheses, may hold anything; the rest holds none.
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)) + "/" + fields[19], true
}
