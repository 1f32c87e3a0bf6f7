package htpasswd

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/secret"
)

const apr1 = "$apr1$abcdefgh$1234567890123456789012"

var good = Dummy(DefaultCost)

func TestEditKeepsTheRest(t *testing.T) {
	const before = "# ours\n\nold:" + apr1 + "\r\n  bob : x \nnonsense\nalice:1\nalice:2"
	f := Parse([]byte(before))
	if got := string(f.Bytes()); got != before {
		t.Fatalf("unchanged: %q", got)
	}
	f.Set("alice", "3")
	f.Set("carol", "4")
	const want = "# ours\n\nold:" + apr1 + "\r\n  bob : x \nnonsense\nalice:1\nalice:3\ncarol:4\n"
	if got := string(f.Bytes()); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if u, ok := f.Find("alice"); !ok || u.Hash != "3" || u.Line != 7 {
		t.Errorf("alice is %+v, want her last line", u)
	}
	if !f.Remove("alice") || f.Remove("alice") {
		t.Error("alice was not removed just once")
	}
	if got := string(f.Bytes()); strings.Contains(got, "alice") || !strings.HasSuffix(got, "nonsense\ncarol:4\n") {
		t.Errorf("after the removal: %q", got)
	}
}

func TestProblems(t *testing.T) {
	f := Parse([]byte("# c\nok:" + good + "\nold:" + apr1 + "\nsha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nnonsense\nok:" + good + "\n"))
	var got []string
	for _, p := range f.Problems() {
		got = append(got, fmt.Sprintf("%d %t %s", p.Line, p.Fatal, p.Text))
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"3 false user old: the hash is apr1", "4 false user sha: the hash is SHA-1", "5 true no colon", "6 false user ok: is in line 2"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d problems, want 4:\n%s", len(got), all)
	}
}

func TestHashAndVerify(t *testing.T) {
	hash, err := Hash(secret.New("pa:ss wörd"), MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if Cost(hash) != MinCost || !Verify(hash, "pa:ss wörd") || Verify(hash, "pa:ss word") {
		t.Errorf("%s: cost %d, or it does not tell passwords apart", hash, Cost(hash))
	}
	if !Verify("$2y$"+hash[4:], "pa:ss wörd") {
		t.Error("Apache's $2y$ is refused")
	}
	if d := Dummy(MinCost); Cost(d) != MinCost || Verify(d, "") {
		t.Errorf("%s is no dummy of cost %d", d, MinCost)
	}
	for name, p := range map[string]string{"empty": "", "long": strings.Repeat("x", 73), "line": "a\nb"} {
		if _, err := Hash(secret.New(p), MinCost); !fault.IsUsage(err) {
			t.Errorf("%s password: %v, want it refused", name, err)
		}
	}
	if _, err := Hash(secret.New(strings.Repeat("x", 72)), MinCost); err != nil {
		t.Errorf("72 bytes: %v", err)
	}
	for _, cost := range []int{-1, 0, 4, 5, 16, 31} {
		if err := CheckCost(cost); !fault.IsUsage(err) {
			t.Errorf("cost %d: %v, want it refused", cost, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"alice", "a.b@c-d", "zoë", "a b", strings.Repeat("x", 255)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a:b", "#a", " a", "a\n", "a\x00", "\xff", strings.Repeat("x", 256)} {
		if err := CheckName(name); !fault.IsUsage(err) || fault.Hint(err) == "" {
			t.Errorf("%q: %v, want it refused with a hint", name, err)
		}
	}
}

func TestTenThousandUsers(t *testing.T) {
	var data bytes.Buffer
	for i := range 10000 {
		fmt.Fprintf(&data, "user%d:%s\n", i, good)
	}
	f := Parse(data.Bytes())
	f.Set("user9999", "changed")
	if u := f.Users(); len(u) != 10000 || u[9999].Hash != "changed" || len(f.Problems()) != 1 {
		t.Errorf("%d users, the last %+v, %d problems", len(u), u[len(u)-1], len(f.Problems()))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# c\na:"+good+"\r\nb:{SHA}x"), "b")
	f.Add([]byte(":\n::\n \n#:x\nq"), "q")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		file := Parse(data)
		if !bytes.Equal(file.Bytes(), data) {
			t.Fatalf("%q became %q", data, file.Bytes())
		}
		if CheckName(name) != nil {
			return
		}
		others := len(file.Users())
		if _, there := file.Find(name); there {
			others--
		}
		file.Set(name, "hash")
		again := Parse(file.Bytes())
		if u, ok := again.Find(name); !ok || u.Hash != "hash" || len(again.Users()) != others+1 {
			t.Fatalf("%q: after Set(%q) it says %+v", data, name, u)
		}
		again.Remove(name)
		if _, ok := again.Find(name); ok || len(again.Users()) != others {
			t.Fatalf("%q: Remove(%q) left %q", data, name, again.Bytes())
		}
	})
}
