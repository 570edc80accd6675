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
	"sync"
	"testing"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

// filled is a store with sessions a and b of ten records, a snapshot of each,
// a project p and a key.
func filled(t *testing.T, fs vfs.FS) *pebble.Store {
	t.Helper()
	s := open(t, options(fs))
	c := &client{s: s, l: newLedger()}
	for _, id := range []string{"a", "b"} {
		c.create(t.Context(), id)
		for range 10 {
			c.append(t.Context(), id, 1, 20)
		}
		c.snapshot(t.Context(), id, 3000)
	}
	c.save(t.Context(), "p", 3000)
	if _, err := s.Key(t.Context(), "k", func() ([]byte, error) { return []byte("secret"), nil }); err != nil {
		t.Fatal(err)
	}
	if len(c.errs) > 0 {
		t.Fatal(c.errs)
	}
	return s
}

func problems(t *testing.T, s *pebble.Store) []string {
	t.Helper()
	var found []string
	sum, err := s.Verify(t.Context(), func(p pebble.Problem) { found = append(found, p.String()) })
	if err != nil || sum.Problems != len(found) {
		t.Fatalf("verify: %+v, %v", sum, err)
	}
	slices.Sort(found)
	return found
}

// corrupt fails unless err tells damage at that place.
func corrupt(t *testing.T, err error, kind, name string, seq uint64) {
	t.Helper()
	var c *journal.CorruptError
	if !errors.As(err, &c) || !errors.Is(err, journal.ErrCorrupt) || !fault.Is(err, fault.Internal) {
		t.Fatalf("got %v, want damage in %s %s", err, kind, name)
	}
	if c.Kind != kind || c.Name != name || c.Seq != seq {
		t.Fatalf("got damage in %s %q at %d, want %s %q at %d", c.Kind, c.Name, c.Seq, kind, name, seq)
	}
}

// flip changes one byte of a stored value.
func flip(t *testing.T, s *pebble.Store, key []byte, at int) {
	t.Helper()
	v, closer, err := s.Raw().Get(key)
	if err != nil {
		t.Fatal(err)
	}
	v = bytes.Clone(v)
	_ = closer.Close()
	if at < 0 {
		at += len(v)
	}
	v[at] ^= 0x40
	put(t, s, key, v)
}

func put(t *testing.T, s *pebble.Store, key, value []byte) {
	t.Helper()
	if err := s.Raw().Set(key, value, pdb.Sync); err != nil {
		t.Fatal(err)
	}
}

// SPEC J-26: a flipped byte anywhere in a stored record is reported with
// session and seq; the records before it are still given, none is skipped.
func TestFlippedByteInARecord(t *testing.T) {
	s := filled(t, vfs.NewMem())
	defer shut(t, s)
	key := pebble.RecordKey("a", 12)
	v, closer, err := s.Raw().Get(key)
	if err != nil {
		t.Fatal(err)
	}
	sound := bytes.Clone(v)
	_ = closer.Close()
	for at := range sound {
		flip(t, s, key, at)
		recs, err := s.Read(t.Context(), "a", 4, 1<<20)
		corrupt(t, err, "record", "a", 12)
		if len(recs) != 3 || recs[2].Last != 10 {
			t.Fatalf("got %d sound records before the damaged one", len(recs))
		}
		put(t, s, key, sound)
	}
	flip(t, s, key, 5)
	if got := problems(t, s); len(got) != 1 || !strings.HasPrefix(got[0], "corrupt record a seq 12: checksum") {
		t.Fatalf("got %q", got)
	}
	if recs, err := s.Read(t.Context(), "a", 12, 1<<20); err != nil || len(recs) != 4 {
		t.Fatalf("after the damage: %d records, %v", len(recs), err)
	}
	put(t, s, key, sound[:3])
	_, err = s.Read(t.Context(), "a", 11, 1<<20)
	corrupt(t, err, "record", "a", 12)
}

// SPEC J-26: a record that is missing, of another place, or whose neighbours
// do not fit is reported too.
func TestMisplacedRecords(t *testing.T) {
	s := filled(t, vfs.NewMem())
	defer shut(t, s)
	raw := s.Raw()
	if err := raw.Delete(pebble.RecordKey("a", 8), pdb.Sync); err != nil {
		t.Fatal(err)
	}
	recs, err := s.Read(t.Context(), "a", 0, 1<<20)
	corrupt(t, err, "record", "a", 7)
	if len(recs) != 3 {
		t.Fatalf("got %d records", len(recs))
	}
	_, err = s.Read(t.Context(), "a", 6, 1<<20)
	corrupt(t, err, "record", "a", 7)

	// Another session's record under this one's key.
	v, closer, err := raw.Get(pebble.RecordKey("a", 4))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, pebble.RecordKey("b", 4), bytes.Clone(v))
	_ = closer.Close()
	_, err = s.Read(t.Context(), "b", 2, 1<<20)
	corrupt(t, err, "record", "b", 4)

	// A sound record that overlaps its neighbour, and one of a wrong size.
	put(t, s, pebble.RecordKey("b", 10), pebble.EncodeRecord("b", journal.Record{First: 7, Last: 10}, 1))
	_, err = s.Read(t.Context(), "b", 6, 1<<20)
	corrupt(t, err, "record", "b", 9)

	want := []string{
		"corrupt record a seq 7: missing, up to seq 8",
		"corrupt record b seq 12: the log's size does not add up here",
		"corrupt record b seq 4: checksum does not match",
		"corrupt record b seq 9: missing, up to seq 6",
	}
	if d := cmp.Diff(want, problems(t, s)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
}

// SPEC J-26
func TestDamagedHead(t *testing.T) {
	mem := vfs.NewMem()
	s := filled(t, mem)
	flip(t, s, pebble.RecordKey("a", 20), -1)
	flip(t, s, pebble.RecordKey("b", 2), 1)
	shut(t, s)
	s = open(t, options(mem))
	defer shut(t, s)
	_, err := s.Head(t.Context(), "a")
	corrupt(t, err, "record", "a", 20)
	corrupt(t, s.Append(t.Context(), "a", 20, one(21)), "record", "a", 20)
	_, err = s.Head(t.Context(), "b")
	corrupt(t, err, "record", "b", 2)
	corrupt(t, s.Trim(t.Context(), "b", 4), "record", "b", 2)
	_, err = s.Read(t.Context(), "b", 0, 10)
	corrupt(t, err, "record", "b", 2)
	if recs, err := s.Read(t.Context(), "b", 2, 1<<20); err != nil || len(recs) != 9 {
		t.Fatalf("the sound part: %d, %v", len(recs), err)
	}
}

// SPEC J-27
func TestDamagedValues(t *testing.T) {
	mem, ctx := vfs.NewMem(), t.Context()
	s := filled(t, mem)
	flip(t, s, pebble.MetaKey("a"), 2)
	flip(t, s, pebble.SnapshotKey("a"), 2)
	flip(t, s, pebble.SnapChunkKey("b", 1), 2)
	flip(t, s, pebble.ProjectKey("p"), -2)
	flip(t, s, pebble.SecretKey("k"), 1)
	shut(t, s)
	s = open(t, options(mem))
	defer shut(t, s)
	_, err := s.Meta(ctx, "a")
	corrupt(t, err, "meta", "a", 0)
	_, _, err = s.Snapshot(ctx, "a")
	corrupt(t, err, "snapshot", "a", 0)
	_, _, err = s.Snapshot(ctx, "b")
	corrupt(t, err, "snapshot", "b", 20)
	_, err = s.Projects().Get(ctx, "p")
	corrupt(t, err, "project", "p", 0)
	_, err = s.Projects().List(ctx, "", 10)
	corrupt(t, err, "project", "p", 0)
	_, err = s.Projects().Put(ctx, savedProject("p"), 1)
	corrupt(t, err, "project", "p", 0)
	_, err = s.Key(ctx, "k", func() ([]byte, error) { return []byte("new"), nil })
	corrupt(t, err, "key", "k", 0)
	want := []string{
		"corrupt key k: checksum does not match",
		"corrupt meta a: checksum does not match",
		"corrupt project p: checksum does not match",
		"corrupt snapshot a: checksum does not match",
		"corrupt snapshot b seq 20: checksum does not match",
	}
	if d := cmp.Diff(want, problems(t, s)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	// A damaged snapshot is replaced by the next one; the log is the truth.
	for _, id := range []string{"a", "b"} {
		if err := s.PutSnapshot(ctx, id, 20, []byte("new")); err != nil {
			t.Fatal(err)
		}
		if seq, data, err := s.Snapshot(ctx, id); err != nil || seq != 20 || string(data) != "new" {
			t.Fatalf("%s: %d %q %v", id, seq, data, err)
		}
	}
}

// SPEC J-27: pieces that do not fit their headers, and what belongs to nobody.
func TestStrayValues(t *testing.T) {
	s := filled(t, vfs.NewMem())
	defer shut(t, s)
	raw := s.Raw()
	for _, key := range [][]byte{pebble.MetaKey("a"), pebble.GraphChunkKey("p", 1)} {
		if err := raw.Delete(key, pdb.Sync); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, pebble.SnapshotKey("b"), pebble.EncodeHeader(pebble.SnapshotKey("b"), 1, 99, 10, nil))
	put(t, s, pebble.SnapshotKey("c"), pebble.EncodeHeader(pebble.SnapshotKey("c"), 1, 1, 0, nil))
	put(t, s, pebble.ProjectKey("q"), pebble.EncodeHeader(pebble.ProjectKey("q"), 1, 0, 0, []byte{0, 0}))
	put(t, s, pebble.ProjectKey("r"), pebble.EncodeHeader(pebble.ProjectKey("r"), 1, 1, 0, nil))
	put(t, s, pebble.ProjectKey("s"), pebble.EncodeHeader(pebble.ProjectKey("s"), 1, 1, 0, []byte{0, 9}))
	put(t, s, pebble.ProjectKey("t"), pebble.Seal(pebble.ProjectKey("t"), []byte{1, 1}))
	put(t, s, pebble.SecretKey("k"), pebble.Seal(pebble.SecretKey("k"), []byte{9, 'x'}))
	put(t, s, pebble.MetaKey("a b"), pebble.Seal(pebble.MetaKey("a b"), []byte{1}))
	put(t, s, []byte("zzz"), nil)
	put(t, s, []byte{0xff, 1}, nil)

	want := []string{
		"corrupt key k: unknown value version",
		"corrupt meta a b: malformed session id",
		"corrupt project p seq 1: shorter than its header says",
		"corrupt project q: has no revision",
		"corrupt project r: bad time",
		"corrupt project s: bad template id",
		"corrupt project t: bad header",
		"corrupt record a: belongs to no session",
		"corrupt snapshot b seq 99: longer than its header says",
		"corrupt snapshot c: belongs to no session",
		`corrupt store: unknown key "\xff\x01"`,
		`corrupt store: unknown key "zzz"`,
	}
	if d := cmp.Diff(want, problems(t, s)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
}

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

// SPEC J-22: where Pebble cannot go on it does not: the goroutine stays there
// and the store has failed.
func TestFatalParks(t *testing.T) {
	s := filled(t, vfs.NewMem())
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		s.Fatal("commit failed: %s", "disk on fire")
	}()
	<-s.Failed()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Fatalf("failed with %v", err)
	}
	if _, err := s.Verify(t.Context(), func(pebble.Problem) {}); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("verify: %v", err)
	}
	_, err := s.Projects().Put(t.Context(), savedProject("p"), 1)
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("put: %v", err)
	}
	_ = s.Close(t.Context())
	select {
	case <-returned:
		t.Fatal("Fatalf came back")
	default:
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

// SPEC J-13: a batch larger than any group, among small ones.
func TestLargeAmongSmall(t *testing.T) {
	s := open(t, options(vfs.NewMem()))
	defer shut(t, s)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			c := &client{s: s, l: newLedger()}
			id := fmt.Sprintf("s%d", w)
			c.create(t.Context(), id)
			for i := range 12 {
				size := 100
				if (i+w)%4 == 0 {
					size = 1 << 20
				}
				c.append(t.Context(), id, 2, size)
			}
			if len(c.errs) > 0 {
				t.Error(c.errs)
			}
		})
	}
	wg.Wait()
	if got := problems(t, s); len(got) > 0 {
		t.Fatalf("got %q", got)
	}
}
