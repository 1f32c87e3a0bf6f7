package spec

import (
	"reflect"
	"testing"
)

// TestClusterInFile writes a cluster down and reads it back.
func TestClusterInFile(t *testing.T) {
	want := Default()
	want.Hosts, want.Runtime = []string{"registry.test"}, RuntimeDocker
	want.Proxy.Kind, want.Port = ProxyNginx, 443
	want.Replicas = 3
	want.Redis = Redis{URL: "rediss://alice@cache.test/2", PasswordFile: "/root/password", CA: "/root/ca.pem"}
	data, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("regctl.yaml", data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v from\n%s", got, err, want, data)
	}
	if s := got.Redis.Server(); s != (RedisServer{Addr: "cache.test:6379", User: "alice", DB: 2, TLS: true}) {
		t.Errorf("%+v", s)
	}
}
