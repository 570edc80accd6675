package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The unmodified socket.io-client recovers by pid and offset although the
// server was killed: socket.recovered is true, and its stream is the journal.
func TestSocketIORecoversAfterAKill(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first, err := startServer(data)
	if err != nil {
		t.Fatal(err)
	}
	s := startScript(t, "client.mjs")
	var all crowd
	for name, transports := range map[string][]string{"default": nil, "polling": {"polling"}, "websocket": {"websocket"}} {
		c := s.open(t, name, first.url, "/graph", transports, object{
			"session_id": "recover", "recovery": true, "snapshot": true, "client": object{"id": name},
		})
		c.await(t, "the first join", 1, func(l line) bool { return l.Type == "connect" && !l.Recovered })
		all = append(all, c)
	}
	r := newRoom(t, first, "recover", "outline")
	seen := r.create(t, object{"blueprint_type_id": "item"})
	for _, c := range all {
		c.awaitEvent(t, "graph:node-created", "node_id", seen)
	}
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // away
		t.Fatal(err)
	}
	first.kill()
	second := ownServer(t, data, "--listen", first.addr)
	r.rest = second.rest()
	var last string
	for i := range 300 {
		last = r.create(t, object{"blueprint_type_id": "item", "name": fmt.Sprint("missed ", i)})
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		again := c.await(t, "the join after the restart", 2, func(l line) bool { return l.Type == "connect" })
		if !again.Recovered {
			t.Errorf("%s: not recovered", c.name)
		}
		c.awaitEvent(t, "graph:node-created", "node_id", last)
		c.await(t, "the end of the last command", 301, func(l line) bool { return l.Type == "event" && l.Name == "command:executed" })
		checkNumbered(t, c.name, numbered(c.events()), r.journal(t, "recover"))
		for _, l := range c.events() {
			if len(l.Args) > 2 {
				t.Fatalf("%s: %s has %d arguments", c.name, l.Name, len(l.Args))
			}
		}
	}
}

// A client whose session was deleted and made again gets the state and is told.
func TestAnotherHistoryIsNotRecovered(t *testing.T) {
	s := startScript(t, "client.mjs")
	r := newRoom(t, shared.live, "history", "outline")
	c := s.open(t, "c", shared.live.url, "/graph", nil, object{
		"session_id": "history", "recovery": true, "snapshot": true, "client": object{"id": "c"},
	})
	c.awaitEvent(t, "project:loaded", "session_id", "history")
	r.want(t, 204, "DELETE", "/sessions/history", nil)
	c.await(t, "the end of the session", 1, func(l line) bool { return l.Type == "disconnect" && l.Reason == "io server disconnect" })
	again := newRoom(t, shared.live, "history", "outline")
	c.do(t, "reopen")
	if l := c.await(t, "the second join", 2, func(l line) bool { return l.Type == "connect" }); l.Recovered {
		t.Error("recovered into another history")
	}
	c.awaitEvent(t, "project:loaded", "project_id", again.project)
}

// python-socketio goes on with epoch and last_seq after a kill, too.
func TestPythonGoesOnAfterAKill(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first, err := startServer(data)
	if err != nil {
		t.Fatal(err)
	}
	s := startScript(t, "client.py")
	r := newRoom(t, first, "python", "outline")
	before := s.open(t, "before", first.url, "/graph", []string{"websocket"}, object{"session_id": "python"})
	hello := before.awaitEvent(t, "session:connected", "client_id", before.awaitJoined(t, 1))
	first.kill()
	second := ownServer(t, data, "--listen", first.addr)
	r.rest = second.rest()
	for i := range 200 {
		r.create(t, object{"blueprint_type_id": "item", "name": fmt.Sprint("missed ", i)})
	}
	after := s.open(t, "after", second.url, "/graph", []string{"websocket"}, object{
		"session_id": "python", "epoch": field(hello, "epoch"), "last_seq": field(hello, "head_seq"),
	})
	after.await(t, "the missed commands", 200, func(l line) bool { return l.Type == "event" && l.Name == "command:executed" })
	if own := after.awaitEvent(t, "session:connected", "client_id", after.awaitJoined(t, 1)); field(own, "recovered") != true {
		t.Errorf("hello: %v", payload(own))
	}
	got := numbered(after.events())
	slices.SortFunc(got, func(a, b recorded) int { return int(a.Seq) - int(b.Seq) }) // the library hands each to a thread of its own
	want := slices.DeleteFunc(r.journal(t, "python"), func(e recorded) bool { return float64(e.Seq) <= field(hello, "head_seq").(float64) })
	checkNumbered(t, "python", got, want)
}

// A client that was away for longer than the server keeps its events gets the
// state and is told.
func TestAwayLongerThanIsKept(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	bounds := []string{"--keep-entries", "50", "--snapshot-entries", "10"}
	first, err := startServer(data, bounds...)
	if err != nil {
		t.Fatal(err)
	}
	s := startScript(t, "client.mjs")
	r := newRoom(t, first, "away", "outline")
	c := s.open(t, "c", first.url, "/graph", nil, object{
		"session_id": "away", "recovery": true, "client": object{"id": "c"},
	})
	c.await(t, "the first join", 1, func(l line) bool { return l.Type == "connect" })
	seen := r.create(t, object{"blueprint_type_id": "item"})
	c.awaitEvent(t, "graph:node-created", "node_id", seen)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	first.kill()
	second := ownServer(t, data, append([]string{"--listen", first.addr}, bounds...)...)
	r.rest = second.rest()
	var kept float64
	for i := 0; kept < 10; i++ { // until the early entries are gone
		if i == 5000 {
			t.Fatal("nothing was ever dropped")
		}
		r.execute(t, "UpdateProperty", object{
			"node_id": seen, "property_id": "name", "value": fmt.Sprint(i, " ", strings.Repeat("name ", 190)),
		})
		kept, _ = r.want(t, 200, "GET", "/sessions/away/info", nil)["first_seq"].(float64)
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if l := c.await(t, "the second join", 2, func(l line) bool { return l.Type == "connect" }); l.Recovered {
		t.Error("recovered from events that are gone")
	}
	state := c.awaitEvent(t, "project:loaded", "project_id", r.project)
	if field(state, "seq") != nil || field(state, "head_seq") == nil {
		t.Errorf("the state has seq %v and head_seq %v", field(state, "seq"), field(state, "head_seq"))
	}
	hello := c.await(t, "its hello", 2, func(l line) bool {
		return l.Type == "event" && l.Name == "session:connected" && field(l, "client_id") == "c"
	})
	if field(hello, "recovered") != false {
		t.Errorf("hello %v", payload(hello))
	}
}
