package main_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/regctl/regctl/internal/testredis"
)

// TestRestoreWithRedis restores a registry where there is neither the file with the
// Redis' password nor that with its CA: the copies in the backup do, and are tried before
// anything is written.
func TestRestoreWithRedis(t *testing.T) {
	cache := testredis.StartTLS(t, "127.0.0.1")
	r := newRun(t, build(t), "redisback")
	files := t.TempDir()
	password, ca := filepath.Join(files, "password"), filepath.Join(files, "ca.pem")
	for path, from := range map[string]string{password: cache.PasswordFile, ca: cache.CA} {
		if err := os.WriteFile(path, read(t, from), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.must(t, "init", "--tls", "none", "--runtime", "process", "--port", r.port,
		"--redis", "rediss://"+cache.Addr, "--redis-password-file", password, "--redis-ca", ca)
	ref, err := name.ParseReference("127.0.0.1:" + r.port + "/a/app:1")
	if err == nil {
		err = pushRandom(ref)
	}
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(files, "backup")
	r.must(t, "backup", backup, "--no-encrypt", "--with-data")
	r.must(t, "destroy", "--yes")
	for _, path := range []string{password, ca} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	r.dir = filepath.Join(t.TempDir(), "elsewhere")
	client := cache.Client(t)
	set := func(password string) {
		if err := client.ConfigSet(context.Background(), "requirepass", password).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("another")
	out, err := r.command("restore", backup, "--yes").CombinedOutput()
	if _, stat := os.Stat(r.dir); err == nil || !strings.Contains(string(out), "the Redis at "+cache.Addr) || !os.IsNotExist(stat) {
		t.Errorf("with the wrong password: %v, %v\n%s", err, stat, out)
	}
	set(cache.Password)
	if err := client.FlushDB(context.Background()).Err(); err != nil { // the test's own
		t.Fatal(err)
	}
	r.must(t, "restore", backup, "--yes")
	r.must(t, "status", "--check")
	if err := pullWhole(ref); err != nil {
		t.Error(err)
	}
	if len(cache.Keys(t)) == 0 {
		t.Error("the Redis is not asked")
	}
}
