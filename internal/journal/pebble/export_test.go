package pebble

import (
	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// SmallPieces makes blobs and records of a few kilobytes take many chunks and
// commits.
func SmallPieces(o Options) Options {
	o.chunkBytes, o.blobBatch, o.recordInline = 1<<10, 4<<10, 2<<10
	return o
}

// Raw is the database below, to damage it.
func (s *Store) Raw() *pdb.DB { return s.db }

// Fatal does what Pebble does when it cannot go on; it does not return.
func (s *Store) Fatal(format string, args ...any) { logger{s}.Fatalf(format, args...) }

// Keys of the store, and values as it writes them.
func MetaKey(id string) []byte                  { return nameKey(kindMeta, id) }
func SecretKey(name string) []byte              { return nameKey(kindKey, name) }
func RecordKey(id string, last uint64) []byte   { return recordKey(id, last) }
func SnapshotKey(id string) []byte              { return nameKey(kindSnapshot, id) }
func SnapChunkKey(id string, gen uint64) []byte { return chunkKey(kindSnapChunk, id, gen, 0) }
func ProjectKey(id string) []byte               { return nameKey(kindProject, id) }
func GraphChunkKey(id string, gen uint64) []byte {
	return chunkKey(kindProjectChunk, id, gen, 0)
}
func RecordChunkKey(id string, last uint64, index uint32) []byte {
	return chunkKey(kindRecordChunk, id, last, index)
}
func Seal(key, value []byte) []byte { return seal(key, value) }
func EncodeRecord(id string, r journal.Record, cum uint64) []byte {
	return encodeRecord(recordKey(id, r.Last), r, cum, false)
}
func EncodeHeader(key []byte, gen, number, size uint64, extra []byte) []byte {
	return encodeHeader(key, blobHeader{gen: gen, number: number, size: size, extra: extra})
}
