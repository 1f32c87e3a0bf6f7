package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"text/template"

	spec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/templates"
)

// ContextFile is a file of a build context, or a folder where its name ends in a slash.
type ContextFile struct {
	Name string // from the context's root, with slashes
	Mode fs.FileMode
	Data []byte
	From string // a file of this machine that it is a copy of, in place of Data
}

// Context is what `docker build` makes a registry's image of.
type Context struct {
	Ref     string
	Version string // of this program
	// Exe is the static executable that an image from scratch is made around.
	Exe string
	// Base is a stock registry image to begin with, in place of Exe. Entrypoint, Command
	// and Env are how it is told to use /serve/config.yml; a nil one is left as it is.
	Base                     string
	Entrypoint, Command, Env []string
	// BaseUser is who runs in Base and must read Serve; "" is root.
	BaseUser string
	// Serve is what is in /serve: config.yml and what it names.
	Serve []ContextFile
}

// madeBy is how a Dockerfile of ours begins.
const madeBy = "# Made by regctl image build."

// Files lists the context, folders before what is in them. The same Context gives the
// same files. An executable that would not run in an image from scratch is refused.
func (c Context) Files() ([]ContextFile, error) {
	dockerfile, err := c.dockerfile()
	if err != nil {
		return nil, err
	}
	files := []ContextFile{{Name: "Dockerfile", Mode: 0o644, Data: dockerfile}}
	if c.Base == "" {
		if _, err := checkExecutable(c.Exe); err != nil {
			return nil, err
		}
		files = append(files, ContextFile{Name: "regctl", Mode: 0o755, From: c.Exe}, ContextFile{Name: "rootfs/", Mode: 0o755})
		for _, e := range entries() {
			if e.name != "serve/" {
				files = append(files, ContextFile{Name: "rootfs/" + e.name, Mode: modeOf(e), Data: []byte(e.data)})
			}
		}
	}
	files = append(files, ContextFile{Name: "serve/", Mode: 0o755})
	for _, f := range c.Serve {
		f.Name = "serve/" + f.Name
		files = append(files, f)
	}
	return files, nil
}

func modeOf(e entry) fs.FileMode {
	mode := fs.FileMode(e.mode & 0o777)
	if e.mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

type label struct{ Key, Value string }

// labels are the annotations of the OCI image specification, "Pre-Defined Annotation
// Keys". The time is left out: the same files make the same image.
func (c Context) labels() []label {
	all := []label{
		{spec.AnnotationTitle, "registry"},
		{spec.AnnotationDescription, "An OCI registry and its configuration, made by regctl image build"},
		{spec.AnnotationSource, "https://github.com/regctl/regctl"},
		{spec.AnnotationLicenses, "Apache-2.0"},
	}
	if c.Version != "" {
		all = append(all, label{spec.AnnotationVersion, c.Version})
	}
	if c.Base != "" {
		all = append(all, label{spec.AnnotationBaseImageName, c.Base})
	}
	return all
}

func (c Context) dockerfile() ([]byte, error) {
	text := func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	}
	t, err := template.New("Dockerfile.tmpl").Funcs(template.FuncMap{"quote": text, "list": text}).ParseFS(templates.FS, "Dockerfile.tmpl")
	if err != nil {
		return nil, err
	}
	about := struct {
		Context
		From, Own string
		User      int
		Labels    []label
	}{c, c.Base, "", User, c.labels()}
	if c.Base == "" {
		about.From, about.Own = "scratch", Entrypoint
		about.Entrypoint, about.Command = []string{Entrypoint}, []string{"serve", "/serve/config.yml"}
	}
	var out bytes.Buffer
	err = t.Execute(&out, about)
	return out.Bytes(), err
}

// WriteContext streams files as the tar that the Docker API builds of.
func WriteContext(w io.Writer, files []ContextFile) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		if err := writeContextFile(archive, f); err != nil {
			return err
		}
	}
	return archive.Close()
}

func writeContextFile(archive *tar.Writer, f ContextFile) error {
	mode := int64(f.Mode.Perm())
	if f.Mode&fs.ModeSticky != 0 {
		mode |= 0o1000
	}
	if f.From == "" {
		return writeFile(archive, entry{f.Name, mode, string(f.Data)})
	}
	source, err := os.Open(f.From)
	if err != nil {
		return err
	}
	defer source.Close()
	about, err := source.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(header(f.Name, mode, about.Size())); err != nil {
		return err
	}
	_, err = io.CopyBuffer(archive, io.LimitReader(source, about.Size()), make([]byte, 1<<20))
	return err
}

// SaveContext writes files into dir, which must be absent, empty, or a context that
// was written before; what is in it that is no file of the context any more goes. It
// reports whether anything was written.
func SaveContext(dir string, files []ContextFile) (changed bool, err error) {
	if err := ourContext(dir); err != nil {
		return false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	for _, f := range files {
		wrote, err := saveFile(root, f)
		if err != nil {
			return changed, err
		}
		changed = changed || wrote
	}
	left, err := leftOver(root, files)
	for _, name := range left {
		err = root.RemoveAll(name)
		changed = true
	}
	return changed, err
}

// ourContext refuses a folder that holds something else.
func ourContext(dir string) error {
	const hint = "give an empty folder, or one that is not there yet"
	if about, err := os.Stat(dir); err == nil && !about.IsDir() {
		return fault.Usage(hint, "%s is no folder", dir)
	}
	all, err := os.ReadDir(dir)
	if os.IsNotExist(err) || err == nil && len(all) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path.Join(dir, "Dockerfile"))
	if err != nil || !strings.HasPrefix(string(data), madeBy) {
		return fault.Usage(hint, "%s holds something that regctl did not make", dir)
	}
	return nil
}

// saveFile leaves a file that is as it should be.
func saveFile(root *os.Root, f ContextFile) (bool, error) {
	name := strings.TrimSuffix(f.Name, "/")
	if strings.HasSuffix(f.Name, "/") {
		if seen, err := root.Stat(name); err == nil && seen.IsDir() {
			return false, nil
		}
		if err := root.Mkdir(name, 0o700); err != nil {
			return false, err
		}
		return true, root.Chmod(name, f.Mode)
	}
	data := f.Data
	if f.From != "" {
		var err error
		if data, err = os.ReadFile(f.From); err != nil {
			return false, err
		}
	}
	seen, err := root.Stat(name)
	if err == nil && seen.Mode() == f.Mode && seen.Size() == int64(len(data)) {
		if old, err := root.ReadFile(name); err == nil && bytes.Equal(old, data) {
			return false, nil
		}
	}
	if err := root.WriteFile(name, data, 0o600); err != nil {
		return false, err
	}
	return true, root.Chmod(name, f.Mode)
}

// leftOver names what an earlier context had: a key that is to be baked in no more.
func leftOver(root *os.Root, files []ContextFile) (names []string, err error) {
	wanted := func(name string) bool {
		return slices.ContainsFunc(files, func(f ContextFile) bool { return strings.TrimSuffix(f.Name, "/") == name })
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." || wanted(name) {
			return err
		}
		names = append(names, name)
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return names, err
}
