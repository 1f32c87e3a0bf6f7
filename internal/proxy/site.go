package proxy

import (
	"context"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/step"
)

// KindNginxSite and KindApacheSite are sites: the file at Ref.Path, its certificates,
// and that the server has taken both over. KindServer is that a server runs, and at
// boot too; Ref.Path is a Kind.
const (
	KindNginxSite  host.Kind = "nginx site"
	KindApacheSite host.Kind = "apache site"
	KindServer     host.Kind = "proxy server"
)

// Handlers are the host.Handlers of the kinds above.
func Handlers() map[host.Kind]host.Handler { return map[host.Kind]host.Handler{} }

// Render gives the site's file.
func Render(server Server, site Site) ([]byte, error) { return nil, nil }

// RenderContainer gives a whole nginx.conf around the site, for an nginx in a
// container. pem and users are the paths in there of what PEM gives and of the htpasswd.
func RenderContainer(site Site, pem string) ([]byte, error) { return nil, nil }

// PEM is the site's chain and key in one file.
func (s Site) PEM() []byte { return append(append([]byte{}, s.Cert...), s.Key...) }

// Steps bring the site in: its file is written and enabled, the modules that it needs
// are, the whole configuration is checked and the running server told to reload; a
// server that does not run is started, and enabled at boot. A check or reload that
// fails brings every file back, and the error says whose fault it is. Done again with
// other certificates they renew those.
func Steps(server Server, site Site) ([]step.Step, error) { return nil, nil }

// RemoveSteps keep the site of that registry away.
func RemoveSteps(server Server, name string) []step.Step { return nil }

// Reload has the server read its files again, after a check.
func Reload(ctx context.Context, server Server) error { return nil }
