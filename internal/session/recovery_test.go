package session

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC N-40: graph, history and receipts rebuilt from the journal equal the
// live ones, byte for byte, from the newest snapshot and from none.
func TestReplayEquality(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRoom(t, func(c *Config) {
			c.HistoryLimit, c.SnapshotEntries, c.SnapshotMinBytes = 5, 7, 1
		})
		nodes := []string{r.root}
		actors := []string{"ann", "bob", "cyd"}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			actor := rapid.SampledFrom(actors).Draw(rt, "actor")
			node := rapid.SampledFrom(nodes).Draw(rt, "node")
			other := rapid.SampledFrom(nodes).Draw(rt, "other")
			ctx := t.Context()
			switch rapid.IntRange(0, 9).Draw(rt, "kind") {
			case 0, 1, 2:
				if out, err := r.do(actor, "CreateNode", `{"blueprint_type_id":"item","parent_id":%q}`, node); err == nil {
					nodes = append(nodes, string(out.Result[len(`{"node_id":"`):len(`{"node_id":"`)+36]))
				}
			case 3, 4:
				r.do(actor, "UpdateProperty", `{"node_id":%q,"property_id":"size","value":%d,"coalesce":"k"}`, node, rapid.IntRange(0, 3).Draw(rt, "v"))
			case 5:
				r.do(actor, "MoveNode", `{"node_id":%q,"parent_id":%q,"index":0}`, node, other)
			case 6:
				r.do(actor, "DeleteNode", `{"node_id":%q}`, node)
			case 7:
				r.do(actor, "LinkNode", `{"link_type":"wire","parent_id":%q,"child_id":%q}`, node, other)
			case 8:
				r.s.Undo(ctx, Step{Actor: actor, Scope: rapid.SampledFrom([]string{ScopeActor, ScopeSession}).Draw(rt, "scope"), Policy: rapid.SampledFrom([]string{"", PolicyForce}).Draw(rt, "policy")})
			case 9:
				r.s.Redo(ctx, Step{Actor: actor, Scope: rapid.SampledFrom([]string{ScopeActor, ScopeSession}).Draw(rt, "scope")})
			}
		}
		r.graph() // checks the invariants
		var want []byte
		if err := r.inTurn(func(l *live) error {
			var err error
			want, _, err = l.core.encode(nil)
			return err
		}); err != nil {
			rt.Fatal(err)
		}
		r.close(r.m)
		limits := r.cfg.withDefaults().limits()
		again, _, err := loadCore(context.Background(), r.journal, "room", limits, 0)
		if err != nil {
			rt.Fatal(err)
		}
		compare(rt, "newest snapshot", again, want)
		whole, err := replayAll(r, limits)
		if err != nil {
			rt.Fatal(err)
		}
		compare(rt, "no snapshot", whole, want)
		for _, p := range whole.projects {
			if err := p.graph.Check(); err != nil {
				rt.Fatal(err)
			}
		}
		r.start()
	})
}

func (r *room) inTurn(fn func(*live) error) error {
	return r.s.visit(context.Background(), &request{run: func(t *turn) error { return fn(t.l) }})
}

func compare(rt *rapid.T, from string, c *core, want []byte) {
	got, _, err := c.encode(nil)
	if err != nil {
		rt.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		rt.Fatalf("rebuilt from %s:\n got %s\nwant %s", from, got, want)
	}
}

func replayAll(r *room, limits coreLimits) (*core, error) {
	m, err := readMeta(context.Background(), r.journal, "room")
	if err != nil {
		return nil, err
	}
	c := newCore("room", m.Epoch, m.CreatedAt, limits)
	records, err := r.journal.Read(context.Background(), "room", 0, 1<<30)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		e, err := decodeEntry(rec)
		if err != nil {
			return nil, err
		}
		if err := c.apply(e); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// SPEC N-41: what is remembered of command ids is what is kept for replay;
// before it there is the state.
func TestReplayWindow(t *testing.T) {
	r := newRoom(t, func(c *Config) {
		c.KeepEntries, c.SnapshotEntries, c.SnapshotMinBytes, c.HistoryLimit = 10, 5, 1, 5
	})
	early := Execute{CommandID: r.id().String(), Type: "CreateNode", Data: []byte(`{"blueprint_type_id":"item"}`)}
	if _, err := r.s.Execute(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	// Snapshots are written beside the turns: go on until one has moved the window.
	for i, first := 0, uint64(0); first < 50; i++ {
		r.set("ann", r.root, "size", i)
		head, err := r.journal.Head(t.Context(), "room")
		if err != nil {
			t.Fatal(err)
		}
		first = head.First
	}
	r.restart()
	r.s = r.session("room")
	info, err := r.s.Info(t.Context())
	if err != nil || info.FirstSeq < 50 || info.FirstSeq > info.Seq-10 {
		t.Fatalf("%+v, %v", info, err)
	}
	if _, err := r.s.Events(t.Context(), 1, 10); !fault.Is(err, fault.Conflict) {
		t.Errorf("events before the window: %v", err)
	}
	events, err := r.s.Events(t.Context(), info.FirstSeq-1, 1000)
	if err != nil || uint64(len(events)) != info.Seq-info.FirstSeq+1 {
		t.Errorf("%d events, %v", len(events), err)
	}
	before := info.FirstSeq - 2
	if j, _ := r.join("old", JoinOptions{Epoch: info.Epoch, LastSeq: &before}); j.Recovered || len(j.State) != 1 {
		t.Errorf("joined from before the window: %+v", j)
	}
	if out, err := r.s.Execute(t.Context(), early); err != nil || out.Seq <= info.Seq {
		t.Errorf("an id before the window is new again: %+v, %v", out, err)
	}
}

// Loading a session as it was at an earlier seq, for `graphroom replay`.
func TestLoadAt(t *testing.T) {
	r := newRoom(t, nil)
	want := map[uint64]string{}
	for i := range 5 {
		want[r.set("ann", r.root, "size", i).Seq] = r.graph()
	}
	for seq, g := range want {
		c, _, err := loadCore(t.Context(), r.journal, "room", r.cfg.withDefaults().limits(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(c.projects[r.project].graph.AppendJSON(nil, r.project)); got != g {
			t.Errorf("at %d: %s", seq, got)
		}
	}
}

// A record that is not what its number says, or not an entry, is refused with
// its place.
func TestDamagedEntries(t *testing.T) {
	r := newRoom(t, nil)
	records, err := r.journal.Read(t.Context(), "room", 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"not json": func([]byte) []byte { return []byte("{") },
		"format":   func(d []byte) []byte { return bytes.Replace(d, []byte(`"v":1`), []byte(`"v":9`), 1) },
	} {
		rec := records[0]
		rec.Data = change(rec.Data)
		if _, err := decodeEntry(rec); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	rec := records[0]
	rec.Last++
	if _, err := decodeEntry(rec); err == nil {
		t.Error("wrong numbers: accepted")
	}
	e, err := decodeEntry(records[0])
	if err != nil {
		t.Fatal(err)
	}
	c := newCore("room", "", r.cfg.Clock(), r.cfg.withDefaults().limits())
	e.Kind = "other"
	if err := c.apply(e); err == nil {
		t.Error("unknown kind: applied")
	}
	e.First = 7
	if err := c.apply(e); err == nil {
		t.Error("gap: applied")
	}
	if err := c.decode([]byte(`{"v":2}`)); err == nil {
		t.Error("snapshot of a newer format: read")
	}
}

// SPEC N-41: a server that never lives long still writes snapshots: what was
// read at the start counts.
func TestSnapshotsAcrossShortLives(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.SnapshotEntries, c.SnapshotMinBytes = 20, 1 })
	for range 6 {
		for range 5 {
			r.set("ann", r.root, "size", 1)
			r.set("ann", r.root, "size", 2)
		}
		r.start() // without closing the one before, as after a kill
		r.s = r.session("room")
		r.graph()
	}
	r.close(r.m)
	seq, _, err := r.journal.Snapshot(t.Context(), "room")
	if err != nil || seq == 0 {
		t.Fatalf("snapshot at %d, %v", seq, err)
	}
}

// A large entry is read page by page like any other: every event once.
func TestEventsOfALargeEntry(t *testing.T) {
	r := newRoom(t, nil)
	var cmds []string
	for i := range 900 {
		cmds = append(cmds, fmt.Sprintf(`{"command_type":"CreateNode","data":{"blueprint_type_id":"item","name":"%d %s"}}`, i, strings.Repeat("x", i%90)))
	}
	for range 2 {
		r.must("ann", "Batch", `{"commands":[%s]}`, strings.Join(cmds, ","))
	}
	r.undo(Step{})
	whole, err := r.s.Events(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var paged []Item
	for {
		page, err := r.s.Events(t.Context(), uint64(len(paged)), 97)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
	}
	if diff := cmp.Diff(whole, paged); diff != "" || len(whole) != 1+901*3 {
		t.Errorf("%d events, paged %d: %s", len(whole), len(paged), diff)
	}
	r.m.recent.forget()
	if again, err := r.s.Events(t.Context(), 5, 3); err != nil || len(again) != 3 || again[0].Seq != 6 {
		t.Errorf("%v, %v", again, err)
	}
}
