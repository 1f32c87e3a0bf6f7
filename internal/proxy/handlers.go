package proxy

import (
	"github.com/regctl/regctl/internal/host"
)

// Handlers are the host.Handlers of sites and servers.
func Handlers() map[host.Kind]host.Handler {
	return map[host.Kind]host.Handler{
		KindNginxSite:  Sites{Nginx},
		KindApacheSite: Sites{Apache},
		KindServer:     Servers{},
	}
}
