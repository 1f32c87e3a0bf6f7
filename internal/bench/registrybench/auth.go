package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/secret"
)

// The one user of 10,000 who knows a password.
const (
	benchName     = "bench"
	benchPassword = "a phrase for the bench"
	others        = 9999
	floodRate     = 10000.0 / 60 // wrong passwords a second
)

func authorization(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (c *conn) logIn() {
	c.header = "Authorization: " + authorization(benchName, benchPassword) + "\r\n"
}

// benchUser logs in each request of a client.
type benchUser struct{}

func (benchUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", authorization(benchName, benchPassword))
	return http.DefaultTransport.RoundTrip(r)
}

// authenticated measures manifest GETs with htpasswd at cost 10: ours against Debian's
// and against ours without, and what a flood of wrong passwords does to who is in.
func authenticated(ctx context.Context, s settings) error {
	users, err := writeUsers(s.dir)
	if err != nil {
		return err
	}
	var all []*registry // open, ours, theirs
	for _, of := range []struct{ name, users string }{{"ours", ""}, {"ours", users}, {"debian", users}} {
		r, err := startWith(ctx, s, of.name, false, of.users)
		if err != nil {
			return err
		}
		defer r.stop()
		if err := fill(ctx, r); err != nil {
			return err
		}
		all = append(all, r)
	}
	gets := load{name: "manifest GET, htpasswd", kind: "manifest", conns: 32}
	slow := load{name: "p99 of a manifest GET", kind: "p99", conns: 4}
	rates := make([][]float64, 3)
	var calm, flooded, calmP99, floodedP99 []float64
	for i := range s.rounds + 1 {
		var round [3]float64
		for at, r := range all {
			if round[at], err = runLoad(ctx, s, r, gets, i); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		quiet, err := runLoad(ctx, s, all[1], slow, i)
		if err != nil {
			return err
		}
		rate, p99, err := underFlood(ctx, s, all[1], gets, slow, i)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // warming up
		}
		for at := range all {
			rates[at] = append(rates[at], round[at])
		}
		calm, flooded = append(calm, round[1]), append(flooded, rate)
		calmP99, floodedP99 = append(calmP99, quiet), append(floodedP99, p99)
	}
	report("manifest GET, htpasswd", rates[1], rates[2], "requests/s", 150)
	reportOurs("htpasswd on against off", rates[1], rates[0], "requests/s", ">= 0.85", func(r float64) bool { return r >= 0.85 })
	reportOurs("under a flood against calm", flooded, calm, "requests/s", ">= 0.7", func(r float64) bool { return r >= 0.7 })
	reportOurs("p99 under a flood against calm", floodedP99, calmP99, "ms", "<= 5", func(r float64) bool { return r <= 5 })
	return nil
}

func reportOurs(name string, a, b []float64, unit, want string, kept func(float64) bool) {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	fmt.Printf("%-30s %9.2f and %9.2f %s   ratio %.2f (%.2f to %.2f), want %s: %s\n", name,
		median(a), median(b), unit, median(ratios), slices.Min(ratios), slices.Max(ratios), want, verdict(kept(median(ratios))))
}

// underFlood loads a registry that somebody else sends wrong passwords to.
func underFlood(ctx context.Context, s settings, r *registry, gets, slow load, round int) (rate, p99 float64, err error) {
	attack := settings{span: 3 * s.span}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := runLoad(ctx, attack, r, load{name: "flood", kind: "flood", conns: 256}, round)
		return err
	})
	group.Go(func() (err error) {
		if rate, err = runLoad(ctx, s, r, gets, round); err == nil {
			p99, err = runLoad(ctx, s, r, slow, round)
		}
		return err
	})
	return rate, p99, group.Wait()
}

func writeUsers(dir string) (string, error) {
	hash, err := htpasswd.Hash(secret.New(benchPassword), htpasswd.DefaultCost)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for i := range others {
		fmt.Fprintf(&text, "user%d:%s\n", i, htpasswd.Dummy(htpasswd.DefaultCost))
	}
	fmt.Fprintf(&text, "%s:%s\n", benchName, hash)
	path := filepath.Join(dir, "htpasswd")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// latency is the time, in ms, that 99 of 100 manifest GETs stay under.
func latency(ctx context.Context, clients []*conn, span time.Duration) (float64, error) {
	took := make([][]float64, len(clients))
	begin := time.Now()
	group, _ := errgroup.WithContext(ctx)
	for i, c := range clients {
		group.Go(func() error {
			for time.Since(begin) < span {
				start := time.Now()
				if err := c.get("/v2/bench/manifests/latest", manifestType); err != nil {
					return err
				}
				took[i] = append(took[i], float64(time.Since(start).Microseconds())/1000)
			}
			return nil
		})
	}
	err := group.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	if len(all) == 0 {
		return 0, err
	}
	return all[len(all)*99/100], err
}

// flood sends wrong passwords of many users at a steady rate, as far as the answers
// let it, and returns how many a second were answered.
func flood(ctx context.Context, clients []*conn, span time.Duration) (float64, error) {
	turns := make(chan int, len(clients))
	go func() {
		defer close(turns)
		tick := time.NewTicker(time.Duration(float64(time.Second) / floodRate))
		defer tick.Stop()
		for i := range int(span.Seconds() * floodRate) {
			<-tick.C
			select {
			case turns <- i:
			default: // all connections wait for an answer
			}
		}
	}()
	group, _ := errgroup.WithContext(ctx)
	counts := make([]int, len(clients))
	for at, c := range clients {
		group.Go(func() error {
			for i := range turns {
				c.header = "Authorization: " + authorization(fmt.Sprintf("user%d", i%50), fmt.Sprint("wrong", i)) + "\r\n"
				if c.get("/v2/", "*/*") == nil {
					return fmt.Errorf("a wrong password was let in")
				}
				c.skip()
				counts[at]++
			}
			return nil
		})
	}
	err := group.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / span.Seconds(), err
}

// skip leaves the rest of an answer that was not the one wanted.
func (c *conn) skip() {
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return
		}
		if _, err := fmt.Sscanf(string(line), "Content-Length: %d", &length); err == nil {
			continue
		}
		if len(bytes.TrimSpace(line)) == 0 {
			_, _ = c.r.Discard(length)
			return
		}
	}
}
