package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/statedir"
)

// sshFlags say which hosts, and how to log in to them. They are the same on every
// command that goes to clients.
type sshFlags struct {
	hosts                   []string
	hostsFile, limit        string
	user, sshConfig, jump   string
	identities, known       []string
	port, parallel          int
	acceptNew, retry        bool
	askPass, askBecome      bool
	becomeStdin             bool
	connectTimeout, timeout time.Duration
}

// kept are the flags that say how a host is reached. They are written down with each
// client, so that later commands reach it alike.
var kept = []string{"user", "port", "identity", "ssh-config", "known-hosts", "jump", "ask-pass", "ask-become-pass"}

// defaultSSH are the flags where none is given.
func defaultSSH() sshFlags {
	return sshFlags{parallel: fleet.DefaultParallel(), connectTimeout: 10 * time.Second, timeout: 5 * time.Minute}
}

func (s *sshFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.hosts, "hosts", nil, "hosts with commas between: [user@]host[:port], an ssh_config alias, a range 10.0.0.[1-20]; repeat it")
	f.StringVar(&s.hostsFile, "hosts-file", "", "a file of hosts, one a line (- for standard input)")
	f.StringVar(&s.limit, "limit", "", "only some of the hosts: the first N, or names, ranges and patterns such as web*")
	f.BoolVar(&s.retry, "retry-failed", false, "go on with the hosts of the last run that failed or were not reached, with its flags")
	s.registerLogin(cmd)
}

// registerLogin registers those that say how to log in.
func (s *sshFlags) registerLogin(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.user, "user", "", "log in as this user (default: ssh_config's, else your own)")
	f.IntVar(&s.port, "port", 0, "the hosts' SSH port (default: ssh_config's, else 22)")
	f.StringArrayVar(&s.identities, "identity", nil, "log in with this private key and no other; repeat it")
	f.StringVar(&s.sshConfig, "ssh-config", "", "read this ssh_config in place of yours and the machine's (none for neither)")
	f.StringArrayVar(&s.known, "known-hosts", nil, "check host keys against this known_hosts file; repeat it")
	f.BoolVar(&s.acceptNew, "accept-new-host-keys", false, "write down the keys of hosts that are not known yet; a key that has changed is refused all the same")
	f.StringVar(&s.jump, "jump", "", "go through these hosts, as ssh -J does (none for none)")
	f.BoolVar(&s.askPass, "ask-pass", false, "ask once for the password to log in with")
	f.BoolVar(&s.askBecome, "ask-become-pass", false, "ask once for the password that sudo on the hosts wants")
	f.BoolVar(&s.becomeStdin, "become-password-stdin", false, "read sudo's password from the first line of standard input")
	d := defaultSSH()
	f.IntVar(&s.parallel, "parallel", d.parallel, "how many hosts at a time")
	f.DurationVar(&s.connectTimeout, "connect-timeout", d.connectTimeout, "how long connecting and logging in to a host may take")
	f.DurationVar(&s.timeout, "timeout", d.timeout, "how long one host may take in all")
	for _, name := range []string{"user", "port"} {
		_ = f.SetAnnotation(name, onlyTyped, []string{"true"})
	}
	cmd.MarkFlagsMutuallyExclusive("ask-become-pass", "become-password-stdin")
}

// check refuses what would fail on every host alike: numbers that make no sense, files
// that are not there, a way that cannot be read.
func (s *sshFlags) check() error {
	switch {
	case s.parallel < 1:
		return fault.Usage("for example --parallel 16", "--parallel cannot be %d", s.parallel)
	case s.port < 0 || s.port > 65535:
		return fault.Usage("a port is a number from 1 to 65535", "--port cannot be %d", s.port)
	case s.connectTimeout <= 0:
		return fault.Usage("for example --connect-timeout 10s", "--connect-timeout cannot be %s", s.connectTimeout)
	case s.timeout <= 0:
		return fault.Usage("for example --timeout 5m", "--timeout cannot be %s", s.timeout)
	case strings.HasPrefix(s.user, "-") || strings.ContainsFunc(s.user, unicode.IsSpace):
		return fault.Usage("give the name of a user of the hosts", "--user cannot be %q", s.user)
	}
	if s.sshConfig != "" && s.sshConfig != "none" {
		if _, err := os.Stat(s.sshConfig); err != nil {
			return fault.Usage("name a file that is there, or none", "--ssh-config: %w", err)
		}
	}
	for _, path := range s.identities {
		if _, err := os.Stat(path); err != nil {
			return fault.Usage("name a private key that you may read", "--identity: %w", err)
		}
	}
	if s.jump == "" || s.jump == "none" {
		return nil
	}
	for way := range strings.SplitSeq(s.jump, ",") {
		if _, err := host.ParseTarget(strings.TrimSpace(way)); err != nil {
			return fmt.Errorf("--jump: %w", err)
		}
	}
	return nil
}

// named are the hosts that --hosts and --hosts-file name, none where neither is given.
func (a *app) named(s *sshFlags) ([]string, error) {
	lists := s.hosts
	if s.hostsFile != "" {
		more, err := fleet.ReadFile(s.hostsFile, a.sys.In)
		if err != nil {
			return nil, err
		}
		lists = append(slices.Clone(lists), more...)
	}
	if len(lists) == 0 {
		return nil, nil
	}
	return fleet.Expand(lists)
}

// lastRun gives the hosts that --retry-failed goes on with, and fills in the flags
// that are not given as the run had them.
func (a *app) lastRun(cmd *cobra.Command, d statedir.Dir) ([]string, error) {
	run, ok, err := statedir.LastClientRun(d)
	if err != nil {
		return nil, err
	}
	if was := run.Settings[commandSetting]; ok && len(was) == 1 && was[0] != cmd.Name() {
		return nil, fault.Usage("regctl "+was[0]+" --retry-failed goes on with it", "the last run was %s", was[0])
	}
	clients, err := statedir.LoadClients(d)
	if err != nil {
		return nil, err
	}
	for name, values := range run.Settings {
		if f := cmd.Flags().Lookup(name); f == nil || f.Changed {
			continue
		}
		for _, v := range values {
			if err := cmd.Flags().Set(name, v); err != nil {
				return nil, err
			}
		}
	}
	return run.Unfinished(clients), nil
}

// commandSetting is where a run's settings have the command's name.
const commandSetting = "command"

// settings are the flags given, those of names alone, as they go on record. Paths are
// made absolute, since the next command may run elsewhere.
func settings(cmd *cobra.Command, names ...string) map[string][]string {
	all := map[string][]string{}
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed {
			continue
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = slices.Clone(list.GetSlice())
		}
		if slices.Contains([]string{"identity", "known-hosts", "ssh-config"}, name) {
			for i, v := range values {
				if v != "none" {
					values[i] = absolute(v)
				}
			}
		}
		all[name] = values
	}
	return all
}

// secrets are those that a command asks for before it goes to any host, and the
// passphrases of keys, asked for when a host takes the key.
type secrets struct {
	password, become secret.String
}

// ask settles the secrets. A line of standard input is sudo's before it is that of a
// user of the registry.
func (a *app) ask(ctx context.Context, s *sshFlags) (secrets, error) {
	var got secrets
	var err error
	if s.becomeStdin {
		if got.become, err = a.secretLine("sudo's password", "--become-password-stdin"); err != nil {
			return got, err
		}
	}
	if s.askPass {
		if got.password, err = a.ui.Secret(ctx, "SSH password", "log in with a key, or run it on a terminal"); err != nil {
			return got, err
		}
	}
	if s.askBecome {
		got.become, err = a.ui.Secret(ctx, "sudo password on the hosts", "use --become-password-stdin, or run it on a terminal")
	}
	return got, err
}

// secretLine reads the next line of standard input.
func (a *app) secretLine(what, flag string) (secret.String, error) {
	if a.lines == nil {
		a.lines = bufio.NewReader(a.sys.In)
	}
	line, err := a.lines.ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		if err == nil {
			err = fmt.Errorf("the line is empty")
		}
		return secret.String{}, fault.Usage("pipe it in: "+flag+" reads one line of standard input", "no %s: %w", what, err)
	}
	return secret.New(line), nil
}

// asLogin is where a client's settings say that what it holds was placed by the user who
// logs in, without root.
const asLogin = "as-login"
