package pebble

import (
	"context"
	"errors"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// A snapshot or saved graph can be large. It is stored in chunks, written in
// several small commits, so that other sessions' appends pass between them;
// the last commit writes the header, which makes the new chunks the value and
// drops the old ones. A crash before that leaves chunks that no header names;
// the next write drops them.
const (
	chunkBytes = 256 << 10
	// blobBatch is how many bytes of chunks go into one commit.
	blobBatch = 1 << 20
)

// blobKind says under which keys a blob lives.
type blobKind struct {
	name          string // for CorruptError
	header, chunk byte
}

// snapshots and graphs are the two kinds of blobs.
func snapshots() blobKind {
	return blobKind{name: "snapshot", header: kindSnapshot, chunk: kindSnapChunk}
}
func graphs() blobKind {
	return blobKind{name: "project", header: kindProject, chunk: kindProjectChunk}
}

// putBlob stores data as the blob's next generation. number and extra go into
// the header. final makes the last commit durable. One writer per blob at a
// time.
func (s *Store) putBlob(k blobKind, id string, old blobHeader, number uint64, extra, data []byte, final func(*pdb.Batch) error) error {
	h := blobHeader{
		gen: old.gen + 1, number: number, size: uint64(len(data)),
		sum: crc(0, data), extra: extra,
	}
	b := s.db.NewBatch()
	// What a crash left of this generation.
	must(b.DeleteRange(chunkKey(k.chunk, id, h.gen, 0), idEnd(k.chunk, id), nil))
	b, err := s.putChunks(b, k.chunk, id, h.gen, data, s.opts.chunkBytes, s.opts.blobBatch)
	if err != nil {
		return err
	}
	key := nameKey(k.header, id)
	must(b.Set(key, encodeHeader(key, h), nil))
	if old.gen > 0 {
		must(b.DeleteRange(idPrefix(k.chunk, id), chunkKey(k.chunk, id, h.gen, 0), nil))
	}
	return final(b)
}

// putChunks adds data to b in chunks of size bytes. Whenever b holds batch bytes
// and more is to come it is committed, not synced, and another goes on; the one
// that is open at the end is returned.
func (s *Store) putChunks(b *pdb.Batch, kind byte, id string, gen uint64, data []byte, size, batch int) (*pdb.Batch, error) {
	for index := uint32(0); len(data) > 0; index++ {
		n := min(len(data), size)
		must(b.Set(chunkKey(kind, id, gen, index), data[:n], nil))
		data = data[n:]
		if b.Len() >= batch && len(data) > 0 {
			if err := s.commit(b, false); err != nil {
				return nil, err
			}
			b = s.db.NewBatch()
		}
	}
	return b, nil
}

// header reads a blob's header; gen 0 when there is none.
func (s *Store) header(r pdb.Reader, k blobKind, id string) (blobHeader, error) {
	key := nameKey(k.header, id)
	value, err := s.get(r, key)
	if err != nil {
		return blobHeader{}, s.readFailed(k.name, id, 0, err)
	}
	if value == nil {
		return blobHeader{}, nil
	}
	h, reason := decodeHeader(key, value)
	if reason != "" {
		return h, journal.Corrupt(&journal.CorruptError{Kind: k.name, Name: id, Reason: reason})
	}
	return h, nil
}

// blob reads a whole blob from one view of the store; gen 0 when there is none.
func (s *Store) blob(ctx context.Context, k blobKind, id string) (h blobHeader, data []byte, err error) {
	view := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, view.Close()) }()
	return s.blobIn(ctx, view, k, id)
}

func (s *Store) blobIn(ctx context.Context, view pdb.Reader, k blobKind, id string) (h blobHeader, data []byte, err error) {
	h, err = s.header(view, k, id)
	if err != nil || h.gen == 0 {
		return h, nil, err
	}
	data, err = s.chunks(ctx, view, k, id, h)
	return h, data, err
}

// chunks collects and checks the bytes that h describes.
func (s *Store) chunks(ctx context.Context, r pdb.Reader, k blobKind, id string, h blobHeader) (data []byte, err error) {
	damaged := func(reason string) error {
		return journal.Corrupt(&journal.CorruptError{Kind: k.name, Name: id, Seq: h.number, Reason: reason})
	}
	it, err := r.NewIter(&pdb.IterOptions{
		LowerBound: chunkKey(k.chunk, id, h.gen, 0), UpperBound: chunkKey(k.chunk, id, h.gen+1, 0),
	})
	if err != nil {
		return nil, s.readFailed(k.name, id, h.number, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	data = make([]byte, 0, min(h.size, 64<<20)) // beyond that it grows with what is there
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, s.readFailed(k.name, id, h.number, err)
		}
		data = append(data, v...)
		if uint64(len(data)) > h.size {
			return nil, damaged("longer than its header says")
		}
		if ctx.Err() != nil {
			return nil, journal.Unavailable(ctx.Err())
		}
	}
	switch err := it.Error(); {
	case err != nil:
		return nil, s.readFailed(k.name, id, h.number, err)
	case uint64(len(data)) != h.size:
		return nil, damaged("shorter than its header says")
	case crc(0, data) != h.sum:
		return nil, damaged("checksum does not match")
	}
	return data, nil
}

// PutSnapshot implements journal.Journal. It uses no extra memory beyond about
// 2 MiB, whatever the snapshot's size.
func (s *Store) PutSnapshot(ctx context.Context, id string, seq uint64, data []byte) error {
	if int64(len(data)) > journal.MaxSnapshot {
		return journal.TooLarge("snapshot", int64(len(data)), journal.MaxSnapshot)
	}
	return s.with(ctx, id, true, func(t *session) error {
		t.snap.Lock()
		defer t.snap.Unlock()
		if head, _ := t.position(); seq == 0 || seq > head {
			return journal.Invalid("snapshot at seq %d of a session at %d", seq, head)
		}
		old, err := s.header(s.db, snapshots(), id)
		if err != nil && !errors.Is(err, journal.ErrCorrupt) {
			return err
		}
		if old.number > seq {
			return nil
		}
		return s.putBlob(snapshots(), id, old, seq, nil, data, s.durable)
	})
}

// Snapshot implements journal.Journal.
func (s *Store) Snapshot(ctx context.Context, id string) (seq uint64, data []byte, err error) {
	err = s.with(ctx, id, false, func(*session) error {
		h, d, err := s.blob(ctx, snapshots(), id)
		if err != nil {
			return err
		}
		seq, data = h.number, d
		return nil
	})
	return seq, data, err
}
