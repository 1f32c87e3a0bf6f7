package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/spec"
)

// acmeFlags are the flags of --tls letsencrypt.
type acmeFlags struct {
	texts map[string]*string
	files map[string]*string
	yes   map[string]*bool
}

func (s *acmeFlags) register(cmd *cobra.Command) {
	*s = acmeFlags{map[string]*string{}, map[string]*string{}, map[string]*bool{}}
	const mode = "with --tls letsencrypt: "
	text := func(flag, usage string) { s.texts[flag] = cmd.Flags().String(flag, "", mode+usage) }
	file := func(flag, usage string) { s.files[flag] = cmd.Flags().String(flag, "", mode+usage) }
	yes := func(flag, usage string) { s.yes[flag] = cmd.Flags().Bool(flag, false, mode+usage) }
	text("email", "where the CA writes to")
	yes("accept-tos", "you accept the CA's terms of service")
	yes("staging", "use Let's Encrypt's directory for trying things out, which nobody trusts")
	text("acme-server", "the directory URL of another CA than Let's Encrypt")
	text("acme-staging", "that CA's directory for trying things out, which cert renew --dry-run orders from")
	file("acme-ca", "who vouches for the TLS of --acme-server, PEM")
	text("challenge", "http-01, tls-alpn-01 or dns-01 (default http-01)")
	text("challenge-addr", "answer challenges on this ADDRESS:PORT, to which port 80 (443 for tls-alpn-01) is forwarded")
	yes("challenge-forwarded", "public port 443 is forwarded to --port as it is")
	text("dns-provider", "for dns-01: who has the zone, such as cloudflare or rfc2136")
	file("dns-credentials-file", "for dns-01: NAME=VALUE lines with the provider's credentials")
	text("dns-resolver", "for dns-01: ask this name server, HOST:PORT, whether the record is there, in place of the zone's own")
	text("profile", "the CA's profile, such as shortlived")
	text("preferred-chain", "the common name of the root that the chain should lead to")
	text("eab-kid", "the key identifier that the CA gave you to bind the account")
	file("eab-hmac-file", "a file with the key to --eab-kid, base64url")
	yes("skip-preflight", "ask the CA without looking first whether it would succeed")
	_ = cmd.RegisterFlagCompletionFunc("challenge", cobra.FixedCompletions(
		[]string{spec.ChallengeHTTP, spec.ChallengeALPN, spec.ChallengeDNS}, cobra.ShellCompDirectiveNoFileComp))
}

// over lays the given flags over t.
func (s *acmeFlags) over(given func(string) bool, t *spec.TLS) {
	for flag, to := range map[string]*string{
		"email": &t.Email, "acme-server": &t.ACMEServer, "acme-staging": &t.ACMEStaging, "challenge": &t.Challenge, "challenge-addr": &t.ChallengeAddr,
		"dns-provider": &t.DNSProvider, "dns-resolver": &t.DNSResolver, "profile": &t.Profile, "preferred-chain": &t.PreferredChain, "eab-kid": &t.EABKID,
	} {
		if given(flag) {
			*to = *s.texts[flag]
		}
	}
	for flag, to := range map[string]*string{
		"acme-ca": &t.ACMECA, "dns-credentials-file": &t.DNSCredentialsFile, "eab-hmac-file": &t.EABHMACFile,
	} {
		if given(flag) {
			*to = absolute(*s.files[flag])
		}
	}
	for flag, to := range map[string]*bool{
		"accept-tos": &t.AcceptTOS, "staging": &t.Staging, "challenge-forwarded": &t.ChallengeForwarded, "skip-preflight": &t.SkipPreflight,
	} {
		if given(flag) {
			*to = *s.yes[flag]
		}
	}
}
