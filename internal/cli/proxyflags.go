package cli

import (
	"context"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/spec"
)

// proxyFlags say which web server stands in front.
type proxyFlags struct{ kind, image, authAt string }

func (s *proxyFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.kind, "proxy", spec.ProxyNone, "none, nginx or apache: this machine's web server has the port and TLS, and passes requests on")
	f.StringVar(&s.image, "proxy-image", "", "with --proxy nginx: run this image of nginx as a container instead")
	f.StringVar(&s.authAt, "auth-at", spec.AuthAtRegistry, "with --proxy: who asks for the password, registry or proxy (which pays bcrypt for every request)")
	for flag, values := range map[string][]string{
		"proxy":   {spec.ProxyNone, spec.ProxyNginx, spec.ProxyApache},
		"auth-at": {spec.AuthAtRegistry, spec.AuthAtProxy},
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// over lays the given flags over out. A registry that gets a proxy with them has the
// usual port of its scheme, unless another is given.
func (s *proxyFlags) over(given func(string) bool, base spec.Spec, out *spec.Spec) {
	if given("proxy") {
		out.Proxy.Kind = s.kind
	}
	if given("proxy-image") {
		out.Proxy.Image = s.image
	}
	if given("auth-at") && (s.authAt != spec.AuthAtRegistry || out.Proxy.AuthAt != "") {
		out.Proxy.AuthAt = s.authAt
	}
	if !given("port") && out.Proxied() && !base.Proxied() {
		out.Port = out.UsualPort()
	}
}

// freePort is the first port of 127.0.0.1 from first on that nobody listens on; first
// where all of the next hundred are taken.
func freePort(ctx context.Context, first int) int {
	for port := first; port < first+100; port++ {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	return first
}
