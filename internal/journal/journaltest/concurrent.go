package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/graphroom/graphroom/internal/journal"
)

// testWriters lets writers race for one session's head: each seq is won by
// exactly one, and readers never see anything but a growing gapless log.
// SPEC J-2
func testWriters(t *testing.T, b *bench) {
	const writers, each = 8, 25
	b.create("s")
	var won [writers*each + 1]atomic.Int32
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		var last uint64
		for {
			select {
			case <-stop:
				return
			default:
			}
			last = checkGrowing(t, b, last)
		}
	})
	for w := range writers {
		wg.Go(func() {
			for range each {
				seq, err := appendNext(b.ctx, b.j, w)
				if err != nil {
					t.Error(err)
					return
				}
				won[seq].Add(1)
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	for seq := 1; seq <= writers*each; seq++ {
		if n := won[seq].Load(); n != 1 {
			t.Fatalf("seq %d was won %d times", seq, n)
		}
	}
	if got := b.all("s", 0, 1<<20); len(got) != writers*each {
		t.Fatalf("%d records", len(got))
	}
}

// appendNext appends after whatever the head is, until it wins.
func appendNext(ctx context.Context, j journal.Journal, writer int) (uint64, error) {
	for {
		h, err := j.Head(ctx, "s")
		if err != nil {
			return 0, err
		}
		seq := h.Last + 1
		r := journal.Record{First: seq, Last: seq, Data: fmt.Appendf(nil, "%d by %d", seq, writer)}
		err = j.Append(ctx, "s", h.Last, []journal.Record{r})
		if !errors.Is(err, journal.ErrConflict) {
			return seq, err
		}
	}
}

// checkGrowing reads the whole log and returns its last seq.
func checkGrowing(t *testing.T, b *bench, before uint64) uint64 {
	recs, err := b.j.Read(b.ctx, "s", 0, 1<<20)
	if err != nil {
		t.Errorf("read: %v", err)
		return before
	}
	for i, r := range recs {
		if r.First != uint64(i+1) || r.Last != r.First || !bytes.HasPrefix(r.Data, fmt.Appendf(nil, "%d by", r.First)) {
			t.Errorf("record %d is %d-%d %q", i, r.First, r.Last, r.Data)
		}
	}
	if uint64(len(recs)) < before {
		t.Errorf("the log shrank from %d to %d", before, len(recs))
	}
	return uint64(len(recs))
}

// testManySessions appends to many sessions at once and finds each whole.
func testManySessions(t *testing.T, b *bench) {
	const sessions, each = 64, 20
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			id := fmt.Sprintf("s%03d", i)
			if err := b.j.Create(b.ctx, id, nil); err != nil {
				t.Error(err)
				return
			}
			for seq := uint64(1); seq <= each; seq++ {
				if err := b.j.Append(b.ctx, id, seq-1, []journal.Record{rec(id, seq, seq)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.reopenIfPassing(t)
	for i := range sessions {
		id := fmt.Sprintf("s%03d", i)
		got := b.all(id, 0, 100)
		if len(got) != each {
			t.Fatalf("%s has %d records", id, len(got))
		}
		for k, r := range got {
			b.same(r, rec(id, uint64(k+1), uint64(k+1)))
		}
	}
}

func (b *bench) reopenIfPassing(t *testing.T) {
	if !t.Failed() {
		b.reopen()
	}
}

// testLifecycles makes, fills, reads and deletes one session from many sides
// at once: whatever is seen is one whole life or none.
func testLifecycles(t *testing.T, b *bench) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 30 {
				if err := life(b.ctx, b.j, w*1000+i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := b.j.Delete(b.ctx, "s"); err != nil && !errors.Is(err, journal.ErrUnknown) {
		t.Fatal(err)
	}
	ids, err := b.j.Sessions(b.ctx, "", 10)
	b.ok(err)
	if len(ids) != 0 {
		t.Fatalf("left: %v", ids)
	}
}

// life tries each call once; only the expected refusals may happen.
func life(ctx context.Context, j journal.Journal, n int) error {
	expected := func(err error) error {
		if errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrUnknown) ||
			errors.Is(err, journal.ErrInvalid) || errors.Is(err, journal.ErrTrimmed) {
			return nil
		}
		return err
	}
	meta := fmt.Appendf(nil, "life %d", n)
	_, _, snapErr := j.Snapshot(ctx, "s")
	_, metaErr := j.Meta(ctx, "s")
	errs := []error{
		expected(j.Create(ctx, "s", meta)),
		expected(j.Append(ctx, "s", 0, []journal.Record{rec("s", 1, 2), rec("s", 3, 3)})),
		expected(j.PutSnapshot(ctx, "s", 3, meta)),
		expected(snapErr), expected(metaErr),
		expected(j.Trim(ctx, "s", 2)),
	}
	recs, err := j.Read(ctx, "s", 0, 100)
	errs = append(errs, expected(err))
	if len(recs) != 0 && len(recs) != 2 {
		errs = append(errs, fmt.Errorf("half an append: %v", recs))
	}
	_, err = j.Head(ctx, "s")
	errs = append(errs, expected(err))
	if n%3 == 0 {
		errs = append(errs, expected(j.Delete(ctx, "s")))
	}
	return errors.Join(errs...)
}

// model is what a session should hold.
type model struct {
	recs    []journal.Record
	head    uint64
	snapSeq uint64
	snap    []byte
}

// testModel compares random histories with a model.
func testModel(t *testing.T, b *bench) {
	prefix := 0
	rapid.Check(t, func(rt *rapid.T) {
		prefix++
		b.reporter = rt
		defer func() { b.reporter = t }()
		ids := []string{fmt.Sprintf("%d-a", prefix), fmt.Sprintf("%d-aa", prefix)}
		live := map[string]*model{}
		rt.Repeat(map[string]func(*rapid.T){
			"":         func(rt *rapid.T) { compare(rt, b, ids, live) },
			"create":   func(rt *rapid.T) { modelCreate(rt, b, ids, live) },
			"append":   func(rt *rapid.T) { modelAppend(rt, b, ids, live) },
			"trim":     func(rt *rapid.T) { modelTrim(rt, b, ids, live) },
			"snapshot": func(rt *rapid.T) { modelSnapshot(rt, b, ids, live) },
			"delete":   func(rt *rapid.T) { modelDelete(rt, b, ids, live) },
			"reopen": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "rarely") == 0 {
					b.reopen()
				}
			},
		})
	})
}

func pick(rt *rapid.T, ids []string) string { return rapid.SampledFrom(ids).Draw(rt, "id") }

func modelCreate(rt *rapid.T, b *bench, ids []string, live map[string]*model) {
	id := pick(rt, ids)
	err := b.j.Create(b.ctx, id, []byte(id))
	if live[id] != nil {
		if !errors.Is(err, journal.ErrConflict) {
			rt.Fatalf("create again: %v", err)
		}
		return
	}
	b.ok(err)
	live[id] = &model{}
}

func modelAppend(rt *rapid.T, b *bench, ids []string, live map[string]*model) {
	id := pick(rt, ids)
	m := live[id]
	if m == nil {
		return
	}
	next := m.head + 1
	var recs []journal.Record
	for range rapid.IntRange(1, 4).Draw(rt, "records") {
		last := next + uint64(rapid.IntRange(0, 3).Draw(rt, "span"))
		recs = append(recs, journal.Record{First: next, Last: last, Data: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "data")})
		next = last + 1
	}
	b.ok(b.j.Append(b.ctx, id, m.head, recs))
	m.recs = append(m.recs, recs...)
	m.head = next - 1
}

func modelTrim(rt *rapid.T, b *bench, ids []string, live map[string]*model) {
	id := pick(rt, ids)
	if m := live[id]; m != nil {
		b.ok(b.j.Trim(b.ctx, id, rapid.Uint64Range(0, m.head+2).Draw(rt, "through")))
	}
}

func modelSnapshot(rt *rapid.T, b *bench, ids []string, live map[string]*model) {
	id := pick(rt, ids)
	m := live[id]
	if m == nil || m.head == 0 {
		return
	}
	seq := rapid.Uint64Range(1, m.head).Draw(rt, "seq")
	data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "snapshot")
	b.ok(b.j.PutSnapshot(b.ctx, id, seq, data))
	if seq >= m.snapSeq {
		m.snapSeq, m.snap = seq, data
	}
}

func modelDelete(rt *rapid.T, b *bench, ids []string, live map[string]*model) {
	id := pick(rt, ids)
	if live[id] == nil || rapid.IntRange(0, 3).Draw(rt, "rarely") > 0 {
		return
	}
	b.ok(b.j.Delete(b.ctx, id))
	delete(live, id)
}

// compare reads both sessions from a random place.
func compare(rt *rapid.T, b *bench, ids []string, live map[string]*model) {
	for _, id := range ids {
		m := live[id]
		h, err := b.j.Head(b.ctx, id)
		if m == nil {
			if !errors.Is(err, journal.ErrUnknown) {
				rt.Fatalf("head of no session: %v", err)
			}
			continue
		}
		b.ok(err)
		if h.Last != m.head || h.First > m.head+1 {
			rt.Fatalf("head %+v, want last %d", h, m.head)
		}
		after := rapid.Uint64Range(h.First-1, m.head+1).Draw(rt, "after")
		got := b.all(id, after, rapid.IntRange(0, 500).Draw(rt, "maxBytes"))
		var want []journal.Record
		for _, r := range m.recs {
			if r.Last > after {
				want = append(want, r)
			}
		}
		if d := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); d != "" {
			rt.Fatalf("%s after %d (-want +got):\n%s", id, after, d)
		}
		seq, snap, err := b.j.Snapshot(b.ctx, id)
		b.ok(err)
		if seq != m.snapSeq || !bytes.Equal(snap, m.snap) {
			rt.Fatalf("%s: snapshot %d %q, want %d %q", id, seq, snap, m.snapSeq, m.snap)
		}
	}
}
