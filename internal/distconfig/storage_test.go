package distconfig

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/parameters"
	"github.com/regctl/regctl/internal/spec"
)

func stored(driver string, options tree) spec.Spec {
	s := testSpec(spec.TLSNone, nil)
	s.Storage = spec.Storage{Driver: driver, Options: options}
	return s
}

// What an operator says of storage becomes what distribution reads, secrets only where
// there is no other way.
func TestRenderStorage(t *testing.T) {
	s3, azure := parse1(t, "accesskey=AK\nsecretkey=hidden\n"), parse1(t, "accountkey=hidden\n")
	login := parse1(t, "credentials.secret=hidden\n")
	here := tree{"bucket": "b", "regionendpoint": "http://h:1"}
	account := tree{"accountname": "a", "container": "c"}
	for name, c := range map[string]struct {
		spec    spec.Spec
		flavour Flavour
		secrets []parameters.Parameter
		want    string
	}{
		"s3 of AWS":    {stored("s3", tree{"bucket": "b", "region": "eu-central-1"}), Embedded, s3, "s3: {region: eu-central-1, bucket: b}"},
		"s3 elsewhere": {stored("s3", here), Embedded, s3, "s3: {region: us-east-1, regionendpoint: 'http://h:1', bucket: b, forcepathstyle: true}"},
		"s3 of stock":  {stored("s3", here), Stock3, s3, "s3: {region: us-east-1, regionendpoint: 'http://h:1', bucket: b, forcepathstyle: true}"},
		"s3 of 2":      {stored("s3", here), Stock2, s3, "s3: {region: us-east-1, regionendpoint: 'http://h:1', bucket: b}"},
		"oss": {
			stored("oss", tree{"bucket": "b", "region": "oss-cn-hangzhou"}), Embedded, s3,
			"s3: {region: oss-cn-hangzhou, regionendpoint: 'https://s3.oss-cn-hangzhou.aliyuncs.com', bucket: b, forcepathstyle: false}",
		},
		"swift":          {stored("swift", here), Embedded, s3, "s3: {region: us-east-1, regionendpoint: 'http://h:1', bucket: b, forcepathstyle: true}"},
		"azure":          {stored("azure", account), Embedded, azure, "azure: {accountname: a, container: c, credentials: {type: shared_key}}"},
		"azure of stock": {stored("azure", account), Stock3, azure, "azure: {accountname: a, accountkey: hidden, container: c, credentials: {type: shared_key}}"},
		"azure identity": {stored("azure", account), Embedded, nil, "azure: {accountname: a, container: c, credentials: {type: default_credentials}}"},
		"azure login": {
			stored("azure", tree{"accountname": "a", "container": "c", "credentials": tree{"type": "client_secret", "clientid": "i", "tenantid": "t"}}), Stock3, login,
			"azure: {accountname: a, container: c, credentials: {type: client_secret, clientid: i, tenantid: t, secret: hidden}}",
		},
		"gcs":        {stored("gcs", tree{"bucket": "b"}), Embedded, nil, "gcs: {bucket: b}"},
		"filesystem": {stored("filesystem", tree{"maxthreads": 7}), Embedded, nil, "filesystem: {rootdirectory: /var/lib/registry, maxthreads: 7}"},
	} {
		t.Run(name, func(t *testing.T) {
			env := testEnv(c.flavour)
			env.Secrets = c.secrets
			got, err := Render(c.spec, env)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(got, c.flavour); err != nil {
				t.Error(err)
			}
			if !sameDriver(t, got, c.want) {
				t.Errorf("got\n%s\nwant %s", got, c.want)
			}
			if remote := c.spec.Storage.Remote(); strings.Contains(string(got), "disable: true") != remote {
				t.Errorf("redirects off is not %v", remote)
			}
			if again, err := Render(c.spec, testEnv(c.flavour)); err != nil || strings.Contains(string(again), "hidden") {
				t.Errorf("a rendering without secrets: %v\n%s", err, again)
			}
		})
	}
}

func parse1(t *testing.T, text string) []parameters.Parameter {
	t.Helper()
	all, err := parameters.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sameDriver compares the driver's section in text.
func sameDriver(t *testing.T, rendered []byte, want string) bool {
	t.Helper()
	got, _, err := readDocument(rendered)
	if err != nil {
		t.Fatal(err)
	}
	wanted, _, err := readDocument([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	name := wanted.Content[0].Value
	section := child(child(got, "storage"), name)
	return section != nil && len(section.Content) == len(wanted.Content[1].Content) && text(t, section) == text(t, wanted.Content[1])
}

func TestStorageRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		options tree
		err     string
		hint    string
	}{
		"secret":      {tree{"bucket": "b", "region": "us-east-1", "secretkey": "hidden"}, "storage.options.secretkey", "DIR/secrets/storage"},
		"deep secret": {tree{"bucket": "b", "credentials": tree{"secret": "hidden"}}, "storage.options.credentials.secret", "DIR/secrets/storage"},
	} {
		_, err := Render(stored("s3", c.options), testEnv(Embedded))
		if err == nil || !fault.IsUsage(err) || !strings.Contains(err.Error(), c.err) || !strings.Contains(fault.Hint(err), c.hint) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, hint %q", name, err, fault.Hint(err))
		}
	}
	got, err := Render(stored("s3", tree{"bukcet": "b", "region": "us-east-1"}), testEnv(Embedded))
	if err == nil {
		err = Check(got, Embedded)
	}
	if err == nil || !strings.Contains(err.Error(), "storage.s3.bukcet") || !strings.Contains(err.Error(), "did you mean bucket?") {
		t.Errorf("misspelt: %v", err)
	}
	s := spec.Storage{Driver: "swift"}
	if err := SetStorage(&s, "forcepathstyle=false"); err != nil || s.Options["forcepathstyle"] != false {
		t.Errorf("SetStorage: %v, %v", s.Options, err)
	}
	if err := SetStorage(&s, "forcepathstile=false"); err == nil || len(s.Options) != 1 {
		t.Errorf("SetStorage of a misspelt one: %v, %v", s.Options, err)
	}
	if err := CheckSecrets(s, "f", parse1(t, "accesskey=a\nsecretkay=hidden")); err == nil || !strings.HasPrefix(err.Error(), "f:2: unknown key storage.s3.secretkay") {
		t.Errorf("CheckSecrets: %v", err)
	}
}

func text(t *testing.T, n *yaml.Node) string {
	t.Helper()
	out, err := yaml.Marshal(toGo(n, nil))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
