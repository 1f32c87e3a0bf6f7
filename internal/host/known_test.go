package host_test

import (
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		text string
		want host.Target
	}{
		{"a", host.Target{Host: "a"}},
		{"u@a.example:2222", host.Target{User: "u", Host: "a.example", Port: 2222}},
		{"domain\\u@x", host.Target{}},
		{"u@v@a", host.Target{User: "u@v", Host: "a"}},
		{"10.0.0.1", host.Target{Host: "10.0.0.1"}},
		{"[::1]:22", host.Target{Host: "::1", Port: 22}},
		{"u@[fe80::1%eth0]", host.Target{User: "u", Host: "fe80::1%eth0"}},
		{"::1", host.Target{Host: "::1"}},
		{"", host.Target{}},
		{"@a", host.Target{}},
		{"a:", host.Target{}},
		{"a:0", host.Target{}},
		{"a:65536", host.Target{}},
		{"a:b:c", host.Target{}},
		{"[::1", host.Target{}},
		{"[::1]22", host.Target{}},
		{"-oProxyCommand=x", host.Target{}},
		{"-u@a", host.Target{}},
		{"a b", host.Target{}},
		{"a$(id)", host.Target{}},
		{"u@", host.Target{}},
	}
	for _, tt := range tests {
		got, err := host.ParseTarget(tt.text)
		want := tt.want
		if want.Host != "" {
			want.Given = tt.text
		}
		if got != want || (err == nil) != (want.Host != "") || (err != nil && (!fault.IsUsage(err) || fault.Hint(err) == "")) {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
	}
}
