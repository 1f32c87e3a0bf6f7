package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/machine"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/spec"
)

type initOptions struct {
	specFlags
	user                    firstUser
	nodes                   nodeFlags
	dryRun, noStart, retain bool

	warned bool
}

func newInit(a *app) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create and start a registry",
		Long: `Create and start a registry. Without flags it is a registry over TLS on port
5000 for this machine's own names, in Docker where Docker is installed and as a
process of its own where not.

Done twice with the same flags it changes nothing; with other flags it says what
differs and leaves the registry alone: edit regctl.yaml and run regctl apply.`,
		Example: `  regctl init --host registry.example.com
  regctl init --tls none --port 5001
  regctl init --tls letsencrypt --host registry.example.com --email you@example.com --accept-tos
  regctl init --host registry.test --dry-run`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return settled(func() error { return a.runInit(cmd, &o) })
		},
	}
	o.register(cmd)
	o.user.register(cmd)
	o.nodes.register(cmd)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be made, and make nothing")
	cmd.Flags().BoolVar(&o.noStart, "no-start", false, "write everything but do not start the registry")
	cmd.Flags().BoolVar(&o.retain, "retain", false, "after a failure leave what was made, to look at")
	return cmd
}

func (a *app) runInit(cmd *cobra.Command, o *initOptions) error {
	ctx := cmd.Context()
	r, err := a.findNew()
	if err != nil {
		return err
	}
	if err := o.settle(cmd, r); err != nil {
		return err
	}
	for _, w := range r.Spec.Warnings() {
		if !o.warned {
			a.ui.Warn("%s", w)
		}
	}
	if !o.warned && !r.Exists() {
		warning, err := r.AskUpstream(ctx)
		if err != nil {
			return err
		}
		if warning != "" {
			a.ui.Warn("%s", warning)
		}
	}
	o.warned = true
	o.user.dryRun = o.dryRun
	if err := o.user.settle(ctx, a, r); err != nil {
		return err
	}
	if err := o.nodes.over(cmd, a, r); err != nil {
		return err
	}
	r.NoStart = o.noStart
	changed, err := a.apply(ctx, r, applyOptions{command: "regctl init", dryRun: o.dryRun, retain: o.retain})
	if err != nil || o.dryRun {
		return err
	}
	if !changed {
		a.ui.Say("nothing to do: %s is as wanted", r.Dir)
	}
	a.sayBehind(r)
	return a.showInit(r, changed, o.user.account)
}

// settle lays the flags over what there is. For a registry that exists they must
// say the same as its regctl.yaml.
func (o *initOptions) settle(cmd *cobra.Command, r *scenario.Registry) error {
	want, err := o.over(cmd, r.Spec)
	if err != nil {
		return err
	}
	if r.Exists() {
		if err := want.Validate(); err != nil {
			return err
		}
		if err := firstError(o.storage.settle(r), o.cluster.settle(r)); err != nil {
			return err
		}
		if diff := spec.Diff(r.Spec, want); len(diff) > 0 {
			return fault.Usage(fmt.Sprintf("edit %s and run regctl apply; regctl plan shows first what that would do", r.Dir.Spec()),
				"%s is a registry already, and differs: %s", r.Dir, strings.Join(diff, "; "))
		}
		return nil
	}
	if len(want.Hosts) == 0 && want.TLS.Mode == spec.TLSLetsEncrypt {
		return fault.Usage("for example --host registry.example.com", "--tls letsencrypt needs --host: the CA signs what you can prove to be yours")
	}
	if len(want.Hosts) == 0 {
		if want.Hosts, err = machine.Names(cmd.Context()); err != nil {
			return err
		}
	}
	if want.Runtime == "" {
		want.Runtime = r.PickRuntime()
	}
	if want.Swarmed() && want.Swarm.Publish == "" {
		want.Swarm.Publish = r.PickPublish()
	}
	if want.Image != "" && want.ProxyOnHost() && want.Proxy.Port == 0 {
		want.Proxy.Port = freePort(cmd.Context(), spec.DefaultPort)
	}
	if err := r.Want(want); err != nil {
		return err
	}
	if err := firstError(o.storage.settle(r), o.cluster.settle(r)); err != nil {
		return err
	}
	return readable(want.TLS.Cert, want.TLS.Key, want.TLS.CACert, want.TLS.ACMECA, want.TLS.DNSCredentialsFile, want.TLS.EABHMACFile,
		want.Auth.TokenRootCA, want.Auth.TokenJWKS, want.Mirror.PasswordFile, want.Mirror.CACert,
		want.Redis.PasswordFile, want.Redis.CA, want.LinuxBinary)
}

// initResult is what init prints; -o json has the same keys as status for what
// both know.
type initResult struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	Dir           string `json:"dir"`
	Endpoint      string `json:"endpoint"`
	Runtime       string `json:"runtime"`
	Changed       bool   `json:"changed"`
	CA            string `json:"caFingerprint,omitempty"`
	Password      string `json:"password,omitempty"` // of --user, a generated one
}

// showInit prints what there is now; first is a user that was made with it, or nil.
func (a *app) showInit(r *scenario.Registry, changed bool, first *account) error {
	result := initResult{1, r.Spec.Name, string(r.Dir), r.Spec.Endpoint(), r.Spec.Runtime, changed, r.CAFingerprint(), ""}
	if first != nil {
		result.Password = first.generated.Reveal()
	}
	return a.ui.Result(result, func(w io.Writer) {
		if result.Password != "" {
			defer fmt.Fprintf(w, "the password of %s is %s\n", first.name, result.Password)
		}
		if r.NoStart {
			fmt.Fprintf(w, "%s is ready to start: regctl start\n", result.Endpoint)
			return
		}
		fmt.Fprintf(w, "%s answers\n", result.Endpoint)
		if result.CA != "" {
			fmt.Fprintf(w, "clients trust it by %s\n", r.Dir.Join("certs", "ca.crt"))
		}
	})
}
