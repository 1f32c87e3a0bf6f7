package embeddedregistry

import (
	"bufio"
	"encoding/hex"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// sender tells where a request comes from, for the queue of passwords.
type sender struct {
	proxies []netip.Prefix
	gateway string // Docker's, "" where there is none
}

// address is the sender's. Where that cannot be known, behind Docker's gateway, it is
// "" for all. Of IPv6 it is the network, which one sender may have all of. What a
// sender says of itself counts only where the peer is a proxy of ours: from the right,
// the first address that is none of theirs.
func (r *roster) address(req *http.Request) string {
	var addr netip.Addr
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err == nil {
		addr = peer.Addr().Unmap()
	}
	// Whoever may connect to a unix socket, which has no address, is a proxy of ours.
	if err != nil || r.sender.trusts(addr) {
		hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			said, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break
			}
			if addr = said.Unmap(); !r.sender.trusts(addr) {
				break
			}
		}
	}
	switch {
	case !addr.IsValid():
		return ""
	case addr.Is6():
		net, _ := addr.WithZone("").Prefix(64)
		return net.String()
	}
	if text := addr.String(); text != r.sender.gateway {
		return text
	}
	return ""
}

func (s sender) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// dockerGateway is the address of this machine's default route, which inside a
// container is Docker's; "" where there is none. The form is that of proc(5).
func dockerGateway() string {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) < 3 || field[1] != "00000000" {
			continue
		}
		if b, err := hex.DecodeString(field[2]); err == nil && len(b) == 4 {
			slices.Reverse(b)
			addr, _ := netip.AddrFromSlice(b)
			return addr.String()
		}
	}
	return ""
}
