package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// SPEC R-10: a command changes the graph, undo and redo bring back the same
// bytes, history and events tell of it.
func TestCommandUndoRedo(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	empty := r.graph(m)
	a := r.create(m, m.root, "A")
	full := r.graph(m)
	undo := r.ok("POST", "/api/v1/sessions/"+m.session+"/undo", `{"scope":"session"}`, "X-Actor: bob")
	if undo["success"] != true || undo["redo_available"] != true {
		t.Errorf("undo: %v", undo)
	}
	if got := r.graph(m); got != empty {
		t.Errorf("after undo: %s", got)
	}
	redo := r.ok("POST", "/api/v1/sessions/"+m.session+"/redo?include=graph", "")
	if redo["graph"] == nil {
		t.Errorf("redo with include=graph: %v", redo)
	}
	if got := r.graph(m); got != full {
		t.Errorf("after redo: %s", got)
	}
	events := r.ok("GET", "/api/v1/sessions/"+m.session+"/events?after=1&limit=4", "")
	var list []string
	for _, e := range events["events"].([]any) {
		list = append(list, e.(map[string]any)["event"].(string))
	}
	if diff := cmp.Diff([]string{"graph:node-created", "command:executed", "graph:node-deleted", "command:undo"}, list); diff != "" {
		t.Error(diff)
	}
	if events["more"] != true || events["next"] != 5.0 || events["head_seq"] != 7.0 {
		t.Errorf("page: %v", events)
	}
	history := r.ok("GET", "/api/v1/sessions/"+m.session+"/history", "")["entries"].([]any)
	if len(history) != 1 || history[0].(map[string]any)["state"] != "done" {
		t.Errorf("history: %v", history)
	}
	node := r.ok("GET", "/api/v1/projects/"+m.project+"/graph/nodes/"+a+"?session_id="+m.session, "")
	if node["name"] != "A" || node["parent_id"] != m.root {
		t.Errorf("node: %v", node)
	}
	found := r.ok("POST", "/api/v1/projects/"+m.project+"/graph/search", fmt.Sprintf(`{"session_id":%q,"text":"a"}`, m.session))
	if hits := found["hits"].([]any); len(hits) != 1 {
		t.Errorf("found: %v", found)
	}
	tree := r.ok("GET", "/api/v1/sessions/"+m.session+"/graph/tree?depth=1&fields=name,child_count", "")
	if top := tree["roots"].([]any)[0].(map[string]any); top["child_count"] != 1.0 || top["children"] != nil {
		t.Errorf("tree: %v", tree)
	}
}

// SPEC R-11: If-None-Match with the ETag of the same state is 304.
func TestETag(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	for _, path := range []string{"/api/v1/graph?session_id=" + m.session, "/api/v1/sessions/" + m.session + "/graph/tree"} {
		first := r.do("GET", path, "")
		tag := first.Header.Get("ETag")
		if first.Status != 200 || !strings.HasPrefix(tag, `"`) {
			t.Fatalf("%d %q", first.Status, tag)
		}
		for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if got := r.do("GET", path, "", "If-None-Match: "+header); got.Status != 304 || got.Body != "" || got.Header.Get("ETag") != tag {
				t.Errorf("%s: %d %q", header, got.Status, got.Body)
			}
		}
		r.create(m, m.root, "x")
		if got := r.do("GET", path, "", "If-None-Match: "+tag); got.Status != 200 || got.Header.Get("ETag") == tag {
			t.Errorf("after a change: %d", got.Status)
		}
	}
}

// SPEC R-12: save, load, read, list and delete of projects; the saved copy is
// read without a session.
func TestSavedProjects(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	r.create(m, m.root, "kept")
	project := "/api/v1/projects/" + m.project
	body := fmt.Sprintf(`{"session_id":%q}`, m.session)
	if saved := r.ok("POST", project+"/save", body); saved["revision"] != 1.0 || saved["name"] != "Test" {
		t.Errorf("saved: %v", saved)
	}
	kept := r.graph(m)
	r.create(m, m.root, "lost")
	if got := r.do("POST", project+"/load", body); got.code() != "CONFLICT" {
		t.Errorf("load over unsaved changes: %v", got)
	}
	live := r.ok("GET", project+"?session_id="+m.session, "")
	if live["dirty"] != true || live["session_id"] != m.session {
		t.Errorf("live: %v", live)
	}
	r.ok("POST", project+"/load", fmt.Sprintf(`{"session_id":%q,"force":true}`, m.session))
	if got := r.graph(m); got != kept {
		t.Errorf("loaded: %s", got)
	}
	other := r.ok("POST", "/api/v1/sessions", "")["session_id"].(string)
	loaded := r.ok("POST", project+"/load", "", "X-Session-ID: "+other)
	if loaded["session_id"] != other || loaded["revision"] != 1.0 {
		t.Errorf("loaded elsewhere: %v", loaded)
	}
	saved := r.ok("GET", project, "")
	if saved["dirty"] != false || saved["saved_at"] == nil || saved["graph"] == nil {
		t.Errorf("the saved copy: %v", saved)
	}
	if v := r.ok("GET", project+"/validate", ""); v["valid"] != true {
		t.Errorf("validate: %v", v)
	}
	if got := r.do("GET", project+"/graph/nodes/"+m.root, ""); got.Status != 200 {
		t.Errorf("node of the saved copy: %v", got)
	}
	page := r.ok("GET", "/api/v1/projects?limit=1", "")
	if page["next"] != m.project || len(page["projects"].([]any)) != 1 {
		t.Errorf("list: %v", page)
	}
	if next := r.ok("GET", "/api/v1/projects?limit=1&after="+m.project, ""); next["next"] != nil || len(next["projects"].([]any)) != 0 {
		t.Errorf("next page: %v", next)
	}
	if got := r.do("DELETE", project, ""); got.Status != 204 || got.Body != "" {
		t.Errorf("delete: %v", got)
	}
	if got := r.do("GET", project, ""); got.code() != "PROJECT_NOT_FOUND" {
		t.Errorf("afterwards: %v", got)
	}
}

// SPEC R-13: what is missing shows in validate.
func TestValidate(t *testing.T) {
	r := newRig(t)
	m := r.open("restomod")
	v := r.ok("GET", "/api/v1/projects/"+m.project+"/validate?session_id="+m.session, "")
	issues := v["issues"].([]any)
	if v["valid"] != false || len(issues) != 1 || issues[0].(map[string]any)["property_id"] != "vehicle" {
		t.Errorf("%v", v)
	}
}

// SPEC R-8: a project that cannot be made leaves no session behind.
func TestFailedProjectLeavesNothing(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/api/v1/projects", `{"template_id":"nope","project_name":"x"}`)
	r.do("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"`+strings.Repeat("x", 2000)+`"}`)
	if list := r.ok("GET", "/api/v1/sessions", "")["sessions"].([]any); len(list) != 0 {
		t.Errorf("sessions: %v", list)
	}
}

// SPEC R-9: sessions are listed in pages.
func TestSessionPages(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"c", "a", "b"} {
		if got := r.do("POST", "/api/v1/sessions", fmt.Sprintf(`{"session_id":%q}`, id)); got.Status != 201 {
			t.Fatalf("%v", got)
		}
	}
	var ids []string
	after := ""
	for {
		page := r.ok("GET", "/api/v1/sessions?limit=2&after="+after, "")
		for _, s := range page["sessions"].([]any) {
			ids = append(ids, s.(map[string]any)["session_id"].(string))
		}
		if page["next"] == nil {
			break
		}
		after = page["next"].(string)
	}
	if !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("%v", ids)
	}
}

// SPEC R-3: a well-formed request id is kept, another is replaced.
func TestRequestID(t *testing.T) {
	r := newRig(t)
	if got := r.do("GET", "/api/v1/health", "", "X-Request-ID: abc-1.2:3"); got.Header.Get("X-Request-Id") != "abc-1.2:3" {
		t.Errorf("%v", got.Header)
	}
	for _, id := range []string{"", "a b", strings.Repeat("x", 129), "<script>"} {
		if got := r.do("GET", "/api/v1/health", "", "X-Request-ID: "+id).Header.Get("X-Request-Id"); len(got) != 16 {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// SPEC: 404 and 405 in the one shape, 405 with Allow, HEAD without a body.
func TestNotFound(t *testing.T) {
	r := newRig(t)
	if got := r.do("DELETE", "/api/v1/health", ""); got.Status != 405 || got.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("%v", got)
	}
	if got := r.do("HEAD", "/nope", ""); got.Status != 404 || got.Body != "" {
		t.Errorf("%v", got)
	}
	if got := r.do("HEAD", "/api/v1/health", ""); got.Status != 200 {
		t.Errorf("%v", got)
	}
}

// SPEC O-12: the pages beside the API.
func TestSystemPages(t *testing.T) {
	var mu sync.Mutex
	var trouble error
	r := newRig(t, func(c *Config) {
		c.Ready = func() error { mu.Lock(); defer mu.Unlock(); return trouble }
	})
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "graphroom_http_request_seconds",
		"/docs": "<!doctype html>", "/docs/docs.js": "openapi.json", "/docs/docs.css": "font"} {
		r.do("GET", "/api/v1/health", "")
		if got := r.do("GET", path, ""); got.Status != 200 || !strings.Contains(got.Body, want) {
			t.Errorf("%s: %d %.100s", path, got.Status, got.Body)
		}
	}
	if got := r.do("GET", "/", ""); got.Status != 302 || got.Header.Get("Location") != "/docs" {
		t.Errorf("/: %v", got)
	}
	for _, path := range []string{"/docs", "/docs/docs.js", "/docs/docs.css"} {
		page := r.do("GET", path, "")
		if strings.Contains(page.Body, "//cdn") || strings.Contains(page.Body, "https://") || !strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s loads from elsewhere", path)
		}
	}
	mu.Lock()
	trouble = errors.New("disk on fire")
	mu.Unlock()
	if got := r.do("GET", "/readyz", ""); got.Status != 503 || strings.Contains(got.Body, "fire") {
		t.Errorf("readyz: %v", got)
	}
	if got := r.do("GET", "/api/v1/health", ""); got.Status != 503 || got.JSON(t)["status"] != "unavailable" {
		t.Errorf("health: %v", got)
	}
	if got := r.do("GET", "/healthz", ""); got.Status != 200 {
		t.Errorf("healthz: %v", got)
	}
}

// SPEC R-14: the description is whole: every reference resolves, every
// operation has an id, a summary and the error shape, no answer has $schema.
func TestOpenAPI(t *testing.T) {
	r := newRig(t)
	doc := r.ok("GET", "/openapi.json", "")
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				if schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil {
					t.Errorf("%s does not resolve", ref)
				}
			}
			if _, ok := v["$schema"]; ok {
				t.Error("$schema stands in the description")
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(doc)
	for name := range schemas {
		if strings.Contains(name, "ErrorModel") || strings.Contains(name, "ErrorDetail") {
			t.Errorf("schema %s is not ours", name)
		}
	}
	seen := map[string]bool{}
	var list []string
	for path, methods := range doc["paths"].(map[string]any) {
		for method, op := range methods.(map[string]any) {
			o := op.(map[string]any)
			id, _ := o["operationId"].(string)
			if id == "" || seen[id] || o["summary"] == "" || o["tags"] == nil || o["responses"].(map[string]any)["default"] == nil {
				t.Errorf("%s %s: %v", method, path, id)
			}
			seen[id] = true
			list = append(list, strings.ToUpper(method)+" "+strings.TrimPrefix(path, "/api/v1"))
		}
	}
	slices.Sort(list)
	want := []string{"DELETE /projects/{id}", "DELETE /sessions/{id}", "GET /graph", "GET /health", "GET /projects", "GET /projects/{id}",
		"GET /projects/{id}/export", "GET /projects/{id}/graph/nodes/{node_id}", "GET /projects/{id}/validate", "GET /sessions", "GET /sessions/{id}/events",
		"GET /sessions/{id}/graph/tree", "GET /sessions/{id}/history", "GET /sessions/{id}/info", "GET /templates",
		"GET /templates/{id}/schema", "POST /commands/execute", "POST /projects", "POST /projects/import", "POST /projects/{id}/graph/search",
		"POST /projects/{id}/load", "POST /projects/{id}/save", "POST /sessions", "POST /sessions/cleanup", "POST /sessions/{id}/redo", "POST /sessions/{id}/undo"}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if body := r.do("GET", "/api/v1/templates/outline/schema", "").Body; strings.Contains(body, "$schema") {
		t.Errorf("an answer has $schema: %s", body)
	}
}

// SPEC R-15: a panic is INTERNAL, without its text, and the server goes on.
func TestPanicIsContained(t *testing.T) {
	r := newRig(t)
	h := r.srv.rest(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }))
	w := httptest.NewRecorder()
	identify(h).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/x", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), `"INTERNAL"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(r.logs.String(), "secret") {
		t.Error("the log does not have the panic")
	}
	half := r.srv.rest(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("half")); panic("secret") }))
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("half an answer ended with %v", err)
		}
	}()
	half.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/x", nil))
}

// SPEC R-15: a foreign error leaves as INTERNAL without its text.
func TestForeignError(t *testing.T) {
	e := newHTTPError(context.Background(), coded(errors.New("/etc/secret: no such file")))
	data, err := json.Marshal(e)
	if err != nil || strings.Contains(string(data), "secret") || e.GetStatus() != 500 || !strings.Contains(e.Error(), "INTERNAL") {
		t.Errorf("%s %v", data, err)
	}
	if e := coded(fmt.Errorf("x: %w", context.DeadlineExceeded)); e.Code != "UNAVAILABLE" {
		t.Errorf("a deadline is %v", e)
	}
}

// SPEC R-6: a body that ends early is 400, and a chunked one is bounded too.
func TestUnreadableBody(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxBody = 100 })
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.http.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 400 || (reply{Body: string(body)}).code() != "INVALID_REQUEST" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	req, _ := http.NewRequest("POST", r.http.URL+"/api/v1/projects", io.MultiReader(strings.NewReader(`"`), strings.NewReader(strings.Repeat("x", 1000))))
	req.Header.Set("Content-Type", "application/json")
	chunked, err := r.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer chunked.Body.Close()
	if chunked.StatusCode != 413 {
		t.Errorf("chunked: %d", chunked.StatusCode)
	}
}

// SPEC O-20: a server that stops refuses new work and ends cleanly.
func TestDraining(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	c := r.join("/graph", m.session)
	c.events(1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	c.wait("the socket is closed", func() bool { return c.ended })
	if got := r.do("POST", "/api/v1/sessions", ""); got.Status != 503 || got.code() != "UNAVAILABLE" || got.Header.Get("Retry-After") == "" {
		t.Errorf("%v", got)
	}
	if got := r.do("GET", "/readyz", ""); got.Status != 503 {
		t.Errorf("%v", got)
	}
	if got := r.do("GET", "/healthz", ""); got.Status != 200 {
		t.Errorf("%v", got)
	}
}

// SPEC O-3: without the socket layer there is no socket path, and REST says so.
func TestRealtimeOff(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Realtime = false })
	if h := r.ok("GET", "/api/v1/health", ""); h["realtime"] != false {
		t.Errorf("%v", h)
	}
	if got := r.do("GET", "/socket.io/?EIO=4&transport=polling", ""); got.code() != "NOT_FOUND" {
		t.Errorf("%v", got)
	}
	m := r.open("outline")
	r.create(m, m.root, "x")
}

// SPEC X-6: 200 writers and 10 clients: every command has a receipt of its own
// and every client the journal's list of events.
func TestManyWriters(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	r := newRig(t)
	m := r.open("outline")
	const writers, each, watchers = 200, 50, 10
	var clients []*client
	for i := range watchers {
		clients = append(clients, r.joinWS([]string{"/graph", "/"}[i%2], m.session))
	}
	r.http.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = writers
	var mu sync.Mutex
	seqs, ids := map[float64]bool{}, map[any]bool{}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				v := r.execute(m, "CreateNode", fmt.Sprintf(`{"blueprint_type_id":"item","parent_id":%q}`, m.root))
				mu.Lock()
				seqs[v["seq"].(float64)], ids[v["command_id"]] = true, true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	const n = writers * each
	if len(seqs) != n || len(ids) != n {
		t.Errorf("%d seqs, %d ids", len(seqs), len(ids))
	}
	if info := r.ok("GET", "/api/v1/sessions/"+m.session+"/info", ""); info["node_count"] != float64(n+1) || info["seq"] != float64(2*n+1) {
		t.Errorf("info: %v nodes, seq %v", info["node_count"], info["seq"])
	}
	var journal []uint64
	sess, err := r.sessions.Get(t.Context(), m.session)
	if err != nil {
		t.Fatal(err)
	}
	for after := uint64(1); after < 2*n+1; {
		items, err := sess.Events(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			journal = append(journal, it.Seq)
			after = it.Seq
		}
	}
	for i, c := range clients {
		got := numbered(c.until("command:executed", n))
		if !slices.Equal(got, journal) {
			t.Errorf("client %d has %d of %d numbered events", i, len(got), len(journal))
		}
	}
}

// SPEC X-6: a thousand sessions at once, and no event in a wrong one.
func TestManySessions(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	r := newRig(t)
	const sessions, each, workers = 1000, 3, 16
	r.http.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = workers
	ids := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range ids {
				m := r.open("outline")
				c := r.joinWS([]string{"/graph", "/"}[i%2], m.session)
				for range each {
					r.create(m, m.root, m.session)
				}
				list := c.until("command:executed", each)
				for _, g := range list {
					if g.Payload["session_id"] != m.session {
						t.Errorf("%s of session %v came to %s", g.Name, g.Payload["session_id"], m.session)
					}
				}
				if got := numbered(list); !slices.Equal(got, []uint64{2, 3, 4, 5, 6, 7}) {
					t.Errorf("session %d: %v", i, got)
				}
			}
		})
	}
	for i := range sessions {
		ids <- i
	}
	close(ids)
	wg.Wait()
	if h := r.ok("GET", "/api/v1/health", ""); h["sockets"] != float64(sessions) || h["sessions"] != float64(sessions) {
		t.Errorf("health: %v", h)
	}
}
