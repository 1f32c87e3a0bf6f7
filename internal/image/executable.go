package image

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/regctl/regctl/internal/fault"
)

// Executable is this program's own file, symlinks resolved.
func Executable() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(exe)
}

// fileKey changes whenever the file is written or replaced, without reading it.
func fileKey(exe string) (string, error) {
	info, err := os.Stat(exe)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.Usage("name a static regctl for linux", "%s: no such file", exe)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s %d %d %d", format, exe, info.Size(), info.ModTime().UnixNano(), inode(info)), nil
}

// arch names ELF machines as Go and the OCI image specification do.
var arch = map[elf.Machine]string{
	elf.EM_X86_64:  "amd64",
	elf.EM_AARCH64: "arm64",
	elf.EM_ARM:     "arm",
	elf.EM_386:     "386",
	elf.EM_PPC64:   "ppc64le",
	elf.EM_S390:    "s390x",
	elf.EM_RISCV:   "riscv64",
}

// checkExecutable refuses what cannot run in an otherwise empty image and
// returns the architecture of what can.
func checkExecutable(exe string) (string, error) {
	file, err := elf.Open(exe)
	var unreadable *fs.PathError
	if errors.As(err, &unreadable) {
		return "", err
	}
	if err != nil {
		return "", fault.Usage("name a regctl that was built for linux by --linux-binary FILE, or a registry image by --image REF",
			"%s is not a linux executable, so no image can be made of it", exe)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fault.Usage("build regctl with CGO_ENABLED=0 (make build does), or use --linux-binary FILE or --image REF",
				"%s is linked dynamically and cannot run in an image of its own", exe)
		}
	}
	name, ok := arch[file.Machine]
	if !ok {
		return "", fault.Usage("use --linux-binary FILE or --image REF", "%s is for %s, which is not supported", exe, file.Machine)
	}
	return name, nil
}

// about is what Go noted in the executable when it was built.
type about struct {
	version  string
	revision string
	time     time.Time // of the revision; what makes the image's times the same on any day
}

func readAbout(exe string) (about, error) {
	a := about{version: "unknown", time: time.Unix(0, 0).UTC()}
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		return a, fault.Usage("name a static regctl for linux", "%s is not regctl: %w", exe, err)
	}
	if info.Main.Version != "" {
		a.version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			a.revision = s.Value
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				a.time = t.UTC()
			}
		}
	}
	return a, nil
}

// labels are ours and those of the OCI image specification (annotations.md).
func (a about) labels() map[string]string {
	labels := map[string]string{
		Label:                                    a.version,
		"org.opencontainers.image.title":         "regctl registry",
		"org.opencontainers.image.version":       a.version,
		"org.opencontainers.image.source":        "https://github.com/regctl/regctl",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.created":       a.time.Format(time.RFC3339),
		"org.opencontainers.image.documentation": "https://github.com/regctl/regctl#readme",
		"org.opencontainers.image.description":   "The OCI registry that regctl runs: distribution, embedded in regctl itself",
	}
	if a.revision != "" {
		labels["org.opencontainers.image.revision"] = a.revision
	}
	return labels
}
