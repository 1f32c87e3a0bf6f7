package main

import (
	"net"
	"sync"
	"time"
)

// slowProxy passes bytes on to one address and keeps each of them for a while, in both
// directions, as a long way does. It counts how often the answer came after a question.
type slowProxy struct {
	to    string
	delay time.Duration

	mu     sync.Mutex
	asking bool // the client spoke last
	turns  int
}

// listen serves until the listener is closed.
func (p *slowProxy) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return l, nil
}

func (p *slowProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client, true) })
	both.Go(func() { p.pass(client, server, false) })
	both.Wait()
}

// chunk is bytes that may be passed on from a time on.
type chunk struct {
	data []byte
	due  time.Time
}

// pass copies one direction. Reading goes on while what was read before is kept.
func (p *slowProxy) pass(to, from net.Conn, question bool) {
	line := make(chan chunk, 1024)
	go func() {
		defer close(line)
		for {
			buffer := make([]byte, 64<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				p.heard(question)
				line <- chunk{buffer[:n], time.Now().Add(p.delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range line {
		time.Sleep(time.Until(c.due))
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	// Either end's going is the other's: regctl leaves no connection half open.
	_ = to.Close()
	_ = from.Close()
	for range line { // so that the reader ends
		continue
	}
}

func (p *slowProxy) heard(question bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !question && p.asking {
		p.turns++
	}
	p.asking = question
}

// taken returns the turns since it was asked last.
func (p *slowProxy) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.turns
	p.turns, p.asking = 0, false
	return n
}
