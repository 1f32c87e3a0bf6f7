package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
