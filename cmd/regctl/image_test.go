package main_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// pushed is an image that nobody but a registry has any more.
type pushed struct{ ref, digest string }

// push makes an image of random content in an engine (the machine's own for ""),
// pushes it to repository, and has the engine forget it, its layer included.
func push(sock, repository string) (pushed, error) { return pushOf(sock, repository, 64<<10) }

// pushOf is push of an image of so many bytes.
func pushOf(sock, repository string, size int) (pushed, error) {
	p := pushed{ref: repository + ":" + strings.ToLower(rand.Text())}
	if _, err := docker(sock, layerOf(size), "import", "-", p.ref); err != nil {
		return p, err
	}
	defer func() { _, _ = docker(sock, nil, "image", "rm", "-f", p.ref) }()
	if _, err := docker(sock, nil, "push", p.ref); err != nil {
		return p, err
	}
	var err error
	p.digest, err = digest(sock, p.ref)
	return p, err
}

// pull gets the image back from its registry, by the wire and not from anything
// the engine still had, and has the engine forget it again.
func (p pushed) pull(sock string) error {
	if got, err := docker(sock, nil, "image", "inspect", p.ref); err == nil {
		return fmt.Errorf("%s is still in the engine: %s", p.ref, got)
	}
	said, err := docker(sock, nil, "pull", p.ref)
	if err != nil {
		return err
	}
	defer func() { _, _ = docker(sock, nil, "image", "rm", "-f", p.ref) }()
	if !strings.Contains(said, "Pull complete") {
		return fmt.Errorf("no layer of %s was downloaded:\n%s", p.ref, said)
	}
	got, err := digest(sock, p.ref)
	if err == nil && got != p.digest {
		err = fmt.Errorf("pulled %s, pushed %s", got, p.digest)
	}
	return err
}

func digest(sock, ref string) (string, error) {
	return docker(sock, nil, "image", "inspect", "--format", "{{index .RepoDigests 0}}", ref)
}

func layer() []byte { return layerOf(64 << 10) }

func layerOf(size int) []byte {
	content := make([]byte, size)
	_, _ = rand.Read(content)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	_ = w.WriteHeader(&tar.Header{Name: "layer", Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg})
	_, _ = w.Write(content)
	_ = w.Close()
	return out.Bytes()
}

// docker runs the docker command, with no settings or logins of whoever runs the
// tests.
func docker(sock string, stdin []byte, args ...string) (string, error) {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG=/nonexistent")
	if sock != "" {
		cmd.Env = append(cmd.Env, "DOCKER_HOST=unix://"+sock)
	}
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}
