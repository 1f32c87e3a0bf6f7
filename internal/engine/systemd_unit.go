package engine

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/templates"
)

// unitMark is in the first line of every unit that is ours.
const unitMark = "# Made by regctl "

// Unit is what a systemd service for one registry is rendered from.
type Unit struct {
	Name  string        // the registry's
	User  string        // "UID:GID" that it becomes
	Drain time.Duration // how long it may take to stop
	// Data are the folders that it writes: absolute, and there when it starts.
	Data []string
	Process
}

// Render gives the text of the unit, see systemd.service(5) and systemd.exec(5).
//
// systemd takes no quote, backslash or control character in the path of what it
// starts: such a path is the user's fault.
func (u Unit) Render() ([]byte, error) {
	if strings.ContainsFunc(u.Exe, func(r rune) bool { return r < ' ' || strings.ContainsRune("\"'\\", r) }) {
		return nil, fault.Usage("choose a --dir without quotes and backslashes", "%q: systemd cannot start a program of that name", u.Exe)
	}
	text, err := templates.FS.ReadFile("systemd.service.tmpl")
	if err != nil {
		return nil, err
	}
	tmpl, err := template.New("systemd.service").Parse(string(text))
	if err != nil {
		return nil, err
	}
	command := []string{unitQuote(u.Exe)}
	for _, arg := range u.Args {
		command = append(command, unitQuote(strings.ReplaceAll(arg, "$", "$$")))
	}
	var folders []string
	for _, dir := range u.Data {
		folders = append(folders, unitQuote(dir))
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, map[string]string{
		"Name": u.Name, "User": u.User,
		"ExecStart":      strings.Join(command, " "),
		"ReadWritePaths": strings.Join(folders, " "),
		"StopSeconds":    fmt.Sprint(int(u.Drain.Seconds()) + 5),
		// A folder of the registry must not be hidden by its own sandbox.
		"PrivateTmp":  yesUnless(u.under("/tmp", "/var/tmp")),
		"ProtectHome": yesUnless(u.under("/home", "/root", "/run/user")),
	})
	return out.Bytes(), err
}

func yesUnless(b bool) string {
	if b {
		return "no"
	}
	return "yes"
}

func (u Unit) under(tops ...string) bool {
	for _, path := range append([]string{u.Exe}, u.Data...) {
		for _, top := range tops {
			if strings.HasPrefix(path, top+"/") {
				return true
			}
		}
	}
	return false
}

// unitQuote makes s one word of a unit file, see systemd.syntax(7): a percent
// sign would start a specifier, white space end the word.
func unitQuote(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if s != "" && !strings.ContainsAny(s, " \t\n\"'\\;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}
