package dnsprovider

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/challenge"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

func TestParse(t *testing.T) {
	got, err := Parse("creds", []byte("# a comment\n\n A=1\nexport B=\r\nC_2='x y # z'\nD=\"q\"\nE=a=b\nF='\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": "1", "C_2": "x y # z", "D": "q", "E": "a=b", "F": "'"}
	for name, value := range want {
		if got[name].Reveal() != value {
			t.Errorf("%s=%q, want %q", name, got[name].Reveal(), value)
		}
	}
	for text, line := range map[string]string{
		"A=1\nhunter2\n": "creds:2: this is no variable", "=hunter2": "creds:1: ", "2A=hunter2": "creds:1: ", "A B=hunter2": "creds:1: ",
		"A=hunter2\nA=hunter3": "creds:2: A is there twice",
	} {
		_, err := Parse("creds", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), line) || !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error()+fault.Hint(err), "hunter") {
			t.Errorf("shows a value: %v", err)
		}
	}
}

// enough is the least that each provider takes.
func enough(t *testing.T) map[string][]string {
	t.Helper()
	account := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(account, []byte(accountJSON(t, "https://t.test")), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string][]string{
		"acme-dns":     {"ACME_DNS_API_BASE=https://a.test", "ACME_DNS_STORAGE_PATH=" + filepath.Join(t.TempDir(), "store")},
		"alidns":       {"ALICLOUD_ACCESS_KEY=a", "ALICLOUD_SECRET_KEY=b"},
		"azuredns":     {"AZURE_CLIENT_ID=a", "AZURE_CLIENT_SECRET=b", "AZURE_TENANT_ID=c", "AZURE_SUBSCRIPTION_ID=d"},
		"cloudflare":   {"CF_DNS_API_TOKEN=a"},
		"digitalocean": {"DO_AUTH_TOKEN=a"},
		"exec":         {"EXEC_PATH=sh", "ANYTHING=x"},
		"gcloud":       {"GCE_SERVICE_ACCOUNT_FILE=" + account},
		"hetzner":      {"HETZNER_API_TOKEN=a"},
		"httpreq":      {"HTTPREQ_ENDPOINT=https://a.test"},
		"rfc2136":      {"RFC2136_NAMESERVER=ns.test"},
		"route53":      {"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"},
		"tencentcloud": {"TENCENTCLOUD_SECRET_ID=a", "TENCENTCLOUD_SECRET_KEY=b"},
	}
}

func given(pairs ...string) map[string]secret.String {
	m := map[string]secret.String{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		m[name] = secret.New(value)
	}
	return m
}

// Every provider takes its least and its times, refuses less, and names what it does
// not know.
func TestEveryProvider(t *testing.T) {
	all := enough(t)
	if names := Names(); !slices.IsSorted(names) || len(names) != len(all) {
		t.Errorf("providers %v", names)
	}
	for _, name := range Names() {
		pairs := all[name]
		if err := Check(name, given(pairs...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := Check(name, nil); err == nil || !fault.IsUsage(err) || !strings.Contains(fault.Hint(err), "--dns-credentials-file") {
			t.Errorf("%s with nothing: %v", name, err)
		}
		_, others, err := Variables(name)
		if err != nil {
			t.Fatal(err)
		}
		err = Check(name, given(append(pairs, "TYPO=hunter2")...))
		if others != (err == nil) {
			t.Errorf("%s with a variable too many: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "TYPO") || !fault.IsUsage(err)) {
			t.Errorf("%s with a variable too many: %v", name, err)
		}
		if name == "azuredns" {
			continue // it asks Azure for the zones
		}
		if _, err := New(t.Context(), name, given(pairs...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		variable := TimeoutVariable(name)
		if variable == "" {
			continue // acme-dns, as lego has it
		}
		p, err := New(t.Context(), name, given(append(pairs, variable+"=777")...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if timed, ok := p.(challenge.ProviderTimeout); ok {
			if limit, _ := timed.Timeout(); limit != 777*time.Second {
				t.Errorf("%s waits %s", name, limit)
			}
		} else {
			t.Errorf("%s has no times", name)
		}
		if _, err = New(t.Context(), name, given(append(pairs, variable+"=soon")...)); err == nil || !strings.Contains(err.Error(), variable+": want a whole number") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOddCredentials(t *testing.T) {
	for _, c := range []struct{ name, pairs, text string }{
		{"", "", "dns-01 needs --dns-provider"},
		{"godaddy", "", `unknown DNS provider "godaddy"`},
		{"hetzner", "HETZNER_API_TOKEN=", "hetzner needs HETZNER_API_TOKEN"},
		{"cloudflare", "CF_API_EMAIL=a", "CLOUDFLARE_DNS_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY"},
		{"hetzner", "HETZNER_API_TOKEN_FILE=/none", "HETZNER_API_TOKEN_FILE: open /none"},
		{"azuredns", "AZURE_AUTH_METHOD=env", "needs AZURE_CLIENT_ID"},
		{"azuredns", "AZURE_AUTH_METHOD=pipeline", "want env, msi or cli"},
		{"azuredns", "AZURE_AUTH_METHOD=cli AZURE_ENVIRONMENT=mars", "want public, china or usgovernment"},
		{"exec", "EXEC_PATH=/none", "EXEC_PATH: "},
		{"gcloud", "GCE_SERVICE_ACCOUNT={", "want the JSON of a service account"},
		{"httpreq", "HTTPREQ_ENDPOINT=x", "HTTPREQ_ENDPOINT: want a URL"},
		{"rfc2136", "DNSUPDATE_NAMESERVER=a DNSUPDATE_TSIG_KEY=k", "belong together"},
		{"rfc2136", "DNSUPDATE_NAMESERVER=a DNSUPDATE_TSIG_KEY=k DNSUPDATE_TSIG_SECRET=cw== DNSUPDATE_TSIG_ALGORITHM=hmac-md5", "want hmac-sha1"},
		{"rfc2136", "DNSUPDATE_NAMESERVER=a DNSUPDATE_TSIG_FILE=/none", "/none"},
	} {
		_, err := New(t.Context(), c.name, given(strings.Fields(c.pairs)...))
		if err == nil || !strings.Contains(err.Error(), c.text) || !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%s with %s: %v", c.name, c.pairs, err)
		}
	}
}
