package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/statedir"
)

func newClients(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "List the hosts that trust the registry, or check that they still do",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newClientsList(a), newClientsCheck(a))
	return cmd
}

func newClientsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the hosts that trust the registry, by what the last run on each found",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			r, err := a.findExisting()
			if err != nil {
				return err
			}
			all, err := r.Clients()
			if err != nil {
				return err
			}
			result := clientList{SchemaVersion: 1, Clients: []listedClient{}}
			for _, c := range all {
				result.Clients = append(result.Clients, listed(c))
			}
			if len(all) == 0 {
				a.ui.Say("no host was asked to trust %s yet: regctl trust-clients", r.Spec.Endpoint())
			}
			return a.ui.Result(result, func(w io.Writer) { printClientList(w, result) })
		},
	}
}

type clientList struct {
	SchemaVersion int            `json:"schemaVersion"`
	Clients       []listedClient `json:"clients"`
}

type listedClient struct {
	Host       string        `json:"host"`
	Status     string        `json:"status"` // of the last run: changed, unchanged, failed, drifted, not reached
	Stores     []storeResult `json:"stores"`
	Verified   *bool         `json:"verified"`
	VerifiedBy string        `json:"verifiedBy"`
	LastSeen   *time.Time    `json:"lastSeen"`
	Error      string        `json:"error,omitempty"`
	Hint       string        `json:"hint,omitempty"`
}

func listed(c statedir.Client) listedClient {
	one := listedClient{
		Host: c.Host, Status: string(c.Status), Stores: []storeResult{}, Verified: c.Verified, VerifiedBy: c.VerifiedBy, Error: c.Error, Hint: c.Hint,
	}
	if !c.LastSeen.IsZero() {
		one.LastSeen = &c.LastSeen
	}
	for _, s := range c.Follows {
		one.Stores = append(one.Stores, storeResult{Store: s, Status: "trusted already"})
	}
	for _, s := range c.Stores {
		one.Stores = append(one.Stores, storeResult{Store: s.Store, Path: s.Path, Pending: s.Pending, Status: "placed"})
	}
	return one
}

func printClientList(w io.Writer, all clientList) {
	if len(all.Clients) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tSTORES\tVERIFIED\tLAST SEEN\tLAST RUN")
	for _, c := range all.Clients {
		var stores []string
		for _, s := range c.Stores {
			if !slices.Contains(stores, s.Store) { // one may have several files
				stores = append(stores, s.Store)
			}
		}
		seen, proof := "never", "no"
		if c.LastSeen != nil {
			seen = c.LastSeen.Local().Format(time.DateTime)
		}
		if c.Verified != nil && *c.Verified {
			proof = c.VerifiedBy
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Host, orDash(strings.Join(stores, ", ")), proof, seen, c.Status)
	}
	_ = table.Flush() // its errors are the writer's own
}
