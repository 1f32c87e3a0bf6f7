package scenario

import "testing"

func TestMaskUsers(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"alice:$2y$10$abc\nbob:{SHA}x=\n": "alice:***\nbob:***\n",
		"alice:$apr1$a:b":                 "alice:***",
		"# carol:secret\n\nalice:x\r\n":   "# carol:secret\n\nalice:***\n",
		"no colon\n:x\nempty:\n":          "no colon\n:x\nempty:\n",
	} {
		if got := string(maskUsers([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
