package export

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"text/template"

	"github.com/distribution/reference"

	"github.com/regctl/regctl/templates"
)

// Quadlet is w as a .container unit for podman's systemd generator, podman 4.4 and
// later (podman-systemd.unit(5)). The files stay where regctl keeps them.
func Quadlet(w Workload) ([]byte, error) {
	// podman takes a short name for one that it has to ask about.
	image, err := reference.ParseNormalizedNamed(w.Image)
	if err != nil {
		return nil, err
	}
	w.Image = image.String()
	t, err := template.New("quadlet.container.tmpl").Funcs(template.FuncMap{
		"words": words, "array": array, "published": published, "volume": volume, "stop": func() string { return strconv.Itoa(stopSeconds) },
	}).ParseFS(templates.FS, "quadlet.container.tmpl")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, w)
	return b.Bytes(), err
}

// words are a command line as systemd splits it: each in double quotes where it needs
// them, a percent sign doubled.
func words(all []string) string {
	quoted := make([]string, len(all))
	for i, word := range all {
		word = strings.ReplaceAll(word, "%", "%%")
		if word == "" || strings.ContainsAny(word, " \t\"'\\$;") {
			word = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
		}
		quoted[i] = word
	}
	return strings.Join(quoted, " ")
}

// array is a command that podman runs without a shell, which the image has not got.
func array(command []string) (string, error) {
	data, err := json.Marshal(append([]string{"CMD"}, command...))
	return string(data), err
}

// volume is SOURCE:TARGET[:OPTIONS]; z has SELinux let the container in, where it is on.
func volume(m Mount) string {
	v := m.Source + ":" + m.Target
	switch {
	case m.ReadOnly:
		return v + ":ro,z"
	case m.Volume:
		return v
	}
	return v + ":z"
}
