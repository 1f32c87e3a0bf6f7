package spec

import (
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

// acmeTLS draws settings for letsencrypt.
func acmeTLS(t TLS, pick func(...string) string) TLS {
	t = TLS{
		Mode: TLSLetsEncrypt, CertDays: t.CertDays, CADays: t.CADays, KeyType: "ecdsa256", CACert: pick("", "/root.pem"),
		Email: pick("", "a@b.test"), AcceptTOS: pick("", "x") == "", Challenge: pick("", ChallengeHTTP, ChallengeALPN, ChallengeDNS),
		Profile: pick("", "shortlived"), PreferredChain: pick("", "Root: X1"), SkipPreflight: pick("", "x") == "",
	}
	switch t.Challenge {
	case ChallengeDNS:
		t.DNSProvider, t.DNSCredentialsFile, t.DNSResolver = "exec", "/etc/dns #1", pick("", "[::1]:53")
	case ChallengeALPN:
		t.ChallengeForwarded = true
	default:
		t.ChallengeAddr = pick("", ":8080")
	}
	if pick("", "x") == "" {
		t.EABKID, t.EABHMACFile = "kid-1", "/etc/hmac"
	}
	if pick("", "x") == "" {
		t.ACMEServer, t.ACMEStaging, t.ACMECA = "https://ca.test/dir", pick("", "https://ca.test/try"), pick("", "/ca.pem")
	} else {
		t.Staging = pick("", "x") == ""
	}
	return t
}

func TestACMESettingsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*TLS)
		want string
	}{
		"mode":            {func(t *TLS) { t.Mode, t.Email = TLSSelfSigned, "a@b.test" }, "tls.email (--email)"},
		"challenge":       {func(t *TLS) { t.Challenge = "http" }, "tls.challenge (--challenge)"},
		"key":             {func(t *TLS) { t.KeyType = "ed25519" }, "tls.keyType (--key-type)"},
		"two directories": {func(t *TLS) { t.Staging, t.ACMEServer = true, "https://ca.test" }, "tls.staging (--staging)"},
		"CA of nobody":    {func(t *TLS) { t.ACMECA = "/ca" }, "tls.acmeCA (--acme-ca)"},
		"relative":        {func(t *TLS) { t.EABKID, t.EABHMACFile = "a", "hmac" }, "tls.eabHmacFile (--eab-hmac-file)"},
		"no provider":     {func(t *TLS) { t.Challenge = ChallengeDNS }, "tls.dnsProvider (--dns-provider)"},
		"idle provider":   {func(t *TLS) { t.DNSProvider = "exec" }, "tls.dnsProvider (--dns-provider)"},
		"idle forward":    {func(t *TLS) { t.ChallengeForwarded = true }, "tls.challengeForwarded (--challenge-forwarded)"},
		"half a binding":  {func(t *TLS) { t.EABKID = "kid" }, "tls.eabKid (--eab-kid)"},
		"a pair":          {func(t *TLS) { t.Cert = "/crt" }, "tls.cert (--cert)"},
	} {
		s := Default()
		s.Hosts, s.TLS.Mode = []string{"registry.test"}, TLSLetsEncrypt
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		c.edit(&s.TLS)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
}
