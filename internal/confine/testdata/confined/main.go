// Command confined is the child of confine's tests: it binds a port, enters
// confinement in DIR and then does, over HTTP, what a test asks it to try.
package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/regctl/regctl/internal/confine"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	c, err := confine.Enter(65532, 65532, filepath.Join(dir, "serve"), filepath.Join(dir, "data"), filepath.Join(dir, "logs"))
	if err != nil {
		return err
	}
	log := &lumberjack.Logger{Filename: c.Rewrite(filepath.Join(dir, "logs", "registry.log")), MaxSize: 1, MaxBackups: 2}
	mux := http.NewServeMux()
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		data, err := os.ReadFile(c.Rewrite(r.FormValue("path")))
		answer(w, data, err)
	})
	mux.HandleFunc("/climb", func(w http.ResponseWriter, _ *http.Request) {
		data, err := os.ReadFile(c.Rewrite(filepath.Join(dir, "serve")) + "/../certs/ca.key")
		answer(w, data, err)
	})
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, os.WriteFile(c.Rewrite(r.FormValue("path")), []byte("written"), 0o600))
	})
	mux.HandleFunc("/log", func(w http.ResponseWriter, _ *http.Request) {
		_, err := log.Write(make([]byte, 300<<10))
		answer(w, nil, err)
	})
	mux.HandleFunc("/setuid", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, nil, becomeRoot())
	})
	current := c.Rewrite(filepath.Join(dir, "serve", "tls", "current"))
	server := &http.Server{Handler: mux, TLSConfig: &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(filepath.Join(current, "crt"), filepath.Join(current, "key"))
			return &pair, err
		},
	}}
	return server.ServeTLS(listener, "", "")
}

func answer(w http.ResponseWriter, data []byte, err error) {
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, err)
		return
	}
	_, _ = w.Write(data)
}
