package trust

import (
	"net/netip"
	"slices"

	"github.com/regctl/regctl/internal/fault"
)

// Stores lists what --store takes beside auto.
func Stores() []Store {
	return []Store{Docker, Rootless, Podman, Containerd, K3s, BuildKit, OS, Insecure, Legacy}
}

// Validate refuses what would fail on every client alike, before any is touched.
func Validate(r Registry, stores []Store, opts Options) error {
	for _, s := range stores {
		switch s {
		case Insecure, Legacy:
		case Containerd, K3s, BuildKit: // the same file takes both forms
		default:
			if err := needCA(r, s); err != nil {
				return err
			}
		}
	}
	if slices.Contains(stores, Insecure) && slices.Contains(stores, Legacy) {
		return fault.Usage("name one of them, or leave it to --store auto", "--store insecure and --store legacy are the same entry in two places, and dockerd starts with one only")
	}
	if opts.AsMirror {
		if err := needMirror(r); err != nil {
			return err
		}
	}
	if opts.Login != nil {
		if err := opts.Login.check(); err != nil {
			return err
		}
	}
	if opts.MapHost == "" {
		return nil
	}
	if _, err := netip.ParseAddr(opts.MapHost); err != nil {
		return fault.Usage("--map-host takes the registry's IP address", "%q is not an IP address", opts.MapHost)
	}
	if _, err := netip.ParseAddr(r.Host); err == nil {
		return fault.Usage("leave --map-host away", "the registry is reached by its address, which needs no line in /etc/hosts")
	}
	return nil
}
