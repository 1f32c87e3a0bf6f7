package proxy

import (
	"os"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// notInstalledError is that of a proxy that is not there.
type notInstalledError struct{ error }

func (e *notInstalledError) Unwrap() error { return e.error }

// notInstalled says how this distribution installs the proxy.
func notInstalled(kind Kind) error {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		release = nil
	}
	return &notInstalledError{fault.Fail(installHint(kind, string(release)), "%s is not installed", kind)}
}

// installHint names the command, from the ID and ID_LIKE of os-release(5).
func installHint(kind Kind, release string) string {
	commands := []struct{ ids, command, apache string }{
		{"debian ubuntu", "apt-get install -y", "apache2"},
		{"fedora rhel centos amzn", "dnf install -y", "httpd mod_ssl"},
		{"suse opensuse sles", "zypper install -y", "apache2"},
		{"alpine", "apk add", "apache2 apache2-ssl apache2-proxy apache2-http2"},
		{"arch", "pacman -S --noconfirm", "apache"},
	}
	for _, id := range distributions(release) {
		for _, c := range commands {
			if !strings.Contains(" "+c.ids+" ", " "+id+" ") {
				continue
			}
			if kind == Apache {
				return c.command + " " + c.apache
			}
			return c.command + " nginx"
		}
	}
	return "install " + string(kind) + " with this distribution's package manager"
}

// distributions are the distribution's id and those that it is like.
func distributions(release string) []string {
	var id, like string
	for line := range strings.Lines(release) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ID":
			id = strings.Trim(value, `"'`)
		case "ID_LIKE":
			like = strings.Trim(value, `"'`)
		}
	}
	return append(strings.Fields(id), strings.Fields(like)...)
}
