// Command initbench measures what an operator waits for: init from its start to
// the first answered /v2/, against docker run of the same image with the same
// wait, in turn within one run; and the times of status and --help.
//
// It needs ./bin/regctl (make build) and a Docker Engine, and removes what it
// made. The figures are medians; the ratios are what to compare, since absolute
// times differ between machines and hours.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	bin := flag.String("regctl", "bin/regctl", "the executable to measure")
	rounds := flag.Int("rounds", 7, "rounds of each measurement, interleaved")
	flag.Parse()
	if err := run(*bin, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "initbench:", err)
		os.Exit(1)
	}
}

// bench is one run: a folder of its own, and what every container is named after.
type bench struct {
	bin, dir, prefix string
	image            string
	serve            string // a copy of a registry's serve folder, for docker run
}

func run(bin string, rounds int) error {
	abs, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "initbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{bin: abs, dir: dir, prefix: fmt.Sprintf("initbench-%d", os.Getpid())}
	if err := b.setUp(); err != nil {
		return err
	}
	defer b.destroy("anchor")

	if err := b.warm(rounds); err != nil {
		return err
	}
	if err := b.small(rounds); err != nil {
		return err
	}
	return b.cold(rounds)
}

// setUp starts a registry that keeps the image loaded, and copies what it mounts.
func (b *bench) setUp() error {
	if _, err := b.init("anchor"); err != nil {
		return err
	}
	var status struct{ Image string }
	out, err := b.regctl("anchor", "status", "-o", "json").Output()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return err
	}
	b.image, b.serve = status.Image, filepath.Join(b.dir, "serve")
	return command("cp", "-a", filepath.Join(b.dir, "anchor", "serve"), b.serve)
}

// warm compares init with docker run while the image is loaded.
func (b *bench) warm(rounds int) error {
	var ours, theirs []time.Duration
	for range rounds + 1 {
		d, err := b.init("warm")
		if err != nil {
			return err
		}
		b.destroy("warm")
		ours = append(ours, d)
		if d, err = b.dockerRun(); err != nil {
			return err
		}
		theirs = append(theirs, d)
	}
	report("warm init / docker run", ours[1:], theirs[1:], 1.25)
	return nil
}

// cold compares init with docker load and docker run where the image is not
// loaded yet. The anchor must go first: it would keep the image.
func (b *bench) cold(rounds int) error {
	archive := filepath.Join(b.dir, "image.tar")
	if err := command("docker", "save", "-o", archive, b.image); err != nil {
		return err
	}
	b.destroy("anchor")
	var ours, theirs []time.Duration
	for range rounds + 1 {
		d, err := b.init("cold")
		if err != nil {
			return err
		}
		b.destroy("cold")
		ours = append(ours, d)
		start := time.Now()
		if err := command("docker", "load", "-q", "-i", archive); err != nil {
			return err
		}
		load := time.Since(start)
		if d, err = b.dockerRun(); err != nil {
			return err
		}
		theirs = append(theirs, load+d)
		if err := command("docker", "rmi", b.image); err != nil {
			return err
		}
	}
	report("cold init / docker load + docker run", ours[1:], theirs[1:], 1.1)
	return nil
}

// small measures the commands that should feel instant.
func (b *bench) small(rounds int) error {
	for _, c := range []struct {
		args  []string
		limit time.Duration
	}{{[]string{"status"}, 60 * time.Millisecond}, {[]string{"--help"}, 30 * time.Millisecond}} {
		var times []time.Duration
		for range rounds + 1 {
			start := time.Now()
			if err := b.regctl("anchor", c.args...).Run(); err != nil {
				return err
			}
			times = append(times, time.Since(start))
		}
		m := median(times[1:])
		fmt.Printf("%-40s %6.1f ms            limit %s\n", "regctl "+strings.Join(c.args, " "), ms(m), c.limit)
	}
	return nil
}

// init starts a registry and gives the time until it answered.
func (b *bench) init(name string) (time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	out, err := b.regctl(name, "init", "--host", "bench.test", "--runtime", "docker", "--port", port).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("init: %w\n%s", err, out)
	}
	err = waitFor(port)
	return time.Since(start), err
}

func (b *bench) destroy(name string) { _ = b.regctl(name, "destroy", "--yes", "--quiet").Run() }

func (b *bench) regctl(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.bin, args...)
	cmd.Env = append(os.Environ(), "REGCTL_NAME="+b.prefix+"-"+name, "REGCTL_DIR="+filepath.Join(b.dir, name))
	return cmd
}

// dockerRun starts the same image by hand and gives the time until it answered.
func (b *bench) dockerRun() (time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	data, err := os.MkdirTemp(b.dir, "data")
	if err != nil {
		return 0, err
	}
	if err := os.Chmod(data, 0o777); err != nil { //nolint:gosec // the container's user writes here
		return 0, err
	}
	name := b.prefix + "-run"
	start := time.Now()
	err = command("docker", "run", "-d", "--restart=always", "--name", name, "-p", port+":5000",
		"-v", b.serve+":/serve:ro", "-v", data+":/var/lib/registry", b.image)
	if err != nil {
		return 0, err
	}
	err = waitFor(port)
	took := time.Since(start)
	return took, errorsFirst(err, command("docker", "rm", "-f", name))
}

func waitFor(port string) error {
	client := &http.Client{
		Timeout: time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it is our own, and only time counts
		},
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := client.Get("https://127.0.0.1:" + port + "/v2/")
		if err == nil {
			_ = resp.Body.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errorsFirst(err, l.Close())
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func report(what string, ours, theirs []time.Duration, limit float64) {
	a, b := median(ours), median(theirs)
	fmt.Printf("%-40s %6.0f / %6.0f ms = %.2f  limit %.2f\n", what, ms(a), ms(b), float64(a)/float64(b), limit)
}

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
