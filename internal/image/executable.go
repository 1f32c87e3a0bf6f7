package image

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
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
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.Usage("name a static regctl for linux", "%s: no such file", exe)
	case errors.As(err, &unreadable):
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

// identify gives a hash that stands for the image made of exe: of what else is in
// the image and of exe.
func identify(exe string) (string, error) {
	sum := sha256.New()
	for _, e := range entries() {
		fmt.Fprintf(sum, "%s %o %d\n%s", e.name, e.mode, len(e.data), e.data)
	}
	return identifyInto(sum, exe)
}

// Identity gives a hash that stands for the content of exe: of its size and of the
// build ID, which the Go linker derives from all that the executable holds and
// writes into it (cmd/go, "Build and test caching"). An executable without one is
// read whole.
func Identity(exe string) (string, error) { return identifyInto(sha256.New(), exe) }

func identifyInto(sum hash.Hash, exe string) (string, error) {
	file, err := os.Open(exe)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if id := buildID(file); id != nil {
		about, err := file.Stat()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%x %d", id, about.Size())
	} else if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// buildID reads the note that the Go linker writes: three 32-bit lengths, the
// name "Go" and the ID.
func buildID(file io.ReaderAt) []byte {
	const head = 16
	program, err := elf.NewFile(file)
	if err != nil {
		return nil
	}
	section := program.Section(".note.go.buildid")
	if section == nil {
		return nil
	}
	note, err := section.Data()
	if err != nil || len(note) <= head || string(note[12:14]) != "Go" {
		return nil
	}
	return note[head:]
}
