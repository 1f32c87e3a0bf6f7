package embeddedregistry

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"
)

// Who was let in before the registry stops is answered, also by a request that comes
// after: a client that tries several addresses has left the others aside by then.
func TestDrainServesNewcomers(t *testing.T) {
	s := serve(t, plain)
	conns := make([]net.Conn, 3)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", s.addr); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		if err := conns[i].SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	// All are accepted when a later one is answered.
	if got := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/"); got.status != http.StatusOK {
		t.Fatal(got.status)
	}
	s.cancel()
	wait(t, "the listener to close", func() bool {
		c, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	for _, c := range conns[1:] { // the first never asks, and is no reason to wait
		if _, err := c.Write([]byte("GET /v2/ HTTP/1.1\r\nHost: r\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("a connection that was let in before got %v", err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("%s, Connection: close %t", resp.Status, resp.Close)
		}
	}
	conns[0].Close()
	s.stop(t)
}
