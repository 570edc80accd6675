package pebble_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

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
