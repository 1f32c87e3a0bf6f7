package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func TestExpand(t *testing.T) {
	for _, c := range []struct{ lists, want string }{
		{"192.168.1.1", "192.168.1.1"},
		{"a, b ,,c,", "a b c"},
		{"a|b,c", "a b c"}, // | parts one --hosts from another here
		{"10.0.0.[1-3]", "10.0.0.1 10.0.0.2 10.0.0.3"},
		{"node[08-11].lan", "node08.lan node09.lan node10.lan node11.lan"},
		{"node[8-10]", "node8 node9 node10"},
		{"n[1,3,7-8].lan,x", "n1.lan n3.lan n7.lan n8.lan x"},
		{"r[1-2]n[01-02]", "r1n01 r1n02 r2n01 r2n02"},
		{"root@n[1-2]:2222", "root@n1:2222 root@n2:2222"},
		{"127.0.0.1:[2201-2202]", "127.0.0.1:2201 127.0.0.1:2202"},
		{"[5].lan", "5.lan"},
		{"n[0-0]", "n0"},
		{"[fe80::1]:22", "[fe80::1]:22"},
		{"root@[2001:db8::1]:2222", "root@[2001:db8::1]:2222"},
		{"fe80::1%eth0,[fe80::2%eth0]", "fe80::1%eth0 [fe80::2%eth0]"},
		{"[2001:db8::1]:[22-23]", "[2001:db8::1]:22 [2001:db8::1]:23"},
		{"root@a,bob@a,a", "root@a bob@a a"}, // rootless stores are each user's own
		{"a@corp.example@jump", "a@corp.example@jump"},
		{`CORP\ann@h`, `CORP\ann@h`},
		{"my_alias,bücher.example", "my_alias bücher.example"},
		{"A.lan,a.LAN,a.lan:22,a.lan:022", "A.lan"},
		{"a:22,a", "a:22"},
		{"a:23,A:23,a", "a:23 a"},
		{"2001:DB8:0::1,[2001:db8::1]:22,2001:db8::1", "2001:DB8:0::1"},
		{"n[1-2],n2,n[2-3]", "n1 n2 n3"},
	} {
		got, err := Expand(strings.Split(c.lists, "|"))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v; want %s", c.lists, got, err, c.want)
		}
		if again, err := Expand(got); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: its own list becomes %v, %v", c.lists, again, err)
		}
	}
}

func TestExpandRefuses(t *testing.T) {
	for list, want := range map[string]string{
		"":                          "no hosts are named",
		" , ":                       "no hosts are named",
		"a b":                       `"a b" is more than one host`,
		"10.0.0.[20-1]":             `the range 20-1 runs backwards`,
		"n[01-100]":                 `the ends of 01-100 have different lengths`,
		"n[a-c]":                    `[a-c] is neither a range of numbers nor an IPv6 address`,
		"n[1:20]":                   `has a colon in [1:20]`,
		"[1:20]":                    `"[1:20]" is no IPv6 address`,
		"n[1-2":                     `has a [ without its ]`,
		"n1-2]":                     `has a ] without its [`,
		"n[]":                       `[] is neither`,
		"n[1-]":                     `"1-" is no range of numbers`,
		"n[1--2]":                   `"1--2" is no range of numbers`,
		"n[1-2-3]":                  `"1-2-3" is no range of numbers`,
		"n[,]":                      `"" is no range of numbers`,
		"n[1-99999999999999999999]": "is no range of numbers",
		"n[1-999999999]":            "more than 65536 hosts",
		"n[1-60000]m[1-60000]":      "more than 65536 hosts",
		"[fd00::[1-2]]":             "neither a range of numbers nor an IPv6 address",
		"[fe80::1]22":               "is malformed",
		"[fe80::1]:":                "is malformed",
		"fe80:::1":                  "is no IPv6 address",
		"fe80::1%a;b":               "is no IPv6 address",
		"10.0.0.[250-256]":          `"10.0.0.256" is no IPv4 address`,
		"10.0.0.[01-02]":            `"10.0.0.01" is no IPv4 address`,
		"10.0.0.0/24":               `has a / in it`,
		"https://a":                 `is a URL, not a host`,
		"ssh://root@a":              `is a URL, not a host`,
		"a:":                        `no port after the colon`,
		"a:0":                       `"0" is no port`,
		"a:65536":                   `"65536" is no port`,
		"a:ssh":                     `"ssh" is no port`,
		"@a":                        `"" is no user`,
		"-x@a":                      `"-x" is no user`,
		"a@":                        `names no host`,
		"-oProxyCommand=x":          `is no host`,
		"$(id)":                     `is no host`,
		"a;b":                       `is no host`,
		"*.lan":                     `is a pattern`,
		"[web]":                     `[web] is neither`,
		"web1 ansible_host=x":       `is more than one host`,
		"root:hunter2@a":            `"root:***@a" has a password in it`,
	} {
		got, err := Expand([]string{list})
		if err == nil || !strings.Contains(err.Error(), want) || !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%q: %v, %v, hint %q; want %s", list, got, err, fault.Hint(err), want)
		}
		if err != nil && strings.Contains(err.Error()+fault.Hint(err), "hunter2") {
			t.Errorf("shows the password: %v", err)
		}
	}
	if _, err := Expand([]string{"10.1.2.0/24"}); fault.Hint(err) != "a network is written as a range: 10.1.2.[1-254]" {
		t.Errorf("hint %q", fault.Hint(err))
	}
}

func TestExpandMany(t *testing.T) {
	got, err := Expand([]string{"10.[0-3].[0-255].[1-64]"})
	if err != nil || len(got) != MaxHosts || got[MaxHosts-1] != "10.3.255.64" {
		t.Errorf("%d, %v", len(got), err)
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"a,b", "n[01-10].lan", "root@[fe80::1]:22", "[1,2-3]x[4]", "[]", "a@b@c:1", "fe80::1%e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if strings.Count(list, "[")+strings.Count(list, "-") > 4 {
			t.Skip("long to write out")
		}
		got, err := Expand([]string{list})
		if err != nil {
			if !fault.IsUsage(err) || fault.Hint(err) == "" {
				t.Errorf("%q: %v", list, err)
			}
			return
		}
		if again, err := Expand(got); err != nil || !slices.Equal(again, got) {
			t.Errorf("%q: %q becomes %q, %v", list, got, again, err)
		}
		for _, host := range got {
			if key := Key(host); Key(key) != key {
				t.Errorf("%q: key %q, whose key is %q", host, key, Key(key))
			}
		}
	})
}

func TestKey(t *testing.T) {
	for host, want := range map[string]string{
		"Root@A.lan:22":       "Root@a.lan",
		"[2001:DB8::1]:2222":  "[2001:db8::1]:2222",
		"[2001:DB8:0:0::1]":   "2001:db8::1",
		"a:0023":              "a:23",
		"no host at all, eh?": "no host at all, eh?",
	} {
		if got := Key(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	const text = "\ufeff# the fleet\r\nweb1.lan\r\n\r\n  db[1-2].lan  # both\n10.0.0.1, 10.0.0.2\n\t# end\nWEB1.lan\nx#y"
	want := []string{"web1.lan", "db1.lan", "db2.lan", "10.0.0.1", "10.0.0.2"}
	good := strings.TrimSuffix(text, "x#y")
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, stdin := range map[string]string{path: "", "-": good} {
		got, err := ReadFile(name, strings.NewReader(stdin))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for stdin, want := range map[string]string{
		text:                       `stdin:8: "x#y" is no host`,
		"a\n[web]\n":               `stdin:2: "[web]": [web] is neither`,
		"# nobody\n":               "stdin: no hosts are named",
		strings.Repeat("a", 1<<17): "stdin has a line of more than 65536 bytes",
		"\xff\xfea\x00\n\x00":      "stdin:1: ",
	} {
		if _, err := ReadFile("-", strings.NewReader(stdin)); err == nil || !strings.HasPrefix(err.Error(), want) || !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%.20q: %v", stdin, err)
		}
	}
	if _, err := ReadFile(path+"x", nil); err == nil || !fault.IsUsage(err) || !strings.Contains(err.Error(), path+"x: no such file") {
		t.Error(err)
	}
	if _, err := ReadFile(filepath.Dir(path), nil); err == nil || !fault.IsUsage(err) {
		t.Error(err)
	}
}

func TestLimit(t *testing.T) {
	hosts := []string{"Web1.lan", "web2.lan:2222", "root@db1.lan", "10.0.0.1", "[2001:DB8::1]:22"}
	for limit, want := range map[string]string{
		"":                      "Web1.lan web2.lan:2222 root@db1.lan 10.0.0.1 [2001:DB8::1]:22",
		"2":                     "Web1.lan web2.lan:2222",
		"99":                    "Web1.lan web2.lan:2222 root@db1.lan 10.0.0.1 [2001:DB8::1]:22",
		"db1.lan,web1.lan":      "Web1.lan root@db1.lan",
		"web[1-2].lan":          "Web1.lan web2.lan:2222",
		"web*":                  "Web1.lan web2.lan:2222",
		"*.LAN":                 "Web1.lan web2.lan:2222 root@db1.lan",
		"root@*":                "root@db1.lan",
		"web2.lan:2222":         "web2.lan:2222",
		"2001:db8::1, 10.0.0.?": "10.0.0.1 [2001:DB8::1]:22",
	} {
		got, err := Limit(hosts, limit)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %v, %v", limit, got, err)
		}
	}
	for limit, want := range map[string]string{
		"0":            "--limit 0 leaves no hosts",
		"-1":           "--limit -1 leaves no hosts",
		"web1.lan,web": `none of the 5 hosts is "web"`,
		"web[1-3].lan": `none of the 5 hosts is "web3.lan"`,
		"web2.lan:22":  `none of the 5 hosts is "web2.lan:22"`,
		"web[":         "has a [ without its ]",
	} {
		if got, err := Limit(hosts, limit); err == nil || !strings.Contains(err.Error(), want) || !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%q: %v, %v", limit, got, err)
		}
	}
}

func ExampleExpand() {
	hosts, _ := Expand([]string{"10.0.0.[1-3]", "root@node[09-10].lan:2222,[fe80::1]:22"})
	fmt.Println(strings.Join(hosts, "\n"))
	// Output:
	// 10.0.0.1
	// 10.0.0.2
	// 10.0.0.3
	// root@node09.lan:2222
	// root@node10.lan:2222
	// [fe80::1]:22
}
