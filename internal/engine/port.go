package engine

import (
	"net"
	"strconv"
)

// FreeThePort is the hint for a port that something else holds.
const FreeThePort = "stop that, or choose another port: --port of init, port in regctl.yaml"

// PortHolder says who listens on the TCP address addr ("host:port" or ":port"),
// for a message to people: "pid 123 (nginx)", "a process of user 33" where the
// process itself cannot be seen, or "" where nobody does or nobody can tell (it
// is looked up on Linux only).
func PortHolder(addr string) string {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return ""
	}
	return portHolder(net.ParseIP(host), uint16(port))
}
