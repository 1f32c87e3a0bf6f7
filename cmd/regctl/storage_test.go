package main_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/regctl/regctl/internal/engine/enginetest"
	"github.com/regctl/regctl/internal/testenv"
	"github.com/regctl/regctl/internal/tests3"
)

// TestStorage runs testdata/storage against a real S3 server, at an address that
// containers reach too: $S3, bucket images, the keys in the file keys. $STOCK is the
// image registry:3.
func TestStorage(t *testing.T) {
	testenv.Need(t, "docker")
	bin := build(t)
	server := tests3.New(t, bridge(t))
	stock := enginetest.Name(t, "") + ":3"
	enginetest.Registry3(t, "", stock)
	testscript.Run(t, testscript.Params{
		Dir:         filepath.Join("..", "..", "testdata", "storage"),
		WorkdirRoot: t.TempDir(),
		Setup: func(env *testscript.Env) error {
			env.Setenv("S3", server.URL)
			env.Setenv("STOCK", stock)
			keys := "# " + t.Name() + "\naccesskey = " + tests3.AccessKey + "\nsecretkey = " + tests3.SecretKey + "\n"
			if err := os.WriteFile(filepath.Join(env.WorkDir, "keys"), []byte(keys), 0o600); err != nil {
				return err
			}
			return setup(env, bin)
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"appendto": appendTo, "freeport": freePort, "gone": gone, "listing": listing, "oneerror": oneError, "overtag": overtag, "pull": pullBack,
			"push": pushTo, "pushpull": pushPull, "status": exitStatus,
		},
	})
}

// bridge is this machine's address on Docker's own network.
func bridge(t *testing.T) string {
	t.Helper()
	docker0, err := net.InterfaceByName("docker0")
	if err != nil {
		t.Skip("no docker0, by which containers would reach an S3 server here")
	}
	addresses, err := docker0.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil {
			return ip.String()
		}
	}
	t.Skip("docker0 has no IPv4 address")
	return ""
}
