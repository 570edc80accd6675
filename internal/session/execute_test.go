package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC N-1: executing, then the graph events, then executed; numbers only on
// the durable ones, gapless; the receipt's seq is the last.
func TestExecutePublishesInOrder(t *testing.T) {
	r := newRoom(t, nil)
	feed := r.tail()
	out := r.must("ann", "CreateNode", `{"blueprint_type_id":"item","parent_id":%q,"name":"A"}`, r.root)
	items := feed.items()
	var names []string
	for _, it := range items {
		names = append(names, it.Name)
	}
	if got := strings.Join(names, " "); got != "command:executing graph:node-created command:executed" {
		t.Fatalf("events: %s", got)
	}
	if items[0].Seq != 0 || items[1].Seq != 2 || items[2].Seq != 3 || out.Seq != 3 {
		t.Fatalf("seqs: %d %d %d, receipt %d", items[0].Seq, items[1].Seq, items[2].Seq, out.Seq)
	}
	for _, it := range items {
		m := body(t, it)
		if m["session_id"] != "room" || m["project_id"] != r.project || m["command_id"] != out.CommandID || m["actor"] != "ann" ||
			m["timestamp"] != "2026-01-02T03:04:05.006Z" {
			t.Errorf("%s: envelope %s", it.Name, it.Payload)
		}
		if _, hint := m["head_seq"]; hint == (it.Seq != 0) {
			t.Errorf("%s: head_seq and seq exclude each other: %s", it.Name, it.Payload)
		}
	}
	if m := body(t, items[1]); m["name"] != "A" || m["parent_id"] != r.root || m["position"] != 0.0 {
		t.Errorf("created: %s", items[1].Payload)
	}
	if !out.UndoAvailable || out.RedoAvailable || !out.Success {
		t.Errorf("receipt %+v", out)
	}
}

// SPEC N-2: a refusal is published, numbered by nothing, and changes nothing.
func TestExecuteRefusals(t *testing.T) {
	r := newRoom(t, nil)
	before := r.graph()
	for _, tc := range []struct {
		typ, data string
		code      fault.Code
	}{
		{"Nonsense", `{}`, fault.InvalidCommand},
		{"CreateNode", `{`, fault.InvalidCommand},
		{"CreateNode", `{"blueprint_type_id":"nope"}`, fault.InvalidCommand},
		{"DeleteNode", `{"node_id":"00000000-0000-4000-8000-0000000fffff"}`, fault.NodeNotFound},
		{strings.Repeat("x", 5000), `{}`, fault.InvalidCommand},
	} {
		feed := r.tail()
		_, err := r.do("ann", tc.typ, "%s", tc.data)
		wantCode(t, err, tc.code)
		items := feed.items()
		if len(items) != 2 || items[0].Name != EventCommandExecuting || items[1].Name != EventCommandFailed || items[1].Seq != 0 {
			t.Fatalf("%s: %v", clip(tc.typ), items)
		}
		if e, _ := body(t, items[1])["error"].(map[string]any); e["code"] != string(tc.code) || e["message"] == "" {
			t.Errorf("%s: %s", clip(tc.typ), items[1].Payload)
		}
		if len(items[1].Payload) > 2000 {
			t.Errorf("%s: the event repeats %d bytes", clip(tc.typ), len(items[1].Payload))
		}
	}
	if r.graph() != before {
		t.Error("a refusal changed the graph")
	}
}

func TestExecuteChecksTheRequest(t *testing.T) {
	r := newRoom(t, nil)
	feed := r.tail()
	for name, req := range map[string]Execute{
		"command id": {CommandID: "seven"},
		"actor":      {Actor: strings.Repeat("a", 300)},
	} {
		req.Type, req.Data = "CreateNode", json.RawMessage(`{"blueprint_type_id":"item"}`)
		if _, err := r.s.Execute(t.Context(), req); !fault.Is(err, fault.InvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := feed.names(); got != "" {
		t.Errorf("published %s", got)
	}
	_, err := r.s.Execute(t.Context(), Execute{ProjectID: "other", Type: "CreateNode", Data: json.RawMessage(`{"blueprint_type_id":"item"}`)})
	wantCode(t, err, fault.ProjectNotFound)
	if items := feed.items(); len(items) != 2 || strings.Contains(string(items[1].Payload), "project_id") {
		t.Errorf("a failed command repeats a foreign project id: %v", items)
	}
}

// SPEC N-5: a repeated command id gives the first receipt, publishes nothing
// and changes nothing; with another payload it is a conflict. Also after a
// restart, from the journal.
func TestRepeatedCommandID(t *testing.T) {
	r := newRoom(t, nil)
	req := Execute{
		CommandID: "0000000A-0000-4000-8000-00000000000B", Actor: "ann",
		Type: "CreateNode", Data: json.RawMessage(`{"blueprint_type_id":"item"}`),
	}
	first, err := r.s.Execute(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	before := r.graph()
	for range 2 {
		feed := r.tail()
		again, err := r.s.Execute(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("again %+v, first %+v", again, first)
		}
		other := req
		other.Data = json.RawMessage(`{"blueprint_type_id":"item","name":"B"}`)
		_, err = r.s.Execute(t.Context(), other)
		wantCode(t, err, fault.Conflict)
		if got := feed.names(); got != "" {
			t.Errorf("published %s", got)
		}
		if r.graph() != before {
			t.Error("the repeat changed the graph")
		}
		r.restart()
		r.s = r.session("room")
	}
}

// SPEC N-3: a no-op is executed and numbered, without history.
func TestNoOp(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	r.set("ann", n, "note", "x")
	feed := r.tail()
	r.set("ann", n, "note", "x")
	items := feed.items()
	if len(items) != 2 || items[1].Name != EventCommandExecuted || items[1].Seq == 0 {
		t.Fatalf("events %v", items)
	}
	r.undo(Step{Actor: "ann"})
	if got := r.value(n, "note"); got != "" {
		t.Errorf("undo took back the no-op: note = %q", got)
	}
}

// SPEC N-8: expected_seq refuses when a touched node has changed since.
func TestExpectedSeq(t *testing.T) {
	r := newRoom(t, nil)
	a, b := r.create("ann", r.root), r.create("ann", r.root)
	seen := r.set("ann", a, "note", "1").Seq
	r.set("bob", b, "note", "2")
	req := Execute{Actor: "ann", Type: "UpdateProperty", ExpectedSeq: &seen}
	req.Data = json.RawMessage(fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"3"}`, a))
	if _, err := r.s.Execute(t.Context(), req); err != nil {
		t.Fatalf("only another node changed: %v", err)
	}
	req.Data = json.RawMessage(fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"4"}`, b))
	_, err := r.s.Execute(t.Context(), req)
	wantCode(t, err, fault.PreconditionFailed)
	if d := fault.From(err).Details; len(d) != 1 || d[0].Location != "current_seq" || d[0].Message == "0" {
		t.Errorf("details %v", d)
	}
}

// SPEC N-4: turns are total: every command of every caller runs once, in one order.
func TestConcurrentCommands(t *testing.T) {
	r := newRoom(t, nil)
	const callers, each = 50, 20
	var wg sync.WaitGroup
	receipts := make([][]Receipt, callers)
	for i := range callers {
		wg.Go(func() {
			for range each {
				out, err := r.do(fmt.Sprint("actor", i), "CreateNode", `{"blueprint_type_id":"item","parent_id":%q}`, r.root)
				if err != nil {
					t.Error(err)
					return
				}
				receipts[i] = append(receipts[i], out)
			}
		})
	}
	wg.Wait()
	seqs := map[uint64]bool{}
	for _, list := range receipts {
		for _, out := range list {
			seqs[out.Seq] = true
		}
	}
	if len(seqs) != callers*each {
		t.Errorf("%d distinct receipts, want %d", len(seqs), callers*each)
	}
	info, err := r.s.Info(t.Context())
	if err != nil || info.NodeCount != callers*each+1 || info.Seq != 1+2*callers*each {
		t.Errorf("info %+v, %v", info, err)
	}
	events, err := r.s.Events(t.Context(), 0, 1<<20)
	if err != nil || uint64(len(events)) != info.Seq {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, it := range events {
		if it.Seq != uint64(i+1) {
			t.Fatalf("event %d has seq %d", i, it.Seq)
		}
	}
}
