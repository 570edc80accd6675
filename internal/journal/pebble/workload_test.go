package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
	"github.com/graphroom/graphroom/internal/project"
)

// ledger is what a workload was told: the least and the most that must be
// found on disk afterwards. A call that was begun and not acknowledged may
// have happened whole or not at all.
type ledger struct {
	sessions map[string]*account
	projects map[string][2]uint64 // revision: acknowledged, perhaps
	key      []byte
	acks     int
	notes    int // changes of the ledger
}

type account struct {
	exists, maybeExists bool // acknowledged; may exist (or still exist)
	head, maybeHead     uint64
	snap, maybeSnap     uint64
}

func newLedger() *ledger {
	return &ledger{sessions: map[string]*account{}, projects: map[string][2]uint64{}}
}

func (l *ledger) clone() *ledger {
	c := newLedger()
	c.acks, c.notes, c.key = l.acks, l.notes, l.key
	for id, a := range l.sessions {
		copied := *a
		c.sessions[id] = &copied
	}
	for id, p := range l.projects {
		c.projects[id] = p
	}
	return c
}

// client runs a workload and keeps the ledger.
type client struct {
	s  *pebble.Store
	l  *ledger
	mu sync.Locker // guards l where others read it too; may be nil
	// errs are the answers that were not nil.
	errs []error
}

// note changes the ledger.
func (c *client) note(f func()) {
	if c.mu != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	f()
	c.l.notes++
}

// ack notes an answer: did tells the ledger that it happened. An answer that
// says that nothing was begun takes back what was noted at its start.
func (c *client) ack(err error, before *ledger, did func()) {
	if err != nil {
		c.errs = append(c.errs, err)
		if !errors.Is(err, journal.ErrUncertain) {
			c.note(func() { *c.l = *before })
		}
		return
	}
	c.note(func() {
		did()
		c.l.acks++
	})
}

func (c *client) account(id string) *account {
	if c.l.sessions[id] == nil {
		c.note(func() { c.l.sessions[id] = &account{} })
	}
	return c.l.sessions[id]
}

func (c *client) create(ctx context.Context, id string) {
	a, before := c.account(id), c.l.clone()
	c.note(func() { a.maybeExists = true })
	c.ack(c.s.Create(ctx, id, []byte("meta "+id)), before, func() { a.exists = true })
}

// append writes n records of two seqs each as one append.
func (c *client) append(ctx context.Context, id string, n, size int) {
	a, before := c.account(id), c.l.clone()
	var recs []journal.Record
	next := a.head + 1
	for range n {
		recs = append(recs, journal.Record{First: next, Last: next + 1, Data: payload(id, next, size)})
		next += 2
	}
	c.note(func() { a.maybeHead = max(a.maybeHead, next-1) })
	c.ack(c.s.Append(ctx, id, a.head, recs), before, func() { a.head = next - 1 })
}

func (c *client) snapshot(ctx context.Context, id string, size int) {
	a, before := c.account(id), c.l.clone()
	c.note(func() { a.maybeSnap = a.head })
	c.ack(c.s.PutSnapshot(ctx, id, a.head, payload(id, a.head, size)), before, func() { a.snap = a.maybeSnap })
}

func (c *client) delete(ctx context.Context, id string) {
	a, before := c.account(id), c.l.clone()
	c.note(func() { a.exists = false })
	c.ack(c.s.Delete(ctx, id), before, func() { *a = account{} })
}

func (c *client) save(ctx context.Context, id string, size int) {
	p, before := c.l.projects[id], c.l.clone()
	p[1] = p[0] + 1
	c.note(func() { c.l.projects[id] = p })
	_, err := c.s.Projects().Put(ctx, project.Saved{
		ProjectID: id, Name: fmt.Sprint(p[1]), SavedAt: time.UnixMilli(0), Graph: payload(id, p[1], size),
	}, p[0])
	c.ack(err, before, func() { c.l.projects[id] = [2]uint64{p[1], p[1]} })
}

// payload is content that can be told from its place alone, of size bytes, the
// head of which is unlike any other's.
func payload(id string, seq uint64, size int) []byte {
	head := fmt.Appendf(nil, "%s#%d:", id, seq)
	return append(head, bytes.Repeat([]byte{byte(seq)}, size)...)
}

// run is the workload: every kind of write, small and large, so that logs
// rotate, tables are flushed and compacted.
func (c *client) run(ctx context.Context) {
	for _, id := range []string{"a", "b", "c"} {
		c.create(ctx, id)
	}
	_, err := c.s.Key(ctx, "signing", func() ([]byte, error) { return []byte("secret"), nil })
	c.ack(err, c.l.clone(), func() { c.l.key = []byte("secret") })
	for i := range 6 {
		c.append(ctx, "a", 1+i%3, 100)
		c.append(ctx, "b", 2, 2500)
		c.append(ctx, "c", 1, 10)
		if i%2 == 0 {
			c.snapshot(ctx, "b", 10_000*i)
			c.save(ctx, "p", 7_000*i)
		}
		if i == 3 {
			c.delete(ctx, "c")
			c.create(ctx, "c")
			c.trim(ctx, "b")
		}
	}
	c.append(ctx, "a", 2, 80_000) // larger than a memtable
	c.append(ctx, "a", 1, 10)
}

func (c *client) trim(ctx context.Context, id string) {
	if err := c.s.Trim(ctx, id, c.account(id).snap); err != nil {
		c.errs = append(c.errs, err)
	}
}

// audit opens the directory in fs and holds it against the ledger.
func (l *ledger) audit(t testing.TB, fs vfs.FS) {
	t.Helper()
	s, err := pebble.Open(context.Background(), options(fs))
	if err != nil {
		t.Fatalf("open what is left: %v", err)
	}
	defer shut(t, s)
	for id, a := range l.sessions {
		a.audit(t, s, id)
	}
	for id, p := range l.projects {
		got, err := s.Projects().Get(t.Context(), id)
		if p[0] == 0 && fault.Is(err, fault.ProjectNotFound) {
			continue
		}
		if err != nil || got.Revision < p[0] || got.Revision > p[1] ||
			!bytes.HasPrefix(got.Graph, payload(id, got.Revision, 0)) {
			t.Fatalf("project %s: acknowledged %d, begun %d, found %d, %v", id, p[0], p[1], got.Revision, err)
		}
	}
	if l.key != nil {
		k, err := s.Key(t.Context(), "signing", func() ([]byte, error) { return []byte("another"), nil })
		if err != nil || !bytes.Equal(k, l.key) {
			t.Fatalf("key %q, %v", k, err)
		}
	}
	sum, err := s.Verify(t.Context(), func(p pebble.Problem) { t.Errorf("check finds %+v", p) })
	if err != nil {
		t.Fatalf("verify: %v (%+v)", err, sum)
	}
}

func (a *account) audit(t testing.TB, s *pebble.Store, id string) {
	t.Helper()
	h, err := s.Head(t.Context(), id)
	if errors.Is(err, journal.ErrUnknown) && !a.exists {
		return
	}
	if err != nil {
		t.Fatalf("session %s, acknowledged %+v: %v", id, a, err)
	}
	if !a.exists && !a.maybeExists {
		t.Fatalf("session %s is back from the dead", id)
	}
	if h.Last != a.head && h.Last != a.maybeHead {
		t.Fatalf("session %s ends at %d: neither acknowledged %d nor begun %d", id, h.Last, a.head, a.maybeHead)
	}
	recs, err := s.Read(t.Context(), id, h.First-1, 1<<30)
	if err != nil {
		t.Fatalf("session %s: %v", id, err)
	}
	next := h.First
	for _, r := range recs {
		if r.First != next || !bytes.HasPrefix(r.Data, payload(id, r.First, 0)) {
			t.Fatalf("session %s: record %d-%d at %d is %.20q", id, r.First, r.Last, next, r.Data)
		}
		next = r.Last + 1
	}
	seq, snap, err := s.Snapshot(t.Context(), id)
	if err != nil || seq != a.snap && seq != a.maybeSnap || seq > 0 && !bytes.HasPrefix(snap, payload(id, seq, 0)) {
		t.Fatalf("session %s: snapshot at %d (%.20q), acknowledged %d, begun %d, %v", id, seq, snap, a.snap, a.maybeSnap, err)
	}
	if next != h.Last+1 || h.First > max(a.maybeSnap, 1)+1 {
		t.Fatalf("session %s: head %+v, records to %d, snapshot %d", id, h, next-1, seq)
	}
}

// options opens a store in fs with buffers small enough to be flushed.
func options(fs vfs.FS) pebble.Options {
	return pebble.SmallPieces(pebble.Options{Dir: "data", FS: fs, MemTableBytes: 64 << 10, StallTimeout: 5 * time.Second})
}
