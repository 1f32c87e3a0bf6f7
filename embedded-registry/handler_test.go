package embeddedregistry

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/notifications"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/distribution/reference"
)

func TestReadonlyByControl(t *testing.T) {
	s := serve(t, plain)
	roundTrip(t, s.addr)
	uploads := "http://" + s.addr + "/v2/app/blobs/uploads/"
	write(t, filepath.Join(s.dir, "ctl", "readonly"), "")
	var resp answer
	wait(t, "writes to be refused", func() bool {
		resp = do(t, http.DefaultClient, "POST", uploads)
		return resp.status == http.StatusServiceUnavailable
	})
	var refused struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(resp.body), &refused); err != nil || len(refused.Errors) != 1 ||
		refused.Errors[0].Code != "UNAVAILABLE" || !strings.Contains(refused.Errors[0].Message, "read-only") {
		t.Errorf("body: %s", resp.body)
	}
	if resp.header.Get("Retry-After") == "" || resp.header.Get("Docker-Distribution-Api-Version") == "" {
		t.Errorf("headers: %v", resp.header)
	}
	if resp := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/team/app/tags/list"); resp.status != http.StatusOK {
		t.Errorf("reading: %d", resp.status)
	}
	if err := os.Remove(filepath.Join(s.dir, "ctl", "readonly")); err != nil {
		t.Fatal(err)
	}
	wait(t, "writes to be taken", func() bool {
		resp := do(t, http.DefaultClient, "POST", uploads)
		return resp.status == http.StatusAccepted
	})
}

func TestHealth(t *testing.T) {
	s := serve(t, plain+"health: {file: [{file: DIR/down, interval: 5ms}], storagedriver: {enabled: true, interval: 5ms, threshold: 2}}\n")
	url := "http://" + s.addr + "/v2/"
	status := func(want int, detail string) func() bool {
		return func() bool {
			resp := do(t, http.DefaultClient, "GET", url)
			return resp.status == want && strings.Contains(resp.body, detail)
		}
	}
	wait(t, "health", status(200, ""))
	write(t, filepath.Join(s.dir, "down"), "")
	wait(t, "503", status(503, "/down"))
	if err := os.Remove(filepath.Join(s.dir, "down")); err != nil {
		t.Fatal(err)
	}
	wait(t, "health again", status(200, ""))
	write(t, filepath.Join(s.dir, "data"), "not a folder, so nothing below it can be looked at")
	wait(t, "200 still: a file answers too", status(200, ""))
}

func TestStorageHealth(t *testing.T) {
	s := serve(t, strings.Replace(plain, "DIR/data", "DIR/file/data", 1)+"health: {storagedriver: {enabled: true, interval: 5ms, threshold: 2}}\n",
		func(dir string, _ *Options) { write(t, filepath.Join(dir, "file"), "") })
	wait(t, "503", func() bool {
		resp := do(t, http.DefaultClient, "GET", "http://"+s.addr+"/v2/")
		return resp.status == http.StatusServiceUnavailable && strings.Contains(resp.body, `"code":"UNAVAILABLE"`) && strings.Contains(resp.body, "storagedriver_filesystem")
	})
}

func TestAccessLogAndFields(t *testing.T) {
	s := serve(t, `version: 0.1
log: {level: info, formatter: json, fields: {service: registry}}
storage: {filesystem: {rootdirectory: DIR/data}}
http: {addr: '127.0.0.1:0', secret: s}
`)
	roundTrip(t, s.addr)
	wait(t, "a line about a pull", func() bool {
		return strings.Contains(s.log.String(), `"uri":"/v2/team/app/manifests/1","proto":"HTTP/1.1","status":200`)
	})
	access, fields := 0, 0
	for line := range strings.Lines(s.log.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case v["msg"] == "access":
			access++
		case v["service"] == "registry":
			fields++
		default:
			t.Errorf("without log.fields: %s", line)
		}
	}
	if access < 10 || fields < 10 {
		t.Errorf("%d access lines, %d others", access, fields)
	}
}

func TestPanicIsLoggedAndCutOff(t *testing.T) {
	log := &logBuffer{}
	setUpLog(configuration.Log{}, log)
	defer leaveLog()
	srv := httptest.NewServer(recovered(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("at the disco") })))
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/v2/")
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
	if got := log.String(); !strings.Contains(got, "level=panic") || !strings.Contains(got, "GET /v2/: at the disco") || !strings.Contains(got, "handler_test.go") {
		t.Errorf("log: %s", got)
	}
}

// With an endpoint configured, events are built and arrive; without one, nothing is
// left around the repository that would build them.
func TestEvents(t *testing.T) {
	var got atomic.Int64
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"action": "push"`) && strings.Contains(string(body), `"instanceID": "`) {
			got.Add(1)
		}
	}))
	// Not closed: distribution's queue of events outlives the app, and tries on.
	s := serve(t, plain+"notifications: {endpoints: [{name: e, url: '"+sink.URL+"', timeout: 5s, threshold: 3, backoff: 1s}]}\n")
	roundTrip(t, s.addr)
	wait(t, "an event", func() bool { return got.Load() > 0 })
}

func TestWithoutEvents(t *testing.T) {
	registry, err := storage.NewRegistry(t.Context(), inmemory.New())
	if err != nil {
		t.Fatal(err)
	}
	named, err := reference.WithName("app")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := registry.Repository(t.Context(), named)
	if err != nil {
		t.Fatal(err)
	}
	listened, _ := notifications.Listen(repo, nil, nil)
	for name, given := range map[string]distribution.Repository{"listened to": listened, "bare": repo} {
		if got, err := withoutEvents(context.Background(), given, nil); err != nil || got != repo {
			t.Errorf("%s: got %T, %v", name, got, err)
		}
	}
}

// An upload in chunks of every size arrives whole, in order.
func TestWideBody(t *testing.T) {
	var got strings.Builder
	h := wideUploads(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, wide := r.Body.(wideBody); !wide {
			t.Error("not wide")
		}
		if _, err := io.Copy(&got, r.Body); err != nil {
			t.Error(err)
		}
	}))
	want := strings.Repeat("0123456789abcdef!", 100_000)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPatch, "/", strings.NewReader(want)))
	if got.String() != want {
		t.Error("the body changed")
	}
}
