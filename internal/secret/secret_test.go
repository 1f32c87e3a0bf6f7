package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/secret"
)

func TestItDoesNotShow(t *testing.T) {
	type inner struct{ hidden, Shown secret.String }
	s := secret.New("hunter2")
	v := struct {
		inner inner
		Outer *inner
	}{inner{s, s}, &inner{s, s}}
	line, err := json.Marshal(map[string]any{"a": v, "b": s, "c": &s})
	if err != nil {
		t.Fatal(err)
	}
	text := string(line) + fmt.Sprintf("%v %+v %#v %v %s %q %x", v, v, v, &v, s, s, s)
	if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") || !strings.Contains(text, secret.Mask) {
		t.Error(text)
	}
}

func TestEquality(t *testing.T) {
	one, same := secret.New("a"), secret.New(strings.ToLower("A"))
	if one != same || one == secret.New("b") || secret.New("") != (secret.String{}) {
		t.Error("secrets do not compare as their texts do")
	}
	if secret.New("a").Reveal() != "a" || (secret.String{}).Reveal() != "" || !secret.New("").Empty() || secret.New(" ").Empty() {
		t.Error("the text is another")
	}
}
