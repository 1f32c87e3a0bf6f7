package trust

import (
	"fmt"
	"strings"
	"testing"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/step"
)

// loginFacts are what a look at the client of ops finds, by reference; change says in
// what it differs.
func loginFacts(change host.Facts) host.Facts {
	facts := host.Facts{
		host.LoginDockerConfigRef():                                  {},
		{Kind: host.Dir, Path: "/home/ops/."}:                        {Exists: true, UID: 1000, Mode: 0o755},
		{Kind: host.Dir, Path: "/home/ops/.docker"}:                  {Exists: true, UID: 1000, Mode: 0o700},
		{Kind: host.Edit, Path: "/home/ops/.docker/config.json"}:     {},
		{Kind: host.Credential, Path: "pass registry.test:5000 ops"}: {},
	}
	for ref, fact := range change {
		facts[ref] = fact
	}
	return facts
}

func configFacts(text string, record *host.Record) host.Facts {
	fact := host.Fact{Exists: true, UID: 1000, Mode: 0o600, Data: []byte(text), Edit: record}
	return host.Facts{{Kind: host.Edit, Path: "/home/ops/.docker/config.json"}: fact, host.LoginDockerConfigRef(): fact}
}

func with(all ...host.Facts) host.Facts {
	merged := host.Facts{}
	for _, facts := range all {
		for ref, fact := range facts {
			merged[ref] = fact
		}
	}
	return merged
}

// loginChanges plans a login for what was seen.
func loginChanges(l Login, seen host.Facts) ([]host.Op, Placement, error) {
	c := Client{}
	c.Tools = map[string]string{"podman": "/usr/bin/podman"}
	c.Login, c.LoginUID, c.LoginGID, c.LoginHome = "ops", 1000, 1000, "/home/ops"
	if config, ok := seen[host.LoginDockerConfigRef()]; ok {
		c.DockerConfig = &config
	}
	p, err := loginStore(secure(), c, Options{Login: &l})
	var ops []host.Op
	for _, s := range p.Steps {
		var change step.Change
		if err == nil {
			change, err = s.Plan(seen)
		}
		ops = append(ops, change.Ops...)
	}
	return ops, p, err
}

const passConfig = `{"credHelpers": {"registry.test:5000": "pass"}, "credsStore": "other"}`

func TestLoginRefused(t *testing.T) {
	dir := func(path string, f host.Fact) host.Facts { return host.Facts{{Kind: host.Dir, Path: path}: f} }
	kept := func(f host.Fact) host.Facts {
		return with(configFacts(passConfig, nil), host.Facts{{Kind: host.Credential, Path: "pass registry.test:5000 ops"}: f})
	}
	edit := host.Ref{Kind: host.Edit, Path: "/home/ops/.docker/config.json"}
	theirs := configFacts(`{"auths": {"registry.test:5000": {"auth": "dTpw"}}}`, &host.Record{Parts: []string{"docker-auth,registry.test:5000"}, Others: true})
	stranger := configFacts("{}", nil)
	stranger[edit] = host.Fact{Exists: true, Data: []byte("{}")}
	for _, c := range []struct {
		name       string
		change     host.Facts
		want, hint string
	}{
		{"no home", dir("/home/ops/.", host.Fact{}), "/home/ops, the home of ops, is not there", "log in as a user who has"},
		{"another's home", dir("/home/ops/.", host.Fact{Exists: true, UID: 7}), "/home/ops does not belong to ops", "chown"},
		{"a link", dir("/home/ops/.docker", host.Fact{Exists: true, Foreign: "a symlink"}), "/home/ops/.docker is a symlink", "move it away"},
		{"another's folder", dir("/home/ops/.docker", host.Fact{Exists: true}), "/home/ops/.docker does not belong to ops", "chown"},
		{"another's file", stranger, "/home/ops/.docker/config.json does not belong to ops", "chown"},
		{"a folder", host.Facts{host.LoginDockerConfigRef(): {Exists: true, Foreign: "a directory"}}, "config.json is a directory", "move it away"},
		{"not JSON", configFacts("{\n\"auths\": {},\n}", nil), "/home/ops/.docker/config.json: line 3: not JSON", "mend the file"},
		{"logged in", configFacts(`{"auths": {"registry.test:5000": {"auth": "dTpw"}}}`, nil), "config.json: line 1: another login for registry.test:5000", "docker logout"},
		{"logged in since", theirs, "another login for registry.test:5000", "docker logout"},
		{"no helper's name", configFacts(`{"credsStore": "../pass"}`, nil), `"../pass" is not the name of a credential helper`, "docker login"},
		{"credsStore of two", configFacts(`{"credsStore": ["a", "b"]}`, nil), "credsStore is not a text", "mend the file"},
		{"another helper by now", with(configFacts(passConfig, nil), host.Facts{edit: {}}), "changed while we were working on it", "run the same command again"},
		{"no helper", kept(host.Fact{Exists: true, Foreign: host.NoHelper}), "docker-credential-pass: not there", "docker-credential-pass works"},
		{"a helper that talks", kept(host.Fact{Exists: true, Data: []byte("hello")}), "docker-credential-pass: the helper's answer is not the JSON", "works there"},
		{"kept for another", kept(host.CredentialFact(addrA, "u", secret.New("p"))), "docker-credential-pass keeps another login for registry.test:5000", "docker logout registry.test:5000 there first, as ops"},
	} {
		ops, _, err := loginChanges(loginA(), loginFacts(c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.Hint(err), c.hint) {
			t.Errorf("%s: %v (hint: %s) %+v", c.name, err, fault.Hint(err), ops)
		}
		if err != nil && (strings.Contains(err.Error(), "dTpw") || strings.Contains(err.Error(), authA)) {
			t.Errorf("%s: a secret shows: %v", c.name, err)
		}
	}
}

func TestLoginInput(t *testing.T) {
	for _, l := range []Login{{"", secret.New("p")}, {"a:b", secret.New("p")}, {"a\n", secret.New("p")}, {"ci", secret.String{}}, {"ci", secret.New("p\n")}} {
		if _, _, err := loginChanges(l, loginFacts(nil)); !fault.IsUsage(err) || fault.Hint(err) == "" || strings.Contains(err.Error(), "p\n") {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if _, _, err := loginChanges(loginA(), host.Facts{}); err == nil || fault.IsUsage(err) {
		t.Errorf("config.json was not read, and that passed: %v", err)
	}
}

func TestLoginPlans(t *testing.T) {
	file := &host.Record{Parts: []string{"docker-auth,registry.test:5000"}}
	helper := &host.Record{Parts: []string{"docker-auth-helper,registry.test:5000,pass"}}
	old := `{"auths": {"registry.test:5000": {"auth": "dTpw"}}}`
	same := strings.Replace(old, "dTpw", authA, 1)
	kept := func(user, password string, r *host.Record) host.Facts {
		fact := host.CredentialFact(addrA, user, secret.New(password))
		fact.Edit = r
		return with(configFacts(passConfig, nil), host.Facts{{Kind: host.Credential, Path: "pass registry.test:5000 ops"}: fact})
	}
	open := configFacts(same, nil)
	fact := open[host.LoginDockerConfigRef()]
	fact.Mode = 0o644
	open[host.LoginDockerConfigRef()] = fact
	const config, warning = "/home/ops/.docker/config.json", "base64 in /home/ops/.docker/config.json: whoever"
	for _, c := range []struct {
		name                string
		change              host.Facts
		ops, path, warnings string
	}{
		{"nothing there", host.Facts{{Kind: host.Dir, Path: "/home/ops/.docker"}: {}}, "create dir /home/ops/.docker, create edit " + config, config, warning},
		{"there already", configFacts(same, nil), "", config, warning},
		{"for others to read", open, "", config, "every user whom its mode 0644 lets read it"},
		{"ours", configFacts(old, file), "change edit " + config, config, warning},
		{"ours, in a file that others changed", configFacts(strings.Replace(old, "dTpw", "Y2k6b2xk", 1), &host.Record{Parts: file.Parts, Others: true}), "change edit " + config, config, warning},
		{"a helper", configFacts(passConfig, nil), "create credential pass registry.test:5000 ops", "docker-credential-pass", ""},
		{"a helper for all", configFacts(`{"credsStore": "pass"}`, nil), "create credential pass registry.test:5000 ops", "docker-credential-pass", "podman is not logged in by this"},
		{"a helper with none for this registry", configFacts(`{"credHelpers": {"registry.test:5000": ""}, "credsStore": "x"}`, nil), "change edit " + config, config, warning},
		{"kept already", kept("ci", "päss:word", nil), "", "docker-credential-pass", ""},
		{"kept for us", kept("u", "p", helper), "change credential pass registry.test:5000 ops", "docker-credential-pass", ""},
		{"kept for us, with another password since", kept("ci", "p", &host.Record{Parts: helper.Parts, Others: true}), "change credential pass registry.test:5000 ops", "docker-credential-pass", ""},
	} {
		ops, p, err := loginChanges(loginA(), loginFacts(c.change))
		var got []string
		for _, op := range ops {
			got = append(got, fmt.Sprintf("%s %s", op.Action, op.Ref))
		}
		if err != nil || strings.Join(got, ", ") != c.ops || p.Path != c.path || p.Effect != Now || !strings.Contains(strings.Join(p.Warnings, ""), c.warnings) || (c.warnings == "") != (len(p.Warnings) == 0) {
			t.Errorf("%s: %q, %v, %+v", c.name, got, err, p)
		}
	}
}

func TestForgetLogin(t *testing.T) {
	ref := host.CredentialRef("pass", addrA, "ops")
	f := forgetLogin{ref, "docker-auth-helper,registry.test:5000,pass"}
	fact := host.CredentialFact(addrA, "u", secret.New("p"))
	for _, c := range []struct {
		name        string
		fact        host.Fact
		record      *host.Record
		ops, items  int
		stays, fail bool
	}{
		{"not ours", fact, nil, 0, 0, false, false},
		{"ours", fact, &host.Record{Parts: []string{f.part}}, 1, 1, false, false},
		{"another's since", fact, &host.Record{Parts: []string{f.part}, Others: true}, 1, 0, true, false},
		{"gone", host.Fact{}, &host.Record{Parts: []string{f.part}}, 1, 0, false, false},
		{"helper gone", host.Fact{Exists: true, Foreign: host.NoHelper}, &host.Record{Parts: []string{f.part}}, 1, 0, false, false},
		{"helper broken", host.Fact{Exists: true, Foreign: "locked"}, &host.Record{Parts: []string{f.part}}, 0, 0, false, true},
	} {
		c.fact.Edit = c.record
		change, err := f.Plan(host.Facts{ref: c.fact})
		if len(change.Ops) != c.ops || len(change.Items) != c.items || (err != nil) != c.fail || c.ops == 1 && change.Ops[0].Want.Exists != c.stays {
			t.Errorf("%s: %v %+v", c.name, err, change)
		}
	}
}
