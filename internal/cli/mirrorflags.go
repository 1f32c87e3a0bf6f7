package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/spec"
)

// mirrorFlags say what the registry keeps copies of.
type mirrorFlags struct {
	of, username, passwordFile, caCert, ttl string
	open                                    bool
}

func (s *mirrorFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.of, "mirror-of", "", "be a pull-through cache of this registry: a URL, or docker.io for Docker Hub")
	f.StringVar(&s.username, "mirror-username", "", "with --mirror-of: the user that the upstream knows")
	f.StringVar(&s.passwordFile, "mirror-password-file", "", "with --mirror-username: a file with the password or token")
	f.StringVar(&s.caCert, "mirror-ca-cert", "", "with --mirror-of: the CA that vouches for the upstream, when it is not a public one")
	f.StringVar(&s.ttl, "mirror-ttl", "", "with --mirror-of: how long a copy is kept; 0s keeps it for ever (default "+spec.DefaultMirrorTTL+")")
	f.BoolVar(&s.open, "mirror-open", false, "with --mirror-username and no --auth: have everybody pull what that user may")
}

func (s *mirrorFlags) over(given func(string) bool, out *spec.Spec) {
	m := &out.Mirror
	if given("mirror-of") {
		m.Of = spec.NormalizeMirror(s.of)
	}
	if given("mirror-username") {
		m.Username = s.username
	}
	if given("mirror-password-file") {
		m.PasswordFile = absolute(s.passwordFile)
	}
	if given("mirror-ca-cert") {
		m.CACert = absolute(s.caCert)
	}
	if given("mirror-ttl") {
		m.TTL = s.ttl
	}
	if given("mirror-open") {
		m.Open = s.open
	}
}
