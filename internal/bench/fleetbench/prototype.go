package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/regctl/regctl/internal/fleet"
)

// placeCA is all that the prototype does on a host: it places a file, and neither looks
// at what is there nor remembers what was.
const placeCA = `set -e; umask 022; d=` + caDir + `; mkdir -p $d; t=$d/.ca.$$; cat >$t; sync $t; mv -f $t $d/ca.crt`

// clientArgs are what a client in Go is told; the CLI knows them by the same names.
type clientArgs struct {
	hostsFile, user, identity, knownHosts string

	ca       string // a file
	parallel int
}

func (c *clientArgs) parse(args []string) error {
	f := flag.NewFlagSet("client", flag.ContinueOnError)
	f.StringVar(&c.hostsFile, "hosts-file", "", "")
	f.StringVar(&c.user, "user", "root", "")
	f.StringVar(&c.identity, "identity", "", "")
	f.StringVar(&c.knownHosts, "known-hosts", "", "")
	f.StringVar(&c.ca, "ca", "", "")
	f.IntVar(&c.parallel, "parallel", 32, "")
	return f.Parse(args)
}

// prototype is the least that a client in Go can do: a connection a host, curve25519
// first, the key's login, the host's key checked, and one session with a small script.
func prototype(args []string) error {
	var c clientArgs
	if err := c.parse(args); err != nil {
		return err
	}
	hosts, err := fleet.ReadFile(c.hostsFile, nil)
	if err != nil {
		return err
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.ca)
	if err != nil {
		return err
	}
	results := fleet.Run(context.Background(), hosts, fleet.Options{Parallel: c.parallel},
		func(_ context.Context, host string) (struct{}, error) {
			return struct{}{}, place(host, config, string(ca))
		})
	for _, r := range results {
		if r.Err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Host, r.Err))
		}
	}
	return err
}

func (c *clientArgs) config() (*ssh.ClientConfig, error) {
	key, err := os.ReadFile(c.identity)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return nil, err
	}
	check, err := knownhosts.New(c.knownHosts)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{User: c.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check, Timeout: 10 * time.Second}
	config.KeyExchanges = []string{ssh.KeyExchangeCurve25519}
	return config, nil
}

func place(host string, config *ssh.ClientConfig, ca string) error {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "22")
	}
	client, err := ssh.Dial("tcp", host, config)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	session.Stdin = strings.NewReader(ca)
	out, err := session.CombinedOutput("exec sh -c '" + placeCA + "'")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
