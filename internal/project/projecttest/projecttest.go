// Package projecttest is the contract suite of project.Store: every driver's
// test calls Run.
package projecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
)

// Driver says how the suite gets a store.
type Driver struct {
	// Open returns a fresh, empty store, and reopen: what is found after a
	// restart (nil for a driver that forgets). Closing is the driver's business.
	Open func(t testing.TB) (s project.Store, reopen func() project.Store)
}

// Run checks every promise of project.Store.
func Run(t *testing.T, d Driver) {
	tests := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"PutAndGet", testPutAndGet},
		{"Revisions", testRevisions},
		{"Refusals", testRefusals},
		{"List", testList},
		{"Delete", testDelete},
		{"Ownership", testOwnership},
		{"Contexts", testContexts},
		{"Race", testRace},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, reopen := d.Open(t)
			tt.run(t, &bench{TB: t, s: s, restart: reopen, ctx: t.Context()})
		})
	}
}

type bench struct {
	testing.TB
	s       project.Store
	restart func() project.Store
	ctx     context.Context
}

func (b *bench) reopen() {
	if b.restart != nil {
		b.s = b.restart()
	}
}

func (b *bench) put(s project.Saved, expected uint64) {
	b.Helper()
	rev, err := b.s.Put(b.ctx, s, expected)
	if err != nil || rev != expected+1 {
		b.Fatalf("Put(%s, %d) = %d, %v", s.ProjectID, expected, rev, err)
	}
}

func (b *bench) get(id string) project.Saved {
	b.Helper()
	s, err := b.s.Get(b.ctx, id)
	if err != nil {
		b.Fatalf("Get(%s): %v", id, err)
	}
	return s
}

func (b *bench) want(err error, code fault.Code) {
	b.Helper()
	if !fault.Is(err, code) {
		b.Fatalf("got error %v, want code %s", err, code)
	}
}

func (b *bench) same(got, want any) {
	b.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); d != "" {
		b.Fatalf("unexpected value (-want +got):\n%s", d)
	}
}

// sample is a project as the revision-th Put of it should be read back.
func sample(id string, revision uint64, size int) project.Saved {
	graph := append([]byte(`{"x":"`), bytes.Repeat([]byte("é"), size/2)...)
	return project.Saved{
		ProjectID: id, TemplateID: "outline", Name: fmt.Sprintf("Näme %d", revision), Revision: revision,
		SavedAt: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Graph: append(graph, `"}`...),
	}
}

// SPEC J-15
func testPutAndGet(t *testing.T, b *bench) {
	_, err := b.s.Get(b.ctx, "p")
	b.want(err, fault.ProjectNotFound)
	for i, size := range []int{0, 1000, 256 << 10, 3 << 20, 10} {
		want := sample("p", uint64(i+1), size)
		in := want
		in.Revision = 99 // the store's business
		in.SavedAt = want.SavedAt.Add(999 * time.Microsecond).In(time.FixedZone("x", 3600))
		b.put(in, uint64(i))
		b.same(b.get("p"), want)
		b.reopen()
		b.same(b.get("p"), want)
	}
	empty := project.Saved{ProjectID: "empty", SavedAt: time.UnixMilli(0).UTC()}
	b.put(empty, 0)
	b.reopen()
	if got := b.get("empty"); len(got.Graph) != 0 || got.Name != "" || got.TemplateID != "" {
		t.Fatalf("got %+v", got)
	}
}

// SPEC J-15
func testRevisions(t *testing.T, b *bench) {
	conflict := func(expected, current uint64) {
		t.Helper()
		before, _ := b.s.Get(b.ctx, "p")
		_, err := b.s.Put(b.ctx, sample("p", 50, 10), expected)
		b.want(err, fault.Conflict)
		var rev *project.RevisionError
		if !errors.As(err, &rev) || *rev != (project.RevisionError{ProjectID: "p", Expected: expected, Current: current}) {
			t.Fatalf("got %+v", rev)
		}
		for _, n := range []uint64{expected, current} {
			if !strings.Contains(err.Error(), fmt.Sprintf("revision %d", n)) {
				t.Fatalf("%q does not name revision %d", err, n)
			}
		}
		after, _ := b.s.Get(b.ctx, "p")
		b.same(after, before)
	}
	conflict(1, 0)
	b.put(sample("p", 1, 10), 0)
	conflict(0, 1)
	conflict(2, 1)
	b.put(sample("p", 2, 10), 1)
	b.reopen()
	conflict(1, 2)
	b.put(sample("p", 3, 10), 2)
}

func testRefusals(t *testing.T, b *bench) {
	for _, id := range []string{"", "a b", "a/b", "a\x00b", "ü", strings.Repeat("x", project.MaxID+1)} {
		_, err := b.s.Put(b.ctx, sample(id, 1, 1), 0)
		b.want(err, fault.InvalidRequest)
		_, err = b.s.Get(b.ctx, id)
		b.want(err, fault.ProjectNotFound)
		b.want(b.s.Delete(b.ctx, id), fault.ProjectNotFound)
	}
	big := sample("p", 1, 1)
	big.Name = strings.Repeat("x", project.MaxName+1)
	_, err := b.s.Put(b.ctx, big, 0)
	b.want(err, fault.TooLarge)
	long := sample(strings.Repeat("x", project.MaxID), 1, 1)
	long.Name = strings.Repeat("n", project.MaxName)
	b.put(long, 0)
	b.reopen()
	b.same(b.get(long.ProjectID), long)
}

func testList(t *testing.T, b *bench) {
	list := func(after string, limit int) []project.Summary {
		t.Helper()
		l, err := b.s.List(b.ctx, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if got := list("", 0); len(got) != 0 {
		t.Fatalf("a new store lists %v", got)
	}
	var want []project.Summary
	for i, id := range []string{"-", "B", "a", "a-", "a0", "aa", "b"} {
		p := sample(id, 1, i*1000)
		b.put(p, 0)
		want = append(want, p.Summary())
	}
	p := sample("a", 2, 7)
	b.put(p, 1)
	want[2] = p.Summary()
	for range 2 {
		b.same(list("", 0), want)
		b.same(list("", 2), want[:2])
		b.same(list("a", 2), want[3:5])
		b.same(list("a1", 10), want[5:])
		if got := list("b", 10); len(got) != 0 {
			t.Fatalf("got %v", got)
		}
		b.reopen()
	}
}

func testDelete(t *testing.T, b *bench) {
	b.want(b.s.Delete(b.ctx, "p"), fault.ProjectNotFound)
	b.put(sample("p", 1, 2<<20), 0)
	b.put(sample("pp", 1, 10), 0)
	b.put(sample("p", 2, 10), 1)
	if err := b.s.Delete(b.ctx, "p"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := b.s.Get(b.ctx, "p")
		b.want(err, fault.ProjectNotFound)
		b.want(b.s.Delete(b.ctx, "p"), fault.ProjectNotFound)
		b.same(b.get("pp"), sample("pp", 1, 10))
		b.reopen()
	}
	b.put(sample("p", 1, 20), 0)
	b.same(b.get("p"), sample("p", 1, 20))
}

func testOwnership(t *testing.T, b *bench) {
	p := sample("p", 1, 10)
	b.put(p, 0)
	p.Graph[0] = 'X'
	got := b.get("p")
	got.Graph[1] = 'X'
	b.same(b.get("p"), sample("p", 1, 10))
}

func testContexts(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, put := b.s.Put(ctx, sample("p", 1, 10), 0)
	_, get := b.s.Get(ctx, "p")
	_, list := b.s.List(ctx, "", 1)
	for _, err := range []error{put, get, list, b.s.Delete(ctx, "p")} {
		b.want(err, fault.Unavailable)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v does not wrap the context's error", err)
		}
	}
	_, err := b.s.Get(b.ctx, "p")
	b.want(err, fault.ProjectNotFound)
}

// testRace lets savers race: every revision is won by exactly one.
func testRace(t *testing.T, b *bench) {
	const savers, each = 6, 10
	wins := make(chan uint64, savers*each)
	var wg sync.WaitGroup
	for range savers {
		wg.Go(func() {
			for range each {
				rev, err := saveNext(b.ctx, b.s)
				if err != nil {
					t.Error(err)
					return
				}
				wins <- rev
			}
		})
	}
	wg.Wait()
	close(wins)
	seen := map[uint64]bool{}
	for rev := range wins {
		if seen[rev] {
			t.Fatalf("revision %d was given twice", rev)
		}
		seen[rev] = true
	}
	if got := b.get("p"); got.Revision != savers*each || len(seen) != savers*each {
		t.Fatalf("revision %d after %d saves", got.Revision, len(seen))
	}
}

func saveNext(ctx context.Context, s project.Store) (uint64, error) {
	for {
		var current uint64
		p, err := s.Get(ctx, "p")
		if err == nil {
			current = p.Revision
			if p.Name != sample("p", current, 0).Name || len(p.Graph) != len(sample("p", 1, int(current)*2).Graph) {
				return 0, fmt.Errorf("revision %d has name %q and %d bytes", current, p.Name, len(p.Graph))
			}
		} else if !fault.Is(err, fault.ProjectNotFound) {
			return 0, err
		}
		rev, err := s.Put(ctx, sample("p", current+1, int(current+1)*2), current)
		if !fault.Is(err, fault.Conflict) {
			return rev, err
		}
	}
}
