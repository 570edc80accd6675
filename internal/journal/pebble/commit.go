package pebble

import (
	"fmt"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

const (
	// queueLength is how many callers may stand before the committer; the
	// others wait to enter.
	queueLength = 1024
	// pipeline is how many groups may wait behind the one that is syncing before
	// the committer waits too and lets the next group grow. Measured: 1 to 4
	// are alike; none leaves the disk idle, many make groups of one.
	pipeline = 2
	// groupBytes is where the committer stops to merge more into a group; a
	// larger batch makes a group of its own and is not copied.
	groupBytes = 1 << 20
	// slowSync is when an fsync is worth a warning, at most one every
	// slowSyncEvery.
	slowSync      = time.Second
	slowSyncEvery = 10 * time.Second
)

// request is one caller's batch on its way to disk.
type request struct {
	batch *pdb.Batch
	sync  bool
	done  chan struct{} // capacity 1; receives when the outcome is good
}

// group is what the committer applied as one batch.
type group struct {
	batch    *pdb.Batch
	sync     bool
	requests []*request
	applied  time.Time
}

// commit writes b and blocks until it is durable (sync) or applied (not sync).
// It takes b over. The answers are nil, ErrUnavailable (not begun) and
// ErrUncertain. No context ends the wait: only the outcome does, or the
// store's failure.
func (s *Store) commit(b *pdb.Batch, sync bool) error {
	r, ok := s.requests.Get().(*request)
	if !ok {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.batch, r.sync = b, sync
	select {
	case <-s.failed:
		return journal.Unavailable(s.Err())
	default:
	}
	select {
	case s.queue <- r:
	case <-s.failed:
		return journal.Unavailable(s.Err())
	}
	select {
	case <-r.done:
	case <-s.failed:
		select {
		case <-r.done: // it was durable before the failure
		default:
			return journal.Uncertain(s.Err()) // r stays with the committer
		}
	}
	r.batch = nil
	s.requests.Put(r)
	return nil
}

// durable commits b under the store's sync mode.
func (s *Store) durable(b *pdb.Batch) error { return s.commit(b, s.opts.Sync == SyncAlways) }

// commitLoop is the committer. It ends when the queue is closed, when the
// store has failed, or never: Pebble's Fatalf parks it. A panic out of the
// commit pipeline leaves Pebble's locks held, which is as good as parking.
func (s *Store) commitLoop() {
	defer close(s.applied)
	defer func() {
		if p := recover(); p != nil {
			s.fail(fmt.Errorf("commit: %v", p))
		}
	}()
	var next *request // taken out of the queue, and too large for the last group
	for {
		r := next
		if r == nil {
			var ok bool
			if r, ok = <-s.queue; !ok {
				return
			}
		}
		var g *group
		g, next = s.gather(r)
		if !s.apply(g) {
			return
		}
	}
}

// apply gives a group to Pebble and on to the waiter; false when the store has
// failed.
func (s *Store) apply(g *group) bool {
	var err error
	if g.sync {
		err = s.db.ApplyNoSyncWait(g.batch, pdb.Sync)
	} else {
		err = s.db.Apply(g.batch, pdb.NoSync)
	}
	if err != nil {
		s.fail(fmt.Errorf("commit: %w", err))
		return false
	}
	s.stats.groups.Add(1)
	if !g.sync {
		s.dirty.Store(true)
		s.finish(g)
		return true
	}
	g.applied = time.Now()
	select {
	case s.applied <- g:
		return true
	case <-s.failed:
		return false
	}
}

// gather merges what waits behind r into one group, without waiting for more.
// next is a request that it took and did not merge.
func (s *Store) gather(r *request) (g *group, next *request) {
	g = &group{batch: r.batch, sync: r.sync, requests: []*request{r}}
	for g.batch.Len() < groupBytes {
		select {
		case r, ok := <-s.queue:
			if !ok {
				return g, nil // the loop finds it closed too
			}
			if r.batch.Len() > groupBytes {
				return g, r
			}
			if err := g.batch.Apply(r.batch, nil); err != nil {
				panic(err) // a batch of our own making that cannot be read
			}
			_ = r.batch.Close()
			g.sync = g.sync || r.sync
			g.requests = append(g.requests, r)
		default:
			return g, nil
		}
	}
	return g, nil
}

// syncLoop is the waiter: it wakes a group's callers after its fsync. It ends
// with the committer or when the store has failed.
func (s *Store) syncLoop() {
	var warned time.Time
	for g := range s.applied {
		if err := g.batch.SyncWait(); err != nil {
			s.fail(fmt.Errorf("fsync: %w", err))
			return
		}
		if took := time.Since(g.applied); took > slowSync && time.Since(warned) > slowSyncEvery {
			warned = time.Now()
			s.opts.Logger.Warn("the disk is slow to sync", "took", took)
		}
		s.finish(g)
	}
}

func (s *Store) finish(g *group) {
	s.stats.commits.Add(uint64(len(g.requests)))
	for _, r := range g.requests {
		r.done <- struct{}{}
	}
	_ = g.batch.Close()
}

// intervalLoop syncs what was written since it last did, every Interval, until
// the store closes or fails.
func (s *Store) intervalLoop() {
	t := time.NewTicker(s.opts.Interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if s.syncNow() != nil {
				return
			}
		case <-s.closing:
			return
		case <-s.failed:
			return
		}
	}
}

// syncNow makes everything applied so far durable, if anything is not.
func (s *Store) syncNow() error {
	if !s.dirty.Swap(false) {
		return nil
	}
	b := s.db.NewBatch()
	if err := b.LogData(nil, nil); err != nil {
		return err
	}
	return s.commit(b, true)
}
