// Package journaltest is the contract suite of journal.Journal. A driver's
// test calls Run; what passes may stand below the sessions.
//
// Faulty wraps any journal with scripted failures, for the tests of those who
// call one.
package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// Driver says how the suite gets a journal.
type Driver struct {
	// Open returns a fresh, empty journal. The suite closes it.
	Open func(t testing.TB) journal.Journal
	// Reopen closes j and opens what it left; nil for a driver that forgets.
	Reopen func(t testing.TB, j journal.Journal) journal.Journal
}

// Run checks every promise of journal.Journal that can be seen without
// breaking the disk.
func Run(t *testing.T, d Driver) {
	tests := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Create", testCreate},
		{"Append", testAppend},
		{"AppendRefusals", testAppendRefusals},
		{"Read", testRead},
		{"Ownership", testOwnership},
		{"Head", testHead},
		{"Trim", testTrim},
		{"Snapshot", testSnapshot},
		{"Sessions", testSessions},
		{"Isolation", testIsolation},
		{"Delete", testDelete},
		{"Watch", testWatch},
		{"Tail", testTail},
		{"Contexts", testContexts},
		{"Close", testClose},
		{"Writers", testWriters},
		{"ManySessions", testManySessions},
		{"Lifecycles", testLifecycles},
		{"Model", testModel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{reporter: t, t: t, driver: d, j: d.Open(t), ctx: t.Context()}
			defer func() {
				if err := b.j.Close(context.WithoutCancel(b.ctx)); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			tt.run(t, b)
		})
	}
}

// reporter is what testing.TB and rapid.T have in common.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// bench is one journal under test.
type bench struct {
	reporter // the test, or the model's current case
	t        testing.TB
	driver   Driver
	j        journal.Journal
	ctx      context.Context
}

// reopen closes and opens the journal again, if the driver keeps anything.
func (b *bench) reopen() {
	b.Helper()
	if b.driver.Reopen != nil {
		b.j = b.driver.Reopen(b.t, b.j)
	}
}

func (b *bench) create(session string) {
	b.Helper()
	b.ok(b.j.Create(b.ctx, session, []byte("meta of "+session)))
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("unexpected error: %v", err)
	}
}

// want fails unless err is target with the fault code.
func (b *bench) want(err, target error, code fault.Code) {
	b.Helper()
	if !errors.Is(err, target) || !fault.Is(err, code) {
		b.Fatalf("got error %v, want %v with code %s", err, target, code)
	}
}

// append writes recs after the first one's predecessor.
func (b *bench) append(session string, recs ...journal.Record) {
	b.Helper()
	b.ok(b.j.Append(b.ctx, session, recs[0].First-1, recs))
}

// fill appends one record per seq up to last, each with its own text.
func (b *bench) fill(session string, from, last uint64) {
	b.Helper()
	for seq := from; seq <= last; seq++ {
		b.append(session, rec(session, seq, seq))
	}
}

// rec makes a record whose data tells session and seqs.
func rec(session string, first, last uint64) journal.Record {
	return journal.Record{First: first, Last: last, Data: fmt.Appendf(nil, "%s %d-%d", session, first, last)}
}

// all reads everything after a seq, a page of maxBytes at a time.
func (b *bench) all(session string, after uint64, maxBytes int) []journal.Record {
	b.Helper()
	var out []journal.Record
	for {
		recs, err := b.j.Read(b.ctx, session, after, maxBytes)
		b.ok(err)
		if len(recs) == 0 {
			return out
		}
		out = append(out, recs...)
		after = recs[len(recs)-1].Last
	}
}

// same fails unless got is want; nil and empty data are the same.
func (b *bench) same(got, want any) {
	b.Helper()
	opt := cmp.Comparer(bytes.Equal)
	if d := cmp.Diff(want, got, opt); d != "" {
		b.Fatalf("unexpected value (-want +got):\n%s", d)
	}
}

func testCreate(t *testing.T, b *bench) {
	_, err := b.j.Meta(b.ctx, "s")
	b.want(err, journal.ErrUnknown, fault.InvalidSession)
	for _, meta := range []string{"", "m", strings.Repeat("x", journal.MaxMeta)} {
		id := fmt.Sprintf("s%d", len(meta))
		b.ok(b.j.Create(b.ctx, id, []byte(meta)))
		b.want(b.j.Create(b.ctx, id, []byte("other")), journal.ErrConflict, fault.Conflict)
		b.reopen()
		b.want(b.j.Create(b.ctx, id, []byte("other")), journal.ErrConflict, fault.Conflict)
		got, err := b.j.Meta(b.ctx, id)
		b.ok(err)
		b.same(string(got), meta)
	}
	b.want(b.j.Create(b.ctx, "big", make([]byte, journal.MaxMeta+1)), journal.ErrTooLarge, fault.TooLarge)
	for _, id := range malformed() {
		b.want(b.j.Create(b.ctx, id, nil), journal.ErrInvalid, fault.Internal)
		_, err := b.j.Meta(b.ctx, id)
		b.want(err, journal.ErrUnknown, fault.InvalidSession)
		b.want(b.j.Delete(b.ctx, id), journal.ErrUnknown, fault.InvalidSession)
	}
	long := strings.Repeat("Z", journal.MaxSessionID)
	b.create(long)
	b.append(long, rec(long, 1, 1))
	b.same(b.all(long, 0, 1), []journal.Record{rec(long, 1, 1)})
}

func malformed() []string {
	return []string{"", "a b", "a/b", "a\x00", "ä", "a.b", strings.Repeat("x", journal.MaxSessionID+1)}
}

// SPEC J-1, J-3
func testAppend(t *testing.T, b *bench) {
	b.create("s")
	want := []journal.Record{rec("s", 1, 1), rec("s", 2, 5), {First: 6, Last: 6}, rec("s", 7, 7)}
	b.append("s", want[0])
	b.append("s", want[1:3]...)
	b.append("s", want[3])
	b.same(b.all("s", 0, 1<<20), want)
	b.reopen()
	b.same(b.all("s", 0, 1<<20), want)
	b.append("s", rec("s", 8, 9))
	b.same(b.all("s", 7, 1<<20), []journal.Record{rec("s", 8, 9)})

	// One entry larger than any buffer below.
	big := journal.Record{First: 10, Last: 10, Data: bytes.Repeat([]byte("0123456789abcdef"), 3<<16)}
	b.append("s", big, rec("s", 11, 11))
	b.same(b.all("s", 9, 1), []journal.Record{big, rec("s", 11, 11)})
	b.reopen()
	b.same(b.all("s", 9, 1), []journal.Record{big, rec("s", 11, 11)})
}

// SPEC J-2, J-4
func testAppendRefusals(t *testing.T, b *bench) {
	r := rec("s", 1, 1)
	b.want(b.j.Append(b.ctx, "s", 0, []journal.Record{r}), journal.ErrUnknown, fault.InvalidSession)
	b.create("s")
	b.fill("s", 1, 3)

	conflict := func(after uint64, recs ...journal.Record) {
		t.Helper()
		b.want(b.j.Append(b.ctx, "s", after, recs), journal.ErrConflict, fault.Conflict)
	}
	conflict(0, rec("x", 1, 1))
	conflict(2, rec("x", 3, 3))
	conflict(4, rec("x", 5, 5))
	conflict(2) // nothing to write still compares
	b.ok(b.j.Append(b.ctx, "s", 3, nil))

	invalid := func(recs ...journal.Record) {
		t.Helper()
		b.want(b.j.Append(b.ctx, "s", 3, recs), journal.ErrInvalid, fault.Internal)
	}
	invalid(rec("x", 5, 5))
	invalid(rec("x", 3, 4))
	invalid(rec("x", 4, 3))
	invalid(rec("x", 4, 4), rec("x", 6, 6))
	invalid(rec("x", 4, 5), rec("x", 5, 6))
	invalid(rec("x", 4, ^uint64(0)))

	var huge []journal.Record
	data := make([]byte, 1<<20)
	for seq := uint64(4); seq < 4+journal.MaxAppend>>20+1; seq++ {
		huge = append(huge, journal.Record{First: seq, Last: seq, Data: data})
	}
	b.want(b.j.Append(b.ctx, "s", 3, huge), journal.ErrTooLarge, fault.TooLarge)

	want := []journal.Record{rec("s", 1, 1), rec("s", 2, 2), rec("s", 3, 3)}
	b.same(b.all("s", 0, 1<<20), want)
	b.reopen()
	b.same(b.all("s", 0, 1<<20), want)
}

// SPEC J-5
func testRead(t *testing.T, b *bench) {
	_, err := b.j.Read(b.ctx, "s", 0, 1)
	b.want(err, journal.ErrUnknown, fault.InvalidSession)
	b.create("s")
	if got := b.all("s", 0, 100); got != nil {
		t.Fatalf("an empty session gives %v", got)
	}
	var want []journal.Record
	for i := uint64(0); i < 40; i++ {
		want = append(want, journal.Record{First: 1 + i*3, Last: 3 + i*3, Data: bytes.Repeat([]byte{byte(i)}, 10)})
	}
	b.append("s", want...)

	for _, maxBytes := range []int{-1, 0, 1, 10, 11, 25, 1 << 20} {
		b.same(b.all("s", 0, maxBytes), want)
	}
	page, err := b.j.Read(b.ctx, "s", 0, 25)
	b.ok(err)
	b.same(page, want[:2])
	page, err = b.j.Read(b.ctx, "s", 0, 0)
	b.ok(err)
	b.same(page, want[:1])
	b.same(b.all("s", 3, 1000), want[1:])
	b.same(b.all("s", 4, 1000), want[1:]) // inside the second record
	b.same(b.all("s", 5, 1000), want[1:])
	b.same(b.all("s", 119, 1000), want[39:])
	for _, after := range []uint64{120, 121, 1 << 40, ^uint64(0)} {
		if got := b.all("s", after, 1000); got != nil {
			t.Fatalf("after %d: %v", after, got)
		}
	}
}

func testOwnership(t *testing.T, b *bench) {
	b.create("s")
	meta := []byte("mine")
	b.ok(b.j.Create(b.ctx, "m", meta))
	data := []byte("before")
	recs := []journal.Record{{First: 1, Last: 1, Data: data}}
	b.append("s", recs...)
	snap := []byte("state")
	b.ok(b.j.PutSnapshot(b.ctx, "s", 1, snap))
	copy(data, "after!")
	copy(meta, "hers")
	copy(snap, "STATE")
	recs[0].First = 77

	got := b.all("s", 0, 100)
	b.same(got, []journal.Record{{First: 1, Last: 1, Data: []byte("before")}})
	m, err := b.j.Meta(b.ctx, "m")
	b.ok(err)
	b.same(string(m), "mine")
	_, s, err := b.j.Snapshot(b.ctx, "s")
	b.ok(err)
	b.same(string(s), "state")
	m[0], s[0] = 'X', 'X' // ours to change
	m, err = b.j.Meta(b.ctx, "m")
	b.ok(err)
	b.same(string(m), "mine")
	_, s, err = b.j.Snapshot(b.ctx, "s")
	b.ok(err)
	b.same(string(s), "state")

	b.ok(b.j.Delete(b.ctx, "s"))
	b.reopen()
	b.same(got, []journal.Record{{First: 1, Last: 1, Data: []byte("before")}}) // stays valid
}

func testHead(t *testing.T, b *bench) {
	_, err := b.j.Head(b.ctx, "s")
	b.want(err, journal.ErrUnknown, fault.InvalidSession)
	b.create("s")
	head := func(want journal.Head) {
		t.Helper()
		got, err := b.j.Head(b.ctx, "s")
		b.ok(err)
		b.same(got, want)
	}
	head(journal.Head{First: 1})
	b.reopen()
	head(journal.Head{First: 1})
	data := []byte("0123456789")
	b.append("s", journal.Record{First: 1, Last: 4, Data: data}, journal.Record{First: 5, Last: 5})
	head(journal.Head{First: 1, Last: 5, Bytes: 10})
	b.reopen()
	head(journal.Head{First: 1, Last: 5, Bytes: 10})
	b.append("s", journal.Record{First: 6, Last: 8, Data: data[:3]})
	head(journal.Head{First: 1, Last: 8, Bytes: 13})
}

// SPEC J-6
func testTrim(t *testing.T, b *bench) {
	b.want(b.j.Trim(b.ctx, "s", 1), journal.ErrUnknown, fault.InvalidSession)
	b.create("s")
	b.ok(b.j.Trim(b.ctx, "s", 10))
	var want []journal.Record
	for i := uint64(0); i < 10; i++ {
		want = append(want, rec("s", 1+2*i, 2+2*i))
	}
	b.append("s", want...)

	// A driver may keep more than asked, never less, and says what it keeps.
	kept := func(through uint64, must []journal.Record) {
		t.Helper()
		b.ok(b.j.Trim(b.ctx, "s", through))
		for range 2 {
			h, err := b.j.Head(b.ctx, "s")
			b.ok(err)
			if h.Last != 20 || h.First > must[0].First {
				t.Fatalf("trimmed through %d: head %+v, but %d must be kept", through, h, must[0].First)
			}
			got := b.all("s", h.First-1, 1<<20)
			b.same(got[len(got)-len(must):], must)
			var size int64
			for _, r := range got {
				size += int64(len(r.Data))
			}
			b.same(h.Bytes, size)
			if h.First > 1 {
				_, err := b.j.Read(b.ctx, "s", h.First-2, 1)
				b.want(err, journal.ErrTrimmed, fault.Conflict)
				_, err = b.j.Read(b.ctx, "s", 0, 1)
				b.want(err, journal.ErrTrimmed, fault.Conflict)
			}
			b.reopen()
		}
	}
	kept(0, want)
	kept(1, want) // inside the first record
	kept(2, want[1:])
	kept(9, want[4:])
	kept(3, want[4:])
	kept(20, want[9:])
	kept(^uint64(0), want[9:]) // the newest stays
	b.append("s", rec("s", 21, 21))
	b.same(b.all("s", 20, 100), []journal.Record{rec("s", 21, 21)})
}

// SPEC J-7
func testSnapshot(t *testing.T, b *bench) {
	b.want(b.j.PutSnapshot(b.ctx, "s", 1, nil), journal.ErrUnknown, fault.InvalidSession)
	_, _, err := b.j.Snapshot(b.ctx, "s")
	b.want(err, journal.ErrUnknown, fault.InvalidSession)
	b.create("s")
	is := func(seq uint64, data []byte) {
		t.Helper()
		gotSeq, got, err := b.j.Snapshot(b.ctx, "s")
		b.ok(err)
		if gotSeq != seq || !bytes.Equal(got, data) {
			t.Fatalf("snapshot at %d of %d bytes, want %d of %d", gotSeq, len(got), seq, len(data))
		}
	}
	is(0, nil)
	b.want(b.j.PutSnapshot(b.ctx, "s", 0, nil), journal.ErrInvalid, fault.Internal)
	b.want(b.j.PutSnapshot(b.ctx, "s", 1, nil), journal.ErrInvalid, fault.Internal)
	b.fill("s", 1, 10)
	b.want(b.j.PutSnapshot(b.ctx, "s", 11, nil), journal.ErrInvalid, fault.Internal)
	is(0, nil)
	for i, size := range []int{1, 0, 1000, 256 << 10, 256<<10 + 1, 3 << 20, 5} {
		data := bytes.Repeat([]byte{byte('a' + i)}, size)
		b.ok(b.j.PutSnapshot(b.ctx, "s", uint64(i+1), data))
		is(uint64(i+1), data)
		b.reopen()
		is(uint64(i+1), data)
	}
	b.ok(b.j.PutSnapshot(b.ctx, "s", 7, []byte("again")))
	is(7, []byte("again"))
	b.ok(b.j.PutSnapshot(b.ctx, "s", 3, []byte("older")))
	is(7, []byte("again"))
	b.ok(b.j.Trim(b.ctx, "s", 7))
	is(7, []byte("again"))
}

func testSessions(t *testing.T, b *bench) {
	list := func(after string, limit int) []string {
		t.Helper()
		got, err := b.j.Sessions(b.ctx, after, limit)
		b.ok(err)
		return got
	}
	if got := list("", 10); len(got) != 0 {
		t.Fatalf("a new journal has sessions %v", got)
	}
	ids := []string{"a", "a-b", "a0", "aa", "B", "b", "_", "-", "z9"}
	for _, id := range ids {
		b.create(id)
		b.fill(id, 1, 2)
	}
	slices.Sort(ids)
	b.reopen()
	b.same(list("", 0), ids)
	b.same(list("", 3), ids[:3])
	b.same(list("~", 3), []string(nil))
	var paged []string
	for after := ""; ; {
		page := list(after, 2)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		after = page[len(page)-1]
	}
	b.same(paged, ids)
	b.same(list("a1", 1), []string{"aa"}) // after need not exist
	b.ok(b.j.Delete(b.ctx, "aa"))
	b.same(list("a0", 1), []string{"b"})
}

func testIsolation(t *testing.T, b *bench) {
	ids := []string{"s", "s-", "s0", "ss", "S", "s_"}
	for i, id := range ids {
		b.create(id)
		b.fill(id, 1, uint64(i+3))
		b.ok(b.j.PutSnapshot(b.ctx, id, 2, []byte(id)))
	}
	b.ok(b.j.Delete(b.ctx, "s"))
	b.ok(b.j.Trim(b.ctx, "s-", 3))
	for range 2 {
		for i, id := range ids[2:] {
			var want []journal.Record
			for seq := uint64(1); seq <= uint64(i+5); seq++ {
				want = append(want, rec(id, seq, seq))
			}
			b.same(b.all(id, 0, 1<<20), want)
			seq, snap, err := b.j.Snapshot(b.ctx, id)
			b.ok(err)
			b.same(fmt.Sprintf("%d %s", seq, snap), "2 "+id)
		}
		b.reopen()
	}
}

// SPEC J-8
func testDelete(t *testing.T, b *bench) {
	b.want(b.j.Delete(b.ctx, "s"), journal.ErrUnknown, fault.InvalidSession)
	b.create("s")
	b.fill("s", 1, 5)
	b.ok(b.j.PutSnapshot(b.ctx, "s", 5, bytes.Repeat([]byte("x"), 2<<20)))
	b.ok(b.j.Delete(b.ctx, "s"))
	for range 2 {
		b.want(b.j.Delete(b.ctx, "s"), journal.ErrUnknown, fault.InvalidSession)
		_, err := b.j.Read(b.ctx, "s", 0, 1)
		b.want(err, journal.ErrUnknown, fault.InvalidSession)
		b.want(b.j.Append(b.ctx, "s", 5, []journal.Record{rec("s", 6, 6)}), journal.ErrUnknown, fault.InvalidSession)
		b.reopen()
	}
	b.ok(b.j.Create(b.ctx, "s", []byte("second")))
	for range 2 {
		h, err := b.j.Head(b.ctx, "s")
		b.ok(err)
		b.same(h, journal.Head{First: 1})
		seq, snap, err := b.j.Snapshot(b.ctx, "s")
		b.ok(err)
		if seq != 0 || snap != nil {
			t.Fatalf("the second life begins with a snapshot at %d", seq)
		}
		b.reopen()
	}
	b.fill("s", 1, 2)
	b.same(b.all("s", 0, 100), []journal.Record{rec("s", 1, 1), rec("s", 2, 2)})
}

// SPEC J-9
func testWatch(t *testing.T, b *bench) {
	wake, stop := b.j.Watch("s") // before it exists
	other, stopOther := b.j.Watch("other")
	defer stopOther()
	woken := func(what string) {
		t.Helper()
		select {
		case <-wake:
		case <-time.After(30 * time.Second):
			t.Fatalf("no wake after %s", what)
		}
	}
	b.create("s")
	woken("create")
	b.fill("s", 1, 5)
	woken("append")
	b.ok(b.j.Delete(b.ctx, "s"))
	woken("delete")
	stop()
	stop()
	b.create("s")
	select {
	case <-wake:
		t.Fatal("woken after stop")
	case <-other:
		t.Fatal("woken for another session")
	default:
	}
}

func testTail(t *testing.T, b *bench) {
	b.create("s")
	b.fill("s", 1, 20)
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	got := make(chan journal.Record, 100)
	done := make(chan error, 1)
	go func() {
		done <- journal.Tail(ctx, b.j, "s", 2, 30, time.Hour, func(recs []journal.Record) error {
			for _, r := range recs {
				got <- r
			}
			return nil
		})
	}()
	b.fill("s", 21, 40)
	for seq := uint64(3); seq <= 40; seq++ {
		b.same(<-got, rec("s", seq, seq))
	}
	cancel()
	b.ok(<-done)

	stop := errors.New("enough")
	err := journal.Tail(b.ctx, b.j, "s", 39, 30, time.Hour, func([]journal.Record) error { return stop })
	if !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	b.ok(b.j.Trim(b.ctx, "s", 30))
	err = journal.Tail(b.ctx, b.j, "nobody", 0, 30, time.Millisecond, nil)
	b.want(err, journal.ErrUnknown, fault.InvalidSession)
}

// SPEC J-10: a context that ended before a call began keeps it from beginning.
func testContexts(t *testing.T, b *bench) {
	b.create("s")
	b.fill("s", 1, 2)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	for what, err := range everyCall(ctx, b.j) {
		if !errors.Is(err, journal.ErrUnavailable) || !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s with an ended context: %v", what, err)
		}
	}
	h, err := b.j.Head(b.ctx, "s")
	b.ok(err)
	b.same(h.Last, uint64(2))
}

// everyCall makes each call that takes a context, on the session s at seq 2.
func everyCall(ctx context.Context, j journal.Journal) map[string]error {
	_, meta := j.Meta(ctx, "s")
	_, read := j.Read(ctx, "s", 0, 10)
	_, head := j.Head(ctx, "s")
	_, _, snap := j.Snapshot(ctx, "s")
	_, sessions := j.Sessions(ctx, "", 10)
	return map[string]error{
		"Create": j.Create(ctx, "new", nil), "Meta": meta, "Read": read, "Head": head,
		"Append":      j.Append(ctx, "s", 2, []journal.Record{rec("s", 3, 3)}),
		"PutSnapshot": j.PutSnapshot(ctx, "s", 1, nil), "Snapshot": snap,
		"Trim": j.Trim(ctx, "s", 1), "Sessions": sessions, "Delete": j.Delete(ctx, "s"),
	}
}

func testClose(t *testing.T, b *bench) {
	b.create("s")
	b.fill("s", 1, 2)
	j := b.j
	if b.driver.Reopen != nil {
		b.reopen()
	} else {
		b.ok(j.Close(b.ctx))
	}
	for what, err := range everyCall(b.ctx, j) {
		if !errors.Is(err, journal.ErrUnavailable) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s on a closed journal: %v", what, err)
		}
	}
	b.ok(j.Close(b.ctx))
	if j.Err() != nil {
		t.Errorf("closed is not failed: %v", j.Err())
	}
	select {
	case <-j.Failed():
		t.Error("closed is not failed")
	default:
	}
}
