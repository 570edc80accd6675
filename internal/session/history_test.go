package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

// SPEC H-3: session scope, no command between: undo n times, then redo n
// times, is the identity, bytes and all; every step is published.
func TestUndoRedoIdentity(t *testing.T) {
	r := newRoom(t, nil)
	var states []string
	note := func() { states = append(states, r.graph()) }
	note()
	a := r.create("ann", r.root)
	note()
	b := r.create("bob", a)
	note()
	r.set("ann", b, "size", 7)
	note()
	r.set("bob", b, "name", "Bee")
	note()
	r.must("ann", "LinkNode", `{"link_type":"wire","parent_id":%q,"child_id":%q}`, r.root, b)
	note()
	r.must("bob", "MoveNode", `{"node_id":%q,"parent_id":null,"index":0}`, b)
	note()
	r.must("ann", "DeleteProperty", `{"node_id":%q,"property_id":"size"}`, b)
	note()
	r.must("ann", "MoveNode", `{"node_id":%q,"parent_id":%q}`, b, r.root)
	note()
	r.must("bob", "UnlinkNode", `{"link_type":"wire","parent_id":%q,"child_id":%q}`, r.root, b)
	note()
	r.must("ann", "Batch", `{"commands":[{"command_type":"CreateNode","data":{"blueprint_type_id":"item"}},{"command_type":"DeleteNode","data":{"node_id":%q}}]}`, a)
	note()
	for range 2 {
		for i := len(states) - 2; i >= 0; i-- {
			out := r.undo(Step{Actor: "cyd"})
			if got := r.graph(); got != states[i] {
				t.Fatalf("undo to %d:\n got %s\nwant %s", i, got, states[i])
			}
			if out.UndoAvailable != (i > 0) || !out.RedoAvailable || len(out.Skipped) != 0 || len(out.Applied) == 0 {
				t.Fatalf("undo to %d: %+v", i, out)
			}
		}
		_, err := r.s.Undo(t.Context(), Step{})
		wantCode(t, err, fault.NothingToUndo)
		for i := 1; i < len(states); i++ {
			r.redo(Step{Actor: "dan"})
			if got := r.graph(); got != states[i] {
				t.Fatalf("redo to %d:\n got %s\nwant %s", i, got, states[i])
			}
		}
		_, err = r.s.Redo(t.Context(), Step{})
		wantCode(t, err, fault.NothingToRedo)
		r.restart() // SPEC H-9: the history survives
		r.s = r.session("room")
	}
}

// SPEC H-1, H-4: actor scope takes my last one; yours stays.
func TestActorScope(t *testing.T) {
	r := newRoom(t, nil)
	a := r.create("ann", r.root)
	b := r.create("bob", r.root)
	r.set("ann", a, "note", "mine")
	r.set("bob", b, "note", "yours")
	out := r.undo(Step{Actor: "ann", Scope: ScopeActor})
	if r.value(a, "note") != "" || r.value(b, "note") != `"yours"` {
		t.Errorf("after undo: %s", r.graph())
	}
	if out.Undone == "" || out.CommandID == out.Undone {
		t.Errorf("receipt %+v", out)
	}
	_, err := r.s.Redo(t.Context(), Step{Actor: "bob", Scope: ScopeActor})
	wantCode(t, err, fault.NothingToRedo)
	r.set("bob", b, "note", "more") // somebody else's command leaves my redo alone
	r.redo(Step{Actor: "ann", Scope: ScopeActor})
	if r.value(a, "note") != `"mine"` {
		t.Error("my redo is gone")
	}
	r.undo(Step{Actor: "ann", Scope: ScopeActor})
	r.set("ann", a, "size", 1) // my own command drops it
	_, err = r.s.Redo(t.Context(), Step{Actor: "ann", Scope: ScopeActor})
	wantCode(t, err, fault.NothingToRedo)
}

// SPEC H-5, H-6: mine on a value that you changed is skipped and said; forced
// it is done and said.
func TestGuardAndForce(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	r.must("ann", "Batch", `{"commands":[
		{"command_type":"UpdateProperty","data":{"node_id":%[1]q,"property_id":"note","value":"ann"}},
		{"command_type":"UpdateProperty","data":{"node_id":%[1]q,"property_id":"size","value":1}}]}`, n)
	r.set("bob", n, "note", "bob")
	out := r.undo(Step{Actor: "ann", Scope: ScopeActor})
	if r.value(n, "note") != `"bob"` || r.value(n, "size") != "" {
		t.Errorf("guarded: %s", r.graph())
	}
	if len(out.Applied) != 1 || len(out.Skipped) != 1 || out.Skipped[0].Reason == "" {
		t.Errorf("guarded: applied %v skipped %v", out.Applied, out.Skipped)
	}
	r.set("ann", n, "note", "ann again")
	r.set("bob", n, "note", "bob again")
	out = r.undo(Step{Actor: "ann", Scope: ScopeActor, Policy: PolicyForce})
	if r.value(n, "note") != `"bob"` || len(out.Applied) != 1 {
		t.Errorf("forced: %s %+v", r.graph(), out)
	}
}

// SPEC H-5: A sets, B sets; two undos in session scope take back both.
func TestSessionScopeTakesBothBack(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	r.set("ann", n, "note", "a")
	r.set("bob", n, "note", "b")
	r.undo(Step{Actor: "ann"})
	if r.value(n, "note") != `"a"` {
		t.Error(r.graph())
	}
	r.undo(Step{Actor: "ann"})
	if r.value(n, "note") != "" {
		t.Error(r.graph())
	}
}

// SPEC H-7: an entry with nothing left to undo is dropped and the next one
// tried; when none has anything left, nothing changes.
func TestFallThrough(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	r.set("ann", n, "size", 1)
	r.set("ann", n, "note", "a")
	r.set("bob", n, "note", "b")
	out := r.undo(Step{Actor: "ann", Scope: ScopeActor})
	if r.value(n, "size") != "" || r.value(n, "note") != `"b"` || len(out.Skipped) != 1 {
		t.Errorf("%s %+v", r.graph(), out)
	}
	// Only the create is left of ann's, and bob's value stands in it.
	before := r.graph()
	_, err := r.s.Undo(t.Context(), Step{Actor: "ann", Scope: ScopeActor})
	wantCode(t, err, fault.NothingToUndo)
	if r.graph() != before {
		t.Error("a refused undo changed the graph")
	}
}

// SPEC H-8: coalescing only when asked, with the same key, node, property and
// actor, and nobody between.
func TestCoalesce(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	drag := func(actor string, v int) {
		r.must(actor, "UpdateProperty", `{"node_id":%q,"property_id":"size","value":%d,"coalesce":"drag"}`, n, v)
	}
	drag("ann", 1)
	drag("ann", 2)
	drag("ann", 3)
	r.undo(Step{Actor: "ann"})
	if got := r.value(n, "size"); got != "" {
		t.Errorf("one undo takes the whole drag: size %s", got)
	}
	r.redo(Step{Actor: "ann"})
	if got := r.value(n, "size"); got != "3" {
		t.Errorf("redo: size %s", got)
	}
	drag("ann", 4) // the turned entry is closed
	drag("bob", 5)
	drag("ann", 6)
	for _, want := range []string{"5", "4", "3", ""} {
		r.undo(Step{Actor: "ann"})
		if got := r.value(n, "size"); got != want {
			t.Errorf("size %s, want %s", got, want)
		}
	}
}

// SPEC H-10: back to just after a command, as one entry; redo goes forward one by one.
func TestUndoTo(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	mark := r.set("ann", n, "size", 0)
	at := r.graph()
	for i := 1; i <= 3; i++ {
		r.set("ann", n, "size", i)
	}
	feed := r.tail()
	r.undo(Step{Actor: "ann", To: mark.CommandID})
	if r.graph() != at {
		t.Error(r.graph())
	}
	if got := feed.names(); got != "graph:property-changed graph:property-changed graph:property-changed command:undo" {
		t.Errorf("events %s", got)
	}
	for i := 1; i <= 3; i++ {
		r.redo(Step{Actor: "ann"})
		if got := r.value(n, "size"); got != fmt.Sprint(i) {
			t.Errorf("redo %d: %s", i, got)
		}
	}
	_, err := r.s.Undo(t.Context(), Step{To: "00000000-0000-4000-8000-0000000fffff"})
	wantCode(t, err, fault.InvalidRequest)
	_, err = r.s.Redo(t.Context(), Step{To: mark.CommandID})
	wantCode(t, err, fault.InvalidRequest)
}

// SPEC H-11: undo has an id of its own and repeats like a command.
func TestUndoRepeats(t *testing.T) {
	r := newRoom(t, nil)
	r.create("ann", r.root)
	r.create("ann", r.root)
	id := r.id().String()
	first := r.undo(Step{Actor: "ann", CommandID: id})
	feed := r.tail()
	again := r.undo(Step{Actor: "ann", CommandID: id})
	if fmt.Sprint(first) != fmt.Sprint(again) || feed.names() != "" {
		t.Errorf("first %+v again %+v", first, again)
	}
	_, err := r.s.Undo(t.Context(), Step{Actor: "ann", CommandID: id, Scope: ScopeActor})
	wantCode(t, err, fault.Conflict)
	_, err = r.s.Redo(t.Context(), Step{Actor: "ann", CommandID: id})
	wantCode(t, err, fault.Conflict)
	for _, bad := range []Step{{Scope: "world"}, {Policy: "please"}} {
		_, err := r.s.Undo(t.Context(), bad)
		wantCode(t, err, fault.InvalidRequest)
	}
}

// SPEC H-12: a huge undo lists its first outcomes and counts the others, in the
// receipt, in the event, in the history and after a restart.
func TestHugeUndo(t *testing.T) {
	r := newRoom(t, nil)
	const more = 5
	top := r.create("ann", r.root)
	for done := 0; done < graph.MaxOutcomes+more-1; {
		n := min(graph.MaxBatch, graph.MaxOutcomes+more-1-done)
		one := fmt.Sprintf(`{"command_type":"CreateNode","data":{"blueprint_type_id":"item","parent_id":%q}}`, top)
		r.must("ann", "Batch", `{"commands":[%s]}`, strings.Repeat(one+",", n-1)+one)
		done += n
	}
	r.must("ann", "DeleteNode", `{"node_id":%q}`, top)
	list, err := r.s.History(t.Context(), "", 1)
	if err != nil || len(list[0].Touches) != graph.MaxOutcomes || list[0].TouchesMore != more {
		t.Fatalf("history: %+v, %v", list[0].TouchesMore, err)
	}
	feed := r.tail()
	id := r.id().String()
	first := r.undo(Step{Actor: "ann", CommandID: id})
	if len(first.Applied) != graph.MaxOutcomes || first.AppliedMore != more || len(first.Skipped) != 0 || first.SkippedMore != 0 {
		t.Fatalf("%d applied, %d more", len(first.Applied), first.AppliedMore)
	}
	items := feed.items()
	var told struct {
		Applied []graph.Outcome `json:"applied"`
		More    int             `json:"applied_more"`
	}
	if err := json.Unmarshal(items[len(items)-1].Payload, &told); err != nil || len(told.Applied) != graph.MaxOutcomes || told.More != more {
		t.Fatalf("the event tells of %d and %d more, %v", len(told.Applied), told.More, err)
	}
	r.restart()
	r.s = r.session("room")
	if again := r.undo(Step{Actor: "ann", CommandID: id}); fmt.Sprint(first) != fmt.Sprint(again) {
		t.Error("another receipt after the restart")
	}
}

// SPEC H-2: at most so many undoable commands for each actor; the oldest goes.
func TestHistoryLimit(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.HistoryLimit = 3 })
	r.create("bob", r.root)
	for range 5 {
		r.create("ann", r.root)
	}
	list, err := r.s.History(t.Context(), "", 100)
	if err != nil || len(list) != 4 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	for range 3 {
		r.undo(Step{Actor: "ann", Scope: ScopeActor})
	}
	_, err = r.s.Undo(t.Context(), Step{Actor: "ann", Scope: ScopeActor})
	wantCode(t, err, fault.NothingToUndo)
	list, err = r.s.History(t.Context(), "", 100)
	if err != nil || len(list) != 4 || list[0].Actor != "bob" || list[0].State != "done" || list[1].State != "undone" ||
		list[1].UndoneBy != "ann" || len(list[0].Touches) == 0 || list[0].Label == "" {
		t.Fatalf("%+v, %v", list, err)
	}
}
