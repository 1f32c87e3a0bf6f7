package embeddedregistry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rule lets some do something in some repositories. What no rule lets is refused.
type rule struct {
	// Who are names of users; "*" is everybody who logged in, and anonymous everybody.
	Who []string `yaml:"who"`
	// Repositories are whole names in which * stands for any text without a slash and
	// ** for any text.
	Repositories []string `yaml:"repositories"`
	// Actions are pull, push and delete. Push includes pull, as distribution asks for
	// both.
	Actions []string `yaml:"actions"`

	match []*regexp.Regexp // of Repositories
}

const (
	anyUser   = "*"
	anonymous = "anonymous"
)

var actions = []string{"pull", "push", "delete"}

// compile checks a rule and makes it ready.
func (r *rule) compile() error {
	if len(r.Who) == 0 || len(r.Repositories) == 0 || len(r.Actions) == 0 {
		return fmt.Errorf("a rule needs who, repositories and actions")
	}
	for _, a := range r.Actions {
		if !slices.Contains(actions, a) {
			return fmt.Errorf("actions are %s, not %q", strings.Join(actions, ", "), a)
		}
	}
	r.match = nil
	for _, glob := range r.Repositories {
		r.match = append(r.match, globbed(glob))
	}
	return nil
}

func globbed(glob string) *regexp.Regexp {
	var form strings.Builder
	for i, part := range strings.Split(glob, "**") {
		if i > 0 {
			form.WriteString(".*")
		}
		form.WriteString(strings.ReplaceAll(regexp.QuoteMeta(part), `\*`, "[^/]*"))
	}
	return regexp.MustCompile("^(?s:" + form.String() + ")$")
}

func (r *rule) concerns(user, repository string) bool {
	who := slices.Contains(r.Who, anonymous) ||
		user != "" && (slices.Contains(r.Who, anyUser) || slices.Contains(r.Who, user))
	return who && slices.ContainsFunc(r.match, func(m *regexp.Regexp) bool { return m.MatchString(repository) })
}

type rules []rule

// allow reports whether user, "" for one who did not log in, may do that.
func (all rules) allow(user, repository, action string) bool {
	return slices.ContainsFunc(all, func(r rule) bool {
		does := slices.Contains(r.Actions, action) || action == "pull" && slices.Contains(r.Actions, "push")
		return does && r.concerns(user, repository)
	})
}

// openToAll reports whether there is anything for those who do not log in.
func (all rules) openToAll() bool {
	return slices.ContainsFunc(all, func(r rule) bool { return slices.Contains(r.Who, anonymous) })
}
