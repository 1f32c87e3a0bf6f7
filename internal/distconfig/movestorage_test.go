package distconfig

import (
	"reflect"
	"testing"

	"github.com/regctl/regctl/internal/parameters"
)

func TestMoveStorage(t *testing.T) {
	const head = "version: 0.1\nstorage: "
	for name, c := range map[string]struct {
		text, driver, secrets string
		options, config       tree
	}{
		"s3": {
			head + "{s3: {bucket: b, region: us-east-1, accesskey: AK, secretkey: 'x=1'}, delete: {enabled: true}}\n", "s3", "accesskey=AK\nsecretkey=x=1\n",
			tree{"bucket": "b", "region": "us-east-1"},
			tree{"storage": tree{"delete": tree{"enabled": true}, "redirect": tree{"disable": false}}},
		},
		"empty keys": {
			head + "{s3: {bucket: b, region: us-east-1, accesskey: , secretkey: ''}}\n", "s3", "",
			tree{"bucket": "b", "region": "us-east-1"},
			tree{"storage": tree{"redirect": tree{"disable": false}}},
		},
		"redirects": {
			head + "{s3aws: {bucket: b, region: us-east-1}, redirect: {disable: true}}\n", "s3", "",
			tree{"bucket": "b", "region": "us-east-1"},
			tree{"storage": tree{"redirect": tree{"disable": true}}},
		},
		"azure": {
			head + "{azure: {accountname: a, container: c, credentials: {type: client_secret, secret: x}}}\n", "azure", "credentials.secret=x\n",
			tree{"accountname": "a", "container": "c", "credentials": tree{"type": "client_secret"}},
			tree{"storage": tree{"redirect": tree{"disable": false}}},
		},
		"service account": {
			head + "{gcs: {bucket: b, credentials: {private_key: x}}}\n", "", "", nil,
			tree{"storage": tree{"gcs": tree{"bucket": "b", "credentials": tree{"private_key": "x"}}}},
		},
		"filesystem": {head + "{filesystem: {}, delete: {enabled: true}}\n", "", "", nil, tree{"storage": tree{"delete": tree{"enabled": true}}}},
		"nothing":    {head + "inmemory\n", "", "", nil, nil},
	} {
		s, _, err := Import([]byte(c.text))
		if err != nil {
			t.Fatal(name, err)
		}
		driver, secrets := MoveStorage(&s)
		if driver != c.driver || string(parameters.Format(secrets)) != c.secrets {
			t.Errorf("%s: driver %q, secrets %q", name, driver, parameters.Format(secrets))
		}
		if !reflect.DeepEqual(s.Storage.Options, c.options) || !reflect.DeepEqual(s.Config, c.config) {
			t.Errorf("%s: options %v, config %v", name, s.Storage.Options, s.Config)
		}
	}
}
