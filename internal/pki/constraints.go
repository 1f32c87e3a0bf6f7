package pki

import (
	"crypto/x509"
	"net"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

func isIP(host string) bool { return net.ParseIP(host) != nil }

// constrain limits a CA to hosts: the DNS names, each with its subdomains, and
// the addresses, each alone. A kind of name that is absent is excluded whole;
// IPv4 and IPv6 are kinds of their own, because GnuTLS lets every address of a
// family pass that no constraint mentions. There is no directoryName constraint: Go and OpenSSL would refuse our own leaf.
func constrain(ca *x509.Certificate, hosts []string) {
	ca.PermittedDNSDomainsCritical = true
	var v4, v6 bool
	for _, host := range hosts {
		ip := net.ParseIP(host)
		switch {
		case ip == nil:
			ca.PermittedDNSDomains = append(ca.PermittedDNSDomains, host)
		case ip.To4() != nil:
			v4 = true
			ca.PermittedIPRanges = append(ca.PermittedIPRanges, &net.IPNet{IP: ip.To4(), Mask: net.CIDRMask(32, 32)})
		default:
			v6 = true
			ca.PermittedIPRanges = append(ca.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)})
		}
	}
	if len(ca.PermittedDNSDomains) == 0 {
		ca.ExcludedDNSDomains = []string{""}
	}
	if !v4 {
		ca.ExcludedIPRanges = append(ca.ExcludedIPRanges, &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)})
	}
	if !v6 {
		ca.ExcludedIPRanges = append(ca.ExcludedIPRanges, &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)})
	}
}

// CAFits reports whether a CA may sign for every host. The error names the first
// host outside its name constraints.
func CAFits(caPEM []byte, hosts []string) error {
	ca, err := firstCert(caPEM)
	if err != nil {
		return err
	}
	return fits(ca, hosts)
}

func fits(ca *x509.Certificate, hosts []string) error {
	for _, host := range hosts {
		ip := net.ParseIP(host)
		if ip != nil && permitsIP(ca, ip) || ip == nil && permitsDNS(ca, strings.ToLower(host)) {
			continue
		}
		return fault.Fail("a new CA is needed, which every client must then be told to trust: regctl cert rotate-ca does both", "the CA may not sign for %s", host)
	}
	return nil
}

func permitsDNS(ca *x509.Certificate, name string) bool {
	within := func(domain string) bool { return withinDomain(name, strings.ToLower(domain)) }
	if slices.ContainsFunc(ca.ExcludedDNSDomains, within) {
		return false
	}
	return len(ca.PermittedDNSDomains) == 0 || slices.ContainsFunc(ca.PermittedDNSDomains, within)
}

// withinDomain reports whether a DNS constraint covers a name. "" covers all, and
// Go takes a leading dot to mean the subdomains alone.
func withinDomain(name, domain string) bool {
	if domain == "" || name == domain {
		return true
	}
	return strings.HasSuffix(name, "."+strings.TrimPrefix(domain, "."))
}

func permitsIP(ca *x509.Certificate, ip net.IP) bool {
	contains := func(n *net.IPNet) bool { return n.Contains(ip) }
	if slices.ContainsFunc(ca.ExcludedIPRanges, contains) {
		return false
	}
	return len(ca.PermittedIPRanges) == 0 || slices.ContainsFunc(ca.PermittedIPRanges, contains)
}
