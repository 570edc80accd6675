package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// SPEC: the session id comes in auth or in the URL; both namespaces
// share one room.
func TestJoin(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	a := r.join("/graph", m.session, `,"client":{"id":"ann","name":"Ann","color":"#f00","x":1},"pid":"x","offset":"1"`)
	hello := a.events(1)[0]
	if hello.Name != "session:connected" || hello.Payload["client_id"] != "ann" || hello.Payload["client_count"] != 1.0 ||
		hello.Payload["recovered"] != false || hello.Payload["head_seq"] != 1.0 || hello.Payload["epoch"] == nil {
		t.Errorf("hello: %+v", hello)
	}
	if diff := cmp.Diff(map[string]any{"id": "ann", "name": "Ann", "color": "#f00"}, hello.Payload["user"]); diff != "" {
		t.Error(diff)
	}
	b := r.dial("/", "", "session_id="+m.session)
	if b.kind != '0' {
		t.Fatalf("refused: %s", b.reply)
	}
	if got := a.events(2)[1]; got.Name != "session:connected" || got.Payload["client_count"] != 2.0 {
		t.Errorf("told of the second client: %+v", got)
	}
	b.close()
	if got := a.events(3)[2]; got.Name != "session:disconnected" || got.Payload["client_count"] != 1.0 || got.Payload["reason"] == "" {
		t.Errorf("told of its leaving: %+v", got)
	}
	info := r.ok("GET", "/api/v1/sessions/"+m.session+"/info", "")
	if info["client_count"] != 1.0 {
		t.Errorf("info: %v", info["client_count"])
	}
}

// SPEC X-3: a refused CONNECT carries message and data.code and joins nothing.
func TestConnectRefused(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", 129)
	for _, tc := range []struct{ name, auth, code string }{
		{"no auth", "", "INVALID_SESSION"},
		{"no session id", `{}`, "INVALID_SESSION"},
		{"other characters", `{"session_id":"a b"}`, "INVALID_SESSION"},
		{"too long", `{"session_id":"` + long + `"}`, "INVALID_SESSION"},
		{"a number", `{"session_id":1}`, "INVALID_REQUEST"},
		{"last_seq text", `{"session_id":"s","last_seq":"1"}`, "INVALID_REQUEST"},
		{"negative last_seq", `{"session_id":"s","last_seq":-1}`, "INVALID_REQUEST"},
		{"client text", `{"session_id":"s","client":"me"}`, "INVALID_REQUEST"},
		{"client id too long", `{"session_id":"s","client":{"id":"` + long + `"}}`, "INVALID_REQUEST"},
		{"control character", `{"session_id":"s","client":{"name":"a\u0007"}}`, "INVALID_REQUEST"},
		{"twice", `{"session_id":"s","session_id":"s"}`, "INVALID_REQUEST"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, ns := range []string{"/", "/graph"} {
				c := r.dial(ns, tc.auth)
				var e struct {
					Message string
					Data    struct{ Code string }
				}
				if err := json.Unmarshal(c.reply, &e); err != nil || c.kind != '4' || e.Data.Code != tc.code || e.Message == "" {
					t.Errorf("%s: %c %s", ns, c.kind, c.reply)
				}
				c.close()
			}
		})
	}
	if list := r.ok("GET", "/api/v1/sessions", ""); len(list["sessions"].([]any)) != 0 {
		t.Errorf("a refused client made a session: %v", list)
	}
}

// SPEC X-4: joining an unknown, well-formed id opens that session.
func TestJoinOpens(t *testing.T) {
	r := newRig(t)
	r.join("/graph", "fresh_1")
	if info := r.ok("GET", "/api/v1/sessions/fresh_1/info", ""); info["client_count"] != 1.0 {
		t.Errorf("info: %v", info)
	}
}

// SPEC: commands over a socket run the code of REST and every client
// of the session, in both namespaces, sees the same numbered events in order.
func TestCommandsOverSocket(t *testing.T) {
	r := newRig(t)
	m, other := r.open("outline"), r.open("outline")
	a := r.join("/graph", m.session, `,"client":{"id":"ann"}`)
	b := r.join("/", m.session)
	stranger := r.join("/graph", other.session)

	id := "0a0b0c0d-0000-4000-8000-000000000001"
	create := fmt.Sprintf(`{"command_id":%q,"command_type":"CreateNode","data":{"blueprint_type_id":"item","parent_id":%q}}`, id, m.root)
	first := a.emit("command:execute", create)
	if first["ok"] != true || first["command_id"] != id || first["seq"] != 3.0 || first["undo_available"] != true {
		t.Fatalf("ack: %v", first)
	}
	if again := a.emit("command:execute", create); cmp.Diff(first, again) != "" {
		t.Errorf("the same command again: %v", again)
	}
	if undo := b.emit("command:undo"); undo["ok"] != true || undo["undone"] != id {
		t.Errorf("undo: %v", undo)
	}
	if redo := b.emit("command:redo", `{"include":"graph"}`); redo["ok"] != true || redo["graph"] == nil {
		t.Errorf("redo: %v", redo)
	}
	a.until("command:redo", 1)
	want := []string{"session:connected", "session:connected", "command:executing", "graph:node-created", "command:executed",
		"graph:node-deleted", "command:undo", "graph:node-created", "command:redo"}
	if diff := cmp.Diff(want, names(a.got)); diff != "" {
		t.Errorf("order at a: %s", diff)
	}
	if diff := cmp.Diff(want[1:], names(b.until("command:redo", 1))); diff != "" {
		t.Errorf("order at b: %s", diff)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4, 5, 6, 7}, numbered(a.got)); diff != "" {
		t.Error(diff)
	}
	if p := a.got[3].Payload; p["actor"] != "ann" || p["command_id"] != id || p["session_id"] != m.session || p["project_id"] != m.project {
		t.Errorf("payload: %v", p)
	}
	if a.got[3].Args != 1 {
		t.Errorf("an event has %d arguments", a.got[3].Args)
	}
	r.create(other, other.root, "x")
	if got := names(stranger.until("command:executed", 1)); len(got) != 4 {
		t.Errorf("the other session's client got %v", got)
	}
}

// SPEC X-7: a wrong event is answered by its ack and harms nothing.
func TestSocketBadInput(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	c := r.join("/graph", m.session)
	before := r.graph(m)
	deep := strings.Repeat(`{"a":`, 120) + "1" + strings.Repeat("}", 120)
	for _, tc := range []struct {
		event string
		args  []string
		code  string
	}{
		{"nope", []string{`{}`}, "INVALID_REQUEST"},
		{"command:execute", nil, "INVALID_REQUEST"},
		{"command:execute", []string{`1`}, "INVALID_REQUEST"},
		{"command:execute", []string{`null`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{}`, `{}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{"command_type":"CreateNode"}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{"command_type":"CreateNode","data":{},"x":1}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{"command_type":"CreateNode","data":` + deep + `}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{"command_type":"CreateNode","data":{"a":1,"a":2}}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{"command_type":"CreateNode","data":{}}`}, "INVALID_COMMAND"},
		{"command:execute", []string{`{"command_type":"Nope","data":{}}`}, "INVALID_COMMAND"},
		{"command:execute", []string{`{"session_id":"other","command_type":"DeleteNode","data":{}}`}, "INVALID_REQUEST"},
		{"command:execute", []string{`{"command_type":"DeleteNode","data":{"node_id":"` + m.root + `"},"include":"all"}`}, "INVALID_REQUEST"},
		{"command:undo", []string{`{"scope":"world"}`}, "INVALID_REQUEST"},
		{"command:undo", []string{`{"project_id":"nope"}`}, "PROJECT_NOT_FOUND"},
		{"command:undo", nil, "NOTHING_TO_UNDO"},
		{"command:redo", []string{`null`}, "NOTHING_TO_REDO"},
	} {
		ack := c.emit(tc.event, tc.args...)
		e, _ := ack["error"].(map[string]any)
		if ack["ok"] != false || e["code"] != tc.code || e["message"] == "" {
			t.Errorf("%s %.80v: %v, want %s", tc.event, tc.args, ack, tc.code)
		}
	}
	if after := r.graph(m); after != before {
		t.Errorf("the graph changed: %s", after)
	}
	failed := 0
	for _, g := range c.events(1) {
		if g.Name == "command:failed" {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d command:failed, want 2", failed)
	}
}

// SPEC X-8: with snapshot the joiner alone gets the state, unnumbered.
func TestSnapshot(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	r.create(m, m.root, "x")
	other := r.join("/graph", m.session)
	c := r.join("/graph", m.session, `,"snapshot":true`)
	list := c.events(2)
	state := list[1]
	if state.Name != "project:loaded" || state.Payload["seq"] != nil || state.Payload["head_seq"] != 3.0 || state.Payload["graph"] == nil {
		t.Errorf("state: %v", state)
	}
	r.create(m, m.root, "y")
	if got := names(c.until("command:executed", 1)); !slices.Equal(got[2:], []string{"command:executing", "graph:node-created", "command:executed"}) {
		t.Errorf("after the state: %v", got)
	}
	if got := names(other.until("command:executed", 1)); slices.Contains(got, "project:loaded") {
		t.Errorf("the other client got the state too: %v", got)
	}
}

// SPEC X-9: a client that comes back with epoch and last_seq gets exactly what
// it missed; one whose epoch or seq does not fit gets the state.
func TestReplay(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	a := r.join("/graph", m.session)
	epoch := a.events(1)[0].Payload["epoch"]
	r.create(m, m.root, "1")
	a.until("command:executed", 1)
	a.close()
	for i := range 300 {
		r.create(m, m.root, fmt.Sprint(i))
	}
	back := r.join("/graph", m.session, fmt.Sprintf(`,"epoch":%q,"last_seq":3`, epoch))
	list := back.until("command:executed", 300)
	if list[0].Payload["recovered"] != true {
		t.Errorf("hello: %v", list[0].Payload)
	}
	want := make([]uint64, 600)
	for i := range want {
		want[i] = uint64(4 + i)
	}
	if diff := cmp.Diff(want, numbered(list)); diff != "" {
		t.Error(diff)
	}
	for name, auth := range map[string]string{
		"another epoch": `,"epoch":"x","last_seq":3`, "past the head": fmt.Sprintf(`,"epoch":%q,"last_seq":9999`, epoch),
	} {
		c := r.join("/graph", m.session, auth)
		list := c.events(2)
		if list[0].Payload["recovered"] != false || list[1].Name != "project:loaded" {
			t.Errorf("%s: %v %v", name, list[0].Payload, list[1].Name)
		}
	}
}

// SPEC X-10: the clients of a deleted session are told and leave.
func TestDeletedSession(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	a, b := r.join("/graph", m.session), r.join("/", m.session)
	if got := r.do("DELETE", "/api/v1/sessions/"+m.session, ""); got.Status != 204 {
		t.Fatalf("delete: %v", got)
	}
	for _, c := range []*client{a, b} {
		list := c.until("session:disconnected", 2)
		if last := list[len(list)-1]; last.Payload["reason"] != "session-deleted" {
			t.Errorf("told: %v", last)
		}
		c.wait("the namespace is left", func() bool { return c.ended })
	}
	if got := r.do("GET", "/api/v1/sessions/"+m.session+"/info", ""); got.code() != "INVALID_SESSION" {
		t.Errorf("afterwards: %v", got)
	}
	c := r.join("/graph", m.session) // makes a new session of that id
	if got := c.events(1)[0].Payload["head_seq"]; got != 0.0 {
		t.Errorf("the new session's head: %v", got)
	}
}

// SPEC X-6: many writers and many clients: every client sees every numbered
// event of its session, in order, once.
func TestEveryClientSeesAll(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	const writers, each = 20, 20
	var clients []*client
	for i := range 6 {
		clients = append(clients, r.join([]string{"/", "/graph"}[i%2], m.session))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r.create(m, m.root, fmt.Sprintf("%d.%d", w, i))
				if w == 0 && i == each/2 {
					clients[0].close() // somebody always leaves
				}
			}
		})
	}
	late := r.join("/graph", m.session)
	wg.Wait()
	want := make([]uint64, 2*writers*each)
	for i := range want {
		want[i] = uint64(2 + i)
	}
	for i, c := range clients[1:] {
		if diff := cmp.Diff(want, numbered(c.until("command:executed", writers*each))); diff != "" {
			t.Fatalf("client %d: %s", i, diff)
		}
	}
	late.wait("the late one is up to date", func() bool { return len(late.got) > 0 && late.got[len(late.got)-1].seq() == want[len(want)-1] })
	got := numbered(late.got)
	if diff := cmp.Diff(want[len(want)-len(got):], got); diff != "" {
		t.Fatalf("late client: %s", diff)
	}
}
