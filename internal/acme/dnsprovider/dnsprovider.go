// Package dnsprovider sets the TXT records of dns-01 with whoever has the zone. The
// variables that a provider takes have lego's names; they come from a file and stay
// in memory: neither this process' environment nor its arguments hold them.
//
// Where lego's own provider would add much to the executable (see
// docs/letsencrypt.md), the few calls that are needed are made here.
package dnsprovider

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/go-acme/lego/v4/challenge"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

// Provider sets a record and removes it again.
type Provider = challenge.Provider

// kind is one provider that we know.
type kind struct {
	name   string
	prefix string // of the variables that all providers have: PROPAGATION_TIMEOUT and the like
	// needs are sets of variables, one of which must be there whole.
	needs [][]string
	also  []string
	// alias are other names that lego takes for a variable.
	alias map[string]string
	// others are left to the provider, whatever their names are.
	others bool
	make   func(context.Context, *values) (Provider, error)
}

func kinds() []kind {
	return []kind{
		acmeDNS(), aliDNS(), azureDNS(), cloudflareDNS(), digitalOcean(), execScript(),
		googleCloud(), hetznerDNS(), httpRequest(), rfc2136(), route53(), tencentCloud(),
	}
}

// Names are the providers, sorted.
func Names() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

func find(name string) (kind, error) {
	for _, k := range kinds() {
		if k.name == name {
			return k, nil
		}
	}
	hint := "--dns-provider takes " + strings.Join(Names(), ", ")
	if name == "" {
		return kind{}, fault.Usage(hint, "dns-01 needs --dns-provider")
	}
	return kind{}, fault.Usage(hint, "unknown DNS provider %q", name)
}

// Variables are the names that a provider takes, sorted, and whether it takes others
// besides.
func Variables(name string) (names []string, others bool, err error) {
	k, err := find(name)
	if err != nil {
		return nil, false, err
	}
	return k.variables(), k.others, nil
}

// timing are what all providers take, with their prefix.
var timing = []string{"PROPAGATION_TIMEOUT", "POLLING_INTERVAL", "TTL", "HTTP_TIMEOUT"}

func (k kind) variables() []string {
	all := slices.Concat(append(slices.Clone(k.needs), k.also)...)
	if k.prefix != "" {
		for _, t := range timing {
			all = append(all, k.prefix+t)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TimeoutVariable is what makes a provider wait longer for its record to be seen, in
// seconds; "" where there is none.
func TimeoutVariable(name string) string {
	if k, err := find(name); err == nil && k.prefix != "" {
		return k.prefix + "PROPAGATION_TIMEOUT"
	}
	return ""
}

// Check tells whether New would have all that it needs. It reads no file and asks
// nobody. Its errors are the user's.
func Check(name string, credentials map[string]secret.String) error {
	k, err := find(name)
	if err != nil {
		return err
	}
	_, err = k.take(credentials, nil)
	return err
}

// New makes a provider. A script that it runs ends with ctx. An error is the user's;
// azuredns alone asks its service for the zones at once, and may fail for that.
func New(ctx context.Context, name string, credentials map[string]secret.String) (Provider, error) {
	k, err := find(name)
	if err != nil {
		return nil, err
	}
	v, err := k.take(credentials, os.ReadFile)
	if err != nil {
		return nil, err
	}
	p, err := k.make(ctx, v)
	if err == nil {
		err = v.err
	}
	if err == nil || fault.Hint(err) != "" {
		return p, err
	}
	return nil, fault.Usage("check the credentials file", "%s: %w", k.name, err)
}
