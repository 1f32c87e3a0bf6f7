package scenario

import (
	"bytes"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/secret"
	"github.com/regctl/regctl/internal/spec"
	"github.com/regctl/regctl/internal/step"
)

// mirrorCA is where a registry in serve/ looks for who vouches for its upstream.
const mirrorCA = "mirror-ca.crt"

// mirrored is --mirror-of: our copies of the operator's files, so that the registry
// is rendered again after they have gone.
func mirrored(s spec.Spec, p Place) []step.Step {
	if !s.IsMirror() || s.Mirror.PasswordFile == "" && s.Mirror.CACert == "" {
		return nil
	}
	return []step.Step{mirrorFiles{spec: s, place: p}}
}

type mirrorFiles struct {
	spec  spec.Spec
	place Place
}

func (m mirrorFiles) Name() string { return "what the upstream asks for" }

func (m mirrorFiles) Reads() []host.Ref {
	var refs []host.Ref
	for _, f := range m.files() {
		refs = append(refs, sourceRef(f.source), f.copy)
	}
	return refs
}

// mirrorFile is a file of the operator's and our copy of it.
type mirrorFile struct {
	flag, source string
	copy         host.Ref
	want         host.Fact
}

func (m mirrorFiles) files() []mirrorFile {
	var given []mirrorFile
	for _, f := range []mirrorFile{
		{"--mirror-password-file", m.spec.Mirror.PasswordFile, mirrorPasswordRef(m.place), ours(0o600, nil)},
		{"--mirror-ca-cert", m.spec.Mirror.CACert, fileRef(m.place.Dir.Join("serve", mirrorCA)), host.Fact{Exists: true, Mode: 0o644, UID: m.place.UID, GID: m.place.GID}},
	} {
		if f.source != "" {
			given = append(given, f)
		}
	}
	return given
}

func (m mirrorFiles) Plan(seen host.Facts) (step.Change, error) {
	var change step.Change
	for _, f := range m.files() {
		given, kept := seen[sourceRef(f.source)], seen[f.copy]
		if !given.Exists && kept.Exists {
			continue
		}
		if err := brought(f.flag, f.source, given); err != nil {
			return change, err
		}
		if f.flag == "--mirror-ca-cert" {
			if _, err := pki.Inspect(given.Data); err != nil {
				return change, fault.Usage("--mirror-ca-cert wants a CA certificate in PEM", "%s: %w", f.source, err)
			}
		} else if _, err := onePassword(f.source, given.Data); err != nil {
			return change, err
		}
		if bytes.Equal(given.Data, kept.Data) && kept.Exists {
			continue
		}
		f.want.Data = given.Data
		change.Items = append(change.Items, step.Item{Target: f.copy.Path, Action: action(kept), Diff: "(from " + f.source + ")"})
		change.Ops = append(change.Ops, writeOp(f.copy, seen, f.want))
	}
	return change, nil
}

func mirrorPasswordRef(p Place) host.Ref { return fileRef(p.Dir.Join("secrets", "mirror-password")) }

// mirrorPasswordReads are what mirrorPassword must have seen.
func mirrorPasswordReads(s spec.Spec, p Place) []host.Ref {
	if s.Mirror.PasswordFile == "" {
		return nil
	}
	return []host.Ref{sourceRef(s.Mirror.PasswordFile), mirrorPasswordRef(p)}
}

// mirrorPassword is that of the operator's file, or of our copy where it has gone.
func mirrorPassword(s spec.Spec, p Place, seen host.Facts) (string, error) {
	file := s.Mirror.PasswordFile
	if file == "" {
		return "", nil
	}
	given := seen[sourceRef(file)]
	if kept := seen[mirrorPasswordRef(p)]; !given.Exists && kept.Exists {
		given = kept
	}
	if err := brought("--mirror-password-file", file, given); err != nil {
		return "", err
	}
	return onePassword(file, given.Data)
}

// onePassword is a file's single line.
func onePassword(file string, data []byte) (string, error) {
	password := strings.TrimRight(string(data), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n\x00") {
		return "", fault.Usage("put the password there, on one line", "%s: holds no single line", file)
	}
	return password, nil
}

// shownMirrorPassword is for a rendering that changes nothing.
func (r *Registry) shownMirrorPassword(s spec.Spec) string {
	if s.Mirror.PasswordFile == "" {
		return ""
	}
	for _, file := range []string{s.Mirror.PasswordFile, r.Dir.Join("secrets", "mirror-password")} {
		if data, err := readFile(file); err == nil {
			if password, err := onePassword(file, data); err == nil {
				return password
			}
		}
	}
	return secret.Mask
}
