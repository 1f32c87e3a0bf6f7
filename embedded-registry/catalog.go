package embeddedregistry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// catalogPage is how many repositories distribution lists unless it is asked for more
// or fewer.
const catalogPage = 100

// filtered serves the catalog of the repositories that may says. Its pages are as
// full as without, and no link names a repository that is not to be seen.
func filtered(app http.Handler, most int) func(w http.ResponseWriter, r *http.Request, may func(string) bool) {
	return func(w http.ResponseWriter, r *http.Request, may func(string) bool) {
		query := r.URL.Query()
		n := catalogPage
		if text := query.Get("n"); text != "" {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n <= 0 || n > most {
				app.ServeHTTP(w, r) // an error, or nothing
				return
			}
		}
		n = min(n, most)
		seen, ok := collect(app, w, r, n+1, most, may)
		if !ok {
			return
		}
		if len(seen) > n {
			seen = seen[:n]
			next := url.Values{"n": {strconv.Itoa(n)}, "last": {seen[n-1]}}
			w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", r.URL.Path, next.Encode()))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(catalogAnswer{seen})
	}
}

type catalogAnswer struct {
	Repositories []string `json:"repositories"`
}

// collect asks the app for page after page until it has enough. An answer that is no
// catalog is passed on.
func collect(app http.Handler, w http.ResponseWriter, r *http.Request, enough, most int, may func(string) bool) ([]string, bool) {
	seen, last := []string{}, r.URL.Query().Get("last")
	for {
		page := r.Clone(r.Context())
		page.URL.RawQuery = url.Values{"n": {strconv.Itoa(most)}, "last": {last}}.Encode()
		held := &heldAnswer{header: http.Header{}, status: http.StatusOK}
		app.ServeHTTP(held, page)
		var got catalogAnswer
		if held.status != http.StatusOK || json.Unmarshal(held.body.Bytes(), &got) != nil {
			held.pass(w)
			return nil, false
		}
		for _, name := range got.Repositories {
			if last = name; may(name) {
				seen = append(seen, name)
			}
		}
		if len(seen) >= enough || len(got.Repositories) == 0 || held.header.Get("Link") == "" {
			held.header.Del("Link")
			held.header.Del("Content-Length")
			for name, values := range held.header {
				w.Header()[name] = values
			}
			return seen, true
		}
	}
}

// heldAnswer is a response that is looked at before it goes anywhere.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) Header() http.Header         { return h.header }
func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(p []byte) (int, error) { return h.body.Write(p) }

func (h *heldAnswer) pass(w http.ResponseWriter) {
	for name, values := range h.header {
		w.Header()[name] = values
	}
	w.WriteHeader(h.status)
	_, _ = h.body.WriteTo(w)
}
