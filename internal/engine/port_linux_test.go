package engine

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestPortHolder(t *testing.T) {
	for _, bind := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		l, err := net.Listen("tcp", bind)
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		me := fmt.Sprintf("pid %d (", os.Getpid())
		if got := PortHolder(fmt.Sprintf(":%d", port)); !strings.HasPrefix(got, me) {
			t.Errorf("%s: PortHolder(:%d) = %q, want %s…", bind, port, got, me)
		}
		if got := PortHolder(l.Addr().String()); !strings.HasPrefix(got, me) {
			t.Errorf("PortHolder(%s) = %q, want %s…", l.Addr(), got, me)
		}
		if got := PortHolder(fmt.Sprintf("127.0.0.9:%d", port)); bind != ":0" && got != "" {
			t.Errorf("%s: another address is said to be held by %q", bind, got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := PortHolder(fmt.Sprintf(":%d", port)); got != "" {
			t.Errorf("after close: %q", got)
		}
	}
	if got := PortHolder("nonsense"); got != "" {
		t.Errorf("nonsense: %q", got)
	}
}
