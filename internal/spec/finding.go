package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/regctl/regctl/internal/fault"
)

// finding is one thing that is wrong with a spec: the key in regctl.yaml, what is
// wrong, and what mends it.
type finding struct {
	key, hint, problem string
}

func newFinding(key, hint, format string, args ...any) *finding {
	return &finding{key, hint, fmt.Sprintf(format, args...)}
}

// error names the key and the flag, for somebody who may have used either.
func (f *finding) error() error {
	if f.key == "version" || strings.HasPrefix(f.key, "auth.rules") { // no flag's: --version is another thing
		return fault.Usage(f.hint, "%s: %s", f.key, f.problem)
	}
	return fault.Usage(f.hint, "%s (--%s): %s", f.key, flagOf(f.key), f.problem)
}

// flagOf is init's flag for a key.
func flagOf(key string) string {
	flags := map[string]string{
		"hosts": "host", "addHosts": "add-host", "linuxBinary": "linux-binary", "config": "set",
		"tls.mode": "tls", "tls.certDays": "cert-days", "tls.caDays": "ca-days", "tls.keyType": "key-type",
		"tls.cert": "cert", "tls.key": "key", "tls.caCert": "ca-cert",
		"tls.email": "email", "tls.acceptTOS": "accept-tos", "tls.staging": "staging", "tls.acmeServer": "acme-server", "tls.acmeStaging": "acme-staging",
		"tls.acmeCA": "acme-ca", "tls.challenge": "challenge", "tls.challengeAddr": "challenge-addr",
		"tls.challengeForwarded": "challenge-forwarded", "tls.dnsProvider": "dns-provider",
		"tls.dnsCredentialsFile": "dns-credentials-file", "tls.dnsResolver": "dns-resolver", "tls.profile": "profile", "tls.preferredChain": "preferred-chain",
		"tls.eabKid": "eab-kid", "tls.eabHmacFile": "eab-hmac-file", "tls.skipPreflight": "skip-preflight",
		"auth.mode": "auth", "auth.realm": "realm", "auth.allowPlaintext": "allow-plaintext-auth",
		"proxy.kind": "proxy", "proxy.image": "proxy-image", "proxy.authAt": "auth-at",
		"redis.url": "redis", "redis.passwordFile": "redis-password-file", "redis.ca": "redis-ca",
		"auth.tokenServer": "token-server", "auth.tokenRealm": "token-realm", "auth.tokenService": "token-service",
		"auth.tokenIssuer": "token-issuer", "auth.tokenRootCA": "token-root-ca", "auth.tokenJWKS": "token-jwks",
		"mirror.of": "mirror-of", "mirror.username": "mirror-username", "mirror.passwordFile": "mirror-password-file",
		"mirror.caCert": "mirror-ca-cert", "mirror.ttl": "mirror-ttl", "mirror.open": "mirror-open",
		"storage.driver": "storage", "storage.volume": "data-volume", "storage.options": "storage-opt",
		"storage.shared": "storage-shared", "swarm": "runtime", "swarm.publish": "publish", "swarm.constraints": "constraint", "swarm.nodes": "nodes",
	}
	if flag, ok := flags[key]; ok {
		return flag
	}
	return key
}

// nearest is the candidate with the smallest edit distance to word; near says that
// it is close enough to be what was meant.
func nearest(word string, candidates []string) (best string, near bool) {
	distance := -1
	for _, c := range candidates {
		d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(c))
		if distance < 0 || d < distance {
			best, distance = c, d
		}
	}
	return best, distance >= 0 && distance <= max(2, len(word)/3)
}

// choiceHint says what a key takes, and which of it was probably meant.
func choiceHint(given string, choices []string) string {
	list := strings.Join(choices[:len(choices)-1], ", ") + " or " + choices[len(choices)-1]
	if best, near := nearest(given, choices); near {
		return fmt.Sprintf("did you mean %s? (%s)", best, list)
	}
	return "one of " + list
}

// choice is the finding for a value that is not one of the choices, or nil.
func choice(key, given string, choices ...string) *finding {
	if slices.Contains(choices, given) {
		return nil
	}
	return newFinding(key, choiceHint(given, choices), "unknown value %q", given)
}
