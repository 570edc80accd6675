package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"
)

// logger is Pebble's logger. Pebble calls Fatalf where it cannot go on, and
// must not be let return from it.
type logger struct{ store *Store }

// Infof logs Pebble's notices at debug level.
func (l logger) Infof(format string, args ...any) {
	log := l.store.opts.Logger
	if log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs at warn level: what matters comes through the event listener.
func (l logger) Errorf(format string, args ...any) {
	l.store.opts.Logger.Warn("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf fails the store and parks the goroutine for good, with whatever locks
// it holds: letting it go on could acknowledge a lost write. The process
// should end soon after; no caller of the store is on this goroutine while it
// writes.
func (l logger) Fatalf(format string, args ...any) {
	l.store.fail(fmt.Errorf("pebble: "+format, args...))
	select {}
}

// watchdog fails the store when trouble lasts longer than timeout. Two kinds
// are known: stalled writes, and background work (flushes, compactions) that
// fails; Pebble retries the latter for ever.
type watchdog struct {
	timeout time.Duration
	fail    func(error)

	mu      sync.Mutex
	stopped bool
	timers  [2]*time.Timer
}

const (
	troubleStall = iota
	troubleBackground
)

// begin starts the clock for one kind of trouble unless it runs already; it
// reports whether this was the start.
func (w *watchdog) begin(kind int, cause error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || w.timers[kind] != nil {
		return false
	}
	w.timers[kind] = time.AfterFunc(w.timeout, func() {
		w.fail(fmt.Errorf("for longer than %v: %w", w.timeout, cause))
	})
	return true
}

// running reports whether that kind of trouble lasts.
func (w *watchdog) running(kind int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.timers[kind] != nil
}

// end stops the clock for one kind of trouble.
func (w *watchdog) end(kind int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.timers[kind]; t != nil {
		t.Stop()
		w.timers[kind] = nil
	}
}

func (w *watchdog) stop() {
	w.end(troubleStall)
	w.end(troubleBackground)
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
}

// listener turns Pebble's events into log lines and watchdog clocks.
func (s *Store) listener() *pdb.EventListener {
	log := s.opts.Logger
	l := &pdb.EventListener{
		BackgroundError: func(err error) {
			s.stats.backgroundErrors.Add(1)
			if pdb.IsCorruptionError(err) {
				// Pebble leaves the damaged range alone for a while; the rest works.
				log.Error("the data store's background work met damaged data; run a check", "err", err)
				return
			}
			if s.watch.begin(troubleBackground, fmt.Errorf("background work fails: %w", err)) {
				log.Warn("the data store's background work fails; trying again", "err", err)
			}
		},
		DataCorruption: func(info pdb.DataCorruptionInfo) {
			// The read that found it reports it with its place; nothing dies.
			log.Error("the data store found damaged data", "path", info.Path, "err", info.Details)
		},
		FlushEnd: func(info pdb.FlushInfo) {
			if info.Err == nil {
				s.watch.end(troubleBackground)
			}
		},
		CompactionEnd: func(info pdb.CompactionInfo) {
			if info.Err == nil {
				s.watch.end(troubleBackground)
			}
		},
		WriteStallBegin: func(info pdb.WriteStallBeginInfo) {
			s.stats.stalls.Add(1)
			s.watch.begin(troubleStall, fmt.Errorf("writes stall: %s", info.Reason))
		},
		WriteStallEnd: func() { s.watch.end(troubleStall) },
	}
	l.EnsureDefaults(nil)
	return l
}

// counters are the numbers behind Stats.
type counters struct {
	commits, groups, stalls, backgroundErrors atomic.Uint64
}

// Stats are figures for metrics; those that count do so since Open.
type Stats struct {
	// Commits counts the callers' changes, Groups the batches they were merged
	// into. Commits/Groups is how well commits are grouped.
	Commits, Groups uint64
	// Stalls counts the times writes had to wait for flushes or compactions.
	Stalls uint64
	// BackgroundErrors counts failed flushes and compactions.
	BackgroundErrors uint64
	// DiskBytes is what the store takes on disk, logs included; MemoryBytes
	// what its buffers and cache hold.
	DiskBytes, MemoryBytes uint64
	// Sessions is how many sessions' heads are in memory.
	Sessions int
}

// Stats reads the figures. After a failure only the counts are set.
func (s *Store) Stats() Stats {
	st := Stats{
		Commits: s.stats.commits.Load(), Groups: s.stats.groups.Load(),
		Stalls: s.stats.stalls.Load(), BackgroundErrors: s.stats.backgroundErrors.Load(),
	}
	if s.enter(context.Background()) != nil {
		return st
	}
	defer s.leave()
	m := s.db.Metrics()
	st.DiskBytes = m.DiskSpaceUsage()
	st.MemoryBytes = m.MemTable.Size + m.MemTable.ZombieSize + uint64(m.BlockCache.Size)
	s.mu.Lock()
	st.Sessions = len(s.sessions)
	s.mu.Unlock()
	return st
}
