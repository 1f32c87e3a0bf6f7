package scenario

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// config renders serve/config.yml around the registry's HTTP secret, which is
// made once: with a new one at each start, uploads under way would break.
type config struct {
	spec  spec.Spec
	place Place
}

func (c config) Name() string { return "config.yml" }

func (c config) secretRef() host.Ref { return fileRef(c.place.Dir.Join("secrets", "http")) }
func (c config) configRef() host.Ref { return fileRef(c.place.Dir.ServeConfig()) }

func (c config) Reads() []host.Ref {
	refs := append(mirrorPasswordReads(c.spec, c.place), redisRefs(c.spec, c.place)...)
	return append(refs, c.secretRef(), c.configRef(), fileRef(storageSecretsPath(c.place.Dir)))
}

func (c config) Plan(seen host.Facts) (step.Change, error) {
	password, copied, err := redisPassword(c.spec, c.place, seen)
	if err != nil {
		return step.Change{}, err
	}
	c.place.RedisPassword = password
	change, err := c.planSecret(seen)
	change.Items = append(copied.Items, change.Items...)
	if inner := change.Make; inner != nil {
		change.Make = func(ctx context.Context) ([]host.Op, error) {
			ops, err := inner(ctx)
			return append(copied.Ops, ops...), err
		}
		return change, err
	}
	change.Ops = append(copied.Ops, change.Ops...)
	return change, err
}

func (c config) planSecret(seen host.Facts) (step.Change, error) {
	known := seen[c.secretRef()]
	if known.Exists {
		return c.planConfig(seen, strings.TrimSpace(string(known.Data)))
	}
	if given := c.place.HTTPSecret; !given.Empty() {
		return c.withGivenSecret(seen, given.Reveal())
	}
	change, err := c.planConfig(seen, secret.Mask)
	if err != nil {
		return step.Change{}, err
	}
	change.Items = append([]step.Item{{
		Target: c.secretRef().Path, Action: host.Create, Diff: "(new 32-byte secret)",
	}}, change.Items...)
	change.Ops = nil
	change.Make = func(context.Context) ([]host.Op, error) { return c.withNewSecret(seen) }
	return change, nil
}

// withGivenSecret keeps a copy of the operator's.
func (c config) withGivenSecret(seen host.Facts, text string) (step.Change, error) {
	change, err := c.planConfig(seen, text)
	if err != nil {
		return step.Change{}, err
	}
	kept, err := step.WriteFile{
		Path: c.secretRef().Path, Data: []byte(text + "\n"), Mode: 0o600, UID: ourUID(), GID: ourGID(), Secret: true,
	}.Plan(seen)
	change.Items, change.Ops = append(kept.Items, change.Items...), append(kept.Ops, change.Ops...)
	return change, err
}

func (c config) withNewSecret(seen host.Facts) ([]host.Op, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	text := hex.EncodeToString(raw)
	change, err := c.planConfig(seen, text)
	if err != nil {
		return nil, err
	}
	secretOp := writeOp(c.secretRef(), seen,
		host.Fact{Exists: true, Data: []byte(text + "\n"), Mode: 0o600, UID: ourUID(), GID: ourGID()})
	return append([]host.Op{secretOp}, change.Ops...), nil
}

// planConfig compares config.yml with what it should hold for a given secret.
func (c config) planConfig(seen host.Facts, httpSecret string) (step.Change, error) {
	secrets := renderSecrets{http: httpSecret}
	var err error
	if secrets.mirror, err = mirrorPassword(c.spec, c.place, seen); err != nil {
		return step.Change{}, err
	}
	if secrets.storage, err = secretsOf(c.spec, c.place, seen); err != nil {
		return step.Change{}, err
	}
	want, err := Render(c.spec, c.place, secrets)
	if err != nil {
		return step.Change{}, err
	}
	return step.WriteFile{
		Path: c.place.Dir.ServeConfig(), Data: want, Mode: 0o600,
		UID: c.place.UID, GID: c.place.GID, Mask: distconfig.Mask,
	}.Plan(seen)
}

// renderSecrets are what config.yml holds and regctl.yaml does not.
type renderSecrets struct {
	http, mirror string
	storage      []parameters.Parameter
}

// Render gives config.yml as the registry at p would read it.
func Render(s spec.Spec, p Place, secrets renderSecrets) ([]byte, error) {
	data, err := distconfig.Render(s, distconfig.Env{
		Serve: p.ServeAt, Data: p.DataAt, Net: p.Net, Addr: p.Addr, Flavour: p.Flavour,
		HTTPSecret: secrets.http, MirrorPassword: secrets.mirror, RedisPassword: p.RedisPassword, Secrets: secrets.storage,
	})
	if err != nil {
		return nil, err
	}
	if err := distconfig.Check(data, p.Flavour); err != nil || p.Flavour != distconfig.Embedded {
		return data, err
	}
	if err := embeddedregistry.Check(data); err != nil {
		return nil, fmt.Errorf("config.yml: %w", err)
	}
	return data, nil
}
