package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lxzan/gws"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/graphroom/graphroom/internal/graph"
	journalmemory "github.com/graphroom/graphroom/internal/journal/memory"
	projectmemory "github.com/graphroom/graphroom/internal/project/memory"
	"github.com/graphroom/graphroom/internal/session"
)

// patience bounds every wait of a test: reached only when something is broken.
const patience = 20 * time.Second

// rig is a whole server over memory drivers, reached over real HTTP.
type rig struct {
	t        *testing.T
	srv      *Server
	sessions *session.Manager
	http     *httptest.Server
	logs     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	return newRigOver(t, session.Config{}, change...)
}

// newRigOver is newRig with bounds of its own for the sessions.
func newRigOver(t *testing.T, bounds session.Config, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, logs: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	blueprints, err := graph.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	templates := NewTemplates(blueprints)
	projects := projectmemory.New()
	bounds.Journal, bounds.Projects, bounds.Templates, bounds.Logger = journalmemory.New(), projects, templates.Get, log
	bounds.Clock, bounds.NewID = time.Now, func() graph.ID { return graph.ID(uuid.New()) }
	r.sessions = session.NewManager(bounds)
	cfg := Config{
		Version: "test", Sessions: r.sessions, Projects: projects, Templates: templates, Logger: log,
		Registry: prometheus.NewRegistry(), Realtime: true,
	}
	for _, c := range change {
		c(&cfg)
	}
	if r.srv, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	r.http = httptest.NewServer(r.srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		r.http.Close()
		if err := r.sessions.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.logs)
		}
	})
	return r
}

// reply is one HTTP answer.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

func (a reply) JSON(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("answer %d is no JSON object: %v\n%s", a.Status, err, a.Body)
	}
	return v
}

// code is error.code, "" for an answer that is no error.
func (a reply) code() string {
	var e wireError
	_ = json.Unmarshal([]byte(a.Body), &e)
	return string(e.Error.Code)
}

// do sends one request; headers are "Name: value".
func (r *rig) do(method, path, body string, headers ...string) reply {
	r.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, r.http.URL+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	client := *r.http.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(data)}
}

func (r *rig) ok(method, path, body string, headers ...string) map[string]any {
	r.t.Helper()
	a := r.do(method, path, body, headers...)
	if a.Status >= 300 {
		r.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	if a.Body == "" {
		return nil
	}
	return a.JSON(r.t)
}

// room is a session with one project.
type room struct{ session, project, root string }

func (r *rig) open(template string) room {
	r.t.Helper()
	v := r.ok("POST", "/api/v1/projects", fmt.Sprintf(`{"template_id":%q,"project_name":"Test"}`, template))
	g := v["graph"].(map[string]any)
	root := g["roots"].([]any)[0].(map[string]any)
	return room{v["session_id"].(string), v["project_id"].(string), root["id"].(string)}
}

// execute runs one command over REST; data is its JSON.
func (r *rig) execute(m room, commandType, data string) map[string]any {
	r.t.Helper()
	return r.ok("POST", "/api/v1/commands/execute", fmt.Sprintf(`{"session_id":%q,"command_type":%q,"data":%s}`, m.session, commandType, data))
}

// create makes an item of the outline under parent and returns its id.
func (r *rig) create(m room, parent, name string) string {
	r.t.Helper()
	v := r.execute(m, "CreateNode", fmt.Sprintf(`{"blueprint_type_id":"item","parent_id":%q,"name":%q}`, parent, name))
	return v["result"].(map[string]any)["node_id"].(string)
}

func (r *rig) graph(m room) string {
	r.t.Helper()
	a := r.do("GET", "/api/v1/graph?session_id="+m.session+"&project_id="+m.project, "")
	if a.Status != http.StatusOK {
		r.t.Fatalf("graph: %d %s", a.Status, a.Body)
	}
	body, _, _ := strings.Cut(a.Body, `,"seq":`)
	return body
}

// client is a Socket.IO client with one namespace, over polling or websocket.
type client struct {
	ws    *gws.Conn // nil with polling
	t     *testing.T
	base  string
	ns    string // "" or "/graph,"
	http  *http.Client
	mu    sync.Mutex
	cond  *sync.Cond
	got   []got
	acks  map[int]json.RawMessage
	next  int
	reply json.RawMessage // of CONNECT
	kind  byte            // '0' connected, '4' refused
	ended bool
	raw   []string
}

// got is one received event.
type got struct {
	Name    string
	Args    int
	Payload map[string]any
}

func (g got) seq() uint64 {
	n, _ := g.Payload["seq"].(float64)
	return uint64(n)
}

// dial connects to a namespace and waits for the answer to CONNECT.
func (r *rig) dial(ns, auth string, query ...string) *client {
	r.t.Helper()
	c := &client{t: r.t, http: r.http.Client(), acks: map[int]json.RawMessage{}}
	c.cond = sync.NewCond(&c.mu)
	if ns != "/" {
		c.ns = ns + ","
	}
	q := url.Values{"EIO": {"4"}, "transport": {"polling"}}
	for _, kv := range query {
		k, v, _ := strings.Cut(kv, "=")
		q.Set(k, v)
	}
	base := r.http.URL + "/socket.io/?"
	if q.Get("transport") == "websocket" {
		ws, _, err := gws.NewClient(&wsHandler{c: c, connect: "40" + c.ns + auth}, &gws.ClientOption{Addr: strings.Replace(base, "http", "ws", 1) + q.Encode()})
		if err != nil {
			r.t.Fatal(err)
		}
		c.ws = ws
		go ws.ReadLoop()
		c.wait("CONNECT is answered", func() bool { return c.kind != 0 })
		return c
	}
	status, body := c.get(base + q.Encode())
	if status != http.StatusOK || !strings.HasPrefix(body, "0{") {
		r.t.Fatalf("handshake: %d %s", status, body)
	}
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(body[1:]), &open); err != nil {
		r.t.Fatal(err)
	}
	q.Set("sid", open.SID)
	c.base = base + q.Encode()
	c.post("40" + c.ns + auth)
	go c.poll()
	c.wait("CONNECT is answered", func() bool { return c.kind != 0 })
	return c
}

// join is dial with a session id and no complaint accepted.
func (r *rig) join(ns, sessionID string, more ...string) *client {
	r.t.Helper()
	auth := fmt.Sprintf(`{"session_id":%q%s}`, sessionID, strings.Join(more, ""))
	return r.joined(r.dial(ns, auth))
}

// joinWS is join over websocket.
func (r *rig) joinWS(ns, sessionID string) *client {
	r.t.Helper()
	return r.joined(r.dial(ns, fmt.Sprintf(`{"session_id":%q}`, sessionID), "transport=websocket"))
}

func (r *rig) joined(c *client) *client {
	r.t.Helper()
	if c.kind != '0' {
		r.t.Fatalf("refused: %s", c.reply)
	}
	return c
}

// wsHandler reads a client's websocket.
type wsHandler struct {
	gws.BuiltinEventHandler
	c       *client
	connect string
}

func (h *wsHandler) OnClose(*gws.Conn, error) { h.c.end() }

func (h *wsHandler) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	switch text := m.Data.String(); {
	case strings.HasPrefix(text, "0"):
		_ = conn.WriteString(h.connect)
	case text == "2":
		_ = conn.WriteString("3")
	case strings.HasPrefix(text, "4"):
		h.c.packet(text[1:])
	}
}

func (c *client) get(u string) (int, string) {
	resp, err := c.http.Get(u)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func (c *client) post(packet string) {
	c.t.Helper()
	if c.ws != nil {
		if err := c.ws.WriteString(packet); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	resp, err := c.http.Post(c.base, "text/plain;charset=UTF-8", strings.NewReader(packet))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "ok" {
		c.t.Fatalf("post %q: %d %s", packet, resp.StatusCode, b)
	}
}

func (c *client) poll() {
	for {
		status, body := c.get(c.base)
		if status != http.StatusOK {
			c.end()
			return
		}
		for packet := range strings.SplitSeq(body, "\x1e") {
			switch {
			case packet == "2":
				resp, err := c.http.Post(c.base, "text/plain", strings.NewReader("3"))
				if err == nil {
					resp.Body.Close()
				}
			case packet == "1":
				c.end()
				return
			case strings.HasPrefix(packet, "4"):
				c.packet(packet[1:])
			}
		}
	}
}

func (c *client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.cond.Broadcast()
}

func (c *client) packet(p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.cond.Broadcast()
	c.raw = append(c.raw, p)
	kind, rest := p[0], strings.TrimPrefix(p[1:], c.ns)
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	switch kind {
	case '0', '4':
		c.kind, c.reply = kind, json.RawMessage(rest)
	case '1':
		c.ended = true
	case '2':
		var args []json.RawMessage
		g := got{}
		if json.Unmarshal([]byte(rest), &args) == nil && len(args) > 0 {
			_ = json.Unmarshal(args[0], &g.Name)
			g.Args = len(args) - 1
			if len(args) > 1 {
				_ = json.Unmarshal(args[1], &g.Payload)
			}
		}
		c.got = append(c.got, g)
	case '3':
		var n int
		_, _ = fmt.Sscan(rest[:digits], &n)
		c.acks[n] = json.RawMessage(rest[digits:])
	}
}

// wait blocks until the condition holds; it is called with c.mu held.
func (c *client) wait(what string, cond func() bool) {
	c.t.Helper()
	timer := time.AfterFunc(patience, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cond.Broadcast()
	})
	defer timer.Stop()
	deadline := time.Now().Add(patience)
	c.mu.Lock()
	defer c.mu.Unlock()
	for !cond() {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain until %s; ended: %v; %d events, the last are %.1000v", what, c.ended, len(c.got), c.got[max(0, len(c.got)-3):])
		}
		c.cond.Wait()
	}
}

// emit sends an event and returns its acknowledgement's first argument.
func (c *client) emit(name string, args ...string) map[string]any {
	c.t.Helper()
	c.mu.Lock()
	id := c.next
	c.next++
	c.mu.Unlock()
	list := append([]string{fmt.Sprintf("%q", name)}, args...)
	c.post(fmt.Sprintf("42%s%d[%s]", c.ns, id, strings.Join(list, ",")))
	var out []map[string]any
	c.wait("the ack of "+name, func() bool { return c.acks[id] != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.Unmarshal(c.acks[id], &out); err != nil || len(out) != 1 {
		c.t.Fatalf("ack of %s: %s (%v)", name, c.acks[id], err)
	}
	return out[0]
}

// events waits for n events in all and returns what there is then.
func (c *client) events(n int) []got {
	c.t.Helper()
	c.wait(fmt.Sprintf("%d events have come", n), func() bool { return len(c.got) >= n })
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]got(nil), c.got...)
}

// until waits for an event of that name after those before, and returns all.
func (c *client) until(name string, count int) []got {
	c.t.Helper()
	c.wait(fmt.Sprintf("%s has come %d times", name, count), func() bool {
		n := 0
		for _, g := range c.got {
			if g.Name == name {
				n++
			}
		}
		return n >= count
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]got(nil), c.got...)
}

func (c *client) close() {
	if c.ws != nil {
		_ = c.ws.NetConn().Close()
		return
	}
	resp, err := c.http.Post(c.base, "text/plain", strings.NewReader("1"))
	if err == nil {
		resp.Body.Close()
	}
}

func names(list []got) []string {
	out := make([]string, len(list))
	for i, g := range list {
		out[i] = g.Name
	}
	return out
}

func numbered(list []got) []uint64 {
	out := []uint64{}
	for _, g := range list {
		if s := g.seq(); s > 0 {
			out = append(out, s)
		}
	}
	return out
}
