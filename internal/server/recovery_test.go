package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pid is what the CONNECT reply gave.
func (c *client) pid() string {
	c.t.Helper()
	var reply struct{ SID, PID string }
	if err := json.Unmarshal(c.reply, &reply); err != nil {
		c.t.Fatal(err)
	}
	return reply.PID
}

// lastOffset is the offset that socket.io-client would keep: the newest
// trailing string.
func (c *client) lastOffset() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := ""
	for _, p := range c.raw {
		var args []json.RawMessage
		rest := strings.TrimPrefix(p[1:], c.ns)
		if p[0] == '2' && json.Unmarshal([]byte(rest), &args) == nil {
			var s string
			if json.Unmarshal(args[len(args)-1], &s) == nil && len(args) > 1 {
				last = s
			}
		}
	}
	return last
}

// SPEC X-7: with recovery the CONNECT reply has a pid and events an offset; pid
// and offset get exactly what was missed, under the same pid.
func TestRecovery(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	auth := `,"recovery":true,"snapshot":true,"client":{"id":"ann"}`
	a := r.join("/graph", m.session, auth)
	r.create(m, m.root, "1")
	list := a.until("command:executed", 1)
	pid := a.pid()
	if pid == "" || list[0].Args != 1 || list[1].Name != "project:loaded" || list[1].Args != 2 {
		t.Fatalf("pid %q, hello with %d arguments, %s with %d", pid, list[0].Args, list[1].Name, list[1].Args)
	}
	if got := a.lastOffset(); got != "3" {
		t.Fatalf("offset %q after seq 3", got)
	}
	a.close()
	r.create(m, m.root, "2")
	r.create(m, m.root, "3")
	back := r.join("/graph", m.session, auth, fmt.Sprintf(`,"pid":%q,"offset":"3"`, pid))
	list = back.until("command:executed", 2)
	if back.pid() != pid || list[0].Payload["recovered"] != true {
		t.Errorf("pid %q, hello %v", back.pid(), list[0].Payload)
	}
	if diff := cmp.Diff([]uint64{4, 5, 6, 7}, numbered(list)); diff != "" {
		t.Error(diff)
	}

	plain := r.join("/graph", m.session)
	if plain.pid() != "" {
		t.Errorf("a pid without recovery: %q", plain.pid())
	}
	other := r.open("outline")
	forged := []byte(pid)
	forged[3] ^= 1
	for name, c := range map[string]*client{
		"another session": r.join("/graph", other.session, auth, fmt.Sprintf(`,"pid":%q,"offset":"1"`, pid)),
		"another actor":   r.join("/graph", m.session, `,"recovery":true,"snapshot":true,"client":{"id":"bob"}`, fmt.Sprintf(`,"pid":%q,"offset":"3"`, pid)),
		"forged":          r.join("/graph", m.session, auth, fmt.Sprintf(`,"pid":%q,"offset":"3"`, forged)),
		"no offset":       r.join("/graph", m.session, auth, fmt.Sprintf(`,"pid":%q`, pid)),
		"past the head":   r.join("/graph", m.session, auth, fmt.Sprintf(`,"pid":%q,"offset":"99"`, pid)),
		"no pid at all":   r.join("/graph", m.session, auth, `,"pid":"a.b","offset":"3"`),
	} {
		list := c.events(2)
		if c.pid() == pid || c.pid() == "" || list[0].Payload["recovered"] != false || list[1].Name != "project:loaded" {
			t.Errorf("%s: pid %q, %v, %s", name, c.pid(), list[0].Payload["recovered"], list[1].Name)
		}
	}
}

// SPEC X-7: a pid outlives the process when its key does.
func TestRecoveryKey(t *testing.T) {
	key := bytes.Repeat([]byte{7}, RecoveryKeySize)
	pid := newRecovery(key).issue("s", "ann", "e")
	if epoch, ok := newRecovery(key).open(pid, "s", "ann"); !ok || epoch != "e" {
		t.Error("the same key does not open it")
	}
	if _, ok := newRecovery(nil).open(pid, "s", "ann"); ok {
		t.Error("another key opens it")
	}
	if newRecovery(key).issue("s", "ann", "e") == pid {
		t.Error("two pids are equal")
	}
}

// SPEC X-8: a filter lets the named events and projects through, in the stream
// and in the replay; hello and state always.
func TestFilter(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	all := r.join("/graph", m.session)
	some := r.join("/graph", m.session, `,"filter":{"events":["graph:*","command:undo"]}`)
	same := r.join("/", m.session, `,"filter":{"events":["command:undo","graph:*","graph:*"]}`)
	none := r.join("/graph", m.session, `,"snapshot":true,"filter":{"projects":["other"]}`)
	last := r.join("/graph", m.session)
	r.create(m, m.root, "1")
	r.ok("POST", "/api/v1/sessions/"+m.session+"/undo", "")
	want := []string{"session:connected", "graph:node-created", "graph:node-deleted", "command:undo"}
	for _, c := range []*client{some, same} {
		if diff := cmp.Diff(want, names(c.until("command:undo", 1))); diff != "" {
			t.Error(diff)
		}
	}
	last.until("command:undo", 1)
	epoch := all.until("command:undo", 1)[0].Payload["epoch"]
	r.join("/graph", m.session) // its session:connected has no project: none gets it
	if got := names(none.until("session:connected", 3)); got[0] != "session:connected" || got[1] != "project:loaded" ||
		strings.Contains(strings.Join(got, " "), "graph:") {
		t.Errorf("another project's events: %v", got)
	}
	back := r.join("/graph", m.session, fmt.Sprintf(`,"epoch":%q,"last_seq":1,"filter":{"events":["command:undo"]}`, epoch))
	if diff := cmp.Diff([]uint64{5}, numbered(back.until("command:undo", 1))); diff != "" {
		t.Errorf("replay: %s", diff)
	}
	for _, bad := range []string{`7`, `{"events":"x"}`, `{"events":[""]}`, `{"event":[]}`, `{"projects":["` + strings.Repeat("x", 200) + `"]}`} {
		if c := r.dial("/graph", fmt.Sprintf(`{"session_id":%q,"filter":%s}`, m.session, bad)); c.kind != '4' {
			t.Errorf("filter %s: %s", bad, c.reply)
		}
	}
}

// SPEC X-8: the number of different filters in a session is bounded, and those
// of clients that left do not count.
func TestFiltersAreBounded(t *testing.T) {
	b := &broadcaster{}
	var all []*filter
	for i := range maxSessionFilters + 1 {
		f, err := parseFilter(json.RawMessage(fmt.Sprintf(`{"events":["e%d"]}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
		if got := b.joinGroup(f); got != (i < maxSessionFilters) {
			t.Fatalf("filter %d: %v", i, got)
		}
	}
	if !b.joinGroup(all[0]) || len(b.filtered()) != maxSessionFilters {
		t.Error("a filter that is there already was refused")
	}
	b.leaveGroup(all[0])
	b.leaveGroup(all[0])
	if !b.joinGroup(all[maxSessionFilters]) {
		t.Error("the place of a filter that nobody has any more is not free")
	}
}

// SPEC X-9: session:sync says where the session stands and what is missing.
func TestSync(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	c := r.join("/graph", m.session)
	epoch := c.events(1)[0].Payload["epoch"]
	r.create(m, m.root, "1")
	got := c.emit("session:sync")
	if got["ok"] != true || got["head_seq"] != 3.0 || got["epoch"] != epoch || got["client_count"] != 1.0 || got["events"] != nil || got["state"] != nil {
		t.Errorf("bare: %v", got)
	}
	got = c.emit("session:sync", fmt.Sprintf(`{"epoch":%q,"last_seq":1}`, epoch))
	if list, _ := got["events"].([]any); got["recovered"] != true || len(list) != 2 || got["more"] != nil {
		t.Errorf("missed: %v", got)
	}
	got = c.emit("session:sync", `{"epoch":"other","last_seq":1}`)
	if list, _ := got["state"].([]any); got["recovered"] != false || len(list) != 1 {
		t.Errorf("another epoch: %v", got)
	}
	if got = c.emit("session:sync", `{"last":1}`); got["ok"] != false {
		t.Errorf("unknown field: %v", got)
	}
}
