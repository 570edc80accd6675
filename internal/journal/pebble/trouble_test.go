package pebble_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
	"github.com/graphroom/graphroom/internal/project"
)

// gate is an injector that holds log syncs (or whatever match says) back while
// it is shut, and then lets them pass with err.
type gate struct {
	match func(errorfs.Op) bool
	err   error

	mu      sync.Mutex
	barrier chan struct{} // not nil while shut
	waiting atomic.Int64
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.barrier = make(chan struct{})
}

func (g *gate) open(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
	close(g.barrier)
	g.barrier = nil
}

func (g *gate) MaybeError(op errorfs.Op) error {
	if !g.match(op) {
		return nil
	}
	g.mu.Lock()
	barrier := g.barrier
	g.mu.Unlock()
	if barrier == nil {
		return nil
	}
	g.waiting.Add(1)
	<-barrier
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

func (g *gate) String() string { return "gate" }

func logSync(op errorfs.Op) bool {
	return strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData)
}

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
	}
}

func one(seq uint64) []journal.Record {
	return []journal.Record{{First: seq, Last: seq, Data: []byte("x")}}
}

// SPEC J-10, J-11: an append that waits for its fsync is not cancelled, and
// nobody sees it, or anything else, before it is durable.
func TestNothingIsSeenBeforeItIsDurable(t *testing.T) {
	g := &gate{match: logSync}
	s := open(t, options(errorfs.Wrap(vfs.NewMem(), g)))
	bg := t.Context()
	if err := s.Create(bg, "s", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(bg, "s", 0, one(1)); err != nil {
		t.Fatal(err)
	}
	g.shut()
	ctx, cancel := context.WithCancel(bg)
	results := make(chan error, 3)
	go func() { results <- s.Append(ctx, "s", 1, one(2)) }()
	until(t, "the append waits for its fsync", func() bool { return g.waiting.Load() > 0 })
	go func() { results <- s.Create(ctx, "new", nil) }()
	go func() {
		_, err := s.Projects().Put(ctx, savedProject("p"), 0)
		results <- err
	}()
	until(t, "all were begun", func() bool { return s.Stats().Sessions == 2 })
	cancel()

	if h, err := s.Head(bg, "s"); err != nil || h.Last != 1 {
		t.Fatalf("head %+v, %v", h, err)
	}
	if recs, err := s.Read(bg, "s", 0, 100); err != nil || len(recs) != 1 {
		t.Fatalf("read %v, %v", recs, err)
	}
	if ids, err := s.Sessions(bg, "", 10); err != nil || len(ids) != 1 {
		t.Fatalf("sessions %v, %v", ids, err)
	}
	select {
	case err := <-results:
		if err == nil || errors.Is(err, journal.ErrUncertain) {
			t.Fatalf("answered before the fsync: %v", err)
		}
		results <- err // refused before it began: its context had ended
	default:
	}
	g.open(nil)
	for range 3 {
		if err := <-results; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if h, err := s.Head(bg, "s"); err != nil || h.Last != 2 {
		t.Fatalf("the cancelled caller's append is not there: %+v, %v", h, err)
	}
	shut(t, s)
}

// SPEC J-22: when the fsync fails, everyone who waits is told that the outcome
// is unknown, and nothing is acknowledged any more.
func TestFailedFsyncFailsEveryone(t *testing.T) {
	mem := vfs.NewCrashableMem()
	g := &gate{match: logSync}
	s := open(t, options(errorfs.Wrap(mem, g)))
	for _, id := range []string{"a", "b", "c"} {
		if err := s.Create(t.Context(), id, nil); err != nil {
			t.Fatal(err)
		}
	}
	g.shut()
	results := make(chan error, 3)
	for _, id := range []string{"a", "b", "c"} {
		go func() { results <- s.Append(context.Background(), id, 0, one(1)) }()
	}
	until(t, "an append waits for its fsync", func() bool { return g.waiting.Load() > 0 })
	g.open(syscall.EIO)
	for range 3 {
		err := <-results
		if !fault.Is(err, fault.Unavailable) || !errors.Is(err, journal.ErrUncertain) && !errors.Is(err, journal.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	<-s.Failed()
	if !errors.Is(s.Err(), syscall.EIO) {
		t.Fatalf("failed with %v", s.Err())
	}
	if err := s.Append(t.Context(), "a", 0, one(1)); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatalf("close: %v", err)
	}
}

// SPEC J-14: a save that waits when the store fails is told that the outcome is
// unknown, as projects say it.
func TestSaveIsUncertain(t *testing.T) {
	g := &gate{match: logSync}
	s := open(t, options(errorfs.Wrap(vfs.NewMem(), g)))
	if _, err := s.Projects().Put(t.Context(), savedProject("p"), 0); err != nil {
		t.Fatal(err)
	}
	g.shut()
	result := make(chan error, 1)
	go func() {
		_, err := s.Projects().Put(context.Background(), savedProject("p"), 1)
		result <- err
	}()
	until(t, "the save waits for its fsync", func() bool { return g.waiting.Load() > 0 })
	g.open(syscall.EIO)
	if err := <-result; !errors.Is(err, project.ErrUncertain) || !errors.Is(err, journal.ErrUncertain) || !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	_ = s.Close(t.Context())
}

// SPEC J-24: a disk that hangs does not hang Close.
func TestCloseIsBounded(t *testing.T) {
	g := &gate{match: logSync}
	s := open(t, options(errorfs.Wrap(vfs.NewMem(), g)))
	if err := s.Create(t.Context(), "s", nil); err != nil {
		t.Fatal(err)
	}
	g.shut()
	result := make(chan error, 1)
	go func() { result <- s.Append(context.Background(), "s", 0, one(1)) }()
	until(t, "the append waits for its fsync", func() bool { return g.waiting.Load() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("close: %v", err)
	}
	if err := s.Append(t.Context(), "s", 0, one(1)); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("after close: %v", err)
	}
	g.open(nil)
	if err := <-result; err != nil {
		t.Fatalf("the append that was under way: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatalf("close, when the disk is back: %v", err)
	}
}

// SPEC J-25: background work that fails is tried again while it fails for
// shorter than StallTimeout.
func TestBackgroundTroubleThatEnds(t *testing.T) {
	var full atomic.Bool
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && strings.HasSuffix(op.Path, ".sst") && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	o := options(errorfs.Wrap(vfs.NewMem(), inj))
	o.StallTimeout = time.Hour
	s := open(t, o)
	defer shut(t, s)
	c := &client{s: s, l: newLedger()}
	c.create(t.Context(), "s")
	full.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 30 {
			c.append(context.Background(), "s", 1, 10_000)
		}
	})
	until(t, "a flush has failed", func() bool { return s.Stats().BackgroundErrors > 0 })
	full.Store(false)
	wg.Wait()
	if s.Err() != nil || len(c.errs) > 0 {
		t.Fatalf("failed with %v, answered %v", s.Err(), c.errs)
	}
	if _, err := s.Verify(t.Context(), func(p pebble.Problem) { t.Error(p) }); err != nil {
		t.Fatal(err)
	}
}

// SPEC J-25: and fails the store when it goes on; a writer that is stalled by
// it is let go.
func TestBackgroundTroubleThatStays(t *testing.T) {
	mem := vfs.NewCrashableMem()
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".sst") && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	o := options(errorfs.Wrap(mem, inj))
	o.StallTimeout = 300 * time.Millisecond
	s := open(t, o)
	c := &client{s: s, l: newLedger()}
	c.create(t.Context(), "s")
	for s.Err() == nil {
		c.append(context.Background(), "s", 1, 10_000)
	}
	if !errors.Is(s.Err(), syscall.ENOSPC) && !strings.Contains(s.Err().Error(), "stall") {
		t.Fatalf("failed with %v", s.Err())
	}
	_ = s.Close(t.Context())
	c.l.audit(t, mem.CrashClone(vfs.CrashCloneCfg{}))
}

// SPEC J-12: with SyncInterval a crash loses at most a suffix, and what is
// older than the interval is synced without anyone asking.
func TestIntervalSyncsBehind(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var syncs atomic.Int64
	inj := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if logSync(op) {
			syncs.Add(1)
		}
		return nil
	})
	o := options(errorfs.Wrap(mem, inj))
	o.Sync, o.Interval = pebble.SyncInterval, time.Millisecond
	s := open(t, o)
	c := &client{s: s, l: newLedger()}
	c.create(t.Context(), "s")
	for range 20 {
		c.append(t.Context(), "s", 3, 50)
	}
	old := c.l.clone()
	before := syncs.Load()
	until(t, "two syncs have passed", func() bool {
		c.append(t.Context(), "s", 1, 1)
		return syncs.Load() >= before+2
	})
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	shut(t, s)

	r := open(t, options(left))
	defer shut(t, r)
	h, err := r.Head(t.Context(), "s")
	if err != nil || h.Last < old.sessions["s"].head || h.Last > c.l.sessions["s"].head {
		t.Fatalf("head %+v, %v: synced were at least %d", h, err, old.sessions["s"].head)
	}
	if _, err := r.Verify(t.Context(), func(p pebble.Problem) { t.Error(p) }); err != nil {
		t.Fatal(err)
	}
}

// SPEC J-12: a failed sync behind the callers' backs fails the store.
func TestIntervalFails(t *testing.T) {
	g := &gate{match: logSync}
	o := options(errorfs.Wrap(vfs.NewMem(), g))
	o.Sync, o.Interval = pebble.SyncInterval, time.Millisecond
	s := open(t, o)
	g.shut()
	if err := s.Create(t.Context(), "s", nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the sync is under way", func() bool { return g.waiting.Load() > 0 })
	g.open(syscall.EIO)
	<-s.Failed()
	if err := s.Append(t.Context(), "s", 0, one(1)); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	_ = s.Close(t.Context())
}
