package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/regctl/regctl/internal/fleet"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/trust"
)

// standIn does what trust-clients does with --store docker --verify none, for an
// executable that does not have the command.
func standIn(args []string) error {
	var c clientArgs
	if err := c.parse(args); err != nil {
		return err
	}
	hosts, err := fleet.ReadFile(c.hostsFile, nil)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.ca)
	if err != nil {
		return err
	}
	d, err := host.NewDialer(host.SSHOptions{User: c.user, Identities: []string{c.identity}, KnownHosts: []string{c.knownHosts}, ConfigFile: "none"})
	if err != nil {
		return err
	}
	defer d.Close()
	registry := trust.Registry{Host: "registry.test", Port: 5000, CA: ca}
	results := fleet.Run(context.Background(), hosts, fleet.Options{Parallel: c.parallel}, func(ctx context.Context, name string) (int, error) {
		return trustOn(ctx, d, name, registry)
	})
	changed := 0
	for _, r := range results {
		if r.Err != nil {
			err = errors.Join(err, r.Err)
		}
		if r.Value > 0 {
			changed++
		}
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(map[string]any{"hosts": len(hosts), "changed": changed}))
}

func trustOn(ctx context.Context, d *host.Dialer, name string, r trust.Registry) (changed int, err error) {
	target, err := host.ParseTarget(name)
	if err != nil {
		return 0, err
	}
	h, err := d.Dial(ctx, target)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	stores := []trust.Store{trust.Docker}
	guess, err := trust.Plan(r, trust.Client{}, stores, trust.Options{})
	if err != nil {
		return 0, err
	}
	refs := trust.Reads()
	for _, s := range guess[0].Steps {
		refs = append(refs, s.Reads()...)
	}
	seen, err := h.Look(ctx, refs)
	if err != nil {
		return 0, err
	}
	placed, err := trust.Plan(r, trust.SeenClient(seen), stores, trust.Options{})
	if err != nil {
		return 0, err
	}
	var ops []host.Op
	for _, s := range placed[0].Steps {
		change, err := s.Plan(seen)
		if err != nil {
			return 0, err
		}
		ops = append(ops, change.Ops...)
	}
	receipts, err := h.Do(ctx, ops)
	for _, receipt := range receipts {
		if receipt.Changed {
			changed++
		}
	}
	if err != nil {
		return changed, fmt.Errorf("%s: %w", name, err)
	}
	return changed, nil
}
