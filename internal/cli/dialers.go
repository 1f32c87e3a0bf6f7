package cli

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/trust"
)

// dialers log in to hosts: one for each way of doing so.
type dialers struct {
	a       *app
	flags   *sshFlags
	given   func(flag string) bool
	secrets secrets
	stores  []string // those that --store names
	dryRun  bool

	mu  sync.Mutex
	all map[string]*host.Dialer
}

// dial logs in to a host: as the flags say, and where they say nothing as its record
// does.
func (d *dialers) dial(ctx context.Context, name string, known statedir.Client) (*host.SSH, error) {
	target, err := host.ParseTarget(name)
	if err != nil {
		return nil, err
	}
	dialer, err := d.of(ctx, known.Settings)
	if err != nil {
		return nil, err
	}
	return dialer.Dial(ctx, target)
}

func (d *dialers) of(ctx context.Context, known map[string][]string) (*host.Dialer, error) {
	o, key := d.options(ctx, known)
	d.mu.Lock()
	defer d.mu.Unlock()
	if dialer := d.all[key]; dialer != nil {
		return dialer, nil
	}
	dialer, err := host.NewDialer(o)
	if err != nil {
		return nil, err
	}
	if d.all == nil {
		d.all = map[string]*host.Dialer{}
	}
	d.all[key] = dialer
	return dialer, nil
}

// options are a host's, and what tells them from others.
func (d *dialers) options(ctx context.Context, known map[string][]string) (host.SSHOptions, string) {
	s := *d.flags
	list := func(flag string, to *[]string) {
		if !d.given(flag) && len(known[flag]) > 0 {
			*to = known[flag]
		}
	}
	text := func(flag string, to *string) {
		if !d.given(flag) && len(known[flag]) == 1 {
			*to = known[flag][0]
		}
	}
	list("identity", &s.identities)
	list("known-hosts", &s.known)
	text("user", &s.user)
	text("ssh-config", &s.sshConfig)
	text("jump", &s.jump)
	var port string
	if text("port", &port); port != "" {
		_, _ = fmt.Sscan(port, &s.port) // it was a flag's number once
	}
	own := ownStores(d.stores)
	o := host.SSHOptions{
		AsLogin: known[asLogin] != nil && (own || len(d.stores) == 0), OrLogin: own,
		User: s.user, Port: s.port, Identities: s.identities, ConfigFile: s.sshConfig, KnownHosts: s.known,
		AcceptNewHostKeys: s.acceptNew, KeepKnownHosts: d.dryRun, Jump: s.jump, ConnectTimeout: s.connectTimeout, Timeout: s.timeout,
		Warn: func(text string) { d.a.ui.Warn("%s", text) },
		Passphrase: func(path string) (secret.String, error) {
			return d.a.ui.Secret(ctx, "passphrase of "+path, "add the key to ssh-agent (ssh-add)")
		},
	}
	if !d.secrets.password.Empty() {
		o.Password = func() (secret.String, error) { return d.secrets.password, nil }
	}
	if !d.secrets.become.Empty() {
		o.BecomePassword = func() (secret.String, error) { return d.secrets.become, nil }
	}
	return o, fmt.Sprintf("%q %d %q %q %q %q %t", s.user, s.port, s.identities, s.sshConfig, s.known, s.jump, o.AsLogin)
}

// ownStores reports whether the stores named can be had without root: those of rootless
// Docker, and podman's beside it.
func ownStores(names []string) bool {
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == string(trust.Rootless) || name == string(trust.Podman)
	})
	return len(others) == 0 && slices.Contains(names, string(trust.Rootless))
}

func (d *dialers) close() {
	for _, dialer := range d.all {
		dialer.Close()
	}
}
