package session

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
)

func numbered(seq uint64, size int) Item {
	return Item{Seq: seq, Head: seq, Name: "x", Payload: make(json.RawMessage, size)}
}

func TestFeedReadsByCursor(t *testing.T) {
	f := newFeed(1 << 20)
	start := f.Next()
	f.push([]Item{numbered(1, 10), {Head: 1, Name: "hint"}})
	f.push([]Item{numbered(2, 10)})
	items, next, ok := f.Read(start, 2)
	if !ok || len(items) != 2 || items[0].Seq != 1 || items[1].Name != "hint" {
		t.Fatalf("first two: %v ok=%v", items, ok)
	}
	items, next, ok = f.Read(next, 10)
	if !ok || len(items) != 1 || items[0].Seq != 2 || next != f.Next() {
		t.Fatalf("rest: %v next=%d ok=%v", items, next, ok)
	}
	if items, _, ok = f.Read(next, 10); !ok || len(items) != 0 {
		t.Fatalf("at the end: %v ok=%v", items, ok)
	}
}

// SPEC N-11: the feed is bounded by bytes, but the newest turn always stays.
func TestFeedDropsOldestButNeverTheNewestTurn(t *testing.T) {
	f := newFeed(1000)
	start := f.Next()
	f.push([]Item{numbered(1, 400)})
	f.push([]Item{numbered(2, 2000), numbered(3, 2000), numbered(4, 2000)})
	if _, _, ok := f.Read(start, 10); ok {
		t.Fatal("the overrun cursor was served")
	}
	cursor, head := f.Oldest()
	if head != 1 {
		t.Fatalf("head before the oldest = %d, want 1", head)
	}
	items, _, ok := f.Read(cursor, 10)
	if !ok || len(items) != 3 || items[0].Seq != 2 {
		t.Fatalf("newest turn: %d items, ok=%v", len(items), ok)
	}
}

func TestFeedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(1 << 20)
		got := make(chan error, 1)
		go func() { got <- f.Wait(t.Context(), f.Next()) }()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("returned early: %v", err)
		default:
		}
		f.push([]Item{numbered(1, 1)})
		if err := <-got; err != nil {
			t.Fatal(err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		go func() { got <- f.Wait(ctx, f.Next()) }()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}

		go func() { got <- f.Wait(t.Context(), f.Next()) }()
		synctest.Wait()
		f.close()
		if err := <-got; !errors.Is(err, ErrFeedClosed) {
			t.Fatalf("closed: %v", err)
		}
		if err := f.Wait(t.Context(), 1); err != nil {
			t.Fatalf("a closed feed still gives what it has: %v", err)
		}
	})
}
