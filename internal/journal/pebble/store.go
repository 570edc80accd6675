package pebble

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// Store is an open data directory. It implements journal.Journal; Projects and
// Key give the rest of it. Make it with Open.
type Store struct {
	opts Options
	db   *pdb.DB
	dir  *directory

	queue   chan *request // callers -> committer
	applied chan *group   // committer -> waiter
	// requests holds answered requests for reuse; one that was given up stays
	// with the committer.
	requests sync.Pool
	dirty    atomic.Bool // something was applied without a sync
	loops    sync.WaitGroup
	stats    counters
	watch    watchdog
	wakers   journal.Wakers

	opened   atomic.Bool // the database is open: its trouble is the store's
	failOnce sync.Once
	failed   chan struct{}
	failure  error // set before failed is closed

	mu       sync.Mutex
	sessions map[string]*session // loaded or in use
	calls    int                 // calls under way
	closed   bool
	closing  chan struct{} // closed when Close began
	idle     chan struct{} // closed when it began and no call is under way
	closeErr error
	ended    chan struct{} // closed when Close is over

	keys     sync.Mutex // serialises Key
	projects projects
	seed     maphash.Seed
}

var _ journal.Journal = (*Store)(nil)

var (
	errClosed   = errors.New("the store is closed")
	errReadOnly = errors.New("the store is open read-only")
)

// newStore makes a store that has no database yet, so that Pebble's logger
// can fail it while the database opens.
func newStore(o Options) *Store {
	s := &Store{
		opts:     o,
		queue:    make(chan *request, queueLength),
		applied:  make(chan *group, pipeline),
		failed:   make(chan struct{}),
		sessions: make(map[string]*session),
		closing:  make(chan struct{}),
		idle:     make(chan struct{}),
		ended:    make(chan struct{}),
		seed:     maphash.MakeSeed(),
	}
	s.watch.timeout, s.watch.fail = o.StallTimeout, s.fail
	s.projects.store = s
	return s
}

// start runs the goroutines of an open store.
func (s *Store) start() {
	s.loops.Go(s.commitLoop)
	s.loops.Go(s.syncLoop)
	if s.opts.Sync == SyncInterval && !s.opts.ReadOnly {
		s.loops.Go(s.intervalLoop)
	}
}

// fail makes the store refuse everything from now on. Only the first cause
// counts.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.failure = err
		s.opts.Logger.Error("the data store has failed; nothing more is acknowledged", "err", err)
		close(s.failed) // after the log: the process may end on it
	})
}

// Failed implements journal.Journal.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err implements journal.Journal.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}

// enter counts a call in; leave counts it out. Everything that touches the
// database is between them.
func (s *Store) enter(ctx context.Context) error {
	if err := journal.Started(ctx); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return journal.Unavailable(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return journal.Unavailable(errClosed)
	}
	s.calls++
	return nil
}

// enterWrite is enter for a mutation.
func (s *Store) enterWrite(ctx context.Context) error {
	if s.opts.ReadOnly {
		return journal.Unavailable(errReadOnly)
	}
	return s.enter(ctx)
}

func (s *Store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls--
	if s.closed && s.calls == 0 {
		close(s.idle)
	}
}

// Close implements journal.Journal: it lets the calls under way finish, syncs
// and releases the directory. When ctx ends first it returns its error and
// goes on in the background; after a failure it returns the cause and leaves
// locks and files to the end of the process.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
		if s.calls == 0 {
			close(s.idle)
		}
		go s.shutdown()
	}
	s.mu.Unlock()
	select {
	case <-s.ended:
		return s.closeErr
	case <-s.failed:
		return s.Err()
	case <-ctx.Done():
		return fmt.Errorf("close the data store: %w", ctx.Err())
	}
}

// shutdown is Close's work. It may hang on a failed disk, so nobody waits for
// it without a bound.
func (s *Store) shutdown() {
	defer close(s.ended)
	<-s.idle
	if !s.opts.ReadOnly {
		s.settle()
	}
	close(s.queue)
	s.loops.Wait()
	s.watch.stop()
	if s.Err() != nil {
		s.closeErr = s.Err()
		return
	}
	s.closeErr = errors.Join(s.db.Close(), s.dir.release())
}

// settle syncs, and moves what is in the log into tables: the next start has
// nothing to replay, and a table that is damaged can be told from one that
// ends early. A failure is in Err.
func (s *Store) settle() {
	s.dirty.Store(true)
	if s.Err() != nil || s.syncNow() != nil || s.stats.commits.Load() <= 1 {
		return
	}
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		s.fail(fmt.Errorf("flush: %w", err))
		return
	}
	select {
	case <-flushed:
	case <-s.failed:
	}
}
