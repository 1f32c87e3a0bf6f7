package parameters

import (
	"fmt"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
)

func TestParse(t *testing.T) {
	all, err := Parse("f", []byte("# keys\n\naccesskey = AK\r\nsecretkey=a=b c\ncredentials.secret=x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(Format(all)); got != "accesskey=AK\nsecretkey=a=b c\ncredentials.secret=x\n" {
		t.Error(got)
	}
	if Get(all, "secretkey").Reveal() != "a=b c" || !Get(all, "other").Empty() {
		t.Error("Get gives another value")
	}
	shown := fmt.Sprintf("%v %s", all, Mask(Format(all)))
	if strings.Contains(shown, "AK") || strings.Contains(shown, "a=b") || !strings.Contains(shown, "secretkey=***\n") {
		t.Error(shown)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"accesskey=a\nhunter2\n":       "f:2: this is no parameter",
		"bad name=hunter2":             "f:1: this is no parameter",
		"secretkey=":                   "f:1: secretkey has no value",
		"a=hunter2\n# x\na=hunter2\n":  "f:3: a is there twice",
		"=hunter2":                     "f:1: this is no parameter",
		"aws_access_key_id\t:hunter2x": "f:1: this is no parameter",
	} {
		_, err := Parse("f", []byte(text))
		if err == nil || err.Error() != want || !fault.IsUsage(err) || strings.Contains(fault.Hint(err), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
