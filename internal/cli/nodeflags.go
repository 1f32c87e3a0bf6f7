package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/statedir"
)

// nodeFlags say how the nodes of a swarm are logged in to, with the names that the
// commands over clients have. User and port are in --nodes: --user and --port are the
// registry's here.
type nodeFlags struct {
	ssh   sshFlags
	got   secrets
	asked bool // a command may be done twice
}

// nodeTime is how long one node may take in all: an image is much for a slow network.
const nodeTime = time.Hour

// nodesKept are those that are written down with each node.
var nodesKept = []string{"identity", "ssh-config", "known-hosts", "jump"}

func (n *nodeFlags) register(cmd *cobra.Command) {
	n.ssh = nodeDefaults()
	f, s := cmd.Flags(), &n.ssh
	const with = "with --runtime swarm, to bring the image to nodes: "
	f.StringArrayVar(&s.identities, "identity", nil, with+"log in with this private key and no other; repeat it")
	f.StringVar(&s.sshConfig, "ssh-config", "", with+"read this ssh_config in place of yours and the machine's (none for neither)")
	f.StringArrayVar(&s.known, "known-hosts", nil, with+"check host keys against this known_hosts file; repeat it")
	f.BoolVar(&s.acceptNew, "accept-new-host-keys", false, with+"write down the keys of hosts that are not known yet; a key that has changed is refused all the same")
	f.StringVar(&s.jump, "jump", "", with+"go through these hosts, as ssh -J does (none for none)")
	f.BoolVar(&s.askPass, "ask-pass", false, with+"ask once for the password to log in with")
	f.BoolVar(&s.askBecome, "ask-become-pass", false, with+"ask once for the password that sudo there wants")
	f.DurationVar(&s.connectTimeout, "connect-timeout", s.connectTimeout, with+"how long connecting and logging in to one may take")
}

func nodeDefaults() sshFlags {
	s := defaultSSH()
	s.timeout = nodeTime
	return s
}

// over has r log in to nodes as the flags say.
func (n *nodeFlags) over(cmd *cobra.Command, a *app, r *scenario.Registry) error {
	if err := n.ssh.check(); err != nil {
		return err
	}
	if !n.asked {
		var err error
		if n.got, err = a.ask(cmd.Context(), &n.ssh); err != nil {
			return err
		}
		n.asked = true
	}
	r.Nodes = a.nodes(&n.ssh, cmd.Flags().Changed, n.got)
	r.Nodes.Settings = settings(cmd, nodesKept...)
	return nil
}

// nodes logs in to nodes of a swarm as flags say, and where they say nothing as last time.
func (a *app) nodes(flags *sshFlags, given func(flag string) bool, got secrets) scenario.NodeAccess {
	dial := &dialers{a: a, flags: flags, given: given, secrets: got}
	return scenario.NodeAccess{
		Dial: func(ctx context.Context, target string, known map[string][]string) (scenario.NodeHost, error) {
			return dial.dial(ctx, target, statedir.Client{Settings: known})
		},
		Close: func() {
			dial.close()
			dial.all = nil
		},
	}
}
