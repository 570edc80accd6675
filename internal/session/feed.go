package session

import (
	"context"
	"errors"
	"sync"
)

// ErrFeedClosed is returned by Feed.Wait when the session was deleted or its
// manager closed: there will be no further item.
var ErrFeedClosed = errors.New("session: feed closed")

// Feed is the newest part of a session's stream, kept in memory for followers.
// It is bounded by bytes: the oldest items leave first, but never those of the
// newest turn, so a follower that keeps up is never overrun. One goroutine
// writes, any number read; a reader holds nothing but its cursor.
type Feed struct {
	mu     sync.Mutex
	items  []*Item // items[i].Index == first+i
	first  uint64
	bytes  int
	limit  int
	wake   chan struct{} // closed at the next push; nil while nobody waits
	closed bool
}

// itemOverhead is the memory an item takes beside its payload, roughly.
const itemOverhead = 160

func newFeed(limit int) *Feed { return &Feed{limit: limit, first: 1} }

// Next is the index that the next item will get: a follower that starts here
// sees everything from now on.
func (f *Feed) Next() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first + uint64(len(f.items))
}

// Read returns up to limit items from cursor on and the cursor after them. ok is
// false when items at the cursor have left memory: the follower then reads the
// numbered ones from Session.Events and goes on at Feed.Oldest. It never blocks.
func (f *Feed) Read(cursor uint64, limit int) (items []*Item, next uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cursor < f.first {
		return nil, cursor, false
	}
	from := min(cursor-f.first, uint64(len(f.items)))
	to := min(from+uint64(max(limit, 0)), uint64(len(f.items)))
	items = append(items, f.items[from:to]...)
	return items, f.first + to, true
}

// Oldest returns the cursor of the oldest item in memory and the last number
// that was given out before it.
func (f *Feed) Oldest() (cursor, head uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.items) == 0 {
		return f.first, 0
	}
	head = f.items[0].Head
	if f.items[0].Seq != 0 {
		head = f.items[0].Seq - 1
	}
	return f.first, head
}

// Wait blocks until an item at or after cursor is there, ctx ends, or the feed
// is closed (ErrFeedClosed, after the last item was read).
func (f *Feed) Wait(ctx context.Context, cursor uint64) error {
	for {
		f.mu.Lock()
		if cursor < f.first+uint64(len(f.items)) {
			f.mu.Unlock()
			return nil
		}
		if f.closed {
			f.mu.Unlock()
			return ErrFeedClosed
		}
		if f.wake == nil {
			f.wake = make(chan struct{})
		}
		wake := f.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// push adds the items of one turn, in order, and wakes the followers.
func (f *Feed) push(items []Item) {
	if len(items) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	kept := len(f.items)
	for i := range items {
		it := &items[i]
		it.Index = f.first + uint64(len(f.items))
		f.items = append(f.items, it)
		f.bytes += len(it.Payload) + itemOverhead
	}
	drop := 0
	for drop < kept && f.bytes > f.limit {
		f.bytes -= len(f.items[drop].Payload) + itemOverhead
		drop++
	}
	if drop > 0 {
		clear(f.items[:drop])
		f.items = f.items[drop:]
		f.first += uint64(drop)
	}
	f.wakeLocked()
}

func (f *Feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.wakeLocked()
}

func (f *Feed) wakeLocked() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}
