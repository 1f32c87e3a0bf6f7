package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tailLog copies the end of a log and its rotated predecessors, NAME-TIME.EXT as
// lumberjack calls them, and follows it over further rotations.
func tailLog(ctx context.Context, path string, follow bool, tail int, w io.Writer) error {
	current, err := os.Open(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() { _ = current.Close() }()
	var newest []byte
	if current != nil {
		if newest, err = io.ReadAll(current); err != nil {
			return err
		}
	}
	text, err := lastLines(newest, rotated(path), tail)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil || !follow {
		return err
	}
	return followLog(ctx, path, &current, w)
}

// rotated lists the predecessors of path, oldest first.
func rotated(path string) []string {
	ext := filepath.Ext(path)
	prefix := strings.TrimSuffix(filepath.Base(path), ext) + "-"
	entries, _ := os.ReadDir(filepath.Dir(path)) // sorted by name, and so by time
	var old []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ext) {
			old = append(old, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return old
}

// lastLines gives the last n lines of newest and, as far as they are needed, of
// the older files; a negative n means all.
func lastLines(newest []byte, older []string, n int) ([]byte, error) {
	text := newest
	for i := len(older) - 1; i >= 0 && (n < 0 || bytes.Count(text, []byte("\n")) < n); i-- {
		before, err := os.ReadFile(older[i])
		if errors.Is(err, fs.ErrNotExist) {
			break // rotated away just now
		}
		if err != nil {
			return nil, err
		}
		text = append(before, text...)
	}
	if n < 0 {
		return text, nil
	}
	at := len(text)
	if at > 0 && text[at-1] == '\n' {
		at--
	}
	for ; n > 0 && at >= 0; n-- {
		at = bytes.LastIndexByte(text[:at], '\n')
	}
	if at < 0 {
		return text, nil
	}
	if at < len(text) {
		at++
	}
	return text[at:], nil
}

// followLog copies what is added to *current and, whenever another file stands at
// path, the rest of the old one and then all of the new one.
func followLog(ctx context.Context, path string, current **os.File, w io.Writer) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		// Open first: what the old file holds by then is all that it will get.
		next, err := os.Open(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if *current != nil {
			if _, err := io.Copy(w, *current); err != nil {
				_ = next.Close()
				return err
			}
		}
		if next != nil && !sameFile(*current, next) {
			_ = (*current).Close()
			*current = next
			continue
		}
		_ = next.Close()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func sameFile(a, b *os.File) bool {
	if a == nil || b == nil {
		return false
	}
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
