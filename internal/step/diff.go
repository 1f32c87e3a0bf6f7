package step

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"github.com/regctl/regctl/internal/host"
)

// diff shows how a file's bytes, mode and owner would change.
func (w WriteFile) diff(old, want host.Fact) string {
	text := dressDiff(old, want)
	if bytes.Equal(old.Data, want.Data) && old.Exists && want.Exists {
		return text
	}
	switch {
	case w.Mask != nil:
		old.Data, want.Data = masked(w.Mask, old.Data), masked(w.Mask, want.Data)
		if bytes.Equal(old.Data, want.Data) && old.Exists {
			return text + "(a masked value differs)\n"
		}
	case w.Secret:
		return text + fmt.Sprintf("(secret, %s)\n", sizes(old, want))
	}
	if !utf8.Valid(old.Data) || !utf8.Valid(want.Data) {
		return text + fmt.Sprintf("(binary, %s)\n", sizes(old, want))
	}
	return text + udiff.Unified(label(w.Path, old), label(w.Path, want), string(old.Data), string(want.Data))
}

func masked(mask func([]byte) []byte, data []byte) []byte {
	if len(data) == 0 {
		return data
	}
	return mask(data)
}

func label(path string, f host.Fact) string {
	if !f.Exists {
		return "/dev/null"
	}
	return path
}

func sizes(old, want host.Fact) string {
	switch {
	case !want.Exists:
		return fmt.Sprintf("%d bytes", len(old.Data))
	case !old.Exists || len(old.Data) == len(want.Data):
		return fmt.Sprintf("%d bytes", len(want.Data))
	default:
		return fmt.Sprintf("%d bytes, was %d", len(want.Data), len(old.Data))
	}
}

// dressDiff is a line each for a mode and an owner that would change.
func dressDiff(old, want host.Fact) string {
	if !old.Exists || !want.Exists {
		return ""
	}
	var b strings.Builder
	if old.Mode.Perm() != want.Mode.Perm() {
		fmt.Fprintf(&b, "mode %04o -> %04o\n", old.Mode.Perm(), want.Mode.Perm())
	}
	if old.UID != want.UID || old.GID != want.GID {
		fmt.Fprintf(&b, "owner %d:%d -> %d:%d\n", old.UID, old.GID, want.UID, want.GID)
	}
	return b.String()
}
