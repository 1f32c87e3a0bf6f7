package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	blobSize     = 64 << 20
	getsARound   = 12 // on each connection
	putsARound   = 4
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
)

// load is one kind of work for a registry.
type load struct {
	name, kind string
	conns      int
	want       float64 // the least ratio
}

func (l load) unit() string {
	switch l.kind {
	case "manifest":
		return "requests/s"
	case "p99":
		return "ms"
	}
	return "MB/s"
}

// runLoad has a process of its own do the work, and returns what it got done a second.
func runLoad(ctx context.Context, s settings, r *registry, l load, round int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self, "load", "-kind", l.kind, "-addr", r.addr, "-tls="+strconv.FormatBool(r.tls),
		"-conns", strconv.Itoa(l.conns), "-span", s.span.String(), "-seed", strconv.Itoa(round+1), "-basic="+strconv.FormatBool(r.basic))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

func loadMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load", flag.ExitOnError)
	kind := f.String("kind", "", "manifest, p99, flood, blob or put")
	basic := f.Bool("basic", false, "log in as the bench's user")
	addr := f.String("addr", "", "HOST:PORT")
	useTLS := f.Bool("tls", false, "speak TLS")
	conns := f.Int("conns", 1, "connections")
	span := f.Duration("span", time.Second, "how long (manifest)")
	seed := f.Uint64("seed", 1, "which blobs (put)")
	if err := f.Parse(args); err != nil {
		return err
	}
	var clients []*conn
	for range *conns {
		c, err := dial(*addr, *useTLS)
		if err != nil {
			return err
		}
		if *basic {
			c.logIn()
		}
		clients = append(clients, c)
	}
	var rate float64
	var err error
	switch *kind {
	case "manifest":
		rate, err = manifests(ctx, clients, *span)
	case "p99":
		rate, err = latency(ctx, clients, *span)
	case "flood":
		rate, err = flood(ctx, clients, *span)
	case "blob":
		rate, err = blobs(ctx, clients)
	case "put":
		rate, err = puts(clients[0], *seed)
	}
	fmt.Println(rate)
	return err
}

func manifests(ctx context.Context, clients []*conn, span time.Duration) (float64, error) {
	counts := make([]int, len(clients))
	begin := time.Now()
	group, _ := errgroup.WithContext(ctx)
	for i, c := range clients {
		group.Go(func() error {
			for time.Since(begin) < span {
				if err := c.get("/v2/bench/manifests/latest", manifestType); err != nil {
					return err
				}
				counts[i]++
			}
			return nil
		})
	}
	err := group.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(begin).Seconds(), err
}

func blobs(ctx context.Context, clients []*conn) (float64, error) {
	path := "/v2/bench/blobs/" + digest(content(0, blobSize))
	begin := time.Now()
	group, _ := errgroup.WithContext(ctx)
	for _, c := range clients {
		group.Go(func() error {
			for range getsARound {
				if err := c.get(path, "*/*"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(len(clients)*getsARound*blobSize>>20) / time.Since(begin).Seconds(), err
}

func puts(c *conn, seed uint64) (float64, error) {
	var data [][]byte
	var names []string
	for i := range uint64(putsARound) {
		data = append(data, content(seed*1000+i, blobSize))
		names = append(names, digest(data[i]))
	}
	begin := time.Now()
	for i := range data {
		if err := c.put(names[i], data[i]); err != nil {
			return 0, err
		}
	}
	return float64(len(data)*blobSize>>20) / time.Since(begin).Seconds(), nil
}

// content is the same for the same seed, and does not compress.
func content(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	p := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(p)
	return p
}

func digest(p []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(p)) }

// fill pushes the blob and the manifest that are read later.
func fill(ctx context.Context, r *registry) error {
	c, err := dial(r.addr, r.tls)
	if err != nil {
		return err
	}
	defer c.nc.Close()
	if r.basic {
		c.logIn()
	}
	layer, config := content(0, blobSize), []byte("{}")
	for _, b := range [][]byte{layer, config} {
		if err := c.put(digest(b), b); err != nil {
			return err
		}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest(config)},
		"layers": []any{map[string]any{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer), "digest": digest(layer)}},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url("/v2/bench/manifests/latest"), bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", manifestType)
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: PUT manifest: %s", r.name, resp.Status)
	}
	return nil
}

// conn speaks as much HTTP/1.1 as is needed here, cheaply.
type conn struct {
	nc       net.Conn
	r        *bufio.Reader
	addr     string
	location string // of the last response
	header   string // more of each request's head
}

func insecureTransport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // loopback, a key of our own
}

func dial(addr string, useTLS bool) (*conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if useTLS {
		nc = tls.Client(nc, insecureTransport().TLSClientConfig)
	}
	return &conn{nc: nc, r: bufio.NewReaderSize(nc, 64<<10), addr: addr}, nil
}

func (c *conn) get(path, accept string) error {
	head := "GET " + path + " HTTP/1.1\r\nHost: " + c.addr + "\r\nAccept: " + accept + "\r\n" + c.header + "\r\n"
	if _, err := io.WriteString(c.nc, head); err != nil {
		return err
	}
	return c.response("200")
}

// put uploads a blob in one piece.
func (c *conn) put(name string, data []byte) error {
	if _, err := fmt.Fprintf(c.nc, "POST /v2/bench/blobs/uploads/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n%s\r\n", c.addr, c.header); err != nil {
		return err
	}
	if err := c.response("202"); err != nil {
		return err
	}
	_, path, _ := strings.Cut(c.location, c.addr)
	if _, err := fmt.Fprintf(c.nc, "PUT %s&digest=%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%s\r\n",
		path, name, c.addr, len(data), c.header); err != nil {
		return err
	}
	if _, err := c.nc.Write(data); err != nil {
		return err
	}
	return c.response("201")
}

// response reads one with that status, and throws its body away.
func (c *conn) response(status string) error {
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		switch {
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 "+status)):
			return fmt.Errorf("got %q, want %s", line, status)
		case len(line) == 0:
			_, err := c.r.Discard(length)
			return err
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			if length, err = strconv.Atoi(string(line[len("Content-Length: "):])); err != nil {
				return err
			}
		case bytes.HasPrefix(line, []byte("Location: ")):
			c.location = string(line[len("Location: "):])
		}
	}
}
