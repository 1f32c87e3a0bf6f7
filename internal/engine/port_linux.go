package engine

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func portHolder(ip net.IP, port uint16) string {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			inode, uid, ok := listener(lines.Text(), ip, port)
			if !ok {
				continue
			}
			if pid := socketOwner(inode); pid != "" {
				comm, _ := os.ReadFile("/proc/" + pid + "/comm")
				return fmt.Sprintf("pid %s (%s)", pid, strings.TrimSpace(string(comm)))
			}
			return "a process of user " + uid
		}
	}
	return ""
}

// listener reads one line of /proc/net/tcp (proc(5)) and reports whether it is a
// listening socket that stands in the way of ip and port.
func listener(line string, ip net.IP, port uint16) (inode, uid string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return "", "", false
	}
	hexIP, hexPort, _ := strings.Cut(f[1], ":")
	if p, err := strconv.ParseUint(hexPort, 16, 16); err != nil || uint16(p) != port {
		return "", "", false
	}
	bound := kernelIP(hexIP)
	if bound == nil {
		return "", "", false
	}
	everywhere := ip == nil || ip.IsUnspecified() || bound.IsUnspecified()
	return f[9], f[7], everywhere || bound.Equal(ip)
}

// kernelIP reads an address as the kernel prints it: 32-bit words in the
// machine's own byte order, which is little-endian wherever Go runs regctl.
func kernelIP(s string) net.IP {
	raw, err := hex.DecodeString(s)
	if err != nil || (len(raw) != net.IPv4len && len(raw) != net.IPv6len) {
		return nil
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	return raw
}

// socketOwner is the process that has the socket open, as far as we may look.
func socketOwner(inode string) (pid string) {
	want := "socket:[" + inode + "]"
	procs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range procs {
		fds, _ := os.ReadDir(dir)
		for _, fd := range fds {
			if link, _ := os.Readlink(filepath.Join(dir, fd.Name())); link == want {
				return filepath.Base(filepath.Dir(dir))
			}
		}
	}
	return ""
}
