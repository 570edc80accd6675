package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
)

// breaker fails file operations that match, from the n-th on.
type breaker struct {
	n     int64 // 1 is the first; 0 never
	once  bool  // only the n-th
	match func(errorfs.Op) bool
	err   error

	seen, hit atomic.Int64
}

func (b *breaker) MaybeError(op errorfs.Op) error {
	if b.match != nil && !b.match(op) {
		return nil
	}
	i := b.seen.Add(1)
	if b.n == 0 || i < b.n || b.once && i > b.n {
		return nil
	}
	b.hit.Add(1)
	return b.err
}

func (b *breaker) String() string { return fmt.Sprintf("breaker at %d", b.n) }

// runBroken runs the workload on mem behind b and returns its ledger. It fails
// the test when a call hangs, or when the store acknowledges anything after it
// has failed.
func runBroken(t *testing.T, mem *vfs.MemFS, b *breaker) *ledger {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l := newLedger()
	o := options(errorfs.Wrap(mem, b))
	o.StallTimeout = 200 * time.Millisecond
	s, err := pebble.Open(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			t.Fatalf("%v: open hangs", b)
		}
		if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Internal) {
			t.Fatalf("%v: open: %v", b, err)
		}
		return l
	}
	c := &client{s: s, l: l}
	c.run(ctx)
	for _, err := range c.errs {
		if !errors.Is(err, journal.ErrUncertain) && !errors.Is(err, journal.ErrUnavailable) {
			t.Fatalf("%v: %v", b, err)
		}
	}
	if s.Err() != nil {
		<-s.Failed()
		for what, err := range map[string]error{
			"append": s.Append(ctx, "a", 0, []journal.Record{{First: 1, Last: 1}}),
			"create": s.Create(ctx, "new", nil),
			"read":   func() error { _, err := s.Head(ctx, "a"); return err }(),
		} {
			if !errors.Is(err, journal.ErrUnavailable) || errors.Is(err, journal.ErrUncertain) {
				t.Fatalf("%v: %s after the failure: %v", b, what, err)
			}
		}
	}
	_ = s.Close(ctx) // an error is fine, hanging is not
	if ctx.Err() != nil {
		t.Fatalf("%v: close hangs; failed with %v", b, s.Err())
	}
	return l
}

// SPEC J-20: an error at the n-th file operation, for every n: every
// acknowledged change is there afterwards, no half of another one is, whether
// the process goes on to write what it had buffered or not.
func TestErrorAtEveryOperation(t *testing.T) {
	kinds := []struct {
		name  string
		once  bool
		match func(errorfs.Op) bool
		err   error
	}{
		{"any-once", true, nil, errorfs.ErrInjected},
		{"any-from-then-on", false, nil, syscall.EIO},
		{"disk-full", false, func(op errorfs.Op) bool {
			switch op.Kind {
			case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate, errorfs.OpMkdirAll:
				return true
			}
			return false
		}, syscall.ENOSPC},
		{"fsync-once", true, func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		}, syscall.EIO},
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			counter := &breaker{match: k.match}
			full := runBroken(t, vfs.NewCrashableMem(), counter)
			failed := 0
			step := int64(1)
			if testing.Short() {
				step = 7
			}
			for n := int64(1); n <= counter.seen.Load(); n += step {
				b := &breaker{n: n, once: k.once, match: k.match, err: k.err}
				mem := vfs.NewCrashableMem()
				l := runBroken(t, mem, b)
				if l.acks < full.acks {
					failed++
				}
				for _, percent := range []int{0, 50, 100} {
					l.audit(t, mem.CrashClone(vfs.CrashCloneCfg{
						UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(n), 1)),
					}))
				}
				if t.Failed() {
					t.Fatalf("with %v", b)
				}
			}
			t.Logf("%d operations, %d runs that failed in the middle, %d acknowledged when none fails",
				counter.seen.Load(), failed, full.acks)
		})
	}
}

// crasher takes a crash image around every sync and notes what had been
// acknowledged by then.
type crasher struct {
	vfs.FS
	mem *vfs.MemFS

	mu     sync.Mutex
	ledger func() *ledger
	rng    *rand.Rand
	images []image
}

type image struct {
	fs *vfs.MemFS
	l  *ledger
}

// snap keeps what a crash at this moment would leave. An image during which the
// workload went on, beside this sync of the background's, is taken again.
func (c *crasher) snap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, percent := range []int{0, 60} {
		for range 5 {
			l := c.ledger()
			fs := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng})
			if c.ledger().notes == l.notes {
				c.images = append(c.images, image{fs, l})
				break
			}
		}
	}
}

func (c *crasher) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return c.wrap(c.FS.Create(name, category))
}

// MemFS takes its lock for reading twice in ReuseForWrite, which an image that
// asks for it in between would hold up for good.
func (c *crasher) ReuseForWrite(a, b string, category vfs.DiskWriteCategory) (vfs.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrap(c.FS.ReuseForWrite(a, b, category))
}

func (c *crasher) OpenDir(name string) (vfs.File, error) { return c.wrap(c.FS.OpenDir(name)) }

func (c *crasher) Rename(a, b string) error {
	defer c.snap()
	return c.FS.Rename(a, b)
}

func (c *crasher) Remove(name string) error {
	defer c.snap()
	return c.FS.Remove(name)
}

func (c *crasher) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &crashFile{f, c}, nil
}

type crashFile struct {
	vfs.File
	c *crasher
}

func (f *crashFile) Sync() error {
	f.c.snap()
	defer f.c.snap()
	return f.File.Sync()
}

func (f *crashFile) SyncData() error {
	f.c.snap()
	defer f.c.snap()
	return f.File.SyncData()
}

// SPEC J-21: power loss at every sync point.
func TestCrashAtEverySyncPoint(t *testing.T) {
	var mu sync.Mutex
	l := newLedger()
	mem := vfs.NewCrashableMem()
	fs := &crasher{FS: mem, mem: mem, rng: rand.New(rand.NewPCG(1, 2)), ledger: func() *ledger {
		mu.Lock()
		defer mu.Unlock()
		return l.clone()
	}}
	s := open(t, options(fs))
	c := &client{s: s, l: l, mu: &mu}
	c.run(t.Context())
	shut(t, s)
	if len(c.errs) > 0 {
		t.Fatal(c.errs)
	}
	step := 1
	if testing.Short() {
		step = 5
	}
	for i := 0; i < len(fs.images); i += step {
		fs.images[i].l.audit(t, fs.images[i].fs)
		if t.Failed() {
			t.Fatalf("image %d of %d, after %d acknowledgements", i, len(fs.images), fs.images[i].l.acks)
		}
	}
	t.Logf("%d crash images, %d acknowledgements", len(fs.images), l.acks)
}
