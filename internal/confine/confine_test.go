package confine

import "testing"

func TestRewrite(t *testing.T) {
	c := &Confined{dirs: []opened{
		{"/root/reg/serve", "/proc/self/fd/5"},
		{"/root/reg/data", "/proc/self/fd/6"},
		{"/root/reg/data/deep", "/proc/self/fd/7"},
	}}
	for _, tc := range []struct{ path, want string }{
		{"/root/reg/serve", "/proc/self/fd/5"},
		{"/root/reg/serve/config.yml", "/proc/self/fd/5/config.yml"},
		{"/root/reg/serve/../serve/tls//current", "/proc/self/fd/5/tls/current"},
		{"/root/reg/data/docker", "/proc/self/fd/6/docker"},
		{"/root/reg/data/deep/er", "/proc/self/fd/7/er"},
		{"/root/reg/serve2/config.yml", "/root/reg/serve2/config.yml"},
		{"/root/reg/serve/../certs/ca.key", "/root/reg/serve/../certs/ca.key"},
		{"/etc/ssl/certs", "/etc/ssl/certs"},
		{"relative", "relative"},
		{"", ""},
	} {
		if got := c.Rewrite(tc.path); got != tc.want {
			t.Errorf("Rewrite(%q) = %q, want %q", tc.path, got, tc.want)
		}
	}
	var none *Confined
	if got := none.Rewrite("/a"); got != "/a" {
		t.Errorf("nil Rewrite = %q", got)
	}
}

func TestParseUser(t *testing.T) {
	uid, gid, err := ParseUser("65532:100")
	if uid != 65532 || gid != 100 || err != nil {
		t.Errorf("ParseUser = %d, %d, %v", uid, gid, err)
	}
	for _, bad := range []string{"", "65532", "0:65532", "65532:0", "nobody:nogroup", "-1:5", "5:6:7"} {
		if _, _, err := ParseUser(bad); err == nil {
			t.Errorf("ParseUser(%q) succeeded", bad)
		}
	}
}
