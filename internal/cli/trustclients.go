package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/clients"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
	"github.com/regctl/regctl/internal/verify"
)

type trustFlags struct {
	sshFlags
	wishFlags
	login                          string
	passwordStdin, restart, dryRun bool
}

// wishFlags say what is asked of a client.
type wishFlags struct {
	stores     []string
	mapHost    string
	asMirror   bool
	verify     string
	verifyUser string
}

var wished = []string{"store", "map-host", "as-mirror", "verify", "verify-user"}

func (w *wishFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&w.stores, "store", nil, "auto (the runtimes that are there), docker, docker-rootless, podman, containerd, k3s, buildkit, os, insecure or legacy; repeat it")
	f.StringVar(&w.mapHost, "map-host", "", "keep a line in each host's /etc/hosts that gives the registry's name this IP address")
	f.BoolVar(&w.asMirror, "as-mirror", false, "have the hosts use the registry as a mirror of what it mirrors")
	registerVerify(cmd, w)
	_ = cmd.RegisterFlagCompletionFunc("store", cobra.FixedCompletions(storeNames(), cobra.ShellCompDirectiveNoFileComp))
}

func registerVerify(cmd *cobra.Command, w *wishFlags) {
	f := cmd.Flags()
	f.StringVar(&w.verify, "verify", string(verify.Auto), "how each host proves that it trusts the registry: pull (an image), tls (a handshake), auto (pull where it can) or none")
	f.StringVar(&w.verifyUser, "verify-user", "", "pull as this user of the registry; the password is a line of standard input")
	_ = cmd.RegisterFlagCompletionFunc("verify", cobra.FixedCompletions([]string{"auto", "pull", "tls", "none"}, cobra.ShellCompDirectiveNoFileComp))
}

func storeNames() []string {
	names := []string{"auto"}
	for _, s := range trust.Stores() {
		names = append(names, string(s))
	}
	return names
}

// parse turns --store into stores; none means auto.
func (w *wishFlags) parse() ([]trust.Store, error) {
	var stores []trust.Store
	for _, name := range w.stores {
		s := trust.Store(name)
		switch {
		case name == "auto":
			continue
		case !slices.Contains(trust.Stores(), s):
			return nil, fault.Usage("one of "+strings.Join(storeNames(), ", "), "there is no store %q", name)
		case !slices.Contains(stores, s):
			stores = append(stores, s)
		}
	}
	if len(stores) > 0 && slices.Contains(w.stores, "auto") {
		return nil, fault.Usage("name the stores, or leave --store away", "--store auto chooses by itself and goes with no other")
	}
	return stores, nil
}

// mode checks --verify and reads the password of --verify-user.
func (a *app) verifyOptions(w *wishFlags) (scenario.VerifyOptions, error) {
	o := scenario.VerifyOptions{Mode: verify.Mode(w.verify), User: w.verifyUser}
	switch o.Mode {
	case verify.Auto, verify.Pull, verify.TLS, verify.None:
	default:
		return o, fault.Usage("use --verify auto, pull, tls or none", "--verify cannot be %q", w.verify)
	}
	if o.User == "" {
		return o, nil
	}
	var err error
	o.Password, err = a.secretLine("password for "+o.User, "--verify-user")
	return o, err
}

func newTrustClients(a *app) *cobra.Command {
	var t trustFlags
	cmd := &cobra.Command{
		Use:   "trust-clients",
		Short: "Make hosts trust the registry, and prove it from each by a pull",
		Long: `Make hosts trust the registry, over SSH, all at once: each gets what the container
runtimes on it need, keeps what was there before, and proves it by pulling an image
that it cannot have. Done twice it changes nothing the second time; untrust-clients
takes it back to the byte.

Host keys are checked strictly. Where the login user is not root, sudo is used.
A plain-HTTP registry is entered as an insecure one.`,
		Example: `  regctl trust-clients --hosts 192.168.1.1,192.168.1.2,192.168.1.3
  regctl trust-clients --hosts-file fleet.txt --user ops --ask-become-pass
  regctl trust-clients --hosts web[01-20].lan --store docker --store os --dry-run
  regctl trust-clients --retry-failed`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runTrust(cmd, &t) },
	}
	t.sshFlags.register(cmd)
	t.wishFlags.register(cmd)
	f := cmd.Flags()
	f.StringVar(&t.login, "login", "", "log each host's user in to the registry as this user, as docker login does; with --password-stdin")
	f.BoolVar(&t.passwordStdin, "password-stdin", false, "read the password for --login from a line of standard input")
	f.BoolVar(&t.restart, "restart", false, "restart what takes a change over only when it starts; that may stop containers (it asks first)")
	f.BoolVar(&t.dryRun, "dry-run", false, "print what would change on each host, and change nothing")
	return cmd
}

func (a *app) runTrust(cmd *cobra.Command, t *trustFlags) error {
	ctx := cmd.Context()
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	hosts, err := a.chooseHosts(cmd, &t.sshFlags, r.Dir, nil)
	if err != nil {
		return err
	}
	registry, err := r.ForClients()
	if err != nil {
		return err
	}
	wish := clients.Wish{Registry: registry, DryRun: t.dryRun, Options: trust.Options{Restart: t.restart, AsMirror: t.asMirror, MapHost: t.mapHost}}
	if wish.Stores, err = t.parse(); err != nil {
		return err
	}
	if err := trust.Validate(registry, wish.Stores, wish.Options); err != nil {
		return err
	}
	if len(hosts) == 0 {
		return a.nobody(ctx)
	}
	secrets, how, err := a.trustSecrets(cmd, t, &wish)
	if err != nil {
		return err
	}
	if wish.Options.Login != nil {
		if err := trust.Validate(registry, wish.Stores, wish.Options); err != nil {
			return err
		}
		if err := r.CheckLogin(ctx, *wish.Options.Login); err != nil {
			return err
		}
	}
	if t.restart && !t.dryRun {
		question := fmt.Sprintf("restart what needs it on %d %s? containers there may stop with it", len(hosts), plural(len(hosts), "host"))
		if err := a.ui.Confirm(ctx, question); err != nil {
			return err
		}
	}
	return a.overHosts(cmd, r, hosts, &t.sshFlags, secrets, clientsCommand{
		dryRun: t.dryRun, verb: "trusting", verify: how,
		settings: slices.Concat(kept, wished, []string{"restart", "login"}), remember: append(slices.Clone(kept), "map-host"),
		do: func(ctx context.Context, h host.Host, known statedir.Client, how *verify.Target) (clients.Report, error) {
			mine := wish
			mine.Former, mine.Verify = known.Addresses, how
			return clients.Trust(ctx, h, mine)
		},
		keep: func(c *statedir.Client, report clients.Report) {
			keepTrust(c, report, registry)
		},
	})
}

// trustSecrets reads what comes from standard input or a prompt, in their order.
func (a *app) trustSecrets(cmd *cobra.Command, t *trustFlags, wish *clients.Wish) (secrets, scenario.VerifyOptions, error) {
	got, err := a.ask(cmd.Context(), &t.sshFlags)
	if err != nil {
		return got, scenario.VerifyOptions{}, err
	}
	how, err := a.verifyOptions(&t.wishFlags)
	if err != nil {
		return got, how, err
	}
	wish.Options.Login, err = a.loginOf(cmd.Context(), t)
	return got, how, err
}

// loginOf reads the password of --login.
func (a *app) loginOf(ctx context.Context, t *trustFlags) (*trust.Login, error) {
	if t.login == "" {
		if t.passwordStdin {
			return nil, fault.Usage("name the user with --login", "--password-stdin is for --login")
		}
		return nil, nil
	}
	var password secret.String
	var err error
	if t.passwordStdin {
		password, err = a.secretLine("password for "+t.login, "--password-stdin")
	} else {
		password, err = a.ui.Secret(ctx, "password of "+t.login+" for the registry", "use --password-stdin, or run it on a terminal")
	}
	return &trust.Login{User: t.login, Password: password}, err
}
