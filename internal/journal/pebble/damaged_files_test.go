package pebble_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

// rewrite changes a file in fs.
func rewrite(t *testing.T, fs vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	f, err = fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(change(data)); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func files(t *testing.T, fs vfs.FS, suffix string) []string {
	t.Helper()
	names, err := fs.List("data/store")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range names {
		if strings.HasSuffix(n, suffix) {
			out = append(out, "data/store/"+n)
		}
	}
	slices.Sort(out)
	return out
}

// image is what a crash right now would leave, everything written included.
func imageOf(mem *vfs.MemFS) *vfs.MemFS {
	return mem.CrashClone(vfs.CrashCloneCfg{})
}

// SPEC J-28: a log that ends in the middle of a write is cut there: whole
// appends before it, none of it.
func TestTornTail(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, options(mem))
	c := &client{s: s, l: newLedger()}
	c.create(t.Context(), "s")
	for range 5 {
		c.append(t.Context(), "s", 3, 100)
	}
	left := imageOf(mem)
	shut(t, s)
	logs := files(t, left, ".log")
	name := logs[len(logs)-1]
	var size int
	rewrite(t, left, name, func(b []byte) []byte { size = len(bytes.TrimRight(b, "\x00")); return b })
	last := uint64(99)
	for cut := size; cut > 0; cut -= 97 {
		torn := cloneFS(t, left)
		rewrite(t, torn, name, func(b []byte) []byte { return b[:cut] })
		s := open(t, options(torn))
		h, err := s.Head(t.Context(), "s")
		if errors.Is(err, journal.ErrUnknown) {
			h.Last = 0
		} else if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if h.Last%6 != 0 || h.Last > last {
			t.Fatalf("cut at %d: head %d after %d", cut, h.Last, last)
		}
		last = h.Last
		if got := problems(t, s); len(got) > 0 {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		shut(t, s)
	}
	if last != 0 {
		t.Fatalf("the log cut to nothing still ends at %d", last)
	}
}

func cloneFS(t *testing.T, from *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if _, err := vfs.Clone(from, to, "data", "data"); err != nil {
		t.Fatal(err)
	}
	return to
}

// SPEC J-28: damage in the middle of the log, before what is known to have
// been synced, is no torn tail: it is refused and nothing after it is dropped
// silently.
func TestDamageInTheLogIsNotATornTail(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, options(mem))
	c := &client{s: s, l: newLedger()}
	c.create(t.Context(), "s")
	for range 20 {
		c.append(t.Context(), "s", 1, 200)
	}
	left := imageOf(mem)
	shut(t, s)
	logs := files(t, left, ".log")
	rewrite(t, left, logs[len(logs)-1], func(b []byte) []byte {
		i := bytes.Index(b, payload("s", 5, 10))
		b[i+20] ^= 1
		return b
	})
	refused(t, options(left), fault.Internal, "damaged")
}

// long makes session a 400 seqs long, of data that does not compress well.
func long(t *testing.T, s *pebble.Store) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	for seq := uint64(21); seq <= 400; seq++ {
		data := binary.BigEndian.AppendUint64(fmt.Appendf(nil, "%d ", seq), rng.Uint64())
		for range 8 {
			data = binary.BigEndian.AppendUint64(data, rng.Uint64())
		}
		if err := s.Append(t.Context(), "a", seq-1, []journal.Record{{First: seq, Last: seq, Data: data}}); err != nil {
			t.Fatal(err)
		}
	}
}

// SPEC J-26: a flipped byte in a table file is found by the first read of it
// and by the check, which goes on with the rest.
func TestFlippedByteInATable(t *testing.T) {
	mem := vfs.NewMem()
	s := filled(t, mem)
	long(t, s)
	if err := s.Raw().Flush(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	tables := files(t, mem, ".sst")
	found := 0
	for _, name := range tables {
		for _, at := range []int{100, 3000, 9000} {
			damaged := cloneFS(t, mem)
			hit := false
			rewrite(t, damaged, name, func(b []byte) []byte {
				if hit = at < len(b)-200; hit {
					b[at] ^= 1
				}
				return b
			})
			if !hit {
				continue
			}
			o := options(damaged)
			o.ReadOnly = true
			s, err := pebble.Open(t.Context(), o)
			if err != nil {
				if !fault.Is(err, fault.Internal) {
					t.Fatalf("%s at %d: %v", name, at, err)
				}
				found++
				continue
			}
			if got := problems(t, s); len(got) == 0 {
				t.Errorf("%s at %d: not found", name, at)
			} else {
				found++
			}
			recs, err := s.Read(t.Context(), "a", 20, 1<<20)
			if err == nil && len(recs) != 380 {
				t.Errorf("%s at %d: %d records and no error", name, at, len(recs))
			}
			if err != nil && !errors.Is(err, journal.ErrCorrupt) {
				t.Errorf("%s at %d: %v", name, at, err)
			}
			if s.Err() != nil {
				t.Errorf("%s at %d: the store failed: %v", name, at, s.Err())
			}
			shut(t, s)
		}
	}
	if found == 0 {
		t.Fatalf("no byte of %v could be damaged", tables)
	}
}

// SPEC J-26: damage that a compaction meets is no failure of the store: what is
// sound can still be read and written.
func TestCompactionMeetsDamage(t *testing.T) {
	mem := vfs.NewMem()
	s := filled(t, mem)
	long(t, s)
	shut(t, s)
	damaged := 0
	for _, name := range files(t, mem, ".sst") {
		rewrite(t, mem, name, func(b []byte) []byte {
			if len(b) > 8000 {
				b[5000] ^= 1
				damaged++
			}
			return b
		})
	}
	if damaged == 0 {
		t.Fatal("no table is large enough")
	}
	o := options(mem)
	o.StallTimeout = 300 * time.Millisecond
	s = open(t, o)
	defer shut(t, s)
	c := &client{s: s, l: newLedger()}
	c.create(t.Context(), "aa") // among what is damaged, so that a compaction meets both
	c.append(t.Context(), "aa", 3, 100)
	ctx, cancel := context.WithTimeout(t.Context(), o.StallTimeout)
	defer cancel()
	_ = s.Raw().Compact(ctx, []byte("a"), []byte("z"), false) // tries until ctx ends
	deadline := time.After(2 * o.StallTimeout)
	select {
	case <-s.Failed():
		t.Fatalf("failed with %v", s.Err())
	case <-deadline:
	}
	c.append(t.Context(), "aa", 3, 100)
	if len(c.errs) > 0 || len(problems(t, s)) == 0 {
		t.Fatalf("answered %v", c.errs)
	}
	n := s.Stats().BackgroundErrors
	t.Logf("%d attempts", n)
	if n == 0 {
		t.Fatal("the damage was not met")
	}
}
