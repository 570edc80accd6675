package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
)

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func options(t *testing.T) (Options, *buffer) {
	logs := &buffer{}
	return Options{
		Version: "test", Listen: "127.0.0.1:0", Realtime: true, Journal: "memory", ShutdownTimeout: 20 * time.Second,
		Logger: slog.New(slog.NewTextHandler(logs, nil)), Data: filepath.Join(t.TempDir(), "data"),
	}, logs
}

func start(t *testing.T, o Options) *App {
	t.Helper()
	a, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	return a
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// SPEC O-1: a server on port 0 says where it listens, works, and is gone after Stop.
func TestStartStop(t *testing.T) {
	o, _ := options(t)
	a := start(t, o)
	if code, body := get(t, a.URL()+"/api/v1/health"); code != 200 || !strings.Contains(body, `"realtime":true`) {
		t.Errorf("%d %s", code, body)
	}
	if _, body := get(t, a.URL()+"/metrics"); !strings.Contains(body, "graphroom_ready 1") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %.200s", body)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := http.Get(a.URL() + "/healthz"); err == nil {
		t.Error("it still answers")
	}
}

// SPEC O-21: what was acknowledged is there after a restart, with the epoch.
func TestRestartKeeps(t *testing.T) {
	o, _ := options(t)
	o.Journal = "pebble"
	a := start(t, o)
	if code, body := post(t, a.URL()+"/api/v1/sessions", `{"session_id":"s1"}`); code != 201 {
		t.Fatalf("%d %s", code, body)
	}
	if code, body := post(t, a.URL()+"/api/v1/projects", `{"session_id":"s1","template_id":"outline","project_name":"Kept"}`); code != 201 {
		t.Fatalf("%d %s", code, body)
	}
	_, before := get(t, a.URL()+"/api/v1/graph?session_id=s1")
	if _, err := Start(t.Context(), o); err == nil {
		t.Error("a second server took the same data folder")
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	b := start(t, o)
	if _, after := get(t, b.URL()+"/api/v1/graph?session_id=s1"); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

// SPEC O-20: Run stops when its context ends, tells sockets, lets the request
// under way finish, and returns nil.
func TestRunStopsGracefully(t *testing.T) {
	o, _ := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan *App, 1)
	result := make(chan error, 1)
	go func() { result <- Run(ctx, o, func(a *App) { ready <- a }) }()
	a := <-ready
	poll := a.URL() + "/socket.io/?EIO=4&transport=polling"
	code, open := get(t, poll)
	if code != 200 {
		t.Fatalf("%d %s", code, open)
	}
	sid := strings.Split(strings.SplitN(open, `"sid":"`, 2)[1], `"`)[0]
	if _, body := post2(t, poll+"&sid="+sid, `40/graph,{"session_id":"s"}`); body != "ok" {
		t.Fatal(body)
	}
	told := make(chan string, 1)
	go func() {
		var all strings.Builder
		for {
			resp, err := http.Get(poll + "&sid=" + sid)
			if err != nil {
				break
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			fmt.Fprintf(&all, "%d %s\n", resp.StatusCode, body)
			if strings.Contains(string(body), "session:connected") {
				cancel()
			}
			if resp.StatusCode != 200 || strings.HasSuffix(string(body), "1") {
				break
			}
		}
		told <- all.String()
	}()
	if err := <-result; err != nil {
		t.Errorf("Run: %v", err)
	}
	if all := <-told; !strings.Contains(all, "session:connected") {
		t.Errorf("the client got %s", all)
	}
}

func post2(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

// SPEC O-2: no listening beyond this machine without --insecure.
func TestListenBeyondLoopback(t *testing.T) {
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		o, _ := options(t)
		o.Listen = listen
		if _, err := Start(t.Context(), o); !fault.Is(err, fault.InvalidRequest) || !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("%s: %v", listen, err)
		}
	}
	o, _ := options(t)
	o.Listen, o.Insecure = "0.0.0.0:0", true
	a := start(t, o)
	if !strings.HasPrefix(a.URL(), "http://127.0.0.1:") {
		t.Errorf("URL: %s", a.URL())
	}
	o.Listen = "localhost:0"
	o.Insecure = false
	start(t, o)
}

// SPEC O-4: options that cannot work are refused and leave nothing running.
func TestBadOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	base, _ := options(t)
	busy := start(t, base)
	for name, change := range map[string]func(*Options){
		"no port":         func(o *Options) { o.Listen = "127.0.0.1" },
		"unknown journal": func(o *Options) { o.Journal = "paper" },
		"unknown sync":    func(o *Options) { o.Journal, o.Sync = "pebble", "never" },
		"no data folder":  func(o *Options) { o.Journal, o.Data = "pebble", "" },
		"data is a file":  func(o *Options) { o.Journal, o.Data = "pebble", file },
		"no templates":    func(o *Options) { o.Templates = file + "/none" },
		"bad origin":      func(o *Options) { o.Origins = []string{"nope"} },
		"port taken":      func(o *Options) { o.Listen = busy.Addr().String() },
		"no logger":       func(o *Options) { o.Logger = nil },
	} {
		o, _ := options(t)
		change(&o)
		if a, err := Start(t.Context(), o); err == nil {
			_ = a.Stop()
			t.Errorf("%s was accepted", name)
		}
	}
}

// SPEC O-5: a broken template is reported with its place and does not take the
// others down; one in the folder wins over a built-in one.
func TestTemplates(t *testing.T) {
	o, logs := options(t)
	o.Templates = t.TempDir()
	const good = "id: %s\nname: Mine\nversion: \"1\"\nnode_types:\n  - id: thing\n    label: Thing\n"
	for name, text := range map[string]string{
		"a.yaml":    fmt.Sprintf(good, "mine"),
		"b.yml":     fmt.Sprintf(good, "outline"),
		"c.yaml":    fmt.Sprintf(good, "mine"),
		"d.yaml":    "id: broken\nnode_types: 7\n",
		"notes.txt": "not a template",
	} {
		if err := os.WriteFile(filepath.Join(o.Templates, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := start(t, o)
	_, list := get(t, a.URL()+"/api/v1/templates")
	if strings.Count(list, `"name":"Mine"`) != 2 || strings.Contains(list, "broken") || !strings.Contains(list, "restomod") {
		t.Errorf("templates: %s", list)
	}
	for _, want := range []string{"d.yaml:2:", "its id is taken", "file=c.yaml"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, logs)
		}
	}
	if strings.Contains(logs.String(), "notes.txt") {
		t.Error("a file of another kind was read")
	}
}

// SPEC O-22: when the store ends under it, the server is not ready and Wait says so.
func TestStoreFails(t *testing.T) {
	o, _ := options(t)
	a := start(t, o)
	if err := a.Wait(canceled()); err != nil {
		t.Errorf("Wait: %v", err)
	}
	_ = a.listener.Close()
	if err := a.Wait(t.Context()); err == nil {
		t.Error("Wait does not tell that the listener failed")
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
