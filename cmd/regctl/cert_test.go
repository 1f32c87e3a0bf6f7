package main_test

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/regctl/regctl/internal/pki"
)

// certs DAYS CA-DAYS LEAF-DAYS HOST...: gives the registry a CA and a leaf as if they
// had been made DAYS ago (or in that many, when negative), with lives of their own.
// A clock that is wrong looks the same.
func makeCerts(ts *testscript.TestScript, _ bool, args []string) {
	var days [3]int
	for i := range days {
		var err error
		days[i], err = strconv.Atoi(args[i])
		ts.Check(err)
	}
	c := pki.Config{
		Hosts: args[3:], CertDays: days[2], CADays: days[1], Name: ts.Getenv("NAME"),
		Now: time.Now().Add(-24 * time.Hour * time.Duration(days[0])),
	}
	ca, caKey, err := pki.NewCA(c)
	ts.Check(err)
	leaf, key, err := pki.Issue(ca, caKey, c)
	ts.Check(err)
	dir := ts.Getenv("DIR")
	for path, data := range map[string][]byte{
		"certs/ca.crt": ca, "certs/ca.key": caKey, "serve/tls/current/crt": leaf, "serve/tls/current/key": key,
	} {
		path = filepath.Join(dir, filepath.FromSlash(path))
		ts.Check(os.WriteFile(path, data, 0o600)) // in place: owner and mode stay
		// Two writes within one tick of the disk's clock look the same to the registry.
		ts.Check(os.Chtimes(path, time.Time{}, c.Now))
	}
}
