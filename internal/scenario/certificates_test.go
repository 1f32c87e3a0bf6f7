package scenario

import (
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// issued is a machine on which the certificates of s were made at the given time.
func issued(t *testing.T, s spec.Spec, at time.Time) (host.Facts, certificates) {
	t.Helper()
	c := certificates{spec: s, place: Place{Dir: statedir.Dir("/reg"), Now: at}}
	change := planned(t, c, host.Facts{})
	ops, err := change.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := host.Facts{}
	for _, op := range ops {
		seen[op.Ref] = op.Want
	}
	generation := string(seen[currentLink(c.place)].Data)
	pair := currentPair(c.place)
	for i, name := range []string{"crt", "key"} {
		seen[pair[1+i]] = seen[fileRef(c.place.Dir.Join("serve", "tls", generation, name))]
	}
	return seen, c
}

func planned(t *testing.T, c certificates, seen host.Facts) step.Change {
	t.Helper()
	change, err := c.Plan(seen)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

func TestCertificates(t *testing.T) {
	s := spec.Default()
	s.Hosts = []string{"registry.test", "192.0.2.1"}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	tests := map[string]struct {
		after   time.Duration
		change  func(*spec.Spec)
		renewed string // why there is a new leaf; "" keeps the one there is
		newCA   bool
	}{
		"nothing new":            {},
		"half its life":          {after: 180 * day},
		"two thirds of its life": {after: 250 * day, renewed: "two thirds of its life are over"},
		"expired":                {after: 400 * day, renewed: "expired"},
		"the CA expired too":     {after: 3700 * day, renewed: "a new CA", newCA: true},
		"a name less":            {change: func(s *spec.Spec) { s.Hosts = s.Hosts[:1] }, renewed: "it names other hosts too"},
		"a name more":            {change: func(s *spec.Spec) { s.Hosts = append(s.Hosts, "other.test") }, renewed: "a new CA", newCA: true},
		"another kind of key":    {change: func(s *spec.Spec) { s.TLS.KeyType = "ed25519" }, renewed: "its key is ecdsa256"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			seen, c := issued(t, s, now)
			c.place.Now = now.Add(tt.after)
			c.spec.Hosts = append([]string{}, s.Hosts...)
			if tt.change != nil {
				tt.change(&c.spec)
			}
			change := planned(t, c, seen)
			if tt.renewed == "" {
				if !change.Empty() {
					t.Fatalf("plans %v", change.Items)
				}
				return
			}
			last := change.Items[len(change.Items)-1]
			if !strings.Contains(last.Diff, tt.renewed) || (len(change.Items) == 3) != tt.newCA {
				t.Fatalf("plans %v, want a leaf because %q, new CA %v", change.Items, tt.renewed, tt.newCA)
			}
			if _, err := change.Make(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificatesHalfThere(t *testing.T) {
	s := spec.Default()
	s.Hosts = []string{"registry.test"}
	seen, c := issued(t, s, time.Now())
	delete(seen, c.caKey())
	_, err := c.Plan(seen)
	if err == nil || !strings.Contains(err.Error(), "ca.key is missing") || fault.Hint(err) == "" {
		t.Errorf("without its key: %v, hint %q", err, fault.Hint(err))
	}
}
