package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/distconfig"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/statedir"
	"github.com/regctl/regctl/internal/step"
)

// Where in serve/ a registry finds its storage's keys: the embedded one in the form
// that secrets/storage has too, a stock one in that of AWS's tools.
const (
	servedSecrets = "storage-secrets"
	servedAWS     = "s3-credentials"
	// awsVariable names a file to S3's client: not the keys, which all who may inspect
	// a container or read /proc would see.
	awsVariable = "AWS_SHARED_CREDENTIALS_FILE"
)

func storageSecretsPath(dir statedir.Dir) string { return dir.Join("secrets", "storage") }

// storageSecrets keeps what the driver needs and nobody else may read.
type storageSecrets struct {
	spec  spec.Spec
	place Place
}

func (s storageSecrets) ref() host.Ref   { return fileRef(storageSecretsPath(s.place.Dir)) }
func (s storageSecrets) Name() string    { return s.ref().Path }
func (s storageSecrets) ours() string    { return s.place.Dir.Join("serve", servedSecrets) }
func (s storageSecrets) amazons() string { return s.place.Dir.Join("serve", servedAWS) }
func (s storageSecrets) Reads() []host.Ref {
	return []host.Ref{s.ref(), fileRef(s.ours()), fileRef(s.amazons())}
}

func (s storageSecrets) Plan(seen host.Facts) (step.Change, error) {
	secrets, err := secretsOf(s.spec, s.place, seen)
	if err != nil {
		return step.Change{}, err
	}
	served := func(path string, data []byte) step.Step {
		if len(secrets) == 0 || data == nil {
			return step.RemoveFile{Path: path, Mask: parameters.Mask}
		}
		return step.WriteFile{Path: path, Data: data, Mode: 0o600, UID: s.place.UID, GID: s.place.GID, Mask: parameters.Mask}
	}
	var ours, amazons []byte
	switch driver, _ := s.spec.Storage.Backend(); {
	case s.place.Flavour == distconfig.Embedded:
		ours = parameters.Format(secrets)
	case driver == spec.StorageS3:
		amazons = awsCredentials(secrets)
	}
	steps := []step.Step{served(s.ours(), ours), served(s.amazons(), amazons)}
	if given := s.place.StorageSecrets; given != nil || seen[s.ref()].Exists {
		if given == nil {
			given = seen[s.ref()].Data // only its mode and owner are ours to mend
		}
		steps = append([]step.Step{step.WriteFile{Path: s.ref().Path, Data: given, Mode: 0o600, UID: ourUID(), GID: ourGID(), Mask: parameters.Mask}}, steps...)
	}
	var all step.Change
	for _, one := range steps {
		change, err := one.Plan(seen)
		if err != nil {
			return step.Change{}, err
		}
		all.Items, all.Ops = append(all.Items, change.Items...), append(all.Ops, change.Ops...)
	}
	return all, nil
}

// keptSecrets writes secrets/storage where the command made it.
func keptSecrets(p Place) []step.Step {
	if p.StorageSecrets == nil {
		return nil
	}
	return []step.Step{
		step.MakeDir{Path: p.Dir.Secrets(), Mode: 0o700, UID: ourUID(), GID: ourGID()},
		step.WriteFile{Path: storageSecretsPath(p.Dir), Data: p.StorageSecrets, Mode: 0o600, UID: ourUID(), GID: ourGID(), Mask: parameters.Mask},
	}
}

// secretsOf are the storage's secrets as they will be; none for storage here.
func secretsOf(s spec.Spec, p Place, seen host.Facts) ([]parameters.Parameter, error) {
	if !s.Storage.Remote() {
		return nil, nil
	}
	path := storageSecretsPath(p.Dir)
	data := p.StorageSecrets
	if data == nil {
		data = seen[fileRef(path)].Data
	}
	return parseSecrets(s.Storage, path, data)
}

func parseSecrets(s spec.Storage, path string, data []byte) ([]parameters.Parameter, error) {
	all, err := parameters.Parse(path, data)
	if err == nil {
		err = distconfig.CheckSecrets(s, path, all)
	}
	return all, err
}

// awsCredentials is the file of AWS's tools.
func awsCredentials(secrets []parameters.Parameter) []byte {
	return fmt.Appendf(nil, "[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n",
		parameters.Get(secrets, "accesskey").Reveal(), parameters.Get(secrets, "secretkey").Reveal())
}

// SetStorageSecrets makes all the secrets that Plan counts on.
func (r *Registry) SetStorageSecrets(all []parameters.Parameter) {
	r.storageSecrets = parameters.Format(all)
}

// StorageSecrets are those that the registry has, or will have.
func (r *Registry) StorageSecrets() ([]parameters.Parameter, error) { return r.secretsFor(r.Spec) }

func (r *Registry) secretsFor(s spec.Spec) ([]parameters.Parameter, error) {
	if !s.Storage.Remote() {
		return nil, nil
	}
	data, path := r.storageSecrets, storageSecretsPath(r.Dir)
	if data == nil {
		var err error
		if data, err = readFile(path); err != nil {
			return nil, err
		}
	}
	return parseSecrets(s.Storage, path, data)
}

// CheckStorage tries whether the registry will be able to write, read, list and delete
// in storage that is not on this machine, before anything is changed for it.
func (r *Registry) CheckStorage(ctx context.Context) error {
	took, err := r.tryStorage(ctx)
	switch {
	case r.Progress == nil:
	case errors.Is(err, embeddedregistry.ErrNoDriver):
		r.Progress("storage: not tried, this build has no driver for it")
	case err == nil && took > 0:
		r.Progress("storage: " + storageWorks(took))
	}
	if errors.Is(err, embeddedregistry.ErrNoDriver) {
		return nil
	}
	return err
}

func storageWorks(took time.Duration) string {
	return fmt.Sprintf("wrote, read, listed and deleted an object in %s", took.Round(time.Millisecond))
}

// tryStorage returns how long one object's life took, 0 for storage on this machine.
func (r *Registry) tryStorage(ctx context.Context) (time.Duration, error) {
	secrets, err := r.StorageSecrets()
	if err != nil {
		return 0, err
	}
	config, err := Render(r.Spec, r.site.place, renderSecrets{storage: secrets})
	if err != nil {
		return 0, err
	}
	if err := r.shellsOwnKeys(config, secrets); err != nil {
		return 0, err
	}
	return embeddedregistry.CheckStorage(ctx, config, secrets)
}

// shellsOwnKeys refuses to try S3 with keys that are this shell's, for the registry
// would not have them and fail at the first push.
func (r *Registry) shellsOwnKeys(config []byte, secrets []parameters.Parameter) error {
	if len(secrets) > 0 || embeddedregistry.StorageDriver(config) != spec.StorageS3 || strings.Contains(string(config), "secretkey:") {
		return nil
	}
	const hint = "put the keys into a file for --storage-secret-file; or, where the machine's role is meant, take those away for this command"
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_PROFILE", awsVariable, "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		if r.getenv(name) != "" {
			return fault.Usage(hint, "storage: %s is set in this shell, and the registry does not run in it", name)
		}
	}
	home, _ := os.UserHomeDir()
	if file := home + "/.aws/credentials"; home != "" {
		if _, err := os.Stat(file); err == nil {
			return fault.Usage(hint, "storage: %s has keys, and the registry cannot read it", file)
		}
	}
	return nil
}
