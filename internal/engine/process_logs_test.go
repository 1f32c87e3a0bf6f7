package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
)

func TestLastLines(t *testing.T) {
	older := filepath.Join(t.TempDir(), "registry-1.log")
	if err := os.WriteFile(older, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		newest string
		n      int
		want   string
	}{
		{"c\nd\n", -1, "a\nb\nc\nd\n"},
		{"c\nd\n", 0, ""},
		{"c\nd\n", 1, "d\n"},
		{"c\nd\n", 2, "c\nd\n"},
		{"c\nd\n", 3, "b\nc\nd\n"},
		{"c\nd\n", 9, "a\nb\nc\nd\n"},
		{"", 1, "b\n"},
		{"c\npart", 1, "part"},
		{"c\npart", 2, "c\npart"},
	} {
		got, err := lastLines([]byte(tc.newest), []string{older}, tc.n)
		if err != nil || string(got) != tc.want {
			t.Errorf("last %d of %q = %q, %v; want %q", tc.n, tc.newest, got, err, tc.want)
		}
	}
}

// The log is written by the library that rotates it for real.
func TestLogsFollowRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "[odd] name", "registry.log")
	log := &lumberjack.Logger{Filename: path, MaxSize: 1, MaxBackups: 2}
	defer log.Close()
	var want strings.Builder
	say := func(text string) {
		t.Helper()
		line := text + strings.Repeat(".", 1000) + "\n"
		want.WriteString(line)
		if _, err := log.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1100 { // more than a megabyte: it has rotated once
		say(fmt.Sprint("early ", i))
	}
	if n := len(rotated(path)); n != 1 {
		t.Fatalf("%d rotated files", n)
	}

	var got safeBuffer
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tailLog(ctx, path, true, -1, &got) }()
	await := func() {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(20 * time.Second); got.String() != want.String(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("got %d bytes, want %d", len(got.String()), want.Len())
			}
		}
	}
	await()
	say("just before the rotation")
	if err := log.Rotate(); err != nil {
		t.Fatal(err)
	}
	say("just after")
	await()
	say("much later")
	await()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLogsBeforeThereIsOne(t *testing.T) {
	var got bytes.Buffer
	if err := tailLog(t.Context(), filepath.Join(t.TempDir(), "registry.log"), false, 10, &got); err != nil || got.Len() > 0 {
		t.Errorf("%q, %v", got.String(), err)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
