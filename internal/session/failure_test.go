package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// brokenJournal answers the next append with an error, after writing it or not.
type brokenJournal struct {
	journal.Journal
	next  atomic.Pointer[error]
	write atomic.Bool
}

func (b *brokenJournal) Append(ctx context.Context, id string, after uint64, recs []journal.Record) error {
	if err := b.next.Swap(nil); err != nil {
		if b.write.Load() {
			if err := b.Journal.Append(ctx, id, after, recs); err != nil {
				return err
			}
		}
		return *err
	}
	return b.Journal.Append(ctx, id, after, recs)
}

func (b *brokenJournal) breakWith(err error, write bool) {
	b.write.Store(write)
	b.next.Store(&err)
}

// SPEC N-6: when the append fails nothing is acknowledged or published, the
// working state is discarded, and the same command id settles it.
func TestAppendFails(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		wrote  bool
		failed bool // command:failed is published
	}{
		"conflict":          {journal.Conflict("room", 1, 2), false, true},
		"lost":              {journal.Uncertain(errors.New("disk")), false, false},
		"written all right": {journal.Uncertain(errors.New("disk")), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			var broken *brokenJournal
			r := newRoom(t, func(c *Config) {
				broken = &brokenJournal{Journal: c.Journal}
				c.Journal = broken
			})
			before := r.graph()
			feed := r.tail()
			req := Execute{CommandID: r.id().String(), Type: "CreateNode", Data: []byte(`{"blueprint_type_id":"item"}`)}
			broken.breakWith(tc.err, tc.wrote)
			_, err := r.s.Execute(t.Context(), req)
			wantCode(t, err, fault.Unavailable)
			want := EventCommandExecuting
			if tc.failed {
				want += " " + EventCommandFailed
			}
			if got := feed.names(); got != want {
				t.Errorf("published %s, want %s", got, want)
			}
			if (r.graph() != before) != tc.wrote {
				t.Errorf("graph %s", r.graph())
			}
			first, err := r.s.Execute(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			info, err := r.s.Info(t.Context())
			if err != nil || info.Seq != 3 || first.Seq != 3 || info.NodeCount != 2 {
				t.Errorf("after the retry: %+v, %v", info, err)
			}
		})
	}
}

// A turn that was refused and one that waits in the same turn are both answered.
func TestAppendFailsForAllThatWait(t *testing.T) {
	var broken *brokenJournal
	r := newRoom(t, func(c *Config) {
		broken = &brokenJournal{Journal: c.Journal}
		c.Journal = broken
	})
	inside, finish := make(chan struct{}), make(chan struct{})
	answers := make(chan error, 3)
	go func() {
		answers <- r.s.Read(context.Background(), "", func(View) error {
			close(inside)
			<-finish
			return nil
		})
	}()
	<-inside // the others now wait for the same turn
	for _, data := range []string{`{"blueprint_type_id":"item"}`, `{"blueprint_type_id":"nope"}`} {
		go func() {
			_, err := r.do("ann", "CreateNode", "%s", data)
			answers <- err
		}()
	}
	l, err := r.m.acquire("room")
	if err != nil {
		t.Fatal(err)
	}
	defer r.m.release(l)
	for len(l.mailbox) < 2 {
		// the two are on their way
		select {
		case <-t.Context().Done():
			t.Fatal("never arrived")
		default:
		}
	}
	broken.breakWith(journal.Uncertain(errors.New("disk")), false)
	close(finish)
	codes := map[fault.Code]int{}
	for range 3 {
		codes[fault.From(<-answers).Code]++
	}
	if codes[fault.Unavailable] != 2 || codes[fault.InvalidCommand] != 1 {
		t.Errorf("answers %v", codes)
	}
}

// SPEC N-7: a panic is contained: INTERNAL for its caller, the state comes
// again from the journal, the server goes on.
func TestPanicInTurn(t *testing.T) {
	r := newRoom(t, nil)
	r.create("ann", r.root)
	before := r.graph()
	err := r.s.Read(t.Context(), "", func(v View) error { panic("boom") })
	wantCode(t, err, fault.Internal)
	if fault.From(err).Message != "internal error" {
		t.Errorf("the message tells %q", fault.From(err).Message)
	}
	if r.graph() != before {
		t.Error("the graph changed")
	}
	r.create("ann", r.root)
}

// SPEC N-10: followers that never read cost a command nothing.
func TestStuckFollowers(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.FeedBytes = 10_000 })
	for range 10 {
		_, release, err := r.s.Follow()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	for range 1000 {
		r.create("ann", r.root)
	}
	if info, err := r.s.Info(t.Context()); err != nil || info.NodeCount != 1001 {
		t.Errorf("%+v, %v", info, err)
	}
}

// SPEC N-12: head_seq never runs ahead of what has been published.
func TestHintsStandBehindWhatIsPublished(t *testing.T) {
	r := newRoom(t, nil)
	feed := r.tail()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if _, err := r.do("ann", "CreateNode", `{"blueprint_type_id":"item"}`); err != nil {
					t.Error(err)
				}
				if _, err := r.do("ann", "CreateNode", `{"blueprint_type_id":"nope"}`); err == nil {
					t.Error("accepted")
				}
			}
		})
	}
	wg.Wait()
	published := uint64(1)
	for _, it := range feed.items() {
		if it.Seq != 0 {
			published = it.Seq
		}
		if it.Head != published {
			t.Fatalf("%s stands behind %d, but %d was published", it.Name, it.Head, published)
		}
	}
}
