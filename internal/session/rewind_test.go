package session

import (
	"bytes"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// trimmedRoom is a room whose journal has lost its beginning, with the graph
// as it was after each seq that ended an entry.
func trimmedRoom(t *testing.T) (*room, map[uint64]string) {
	r := newRoom(t, func(c *Config) { c.KeepEntries, c.SnapshotEntries, c.SnapshotMinBytes = 40, 10, 1 })
	was := map[uint64]string{}
	var nodes []string
	// Snapshots are written beside the turns: go on until one has moved the window.
	for i := 0; i < 60 || !r.trimmed(0); i++ {
		var seq uint64
		switch {
		case i%7 == 3:
			seq = r.undo(Step{Actor: "ann"}).Seq
		case i%7 == 4:
			seq = r.redo(Step{Actor: "ann"}).Seq
		case i%5 == 1 && len(nodes) > 2:
			seq = r.must("ann", "MoveNode", `{"node_id":%q,"parent_id":null}`, nodes[len(nodes)-2]).Seq
		case i%11 == 10:
			seq = r.must("ann", "DeleteNode", `{"node_id":%q}`, nodes[0]).Seq
			nodes = nodes[1:]
		default:
			nodes = append(nodes, r.create("ann", r.root))
			seq = r.set("ann", nodes[len(nodes)-1], "size", i).Seq
		}
		was[seq] = r.graph()
	}
	r.close(r.m)
	return r, was
}

// trimmed reports whether the journal has lost its beginning and has a snapshot
// of after seq.
func (r *room) trimmed(seq uint64) bool {
	r.t.Helper()
	head, err := r.journal.Head(r.t.Context(), "room")
	if err != nil {
		r.t.Fatal(err)
	}
	at, _, err := r.journal.Snapshot(r.t.Context(), "room")
	if err != nil {
		r.t.Fatal(err)
	}
	return head.First > 1 && at > seq
}

// SPEC D-11: a snapshot is held against the entries before it also when those
// from the start are gone.
func TestVerifyTrimmed(t *testing.T) {
	r, _ := trimmedRoom(t)
	rep, err := Verify(t.Context(), r.journal, "room")
	if err != nil || len(rep.Problems) != 0 || !rep.Replayed || rep.FirstSeq <= 1 || rep.Snapshot == 0 || rep.Entries < 40 {
		t.Fatalf("%+v, %v", rep, err)
	}
	// An entry before the snapshot that says something else is found.
	value := regexp.MustCompile(`"t":\{"v":\d+`)
	a := &alteredJournal{Journal: r.journal, snapshot: func(d []byte) []byte { return d }, record: func(rec journal.Record) journal.Record {
		rec.Data = value.ReplaceAll(rec.Data, []byte(`"t":{"v":99999`))
		return rec
	}}
	if rep, err := Verify(t.Context(), a, "room"); err != nil || len(rep.Problems) == 0 {
		t.Errorf("nothing found: %+v, %v", rep, err)
	}
	// And so is a missing snapshot.
	b := &alteredJournal{Journal: r.journal, snapshot: func([]byte) []byte { return []byte("{}") }, record: func(rec journal.Record) journal.Record { return rec }}
	if rep, err := Verify(t.Context(), b, "room"); err != nil || len(rep.Problems) == 0 {
		t.Errorf("nothing found: %+v, %v", rep, err)
	}
}

// SPEC D-12: the graph as it was, after every entry that is kept.
func TestGraphAtTrimmed(t *testing.T) {
	r, was := trimmedRoom(t)
	head, err := r.journal.Head(t.Context(), "room")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for seq, want := range was {
		got, err := GraphAt(t.Context(), r.journal, "room", "", seq)
		switch {
		case seq+1 < head.First:
			wantCode(t, err, fault.Conflict)
		case err != nil || string(got) != want:
			t.Fatalf("seq %d: %s, %v\nwas %s", seq, got, err, want)
		default:
			looked++
		}
	}
	if looked < 15 {
		t.Fatalf("only %d of %d were kept", looked, len(was))
	}
}

// Before a load, an open copy of the same project is not known any more.
func TestGraphAtBeforeLoad(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.KeepEntries, c.SnapshotEntries, c.SnapshotMinBytes = 30, 5, 1 })
	if _, err := r.s.Save(t.Context(), "", "", "ann", false); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 30 || !r.trimmed(0); i++ {
		r.set("ann", r.root, "size", i)
	}
	o, err := r.s.Load(t.Context(), r.project, "", "ann", true)
	if err != nil {
		t.Fatal(err)
	}
	loaded := r.graph()
	for i := range 5 {
		r.set("ann", r.root, "size", 100+i)
	}
	r.close(r.m) // leaves a snapshot
	if got, err := GraphAt(t.Context(), r.journal, "room", "", o.Seq); err != nil || string(got) != loaded {
		t.Errorf("right after the load: %s, %v", got, err)
	}
	for _, project := range []string{"", r.project} {
		_, err = GraphAt(t.Context(), r.journal, "room", project, o.Seq-1)
		wantCode(t, err, fault.Conflict)
	}
	rep, err := Verify(t.Context(), r.journal, "room")
	if err != nil || len(rep.Problems) != 0 || !rep.Replayed {
		t.Errorf("%+v, %v", rep, err)
	}
}

// Whatever bytes an entry or snapshot has become, looking at it ends.
func TestVerifyNeverPanics(t *testing.T) {
	full, _ := trimmedRoom(t)
	whole := busyRoom(t)
	rapid.Check(t, func(t *rapid.T) {
		j := full.journal
		if rapid.Bool().Draw(t, "whole") {
			j = whole.journal
		}
		victim := rapid.Uint64Range(1, 200).Draw(t, "victim")
		at := rapid.IntRange(0, 5000).Draw(t, "at")
		with := rapid.Byte().Draw(t, "with")
		flip := func(d []byte) []byte {
			d = bytes.Clone(d)
			if len(d) > 0 {
				d[at%len(d)] = with
			}
			return d
		}
		a := &alteredJournal{Journal: j, snapshot: func(d []byte) []byte { return d }, record: func(rec journal.Record) journal.Record {
			if rec.First <= victim && victim <= rec.Last {
				rec.Data = flip(rec.Data)
			}
			return rec
		}}
		if rapid.Bool().Draw(t, "in the snapshot") {
			a.snapshot = flip
		}
		if _, err := Verify(t.Context(), a, "room"); err != nil {
			t.Fatal(err)
		}
		_, _ = GraphAt(t.Context(), a, "room", "", victim)
	})
}
