package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// A record stands in one value. One with more Data than recordInline has it in
// chunks of that size instead, written like a blob's: all but the last by a
// commit of its own that waits for no sync, so that other sessions' appends pass
// between them; the value, written last and synced, makes them the record's. No buffer of the engine
// ever has to hold the whole. A crash before that leaves chunks that no value
// names: the session's next large record drops them, or the trim that passes
// them.
const recordInline = 64 << 10

// stored is what the value of a record says.
type stored struct {
	first, last uint64
	cum         uint64 // Data of all the session's records up to and including this one, since its beginning
	size        uint64 // of the Data
	data        []byte // nil when it is in chunks; else a part of the value
	sum         uint32 // crc32c of the Data in chunks
	chunked     bool
}

// encodeRecord makes the value of a record; the difference of two cum is the
// size of what lies between.
func encodeRecord(key []byte, r journal.Record, cum uint64, chunked bool) []byte {
	v := make([]byte, 0, 1+3*binary.MaxVarintLen64+4+4)
	if !chunked {
		v = make([]byte, 0, cap(v)+len(r.Data))
	}
	v = append(v, valueVersion)
	v = binary.AppendUvarint(v, r.Last-r.First)
	v = binary.AppendUvarint(v, cum)
	if !chunked {
		return seal(key, append(v, r.Data...))
	}
	v[0] = valueChunked
	v = binary.AppendUvarint(v, uint64(len(r.Data)))
	return seal(key, binary.LittleEndian.AppendUint32(v, crc(0, r.Data)))
}

// decodeRecord reads the value of a record. last is from the key.
func decodeRecord(key, value []byte, last uint64) (r stored, reason string) {
	body, reason := unsealed(key, value)
	switch {
	case reason != "":
		return r, reason
	case body[0] != valueVersion && body[0] != valueChunked:
		return r, unknownVersion
	}
	r.chunked = body[0] == valueChunked
	body = body[1:]
	var span uint64
	for _, number := range []struct {
		to  *uint64
		bad string
	}{{&span, "bad span"}, {&r.cum, "bad size"}, {&r.size, "bad size"}} {
		if number.to == &r.size && !r.chunked {
			break
		}
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return r, number.bad
		}
		*number.to, body = v, body[n:]
	}
	if span >= last {
		return r, "bad span"
	}
	r.first, r.last = last-span, last
	if !r.chunked {
		r.size, r.data = uint64(len(body)), body
		return r, ""
	}
	if len(body) != 4 || r.size > journal.MaxAppend {
		return r, "bad size"
	}
	r.sum = binary.LittleEndian.Uint32(body)
	return r, ""
}

// large reports whether a record's Data is stored in chunks.
func (s *Store) large(r journal.Record) bool { return len(r.Data) > s.opts.recordInline }

// putLarge writes the Data of the large records among recs and returns the
// batch that their values go into: it holds nothing but chunks.
func (s *Store) putLarge(id string, after uint64, recs []journal.Record) (b *pdb.Batch, err error) {
	b = s.db.NewBatch()
	if !slices.ContainsFunc(recs, s.large) {
		return b, nil
	}
	// What a crash left here.
	must(b.DeleteRange(chunkKey(kindRecordChunk, id, after+1, 0), idEnd(kindRecordChunk, id), nil))
	for _, r := range recs {
		if !s.large(r) {
			continue
		}
		if b, err = s.putChunks(b, kindRecordChunk, id, r.Last, r.Data, s.opts.recordInline, s.opts.recordInline); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// recordData gives a record's Data, which belongs to the caller.
func (s *Store) recordData(ctx context.Context, view pdb.Reader, id string, r stored) ([]byte, error) {
	if !r.chunked {
		return bytes.Clone(r.data), nil
	}
	return s.chunks(ctx, view, blobKind{name: "record", chunk: kindRecordChunk}, id,
		blobHeader{gen: r.last, number: r.last, size: r.size, sum: r.sum})
}
