package trust

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
)

const authA = "Y2k6cMOkc3M6d29yZA==" // of loginA

func loginA() Login { return Login{"ci", secret.New("päss:word")} }

func dockerConfigs() []string {
	return []string{
		"", "\n", "{}", "{ }", "{\n}\n", "{\n\t\"auths\": {}\n}", "{\r\n  \"auths\": {\r\n  }\r\n}\r\n",
		"{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t},\n\t\"credHelpers\": {\n\t\t\"x.test\": \"pass\"\n\t}\n}",
		"{\r\n  \"HttpHeaders\": {\"X\": \"dück\"},\r\n  \"auths\": {\r\n    \"a.test\": {\"auth\": \"dTpw\"}\r\n  }\r\n}\r\n",
		`{"auths":{"x.test":{}} , "psFormat":"a" }`, `{"auths":{"x.test":{} }}`, `{"detachKeys": "ctrl-e,e"}`,
	}
}

func TestDockerAuth(t *testing.T) {
	ours := DockerAuth{Address: addrA, Login: loginA()}
	entry := fmt.Sprintf(`"registry.test:5000": {"auth": "%s"}`, authA)
	for _, c := range []struct{ name, data, want string }{
		{"missing", "", "{\n\t\"auths\": {\n\t\t\"registry.test:5000\": {\n\t\t\t\"auth\": \"" + authA + "\"\n\t\t}\n\t}\n}\n"},
		{"without auths", `{"psFormat": "x"}`, `{"psFormat": "x", "auths": {` + entry + `}}`},
		{"logged out", "{\n\t\"auths\": {}\n}", "{\n\t\"auths\": { " + entry + "}\n}"},
		{
			"beside another, CRLF", "{\r\n  \"auths\": {\r\n    \"ü.test\": {}\r\n  }\r\n}",
			"{\r\n  \"auths\": {\r\n    \"ü.test\": {},\r\n    \"registry.test:5000\": {\r\n      \"auth\": \"" + authA + "\"\r\n    }\r\n  }\r\n}",
		},
		{"there already", "{\"auths\": {" + entry + "}}", "{\"auths\": {" + entry + "}}"},
		{"there by an old name", `{"auths": {"https://registry.test:5000/v1/": {"auth": "` + authA + `"}}}`, `{"auths": {"https://registry.test:5000/v1/": {"auth": "` + authA + `"}}}`},
		{"there in clear", `{"auths": {"registry.test:5000": {"username": "ci", "password": "päss:word"}}}`, `{"auths": {"registry.test:5000": {"username": "ci", "password": "päss:word"}}}`},
	} {
		got, err := ours.Apply([]byte(c.data))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", c.name, err, got, c.want)
		}
		if !ours.Has(got) {
			t.Errorf("%s: it is not there", c.name)
		}
	}
}

func TestDockerAuthRefuses(t *testing.T) {
	for _, c := range []struct{ name, data, want, hint string }{
		{"another's", "{\"auths\": {\n\"registry.test:5000\": {\"auth\": \"dTpw\"}}}", "line 2: another login for registry.test:5000", "docker logout registry.test:5000"},
		{"another's by an old name", `{"auths": {"http://registry.test:5000": {"auth": "dTpw"}}}`, "another login", "docker logout"},
		{"a token", `{"auths": {"registry.test:5000": {"auth": "` + authA + `", "identitytoken": "x"}}}`, "another login", "docker logout"},
		{"logged in by a helper that has gone", `{"auths": {"registry.test:5000": {}}}`, "another login", "docker logout"},
		{"not JSON", "{\n \"auths\": {},\n}", "line 3: not JSON", "mend the file"},
		{"not an object", "{\n\"auths\": null}", "line 2: auths is not an object", `"auths": {}`},
		{"twice", "{\"auths\": {},\n\"auths\": {}}", "line 2: auths is there twice", "keep one"},
	} {
		for _, replace := range []bool{false, c.name != "another's"} {
			ours := DockerAuth{Address: addrA, Login: loginA(), Replace: replace}
			got, err := ours.Apply([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.Hint(err), c.hint) || string(got) != c.data {
				t.Errorf("%s: %v (hint: %s) %q", c.name, err, fault.Hint(err), got)
			}
		}
	}
}

func TestDockerAuthReplaces(t *testing.T) {
	const data = "{\"auths\": {\"registry.test:5000\": {\r\n\"auth\": \"dTpw\"\r\n}, \"x\": {}}}"
	ours := DockerAuth{Address: addrA, Login: loginA(), Replace: true}
	got, err := ours.Apply([]byte(data))
	if want := strings.Replace(data, "dTpw", authA, 1); err != nil || string(got) != want {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
}

// Docker's client sorts and indents the file anew; our part leaves it all the same.
func TestDockerAuthAfterDockersOwnWrite(t *testing.T) {
	ours := DockerAuth{Address: addrA, Login: loginA()}
	for name, others := range map[string]string{"alone": "", "between": `"z.test": {"auth": "dTpw"}, "a.test": {"auth": "dTpw"}`, "before": `"z.test": {"auth": "dTpw"}`} {
		data, err := ours.Apply([]byte(`{"auths": {` + others + `}, "psFormat": "x"}`))
		if err != nil {
			t.Fatal(err)
		}
		var all, without map[string]any
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatal(err)
		}
		rewritten, _ := json.MarshalIndent(all, "", "\t")
		left, err := DockerAuth{Address: addrA}.Remove(rewritten)
		if err != nil {
			t.Fatal(err)
		}
		delete(all["auths"].(map[string]any), addrA)
		want, _ := json.MarshalIndent(all, "", "\t")
		if err := json.Unmarshal(left, &without); err != nil || string(left) != string(want) {
			t.Errorf("%s: %v\ngot  %q\nwant %q", name, err, left, want)
		}
	}
}

func TestMaskedJSON(t *testing.T) {
	for _, layout := range []string{
		`{"auths":{"a":{"auth":"hunter2"},"b":{"identitytoken":"hunter2"}},"keep":"me"}`,
		"{\n\t\"auths\": {\n\t\t\"a\": {\n\t\t\t\"auth\": \"hunter2\"\n\t\t}\n\t},\n\t\"keep\": \"me\"\n}",
		"{\"auths\": {\"a\": {\"auth\":\r\n\r\n  \"hunter2\", \"Password\":\n[\"hunter2\", {\"x\": \"hunter2\"}]}},\n \"keep\": \"me\"}",
		`{"HttpHeaders": {"X-Meta": "hunter2"}, "proxies": {"default": {"httpProxy": "http://u:hunter2@p.test"}}, "keep": "me"}`,
		`{"runtimes": {"x": {"runtimeArgs": ["--token=hunter2"]}}, "keep": "me"}`,
		`{"auth": "hunter2", "keep": "me" `,
	} {
		got := string(maskForeign([]byte(layout)))
		if strings.Contains(got, "hunter2") || !strings.Contains(got, "***") || strings.HasSuffix(layout, "}") && !strings.Contains(got, `"me"`) {
			t.Errorf("%s\nshows as\n%s", layout, got)
		}
	}
}

// A login shows nowhere but in what is written.
func TestALoginIsSecret(t *testing.T) {
	ours := DockerAuth{Address: addrA, Login: loginA()}
	for _, data := range dockerConfigs() {
		step := Edit{Path: "/home/u/.docker/config.json", Editor: ours, Mode: 0o600}
		seen := host.Facts{step.ref(): {Exists: data != "", Data: []byte(data), Mode: 0o600}}
		c, err := step.Plan(seen)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(c.Ops[0].Want.Data), authA) {
			t.Errorf("it is not written: %s", c.Ops[0].Want.Data)
		}
		line, err := json.Marshal(struct{ Items, Step any }{c.Items, ours})
		if err != nil {
			t.Fatal(err)
		}
		text := string(line) + c.Ops[0].Part + fmt.Sprintf("%v %+v %#v", step, step, step)
		for _, s := range []string{authA, loginA().Password.Reveal(), "dTpw"} {
			if strings.Contains(text, s) {
				t.Errorf("%q shows in %s", s, text)
			}
		}
	}
}
