package spec

import (
	"net/netip"
	"reflect"
)

// acmeSetting is a key that tls.mode letsencrypt alone has a use for.
type acmeSetting struct {
	key     string
	value   reflect.Value // a pointer to it
	comment string
}

// acme lists those keys in the order in which regctl.yaml has them.
func (t *TLS) acme() []acmeSetting {
	return []acmeSetting{
		{"email", reflect.ValueOf(&t.Email), "where the CA writes to"},
		{"acceptTOS", reflect.ValueOf(&t.AcceptTOS), "you accept the CA's terms"},
		{"staging", reflect.ValueOf(&t.Staging), "Let's Encrypt's directory for trying things out; nobody trusts it"},
		{"acmeServer", reflect.ValueOf(&t.ACMEServer), "another CA's directory"},
		{"acmeStaging", reflect.ValueOf(&t.ACMEStaging), "that CA's directory for trying things out"},
		{"acmeCA", reflect.ValueOf(&t.ACMECA), "PEM: who vouches for acmeServer's own TLS"},
		{"challenge", reflect.ValueOf(&t.Challenge), "http-01, tls-alpn-01 or dns-01"},
		{"challengeAddr", reflect.ValueOf(&t.ChallengeAddr), "where regctl answers it"},
		{"challengeForwarded", reflect.ValueOf(&t.ChallengeForwarded), "public port 443 leads to this registry's"},
		{"dnsProvider", reflect.ValueOf(&t.DNSProvider), "who has the zone"},
		{"dnsCredentialsFile", reflect.ValueOf(&t.DNSCredentialsFile), "regctl keeps a copy in secrets"},
		{"dnsResolver", reflect.ValueOf(&t.DNSResolver), "shows the record, in place of the zone's own name servers"},
		{"profile", reflect.ValueOf(&t.Profile), "one of the CA's"},
		{"preferredChain", reflect.ValueOf(&t.PreferredChain), "the root's common name"},
		{"eabKid", reflect.ValueOf(&t.EABKID), "binds the account"},
		{"eabHmacFile", reflect.ValueOf(&t.EABHMACFile), "regctl keeps a copy in secrets"},
		{"skipPreflight", reflect.ValueOf(&t.SkipPreflight), "ask the CA without looking first"},
	}
}

// checkACME looks for keys that do not go together. Whether the CA would take the
// names, and the provider its credentials, is for those who know CAs.
func (s Spec) checkACME() *finding {
	t := s.TLS
	if t.Mode != TLSLetsEncrypt {
		for _, setting := range t.acme() {
			if !setting.value.Elem().IsZero() {
				return newFinding("tls."+setting.key, "add --tls letsencrypt, or leave it out", "only --tls letsencrypt has a use for it")
			}
		}
		return nil
	}
	for key, path := range map[string]string{"tls.acmeCA": t.ACMECA, "tls.dnsCredentialsFile": t.DNSCredentialsFile, "tls.eabHmacFile": t.EABHMACFile} {
		if f := checkPath(key, path); f != nil {
			return f
		}
	}
	if f := choice("tls.challenge", t.Challenge, "", ChallengeHTTP, ChallengeALPN, ChallengeDNS); f != nil {
		return newFinding("tls.challenge", "one of http-01, tls-alpn-01 or dns-01", "%q is not one of them", t.Challenge)
	}
	switch {
	case t.KeyType == "ed25519":
		return newFinding("tls.keyType", "ecdsa256, ecdsa384, rsa2048 or rsa4096", "public CAs sign no ed25519 keys")
	case t.Staging && t.ACMEServer != "":
		return newFinding("tls.staging", "give --staging or --acme-server, not both", "it is a directory of Let's Encrypt's, and acmeServer another")
	case t.ACMEStaging != "" && t.ACMEServer == "":
		return newFinding("tls.acmeStaging", "give --acme-server too, or leave it out", "Let's Encrypt's is known")
	case t.ACMECA != "" && t.ACMEServer == "":
		return newFinding("tls.acmeCA", "give --acme-server too, or leave it out", "Let's Encrypt needs none")
	case t.Challenge == ChallengeDNS && (t.DNSProvider == "" || t.DNSCredentialsFile == ""):
		return newFinding("tls.dnsProvider", "give --dns-provider and --dns-credentials-file", "dns-01 needs to know who has the zone, and credentials for it")
	case t.DNSResolver != "" && !hostPort(t.DNSResolver):
		return newFinding("tls.dnsResolver", "for example 192.0.2.53:53", "%q is no ADDRESS:PORT", t.DNSResolver)
	case t.Challenge != ChallengeDNS && t.DNSProvider+t.DNSCredentialsFile+t.DNSResolver != "":
		return newFinding("tls.dnsProvider", "add --challenge dns-01, or leave it out", "only dns-01 has a use for it")
	case t.Challenge != ChallengeALPN && t.ChallengeForwarded:
		return newFinding("tls.challengeForwarded", "add --challenge tls-alpn-01, or leave it out", "only tls-alpn-01 has a use for it")
	case t.Challenge == ChallengeDNS && t.ChallengeAddr != "":
		return newFinding("tls.challengeAddr", "leave it out", "dns-01 listens nowhere")
	case (t.EABKID == "") != (t.EABHMACFile == ""):
		return newFinding("tls.eabKid", "give both --eab-kid and --eab-hmac-file, or neither", "it and eabHmacFile belong together")
	}
	return nil
}

func hostPort(text string) bool {
	addr, err := netip.ParseAddrPort(text)
	return err == nil && addr.Port() > 0
}
