package dnsprovider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
)

// maxAnswer bounds what a provider's API may answer.
const maxAnswer = 4 << 20

// rest calls a provider's HTTP API.
type rest struct {
	client *http.Client
	// sign adds what proves who asks.
	sign func(req *http.Request, body []byte) error
	// complaint finds the words for people in an error's body.
	complaint func(body []byte) string
}

// call returns the body of a good answer.
func (r *rest) call(ctx context.Context, method, url, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if err := r.sign(req, body); err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, &refusal{req.URL.Host, resp.StatusCode, r.complaint(data)}
	}
	return data, nil
}

// refusal is an API's error.
type refusal struct {
	host      string
	status    int
	complaint string
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%s answers HTTP %d", r.host, r.status)
	if r.complaint != "" {
		text += ": " + r.complaint
	}
	return text
}

// zones are the names that a record's zone may have, the nearest first and without
// the final dot.
func zones(fqdn string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range dns01.DomainsSeq(fqdn) {
			if name = strings.TrimSuffix(name, "."); name != "" && !yield(name) {
				return
			}
		}
	}
}

var errNoZone = errors.New("these credentials see no zone")

// await asks every interval until done, at most for limit.
func await(ctx context.Context, limit, interval time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(max(interval, 10*time.Millisecond))
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the change is not done after %s", limit)
		case <-tick.C:
		}
	}
}
