package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/scenario"
	"github.com/regctl/regctl/internal/secret"
)

// settle has r go by the HTTP secret that was given. Of a registry that exists it must
// be its own.
func (s *clusterFlags) settle(r *scenario.Registry) error {
	if s.secretFile == "" {
		return nil
	}
	given, err := s.httpSecret()
	if err != nil {
		return err
	}
	if !r.Exists() {
		r.SetHTTPSecret(given)
		return nil
	}
	now, err := r.HTTPSecret()
	if err != nil {
		return err
	}
	if now != given {
		return fault.Usage(fmt.Sprintf("write it into %s and run regctl apply", r.Dir.Join("secrets", "http")),
			"%s is a registry already, and has another HTTP secret than %s", r.Dir, s.secretFile)
	}
	return nil
}

// httpSecret is the file's one line.
func (s *clusterFlags) httpSecret() (secret.String, error) {
	if err := readable(s.secretFile); err != nil {
		return secret.String{}, err
	}
	data, err := os.ReadFile(s.secretFile)
	if err != nil {
		return secret.String{}, err
	}
	const hint = "write one line into it, for example by: openssl rand -hex 32"
	switch text := strings.TrimSpace(string(data)); {
	case text == "":
		return secret.String{}, fault.Usage(hint, "--http-secret-file: %s is empty", s.secretFile)
	case strings.ContainsAny(text, "\r\n"):
		return secret.String{}, fault.Usage(hint, "--http-secret-file: %s has more than one line", s.secretFile)
	default:
		return secret.New(text), nil
	}
}
