package session

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// SPEC N-34: cleanup spares sessions with clients, unsaved changes or recent entries.
func TestCleanup(t *testing.T) {
	r := newRoom(t, nil) // unsaved: its project was never saved
	saved := &room{rig: r.rig, s: r.session("saved")}
	if _, err := saved.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "S"}); err != nil {
		t.Fatal(err)
	}
	if _, err := saved.s.Save(t.Context(), "", "", "ann", false); err != nil {
		t.Fatal(err)
	}
	r.session("empty")
	visited := &room{rig: r.rig, s: r.session("visited")}
	_, leave := visited.join("a", JoinOptions{})

	removed, err := r.m.Cleanup(t.Context(), time.Hour)
	if err != nil || len(removed) != 0 {
		t.Fatalf("too young to go: %v, %v", removed, err)
	}
	r.now.Add(2 * time.Hour.Milliseconds())
	removed, err = r.m.Cleanup(t.Context(), time.Hour)
	if err != nil || len(removed) != 2 || removed[0] != "empty" || removed[1] != "saved" {
		t.Fatalf("removed %v, %v", removed, err)
	}
	leave("gone")
	removed, err = r.m.Cleanup(t.Context(), time.Hour)
	if err != nil || len(removed) != 1 || removed[0] != "visited" {
		t.Fatalf("removed %v, %v", removed, err)
	}
	_, err = r.m.Get(t.Context(), "saved")
	wantCode(t, err, fault.InvalidSession)
}

func busyRoom(t *testing.T) *room {
	r := newRoom(t, func(c *Config) { c.SnapshotEntries, c.SnapshotMinBytes = 5, 1 })
	for i := range 30 {
		r.set("ann", r.create("ann", r.root), "size", i)
	}
	r.undo(Step{Actor: "ann"})
	r.close(r.m)
	return r
}

func TestVerifySound(t *testing.T) {
	r := busyRoom(t)
	rep, err := Verify(t.Context(), r.journal, "room")
	if err != nil || len(rep.Problems) != 0 || rep.Entries != 62 || rep.Snapshot == 0 || !rep.Replayed || rep.FirstSeq != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	_, err = Verify(t.Context(), r.journal, "nobody")
	wantCode(t, err, fault.InvalidSession)
}

// alteredJournal shows records and snapshots other than they were written.
type alteredJournal struct {
	journal.Journal
	record   func(journal.Record) journal.Record
	snapshot func([]byte) []byte
}

func (a *alteredJournal) Read(ctx context.Context, id string, after uint64, limit int) ([]journal.Record, error) {
	recs, err := a.Journal.Read(ctx, id, after, limit)
	out := make([]journal.Record, len(recs))
	for i, rec := range recs {
		out[i] = a.record(rec)
	}
	return out, err
}

func (a *alteredJournal) Snapshot(ctx context.Context, id string) (uint64, []byte, error) {
	seq, data, err := a.Journal.Snapshot(ctx, id)
	if data, err := unpack(data); err == nil {
		return seq, a.snapshot(bytes.Clone(data)), err
	}
	return seq, nil, err
}

func TestVerifyFindsDamage(t *testing.T) {
	same := func(r journal.Record) journal.Record { return r }
	whole := func(d []byte) []byte { return d }
	for name, a := range map[string]*alteredJournal{
		"entry is not one": {snapshot: whole, record: func(r journal.Record) journal.Record {
			if r.First == 10 {
				r.Data = []byte("{}")
			}
			return r
		}},
		"entry changed": {snapshot: whole, record: func(r journal.Record) journal.Record {
			r.Data = bytes.ReplaceAll(r.Data, []byte(`"v":3`), []byte(`"v":4`))
			return r
		}},
		"snapshot is not one": {record: same, snapshot: func([]byte) []byte { return []byte("{") }},
		"snapshot of another head": {record: same, snapshot: func(d []byte) []byte {
			return bytes.Replace(d, []byte(`"head":`), []byte(`"head":9`), 1)
		}},
	} {
		r := busyRoom(t)
		a.Journal = r.journal
		rep, err := Verify(t.Context(), a, "room")
		if err != nil || len(rep.Problems) == 0 {
			t.Errorf("%s: nothing found: %+v, %v", name, rep, err)
		}
	}
}

func TestGraphAt(t *testing.T) {
	r := newRoom(t, nil)
	mark := r.set("ann", r.root, "size", 1).Seq
	want := r.graph()
	now := r.set("ann", r.root, "size", 2).Seq
	got, err := GraphAt(t.Context(), r.journal, "room", "", mark)
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := GraphAt(t.Context(), r.journal, "room", r.project, 0); err != nil || string(got) != r.graph() {
		t.Errorf("now: %s, %v", got, err)
	}
	_, err = GraphAt(t.Context(), r.journal, "room", "", now+1)
	wantCode(t, err, fault.InvalidRequest)
	_, err = GraphAt(t.Context(), r.journal, "room", "other", now)
	wantCode(t, err, fault.ProjectNotFound)
}

// Open projects that have no active one among them must be named.
func TestNoActiveProject(t *testing.T) {
	r := newRoom(t, nil)
	if err := r.inTurn(func(l *live) error { l.core.active = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := r.do("ann", "CreateNode", `{"blueprint_type_id":"item"}`)
	wantCode(t, err, fault.InvalidRequest)
}
