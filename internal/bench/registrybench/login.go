package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/secret"
)

// firstLogin measures what somebody who was promised an account waits for: user add, from
// its start, and the first login by it, on a registry of 10,000 users that runs.
func firstLogin(ctx context.Context, s settings) error {
	dir := filepath.Join(s.dir, "login")
	port, err := freePort()
	if err != nil {
		return err
	}
	regctl := func(in string, args ...string) error {
		cmd := exec.CommandContext(ctx, s.regctl, args...)
		cmd.Env = append(os.Environ(), "REGCTL_DIR="+dir, "REGCTL_NAME=registrybench-login")
		cmd.Stdin = bytes.NewReader([]byte(in))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("regctl %s: %w\n%s", args[0], err, out)
		}
		return nil
	}
	err = regctl(benchPassword, "init", "--host", "127.0.0.1", "--port", port, "--runtime", "process",
		"--auth", "htpasswd", "--user", benchName, "--password-stdin")
	if err != nil {
		return err
	}
	defer func() { _ = regctl("", "destroy", "--yes") }()
	if err := crowd(filepath.Join(dir, "serve", "htpasswd")); err != nil {
		return err
	}
	client, err := trusting(filepath.Join(dir, "certs", "ca.crt"))
	if err != nil {
		return err
	}
	var took, hashing []float64
	for i := range s.rounds + 1 {
		user := "late" + strconv.Itoa(i)
		begin := time.Now()
		if err := regctl(benchPassword, "user", "add", user, "--password-stdin"); err != nil {
			return err
		}
		if err := logsIn(ctx, client, "https://127.0.0.1:"+port+"/v2/", user); err != nil {
			return err
		}
		whole := time.Since(begin)
		begin = time.Now()
		if _, err := htpasswd.Hash(secret.New(benchPassword), htpasswd.DefaultCost); err != nil {
			return err
		}
		if i > 0 { // after warming up
			took = append(took, whole.Seconds()*1000)
			hashing = append(hashing, time.Since(begin).Seconds()*1000)
		}
	}
	over := median(took) - median(hashing)
	fmt.Printf("%-30s %9.1f (%.1f to %.1f) ms, one bcrypt %.1f ms, want <= 150 ms and one bcrypt: %s\n", "user add to the first login",
		median(took), slices.Min(took), slices.Max(took), median(hashing), verdict(over <= 150))
	return nil
}

// crowd adds the other users to the one that there is.
func crowd(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for i := range others {
		fmt.Fprintf(f, "user%d:%s\n", i, htpasswd.Dummy(htpasswd.DefaultCost))
	}
	return f.Close()
}

// trusting is a client that makes a connection for each request, as a new login does.
func trusting(ca string) (*http.Client, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}, nil
}

func logsIn(ctx context.Context, client *http.Client, url, user string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(user, benchPassword)
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered %s", user, answer.Status)
	}
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
