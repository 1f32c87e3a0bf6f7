package embeddedregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/api/errcode"

	"github.com/regctl/regctl/internal/htpasswd"
	"github.com/regctl/regctl/internal/secret"
)

const authOn = "auth: {realm: r}\n"

func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := htpasswd.Hash(secret.New(password), htpasswd.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// newTestGate guards a handler that answers 200, with users and regctl-serve.yaml in
// a folder.
func newTestGate(t *testing.T, users, extraText string) (g *gate, h http.Handler, dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, "htpasswd"), users)
	write(t, filepath.Join(dir, extraName), extraText)
	e, err := parseExtra([]byte(extraText))
	if err != nil {
		t.Fatal(err)
	}
	config := &configuration.Configuration{}
	a, err := newAccounts(config, filepath.Join(dir, "config.yml"), e)
	if err != nil {
		t.Fatal(err)
	}
	g = newGate(a, config)
	return g, g.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), dir
}

func knock(h http.Handler, from, user, password string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	r.RemoteAddr = from + ":1234"
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// becomes waits until an answer has that status.
func becomes(t *testing.T, what string, h http.Handler, user, password string, status int) {
	t.Helper()
	wait(t, fmt.Sprintf("%s: %d", what, status), func() bool { return knock(h, "192.0.2.1", user, password).Code == status })
}

func TestGateFollowsItsFiles(t *testing.T) {
	alice, bob := hashed(t, "a"), hashed(t, "b")
	g, h, dir := newTestGate(t, "# c\nalice:"+alice+"\nold:{SHA}x\n", authOn)
	users := filepath.Join(dir, "htpasswd")
	w := knock(h, "192.0.2.1", "", "")
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Basic realm="r"` || !strings.Contains(w.Body.String(), "UNAUTHORIZED") {
		t.Errorf("without a password: %d %v %s", w.Code, w.Header(), w.Body)
	}
	var said errcode.Errors
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || len(said) != 1 {
		t.Errorf("%s: %v, want one error", w.Body, err)
	} else if e := (errcode.Error{}); !errors.As(said[0], &e) || e.Code != errcode.ErrorCodeUnauthorized {
		t.Errorf("Docker reads %T of %s, and takes only an errcode.Error for final", said[0], w.Body)
	}
	for _, c := range []struct {
		user, password string
		want           int
	}{{"alice", "a", 200}, {"alice", "a", 200}, {"alice", "b", 401}, {"nobody", "a", 401}, {"old", "x", 401}, {"bob", "b", 401}} {
		if got := knock(h, "192.0.2.1", c.user, c.password).Code; got != c.want {
			t.Errorf("%s with %s: %d, want %d", c.user, c.password, got, c.want)
		}
	}
	replace(t, users, "alice:"+alice+"\nbob:"+bob+"\n")
	if got := knock(h, "192.0.2.1", "bob", "b").Code; got != 200 {
		t.Errorf("bob, added just now: %d", got)
	}
	if !g.remembered(g.accounts.look(true), "alice", "a") {
		t.Error("alice was forgotten although her line is what it was")
	}
	replace(t, users, "alice:"+hashed(t, "new")+"\nbob:"+bob+"\n")
	becomes(t, "alice's old password", h, "alice", "a", 401)
	becomes(t, "alice's new password", h, "alice", "new", 200)
	if !g.remembered(g.accounts.look(true), "bob", "b") {
		t.Error("bob was forgotten when alice's line changed")
	}
	replace(t, users, "bob:"+bob+"\n")
	becomes(t, "alice, removed", h, "alice", "new", 401)

	replace(t, filepath.Join(dir, extraName), "http2: false\n")
	becomes(t, "authentication off", h, "", "", 200)
	replace(t, filepath.Join(dir, extraName), authOn)
	becomes(t, "authentication on", h, "", "", 401)
	replace(t, filepath.Join(dir, extraName), "auth: {relm: typo}\n")
	if g.accounts.look(true); !g.accounts.look(true).on {
		t.Error("a damaged file turned authentication off")
	}
	replace(t, users, "")
	becomes(t, "an empty file", h, "bob", "b", 401)
	if got := knock(h, "192.0.2.1", "x", "y"); got.Code != 401 {
		t.Errorf("an empty file: %d", got.Code)
	}
}

// replace swaps a file by rename, as regctl does.
func replace(t *testing.T, path, data string) {
	t.Helper()
	write(t, path+".new", data)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestGateGrace(t *testing.T) {
	until := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339Nano) }
	text := func(d time.Duration) string {
		return fmt.Sprintf("auth: {realm: r, grace: [{user: alice, hash: %q, until: %s}]}\n", hashed(t, "old"), until(d))
	}
	_, h, dir := newTestGate(t, "alice:"+hashed(t, "new")+"\n", text(time.Hour))
	for password, want := range map[string]int{"new": 200, "old": 200, "other": 401} {
		if got := knock(h, "192.0.2.1", "alice", password).Code; got != want {
			t.Errorf("%s: %d, want %d", password, got, want)
		}
	}
	replace(t, filepath.Join(dir, extraName), text(300*time.Millisecond))
	becomes(t, "the new one", h, "alice", "new", 200)
	becomes(t, "after the grace", h, "alice", "old", 401)
}

func TestGateIsOneCheckForMany(t *testing.T) {
	g, h, _ := newTestGate(t, "alice:"+hashed(t, "a")+"\n", authOn)
	g.queue = newQueue(0) // the test gives the turns
	var in atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if knock(h, "192.0.2.1", "alice", "a").Code == 200 {
				in.Add(1)
			}
		})
	}
	wait(t, "a check waits", func() bool { return g.queue.length() == 1 })
	g.queue.leave()
	all.Wait()
	if in.Load() != 20 || g.queue.length() != 0 {
		t.Errorf("%d of 20 came in by one turn, and %d wait", in.Load(), g.queue.length())
	}
}

func TestGatePutsOff(t *testing.T) {
	g, h, _ := newTestGate(t, "alice:"+hashed(t, "a")+"\nbob:"+hashed(t, "b")+"\n", authOn)
	if got := knock(h, "192.0.2.1", "bob", "b").Code; got != 200 {
		t.Fatalf("bob: %d", got)
	}
	g.queue, g.patience = newQueue(0), 20*time.Millisecond
	w := knock(h, "192.0.2.1", "alice", "a")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("nobody's turn: %d %v, want 503 and Retry-After", w.Code, w.Header())
	}
	if got := knock(h, "192.0.2.1", "bob", "b").Code; got != 200 {
		t.Errorf("bob, who is remembered: %d", got)
	}
	if n := g.queue.length(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

func TestQueueTakesTurns(t *testing.T) {
	q := newQueue(0)
	order := make(chan string)
	stand := func(address, user string) {
		n := q.length()
		go func() {
			if q.enter(context.Background(), address, user) {
				order <- address + user
			}
		}()
		wait(t, address+user+" waits", func() bool { return q.length() == n+1 })
	}
	for range 3 {
		stand("A", "1")
	}
	stand("A", "2")
	stand("B", "1")
	stand("B", "1")
	var got []string
	for range 6 {
		q.leave()
		got = append(got, <-order)
	}
	if s := strings.Join(got, ","); s != "A1,B1,A2,B1,A1,A1" {
		t.Errorf("turns: %s", s)
	}
	q.leave()
	if q.free != 1 || len(q.lanes) != 0 {
		t.Errorf("%d free, %d lanes left", q.free, len(q.lanes))
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue(0)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range mostWaitingLine {
		all.Go(func() { q.enter(ctx, "A", "1") })
	}
	wait(t, "the line is full", func() bool { return q.length() == mostWaitingLine })
	if q.enter(ctx, "A", "1") {
		t.Error("one more came in")
	}
	cancel()
	all.Wait()
	if q.length() != 0 || len(q.lanes) != 0 || q.free != 0 {
		t.Errorf("%d wait in %d lanes, %d free, after all gave up", q.length(), len(q.lanes), q.free)
	}
}

func TestCacheForgets(t *testing.T) {
	c := newCache()
	now := time.Now()
	c.now = func() time.Time { return now }
	k := c.key("a", "b")
	if c.key("ab", "") == k || newCache().key("a", "b") == k {
		t.Error("two credentials, or two processes, have one key")
	}
	c.add(k)
	now = now.Add(rememberFor - time.Second)
	if !c.has(k) {
		t.Error("forgotten too early")
	}
	now = now.Add(rememberFor - time.Second)
	if !c.has(k) {
		t.Error("a use does not count")
	}
	now = now.Add(rememberFor + time.Second)
	if c.has(k) {
		t.Error("remembered too long")
	}
	for i := range rememberMost + 10 {
		c.add(c.key(fmt.Sprint(i)))
	}
	if c.order.Len() != rememberMost || len(c.known) != rememberMost || c.has(c.key("0")) || !c.has(c.key("10")) {
		t.Errorf("%d remembered, want the %d used last", c.order.Len(), rememberMost)
	}
}

func TestSenderAddress(t *testing.T) {
	e, err := parseExtra([]byte("auth: {realm: r, proxies: [10.0.0.0/8, '::1/128'], dockerGateway: true}"))
	if err != nil {
		t.Fatal(err)
	}
	r := &roster{sender: sender{proxies: e.Auth.Proxies, gateway: "172.17.0.1"}}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "", "192.0.2.1"},
		{"192.0.2.1:1", "198.51.100.1", "192.0.2.1"},
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "203.0.113.5, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:1", "nonsense", "10.0.0.1"},
		{"172.17.0.1:1", "198.51.100.1", ""},
		{"[2001:db8:1:2:3::4]:1", "", "2001:db8:1:2::/64"},
		{"[::ffff:192.0.2.1]:1", "", "192.0.2.1"},
		{"@", "", ""},
		{"@", "198.51.100.1", "198.51.100.1"},
		{"@", "203.0.113.5, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"@", "nonsense", ""},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = c.peer
		if c.forwarded != "" {
			req.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := r.address(req); got != c.want {
			t.Errorf("%s forwarding %q: %q, want %q", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestExtraAuthIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		"http2: true\nauth: {relm: r}\n":                "2: auth: ",
		"auth: {}\n":                                    "1: auth.realm: is missing",
		"auth: {realm: r, proxies: [x]}\n":              "1: auth: ",
		"auth: {realm: r, grace: [{until: someday}]}\n": "1: auth: ",
	} {
		if _, err := parseExtra([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
