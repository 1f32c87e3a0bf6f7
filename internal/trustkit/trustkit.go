// Package trustkit renders what an operator carries to hosts that regctl cannot
// reach: a shell script, a PowerShell script, a cloud-init file and an Ansible
// playbook, each with the CA inside. It does no I/O.
package trustkit

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/templates"
)

// Registry is what clients are to trust.
type Registry struct {
	Name        string   // regctl's name of it
	Endpoint    string   // https://registry.test:5000
	Folders     []string // of certs.d: registry.test:5000
	CA          []byte   // PEM, one certificate
	Fingerprint string   // SHA-256 of the CA
}

// File is one file of the kit.
type File struct {
	Name       string
	Data       []byte
	Executable bool
}

// Folders are the names under which Docker and containers/image look for the CA
// of a registry (docs.docker.com, "Verify repository client with certificates";
// containers-certs.d(5)): its host and port, and on 443 the bare host too, which
// is how most references name it.
func Folders(host string, port int) []string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	folders := []string{fmt.Sprintf("%s:%d", host, port)}
	if port == 443 {
		folders = append([]string{host}, folders...)
	}
	return folders
}

// harmless is all that may stand in a shell's single quotes or in YAML without
// further thought: names, addresses, URLs.
var harmless = regexp.MustCompile(`^[A-Za-z0-9._:/\[\] -]*$`)

// Render gives the files of the kit.
func Render(r Registry) ([]File, error) {
	for _, text := range append([]string{r.Name, r.Endpoint, r.Fingerprint}, r.Folders...) {
		if !harmless.MatchString(text) {
			return nil, fault.Usage("a kit can only be made for plain names and addresses", "%q cannot go into a script", text)
		}
	}
	pem := strings.TrimRight(string(r.CA), "\n")
	fill := strings.NewReplacer(
		"@ENDPOINT@", r.Endpoint,
		"@FINGERPRINT@", r.Fingerprint,
		"@FOLDERS@", strings.Join(r.Folders, " "),
		"@ANCHOR@", "regctl-"+r.Name,
		"@PEM@", pem,
		"@INDENTED@", indent(pem, 10),
		"@FILES@", cloudFiles(r.Folders, pem),
		"@LOOP@", loop(r.Folders),
	)
	var files []File
	for _, name := range []string{"trust-kit.sh", "trust-kit.ps1", "trust-cloud-init.yaml", "trust-ansible.yaml"} {
		text, err := templates.FS.ReadFile(name + ".tmpl")
		if err != nil {
			return nil, err
		}
		files = append(files, File{name, []byte(fill.Replace(string(text))), strings.HasSuffix(name, ".sh")})
	}
	return files, nil
}

func indent(text string, by int) string {
	space := strings.Repeat(" ", by)
	return space + strings.ReplaceAll(text, "\n", "\n"+space)
}

func cloudFiles(folders []string, pem string) string {
	var entries []string
	for _, folder := range folders {
		entries = append(entries, fmt.Sprintf("  - path: \"/etc/docker/certs.d/%s/ca.crt\"\n    permissions: \"0644\"\n    content: |\n%s", folder, indent(pem, 6)))
	}
	return strings.Join(entries, "\n")
}

func loop(folders []string) string {
	var lines []string
	for _, folder := range folders {
		lines = append(lines, fmt.Sprintf("        - %q", folder))
	}
	return strings.Join(lines, "\n")
}
