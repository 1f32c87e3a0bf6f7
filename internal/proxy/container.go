package proxy

import "strings"

// RenderContainer gives a whole nginx.conf around the site, for an nginx in a
// container; pem is the path in there of what PEM gives, and so are the site's
// UsersFile and Webroot.
//
// It keeps to what every version takes: which one the image has is not known.
func RenderContainer(site Site, pem string) ([]byte, error) {
	text, err := renderNginx(Server{Kind: Nginx, Version: "1.20.0"}, site, pem)
	if err != nil {
		return nil, err
	}
	_, inner, _ := strings.Cut(string(text), "\n") // its first line is that of the whole
	var indented strings.Builder
	for line := range strings.Lines(inner) {
		if line != "\n" {
			indented.WriteByte('\t')
		}
		indented.WriteString(line)
	}
	return fill("nginx.conf.tmpl", map[string]string{"Name": site.Name, "Site": indented.String()})
}
