package canaryimage

import (
	"strings"
	"testing"
	"time"
)

func TestSigned(t *testing.T) {
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	word, password := Sign("secret", [nonceSize]byte{1, 2, 3}, ends)
	f, ok := Signed("secret", word)
	if !ok || f.Expires != ends || f.Nonce != "01020300000000000000" || !f.Opens(User, password) || f.Opens(User, "") {
		t.Errorf("got %+v, %v", f, ok)
	}
	if _, err := New(f.Nonce); err != nil || !validNonce.MatchString(f.Nonce) {
		t.Errorf("the nonce %q: %v", f.Nonce, err)
	}
	if got := WordOf(Repository + "/" + word); got != word {
		t.Errorf("the word is %q", got)
	}
	flipped := map[byte]string{'0': "1"}[word[3]]
	if flipped == "" {
		flipped = "0"
	}
	for why, try := range map[string][2]string{
		"another secret": {"other", word}, "no secret": {"", word}, "another time": {"secret", word[:3] + flipped + word[4:]},
		"cut": {"secret", word[:len(word)-2]}, "longer": {"secret", word + "00"}, "upper case": {"secret", strings.ToUpper(word)}, "no hex": {"secret", "x" + word[1:]}, "nothing": {"secret", ""},
	} {
		if f, ok := Signed(try[0], try[1]); ok {
			t.Errorf("%s: %+v", why, f)
		}
	}
	for _, name := range []string{Repository, Repository + "/", Repository + "/app", "team/" + word, Repository + "/" + word + "/x"} {
		if got := WordOf(name); got != "" {
			t.Errorf("the word of %q is %q", name, got)
		}
	}
}
