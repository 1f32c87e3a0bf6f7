package scenario

import (
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/trustkit"
)

// CA is what clients must trust, PEM: one certificate or, while the CA is being
// replaced, two; and what the one in force says. A registry that needs none is a usage
// fault.
func (r *Registry) CA() ([]byte, pki.Info, error) {
	if r.Spec.TLS.Mode == spec.TLSNone {
		return nil, pki.Info{}, fault.Usage("each client must list "+r.Spec.Address()+" as an insecure registry instead",
			"%s speaks plain HTTP and has no CA", r.Spec.Endpoint())
	}
	path := r.Dir.Join("certs", "ca.crt")
	data, err := readFile(path)
	if err != nil {
		return nil, pki.Info{}, err
	}
	if data == nil && r.Spec.TLS.Mode != spec.TLSSelfSigned || r.PublicCA() {
		return nil, pki.Info{}, fault.Usage("if it was signed by a CA of your own, name that by tls.caCert in "+r.Dir.Spec()+" and run regctl apply",
			"%s has a certificate that clients trust already", r.Spec.Endpoint())
	}
	if data == nil {
		return nil, pki.Info{}, fault.Fail("regctl apply makes it", "%s is missing", path)
	}
	info, err := pki.Inspect(data)
	if err != nil {
		return nil, info, fault.Fail("restore it from a backup", "%s: %w", path, err)
	}
	data, err = r.withNeighbours(data)
	return data, info, err
}

// Kit is what hosts that regctl cannot reach need to trust the registry.
func (r *Registry) Kit() ([]trustkit.File, pki.Info, error) {
	ca, info, err := r.CA()
	if err != nil {
		return nil, info, err
	}
	if r.Rotation() != "" {
		return nil, info, fault.Usage(r.finisher()+" finishes it; regctl cert export prints both CAs", "the CA is being replaced, and a kit holds one")
	}
	files, err := trustkit.Render(trustkit.Registry{
		Name: r.Spec.Name, Endpoint: r.Spec.Endpoint(), Folders: trustkit.Folders(r.Spec.First(), r.Spec.Port),
		CA: ca, Fingerprint: info.Fingerprint,
	})
	return files, info, err
}
