package proxy

import (
	"path/filepath"
	"regexp"
	"slices"
)

// writeSite brings the files from old to want; the empty state has none.
func writeSite(path string, old, want siteState) error {
	pem, link := pemPath(want.Text), enabledPath(path)
	if was := pemPath(old.Text); was != "" && was != pem {
		defer func() { _ = remove(was) }() // after nothing names it any more
	}
	if want.Text == "" {
		if link != "" {
			if err := remove(link); err != nil {
				return err
			}
		}
		if err := remove(path); err != nil {
			return err
		}
		return removeModules(path, old.Text, "")
	}
	if pem != "" {
		if err := writeFile(pem, []byte(want.PEM), 0o600); err != nil {
			return err
		}
	}
	if err := writeFile(path, []byte(want.Text), 0o644); err != nil {
		return err
	}
	if err := writeModules(moduleLinks(path, want.Text)); err != nil {
		return err
	}
	if err := removeModules(path, old.Text, want.Text); err != nil {
		return err
	}
	switch {
	case link == "":
		return nil
	case !want.Enabled:
		return remove(link)
	}
	return writeLink(link, linkTarget(path))
}

// enabledPath is the link that makes the site count; "" where none is needed.
func enabledPath(path string) string {
	dir, base := filepath.Split(path)
	if filepath.Base(dir) != "sites-available" {
		return ""
	}
	return filepath.Join(filepath.Dir(filepath.Clean(dir)), "sites-enabled", base)
}

// moduleLinks are the links that the text of the site at path says were made for it.
func moduleLinks(path, text string) []string {
	var links []string
	for _, file := range enabledModules(text) {
		links = append(links, filepath.Join(filepath.Dir(filepath.Dir(path)), "mods-enabled", filepath.Base(file)))
	}
	return links
}

// moduleTarget is as a2enmod makes it.
func moduleTarget(link string) string { return "../mods-available/" + filepath.Base(link) }

func writeModules(links []string) error {
	for _, link := range links {
		if err := writeLink(link, moduleTarget(link)); err != nil {
			return err
		}
	}
	return nil
}

// removeModules takes the links away that the old text had and the new has not.
func removeModules(path, old, text string) error {
	kept := moduleLinks(path, text)
	for _, link := range moduleLinks(path, old) {
		if slices.Contains(kept, link) {
			continue
		}
		if err := remove(link); err != nil {
			return err
		}
	}
	return nil
}

// linkTarget is as a2ensite makes it.
func linkTarget(path string) string { return "../sites-available/" + filepath.Base(path) }

func pendingPath(path string) string { return path + ".pending" }

var certificate = regexp.MustCompile(`(?m)^\s*(?:ssl_certificate|SSLCertificateFile)\s+([^\s;]+);?$`)

// pemPath is the file of certificates that the site names; "" if it has none.
func pemPath(text string) string {
	if m := certificate.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
