package host_test

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
)

const hidden = "hunter2 'é\" $(id) \\ <&>"

// helpers puts credential helpers on the PATH. The one called real keeps one login.
func helpers(t *testing.T) (kept string) {
	t.Helper()
	dir := t.TempDir()
	kept = filepath.Join(dir, "kept")
	for name, body := range map[string]string{
		"real": `case $1 in
store) cat >` + kept + ` ;;
get) cat ` + kept + ` 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) [ "$(cat)" = registry.test:5000 ] && rm ` + kept + ` ;;
esac`,
		"tells":    `case $1 in store) cat >&2; exit 3 ;; *) echo 'credentials not found in native keychain'; exit 1 ;; esac`,
		"swallows": `case $1 in store) cat >/dev/null ;; *) echo 'credentials not found in native keychain'; exit 1 ;; esac`,
		"locked":   `cat >/dev/null; echo 'the keyring is locked'; echo why >&2; exit 1`,
		"leaks":    `cat >/dev/null; echo '{"Secret": "hunter2"}'; exit 1`,
	} {
		put(t, filepath.Join(dir, "docker-credential-"+name), "#!/bin/sh\n"+body+"\n", 0o700)
		must(t, os.Chmod(filepath.Join(dir, "docker-credential-"+name), 0o700))
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return kept
}

func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	must(t, err)
	return u.Username
}

func storing(ref host.Ref, login string) host.Op {
	return host.Op{
		Ref: ref, Action: host.Create, Before: host.AnyBefore, Part: "login,a",
		Want: host.CredentialFact("registry.test:5000", login, secret.New(hidden)),
	}
}

func TestCredentials(t *testing.T) {
	kept := helpers(t)
	h, undo := undoable(t)
	ref := host.CredentialRef("real", "registry.test:5000", me(t))
	look := func() host.Fact {
		t.Helper()
		facts, err := h.Look(t.Context(), []host.Ref{ref})
		must(t, err)
		return facts[ref]
	}
	do := func(op host.Op) host.Receipt {
		t.Helper()
		op.Before = look().Hash()
		receipts, err := h.Do(t.Context(), []host.Op{op})
		must(t, err)
		line, err := json.Marshal(receipts)
		must(t, err)
		if text := string(line) + string(receipts[0].Before.Data); strings.Contains(text, "hunter2") {
			t.Errorf("a receipt holds the secret: %s", text)
		}
		return receipts[0]
	}
	if f := look(); f.Exists || f.Foreign != "" {
		t.Errorf("%+v", f)
	}
	first := do(storing(ref, "ci"))
	login, password, err := host.ParseCredential(look())
	if err != nil || login != "ci" || password.Reveal() != hidden || !first.Changed || first.Before.Exists || first.After == "" {
		t.Errorf("%s, %+v, %v", login, first, err)
	}
	second := do(storing(ref, "deploy"))
	if !second.Changed || second.Before.Hash() != first.After || second.After == first.After {
		t.Errorf("%+v", second)
	}
	if r := look().Edit; r == nil || !r.Has("login,a") || r.Others {
		t.Errorf("record %+v", r)
	}
	for _, name := range names(t, undo) {
		if strings.Contains(content(t, filepath.Join(undo, name)), "hunter2") {
			t.Errorf("%s holds the secret", name)
		}
	}

	// Somebody else logs in, and that stays; then we do again, and that goes.
	put(t, kept, `{ "Username":"other", "Secret":"x" }`, 0o600)
	if r := look().Edit; r == nil || !r.Others {
		t.Errorf("record %+v", r)
	}
	remove := host.Op{Ref: ref, Action: host.Remove, Part: "login,a", Want: host.Fact{Exists: true}}
	if r := do(remove); r.Changed || r.Note == "" || !strings.Contains(content(t, kept), "other") {
		t.Errorf("%+v", r)
	}
	gone(t, undo)
	do(storing(ref, "ci"))
	remove.Want = host.Fact{}
	if r := do(remove); !r.Changed || r.After != "" {
		t.Errorf("%+v", r)
	}
	gone(t, kept)
	gone(t, undo)
	if r := do(remove); r.Changed {
		t.Errorf("removed twice: %+v", r)
	}
}

func TestCredentialsThatCannotBe(t *testing.T) {
	helpers(t)
	h, undo := undoable(t)
	as := ", as " + me(t) + ": "
	for helper, want := range map[string]string{
		"tells":    "docker-credential-tells store for registry.test:5000" + as + `{"ServerURL":"registry.test:5000","Username":"ci","Secret":"***"}`,
		"swallows": "docker-credential-swallows store for registry.test:5000" + as + "it took the login and does not have it",
		"locked":   "docker-credential-locked get for registry.test:5000" + as + "the keyring is locked why",
		"leaks":    "docker-credential-leaks get for registry.test:5000" + as + "it failed without a word",
		"none":     "docker-credential-none get for registry.test:5000" + as + host.NoHelper,
		"../tells": "docker-credential-../tells get for registry.test:5000" + as + "not a helper, an address and a user",
	} {
		receipts, err := h.Do(t.Context(), []host.Op{storing(host.CredentialRef(helper, "registry.test:5000", me(t)), "ci")})
		if err == nil || err.Error() != want || len(receipts) > 0 {
			t.Errorf("%s:\n%v\nwant\n%s", helper, err, want)
		}
		gone(t, undo)
	}
	op := storing(host.CredentialRef("real", "registry.test:5000", me(t)), "ci")
	op.Part = ""
	if _, err := h.Do(t.Context(), []host.Op{op}); err == nil {
		t.Error("what nobody would know as ours was stored")
	}
}

func TestLocalHasCredentials(t *testing.T) {
	kept := helpers(t)
	l := host.NewLocal(nil)
	l.UndoDir = t.TempDir() + "/undo"
	ref := host.CredentialRef("real", "registry.test:5000", me(t))
	_, err := l.Do(t.Context(), []host.Op{storing(ref, "ci")})
	must(t, err)
	facts, err := l.Look(t.Context(), []host.Ref{ref})
	must(t, err)
	login, _, err := host.ParseCredential(facts[ref])
	if err != nil || login != "ci" || !facts[ref].Edit.Has("login,a") || facts[ref].Edit.Others {
		t.Errorf("%s, %v, %+v", login, err, facts[ref].Edit)
	}
	_, err = l.Do(t.Context(), []host.Op{{Ref: ref, Action: host.Remove, Before: facts[ref].Hash(), Part: "login,a"}})
	must(t, err)
	gone(t, kept)
	gone(t, l.UndoDir)
}
