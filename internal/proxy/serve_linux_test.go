package proxy_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
)

func TestPushAndPull(t *testing.T) {
	for _, kind := range []proxy.Kind{proxy.Nginx, proxy.Apache} {
		t.Run(string(kind), func(t *testing.T) {
			i := proxytest.Start(t, kind)
			ca := newAuthority(t)
			cert, key := ca.issue(t)
			dir := t.TempDir()
			_, err := install(t, kind, siteFor(i, cert, key, upstream(t, dir, "tcp"), upstream(t, dir, "tcp")))
			must(t, err)
			_, port, err := net.SplitHostPort(i.Addr)
			must(t, err)
			base := "https://" + name + ":" + port
			for _, http2 := range []bool{false, true} {
				t.Run(fmt.Sprintf("HTTP2 %v", http2), func(t *testing.T) {
					c := client(ca.cert, i.Addr, http2)
					want := map[bool]int{false: 1, true: 2}[http2]
					if resp := ask(t, c, "GET", base+"/v2/", nil, nil, 200); resp.ProtoMajor != want {
						t.Errorf("spoke %s", resp.Proto)
					}
					blob, manifest := push(t, c, base, random(t, 3<<20))
					pull(t, c, base, blob, manifest)
				})
			}
			if got := i.AskNeighbour(t); got != "200 neighbour" {
				t.Errorf("the site beside ours answers %q", got)
			}
		})
	}
}
