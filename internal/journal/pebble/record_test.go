package pebble_test

import (
	"bytes"
	"testing"

	pdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

// chunks counts the chunks that are stored of a session's records.
func chunks(t *testing.T, s *pebble.Store, id string) int {
	t.Helper()
	it, err := s.Raw().NewIter(&pdb.IterOptions{
		LowerBound: pebble.RecordChunkKey(id, 0, 0), UpperBound: pebble.RecordChunkKey(id, 1<<63, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = it.Close() }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

// large is a store with session "a": a small record, one in chunks (seq 2 to
// 9), a small one.
func large(t *testing.T) (*pebble.Store, []byte) {
	t.Helper()
	s := open(t, options(vfs.NewMem()))
	if err := s.Create(t.Context(), "a", nil); err != nil {
		t.Fatal(err)
	}
	data := payload("a", 2, 20_000)
	for _, r := range []journal.Record{{First: 1, Last: 1, Data: []byte("x")}, {First: 2, Last: 9, Data: data}, {First: 10, Last: 10, Data: []byte("y")}} {
		if err := s.Append(t.Context(), "a", r.First-1, []journal.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if n := chunks(t, s, "a"); n != (len(data)+2047)/2048 {
		t.Fatalf("%d bytes stand in %d chunks", len(data), n)
	}
	return s, data
}

// SPEC J-17: what is in chunks is read like any other record, counted in the
// log's size, and goes with it.
func TestLargeRecord(t *testing.T) {
	s, data := large(t)
	defer shut(t, s)
	recs, err := s.Read(t.Context(), "a", 0, 1<<20)
	if err != nil || len(recs) != 3 || !bytes.Equal(recs[1].Data, data) || recs[1].First != 2 || recs[1].Last != 9 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	if recs, err := s.Read(t.Context(), "a", 0, 100); err != nil || len(recs) != 1 {
		t.Fatalf("100 bytes hold %d records, %v", len(recs), err)
	}
	if h, err := s.Head(t.Context(), "a"); err != nil || h.Bytes != int64(len(data))+2 {
		t.Fatalf("head %+v, %v", h, err)
	}
	if got := problems(t, s); len(got) != 0 {
		t.Fatalf("check finds %q", got)
	}
	if err := s.Trim(t.Context(), "a", 9); err != nil || chunks(t, s, "a") != 0 {
		t.Fatalf("after the trim %d chunks, %v", chunks(t, s, "a"), err)
	}
	if recs, err := s.Read(t.Context(), "a", 9, 1<<20); err != nil || len(recs) != 1 {
		t.Fatalf("after the trim %d records, %v", len(recs), err)
	}
}

// SPEC J-26: damage in a chunk, or a missing one, is that record's.
func TestDamagedChunk(t *testing.T) {
	s, _ := large(t)
	defer shut(t, s)
	damaged := func() {
		t.Helper()
		recs, err := s.Read(t.Context(), "a", 0, 1<<20)
		corrupt(t, err, "record", "a", 9)
		if len(recs) != 1 {
			t.Fatalf("%d sound records before it", len(recs))
		}
		if got := problems(t, s); len(got) != 1 {
			t.Fatalf("check finds %q", got)
		}
	}
	key := pebble.RecordChunkKey("a", 9, 3)
	flip(t, s, key, 100)
	damaged()
	flip(t, s, key, 100)
	if err := s.Raw().Delete(key, pdb.Sync); err != nil {
		t.Fatal(err)
	}
	damaged()
}

// SPEC J-17: what a crash left of a record that never came to be does no harm
// to the one that takes its place, and is dropped.
func TestChunksThatACrashLeft(t *testing.T) {
	s, _ := large(t)
	defer shut(t, s)
	for index := range uint32(40) { // of a longer record, and of one past it
		put(t, s, pebble.RecordChunkKey("a", 20, index), bytes.Repeat([]byte{7}, 2048))
		put(t, s, pebble.RecordChunkKey("a", 30, index), bytes.Repeat([]byte{8}, 2048))
	}
	if got := problems(t, s); len(got) != 0 {
		t.Fatalf("check finds %q", got)
	}
	before := chunks(t, s, "a") - 80
	data := payload("a", 11, 8_000)
	if err := s.Append(t.Context(), "a", 10, []journal.Record{{First: 11, Last: 20, Data: data}}); err != nil {
		t.Fatal(err)
	}
	recs, err := s.Read(t.Context(), "a", 10, 1<<20)
	if err != nil || len(recs) != 1 || !bytes.Equal(recs[0].Data, data) {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	if n := chunks(t, s, "a") - before; n != (len(data)+2047)/2048 {
		t.Fatalf("%d chunks of it", n)
	}
	if err := s.Delete(t.Context(), "a"); err != nil || chunks(t, s, "a") != 0 {
		t.Fatalf("deleted, and %d chunks are left, %v", chunks(t, s, "a"), err)
	}
}
