package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	legoacme "github.com/go-acme/lego/v4/acme"
)

const (
	maxAnswer = 1 << 20
	// attempts are made of each request while the CA is in trouble, and longest is
	// how long it may ask us to wait in between.
	attempts = 3
	longest  = 10 * time.Second
)

// wire carries all requests to the CA. It ends them with the call's context, tries
// again a few times where the CA is in trouble, and makes a problem document of
// whatever else an error comes as.
type wire struct {
	ctx     context.Context
	next    *http.Transport
	timeout time.Duration
	wait    func(context.Context, time.Duration) error
	say     func(string)

	mu         sync.Mutex
	retryAfter time.Duration // of the last answer, 0 for none
	failure    error         // of the last request, nil if it was answered well
}

// odd is an answer that ACME has no place for.
type odd struct{ what string }

func (o odd) Error() string { return o.what }

// silence is the end of a request's patience, not of the call's.
type silence struct{ patience time.Duration }

func (s silence) Error() string { return fmt.Sprintf("no answer within %s", s.patience) }

// RoundTrip is http.RoundTripper's; the request's own context does not matter. A
// signed request that is sent twice may have used up its nonce: lego signs it anew
// when the CA says so.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := w.once(req)
		if w.ctx.Err() != nil {
			return nil, w.ctx.Err()
		}
		pause, again := again(resp, err, attempt)
		if !again || attempt == attempts {
			w.note(resp, err)
			return resp, err
		}
		if err == nil {
			err = errors.New("HTTP " + resp.Status)
		}
		w.say(fmt.Sprintf("%s: %v; trying again in %s", req.URL.Host, err, pause))
		if err := w.wait(w.ctx, pause); err != nil {
			return nil, err
		}
	}
}

// note keeps what lego's errors may lose.
func (w *wire) note(resp *http.Response, err error) {
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = &legoacme.ProblemDetails{HTTPStatus: resp.StatusCode, Detail: "HTTP " + resp.Status}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure = err
}

func (w *wire) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// again tells whether another attempt may help, and when.
func again(resp *http.Response, err error, attempt int) (pause time.Duration, yes bool) {
	pause = time.Duration(attempt) * time.Second
	if err != nil {
		var network net.Error
		var quiet silence
		transient := errors.As(err, &quiet) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
		return pause, transient && !isTLSFault(err) && !isNoSuchHost(err)
	}
	if resp.StatusCode < http.StatusInternalServerError {
		return 0, false
	}
	if asked := retryAfter(resp.Header, time.Now()); asked > 0 {
		pause = asked
	}
	return pause, pause <= longest
}

// once sends the request and reads the answer to its end.
func (w *wire) once(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(w.ctx, w.timeout, silence{w.timeout})
	defer cancel()
	r := req.Clone(ctx)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		r.Body = body
	}
	resp, err := w.next.RoundTrip(r)
	if err == nil {
		var data []byte
		data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		resp.Body.Close()
		if err == nil {
			return w.answer(req, resp, data)
		}
	}
	var quiet silence
	if errors.As(context.Cause(ctx), &quiet) {
		return nil, quiet
	}
	return nil, err
}

func (w *wire) answer(req *http.Request, resp *http.Response, data []byte) (*http.Response, error) {
	w.mu.Lock()
	w.retryAfter = retryAfter(resp.Header, time.Now())
	w.mu.Unlock()
	if len(data) > maxAnswer {
		return nil, odd{fmt.Sprintf("%s answers with more than %d bytes", req.URL, maxAnswer)}
	}
	if resp.StatusCode >= http.StatusBadRequest {
		data = problemOf(resp, data)
	} else if len(data) > 0 && !json.Valid(data) && !bytes.Contains(data, []byte("-----BEGIN ")) {
		return nil, odd{fmt.Sprintf("%s answers with what is not JSON: %s", req.URL, snippet(data))}
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	resp.ContentLength = int64(len(data))
	return resp, nil
}

// asked is how long the CA wants us to wait, by its last answer.
func (w *wire) asked() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retryAfter
}

// problemOf is an error answer as a problem document (RFC 7807), which it should be.
func problemOf(resp *http.Response, data []byte) []byte {
	var p *legoacme.ProblemDetails
	if err := json.Unmarshal(data, &p); err == nil && p != nil && strings.HasPrefix(p.Type, errorNamespace) {
		return data
	}
	p = &legoacme.ProblemDetails{Detail: "HTTP " + resp.Status, HTTPStatus: resp.StatusCode}
	if text := snippet(data); text != "" {
		p.Detail += ": " + text
	}
	made, err := json.Marshal(p)
	if err != nil {
		panic(err) // texts and a number
	}
	return made
}

// snippet is the beginning of what was answered, fit to be shown in one line.
func snippet(data []byte) string {
	const most = 120
	text := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == '\x7f' || r == '\ufffd' {
			return ' '
		}
		return r
	}, string(data))), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

// retryAfter reads the header of RFC 9110, 10.2.3: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now).Round(time.Second))
	}
	return 0
}
