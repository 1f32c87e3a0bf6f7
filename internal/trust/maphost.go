package trust

import (
	"fmt"
	"net/netip"
	"strings"
)

// HostsLine is one line of /etc/hosts (hosts(5)): an address for a name that is in
// no DNS. It is kept, changed and removed by its mark.
type HostsLine struct {
	ID   string // the registry's address; two registries of one host have a line each
	Host string
	IP   string
}

// Part implements Editor.
func (h HostsLine) Part() string { return partName("hosts", h.ID, h.Host, h.IP) }

// Has implements Editor.
func (h HostsLine) Has(data []byte) bool {
	other, same := h.foreign(data)
	if other > 0 {
		return false
	}
	for _, line := range lines(data) {
		if ours, _ := marked(line, h.ID); ours && h.maps(line) == h.IP {
			return true
		}
	}
	return same
}

// Apply implements Editor. Another's line that gives the name another address is
// refused: the resolver would take that one first.
func (h HostsLine) Apply(data []byte) ([]byte, error) {
	if line, _ := h.foreign(data); line > 0 {
		return nil, refuse(line, fmt.Sprintf("take that line out, or leave --map-host %s away", h.IP),
			"%s has another address there", h.Host)
	}
	if h.Has(data) {
		return data, nil
	}
	base := removeMarked(data, h.ID)
	return appendMarked(base, h.ID, ownLine{text: h.IP + "\t" + h.Host}), nil
}

// Remove implements Editor.
func (h HostsLine) Remove(data []byte) ([]byte, error) { return removeMarked(data, h.ID), nil }

// foreign looks through the lines that are not ours: other is the number of the
// first that gives the name another address of the same family, same whether one
// gives it ours.
func (h HostsLine) foreign(data []byte) (other int, same bool) {
	want, err := netip.ParseAddr(h.IP)
	for i, line := range lines(data) {
		ip := h.maps(line)
		if ip == "" || strings.Contains(line, markText) {
			continue
		}
		got, gotErr := netip.ParseAddr(ip)
		switch {
		case err == nil && gotErr == nil && got.Unmap() == want.Unmap():
			same = true
		case err == nil && gotErr == nil && got.Unmap().Is4() != want.Unmap().Is4():
		case other == 0:
			other = i + 1
		}
	}
	return other, same
}

// maps is the address that a line gives the name; "" if it does not name it.
func (h HostsLine) maps(line string) string {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	for i, w := range words {
		if i > 0 && strings.EqualFold(w, h.Host) {
			return words[0]
		}
	}
	return ""
}
