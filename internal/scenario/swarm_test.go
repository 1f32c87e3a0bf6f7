package scenario

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestHasIPVS(t *testing.T) {
	release := map[string]string{"proc/sys/kernel/osrelease": "6.1.0-9-amd64\n"}
	for name, tc := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"nothing":        {nil, false},
		"in use":         {map[string]string{"proc/net/ip_vs": ""}, true},
		"loaded":         {map[string]string{"sys/module/ip_vs/refcnt": "0"}, true},
		"built in":       {map[string]string{"lib/modules/6.1.0-9-amd64/modules.builtin": "kernel/net/netfilter/ipvs/ip_vs.ko\n"}, true},
		"to be loaded":   {map[string]string{"lib/modules/6.1.0-9-amd64/modules.dep": "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/x.ko.xz\n"}, true},
		"another's":      {map[string]string{"lib/modules/5.0/modules.dep": "kernel/net/netfilter/ipvs/ip_vs.ko:\n"}, false},
		"not built":      {map[string]string{"lib/modules/6.1.0-9-amd64/modules.dep": "kernel/net/ipv4/ip_tables.ko:\n"}, false},
		"a helper alone": {map[string]string{"lib/modules/6.1.0-9-amd64/modules.builtin": "kernel/net/netfilter/ipvs/ip_vs_rr.ko\n"}, false},
	} {
		root := fstest.MapFS{}
		for _, all := range []map[string]string{release, tc.files} {
			for path, data := range all {
				root[path] = &fstest.MapFile{Data: []byte(data), Mode: fs.FileMode(0o644)}
			}
		}
		if got := hasIPVS(root); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
