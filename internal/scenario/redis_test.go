package scenario

import (
	"os"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/testredis"
)

// TestPingRedis asks a real one rightly and wrongly; each refusal has a hint that mends it.
func TestPingRedis(t *testing.T) {
	plain, secure := testredis.Start(t, "127.0.0.1"), testredis.StartTLS(t, "127.0.0.1")
	ca, err := os.ReadFile(secure.CA)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(testredis.StartTLS(t, "127.0.0.2").CA)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		server   spec.RedisServer
		password string
		ca       []byte
		hint     string // "" is well
	}{
		{"plain", spec.RedisServer{Addr: plain.Addr, DB: 3}, plain.Password, nil, ""},
		{"a user", spec.RedisServer{Addr: plain.Addr, User: "default"}, plain.Password, nil, ""},
		{"TLS", spec.RedisServer{Addr: secure.Addr, TLS: true}, secure.Password, ca, ""},
		{"no password", spec.RedisServer{Addr: plain.Addr}, "", nil, "it wants a password"},
		{"wrong password", spec.RedisServer{Addr: plain.Addr}, "wrong", nil, "mend the password"},
		{"no such database", spec.RedisServer{Addr: plain.Addr, DB: 99}, plain.Password, nil, "choose a database"},
		{"another's CA", spec.RedisServer{Addr: secure.Addr, TLS: true}, secure.Password, other, "--redis-ca"},
		{"TLS where there is none", spec.RedisServer{Addr: plain.Addr, TLS: true}, plain.Password, ca, "without TLS"},
		{"no TLS where there is", spec.RedisServer{Addr: secure.Addr}, secure.Password, nil, "without TLS"},
		{"nobody", spec.RedisServer{Addr: "127.0.0.1:1"}, "", nil, "start it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := pingRedis(t.Context(), test.server, test.password, test.ca)
			switch {
			case test.hint == "" && err != nil:
				t.Error(err)
			case test.hint != "" && !strings.Contains(fault.Hint(err), test.hint):
				t.Errorf("%v, hint %q; want %q", err, fault.Hint(err), test.hint)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}
