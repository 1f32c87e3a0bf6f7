package proxy

import (
	"bufio"
	"net"
	"os/exec"
	"testing"
)

// TestListens holds a listening socket in a child, as a worker does, and closes it there.
func TestListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "echo holds; read line; exec 3<&-; echo closed; read line")
	cmd.ExtraFiles = append(cmd.ExtraFiles, socket)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	said := bufio.NewScanner(out)
	for _, want := range []bool{true, false} {
		if !said.Scan() {
			t.Fatal("the child ended")
		}
		if got := listens(cmd.Process.Pid); got != want {
			t.Errorf("it %s its socket: listens is %t", said.Text(), got)
		}
		if _, err := in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	_ = socket.Close() // read no more
	_ = l.Close()
}
