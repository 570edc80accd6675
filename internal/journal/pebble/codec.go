package pebble

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Key layout. Ids hold no byte below '-', so a zero byte ends them and keys
// sort by id and then by number.
//
//	k NAME                        a secret key
//	m SESSION                     a session's meta; the session exists if this does
//	p PROJECT                     a saved project's header
//	q PROJECT 0 GEN(8) INDEX(4)   a chunk of its graph
//	r SESSION 0 LAST(8)           a record, by its last seq
//	s SESSION                     a snapshot's header
//	t SESSION 0 GEN(8) INDEX(4)   a chunk of the snapshot
//	u SESSION 0 LAST(8) INDEX(4)  a chunk of a large record's Data
//
// Every value but a chunk ends in a crc32c over its key and the rest of it, so
// that a value that was changed, or stands under another key, is found. A
// chunk is covered by the crc of the whole in its header.
const (
	kindKey          = 'k'
	kindMeta         = 'm'
	kindProject      = 'p'
	kindProjectChunk = 'q'
	kindRecord       = 'r'
	kindSnapshot     = 's'
	kindSnapChunk    = 't'
	kindRecordChunk  = 'u'
)

// The first byte of every value but a chunk: valueVersion, or valueChunked for
// a record whose Data is in chunks.
const (
	valueVersion = 1
	valueChunked = 2
)

// crc adds data to a crc32c.
func crc(sum uint32, data []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), data) // the table is made once
}

// nameKey is the key of a value that exists once per id.
func nameKey(kind byte, id string) []byte {
	return append(append(make([]byte, 0, 1+len(id)), kind), id...)
}

// idPrefix begins every numbered key of the id; idEnd is the first key after
// them all.
func idPrefix(kind byte, id string) []byte {
	return append(append(make([]byte, 0, 14+len(id)), kind), append([]byte(id), 0)...)
}

func idEnd(kind byte, id string) []byte {
	return append(append(make([]byte, 0, 2+len(id)), kind), append([]byte(id), 1)...)
}

func recordKey(session string, last uint64) []byte {
	return binary.BigEndian.AppendUint64(idPrefix(kindRecord, session), last)
}

func chunkKey(kind byte, id string, gen uint64, index uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(idPrefix(kind, id), gen), index)
}

// keyNumber reads the 8-byte number that follows an id's prefix; 0, which is no
// record's, when there is none.
func keyNumber(key []byte, prefixLen int) uint64 {
	if len(key) < prefixLen+8 {
		return 0
	}
	return binary.BigEndian.Uint64(key[prefixLen:])
}

// seal appends the crc32c over key and value to value.
func seal(key, value []byte) []byte {
	sum := crc(crc(0, key), value)
	return binary.LittleEndian.AppendUint32(value, sum)
}

// unsealed checks the checksum of a sealed value and returns it without; it is
// not empty.
func unsealed(key, value []byte) (body []byte, reason string) {
	if len(value) < 5 {
		return nil, "value is too short"
	}
	body = value[:len(value)-4]
	sum := crc(crc(0, key), body)
	if sum != binary.LittleEndian.Uint32(value[len(value)-4:]) {
		return nil, "checksum does not match"
	}
	return body, ""
}

// unseal checks version and checksum of a sealed value and returns what is
// between them; reason is not empty when it is damaged.
func unseal(key, value []byte) (body []byte, reason string) {
	body, reason = unsealed(key, value)
	if reason != "" {
		return nil, reason
	}
	if body[0] != valueVersion {
		return nil, unknownVersion
	}
	return body[1:], ""
}

const unknownVersion = "unknown value version"

// blobHeader describes a value that is stored in chunks.
type blobHeader struct {
	gen    uint64 // number of this write, from 1; chunks carry it in their keys
	number uint64 // a snapshot's seq, a project's revision
	size   uint64
	sum    uint32 // crc32c of the whole
	extra  []byte // whatever else the owner keeps in the header
}

func encodeHeader(key []byte, h blobHeader) []byte {
	v := []byte{valueVersion}
	v = binary.AppendUvarint(v, h.gen)
	v = binary.AppendUvarint(v, h.number)
	v = binary.AppendUvarint(v, h.size)
	v = binary.LittleEndian.AppendUint32(v, h.sum)
	return seal(key, append(v, h.extra...))
}

func decodeHeader(key, value []byte) (h blobHeader, reason string) {
	body, reason := unseal(key, value)
	if reason != "" {
		return h, reason
	}
	for _, p := range []*uint64{&h.gen, &h.number, &h.size} {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return h, "bad header"
		}
		*p, body = v, body[n:]
	}
	if len(body) < 4 || h.size > math.MaxInt32*2 {
		return h, "bad header"
	}
	h.sum = binary.LittleEndian.Uint32(body)
	h.extra = append([]byte(nil), body[4:]...)
	return h, ""
}
