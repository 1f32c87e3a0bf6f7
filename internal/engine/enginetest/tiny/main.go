// Command tiny stands in for a registry in tests of containers: it answers /v2/ on
// the port that its first argument names, or says that it cannot and ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is a main
	}
}

func run() error {
	if len(os.Args) < 2 || os.Args[1] == "fail" {
		return errors.New("error: config.yml:3: it is broken\nhint: mend it")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	server := &http.Server{Addr: ":" + os.Args[1], Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Println("serving", os.Args[1])
	fmt.Fprintln(os.Stderr, "to standard error")
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return fmt.Errorf("error: %w", err)
	}
	return nil
}
