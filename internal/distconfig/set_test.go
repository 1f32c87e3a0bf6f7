package distconfig

import (
	"reflect"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func TestSet(t *testing.T) {
	for _, test := range []struct {
		set  []string
		want tree
	}{
		{[]string{"storage.delete.enabled=true"}, tree{"storage": tree{"delete": tree{"enabled": true}}}},
		{[]string{"storage.delete.enabled=yes"}, tree{"storage": tree{"delete": tree{"enabled": true}}}},
		{[]string{"log.level=debug", "log.level=info"}, tree{"log": tree{"level": "info"}}},
		{[]string{"proxy.password=0123"}, tree{"proxy": tree{"password": "0123"}}},
		{[]string{"proxy.password=a=b"}, tree{"proxy": tree{"password": "a=b"}}},
		{[]string{"proxy.username="}, tree{"proxy": tree{"username": ""}}},
		{[]string{"proxy.ttl=48h"}, tree{"proxy": tree{"ttl": "48h"}}},
		{[]string{"storage.s3.secretkey=007", "storage.s3.secure=false"}, tree{"storage": tree{"s3": tree{"secretkey": "007", "secure": false}}}},
		{[]string{"http.headers.X-Frame-Options=[deny]"}, tree{"http": tree{"headers": tree{"X-Frame-Options": []any{"deny"}}}}},
		{[]string{"log.fields.environment=test"}, tree{"log": tree{"fields": tree{"environment": "test"}}}},
		{[]string{"redis.addrs.0=a:1", "redis.addrs[1]=b:1", "redis.addrs.0=c:1"}, tree{"redis": tree{"addrs": []any{"c:1", "b:1"}}}},
		{
			[]string{"log.hooks=[{type: mail, levels: [panic]}]", "log.hooks.0.disabled=true"},
			tree{"log": tree{"hooks": []any{tree{"type": "mail", "levels": []any{"panic"}, "disabled": true}}}},
		},
		{[]string{"storage.maintenance.readonly={enabled: true}"}, tree{"storage": tree{"maintenance": tree{"readonly": tree{"enabled": true}}}}},
		{[]string{"redis.pool.maxidle=3"}, tree{"redis": tree{"pool": tree{"maxidle": 3}}}}, // for --image registry:2
		{[]string{"health=null"}, tree{"health": nil}},
		{[]string{"catalog.maxentries=5"}, tree{"catalog": tree{"maxentries": 5}}},
		{[]string{"middleware.storage.0.options.any.thing=1"}, tree{"middleware": tree{"storage": []any{tree{"options": tree{"any": tree{"thing": 1}}}}}}},
	} {
		config := tree{}
		for _, s := range test.set {
			if err := Set(config, s); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		if !reflect.DeepEqual(config, test.want) {
			t.Errorf("%v: %v", test.set, config)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	for assignment, want := range map[string]string{
		"storage.delete.enabled":                  "KEY=VALUE",
		"=x":                                      "KEY=VALUE",
		"storage.filesystem.maxthread=5":          "did you mean storage.filesystem.maxthreads?",
		"storage.s3.regionendpont=x":              "did you mean storage.s3.regionendpoint?",
		"storage.filesytem.maxthreads=5":          "did you mean storage.filesystem.maxthreads?",
		"Storage.delete.enabled=true":             "did you mean storage.delete.enabled?",
		"tls.minimumtls=tls1.2":                   "did you mean http.tls.minimumtls?",
		"headers.X-A=[b]":                         "did you mean http.headers",
		"storagedriver.enabled=true":              "did you mean health.storagedriver.enabled?",
		"nonsense.at.all=1":                       "configuration/",
		"storage.delete.enabled=maybe":            "neither true nor false",
		"http.draintimeout=soon":                  "duration",
		"storage.maintenance.uploadpurging.age=7": "duration",
		"log.level=loud":                          "loglevel",
		"catalog.maxentries=many":                 "whole number",
		"log.level.deeper=1":                      "one value",
		"redis.addrs.first=a":                     "number",
		"redis.addrs.3=a":                         "element",
		"redis.addrs=a:1":                         "list",
		"http.headers=nosniff":                    "keys belong",
		"log.level=[debug]":                       "brackets",
		"log.level={":                             "YAML",
		"http.addr=:5001":                         "port",
		"http.tls.key=/k":                         "tls.key",
		"http.http2.disabled=false":               "http2",
		"storage.filesystem.rootdirectory=/x":     "--dir",
		"log.hooks=[{tpye: mail}]":                "type",
		"storage=tape":                            "filesystem",
	} {
		config := tree{}
		err := Set(config, assignment)
		if !fault.IsUsage(err) || fault.Hint(err) == "" || !strings.Contains(err.Error()+" "+fault.Hint(err), want) {
			t.Errorf("%s: %v; hint %q", assignment, err, fault.Hint(err))
		}
		if len(config) > 0 {
			t.Errorf("%s: left %v", assignment, config)
		}
	}
	config := tree{"storage": "inmemory"}
	if err := Set(config, "storage.delete.enabled=true"); !fault.IsUsage(err) {
		t.Error(err)
	}
}
