package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/graphroom/graphroom/internal/journal"
)

// Pebble cuts its newest log at the first chunk that is not sound, as the torn
// tail of a crash. When later chunks say that this place had been synced it is
// no torn tail but damage, and cutting would drop acknowledged changes without
// a word. Pebble looks for that from the next block on; checkLog also looks in
// the block itself, which is the whole log of a small server.
//
// The chunk format is the one of FormatWALSyncChunks: crc(4) length(2) type(1)
// log number(4) synced offset(8) data, in blocks of 32 KiB.
const (
	logBlock       = 32 << 10
	logHeader      = 19
	logTypeFirst   = 9  // the four types of chunks with a synced offset are
	logTypeLast    = 12 // logTypeFirst to logTypeLast
	logTrailerType = 5
	logOldHeader   = 11 // header without a synced offset; the trailer has one
)

// checkLog returns a CorruptError when the newest log in the store directory
// is damaged where it says that it was synced.
func checkLog(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	var newest uint64
	var name string
	for _, n := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(n, walSuffix), 10, 64)
		if err == nil && strings.HasSuffix(n, walSuffix) && number >= newest {
			newest, name = number, n
		}
	}
	if name == "" {
		return nil
	}
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return err
	}
	at, err := findDamage(f, uint32(newest))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if at >= 0 {
		return &journal.CorruptError{Kind: "store", Reason: fmt.Sprintf(
			"the log %s is damaged at byte %d, which it says was synced", name, at)}
	}
	return nil
}

// findDamage returns the offset of the first chunk that is not sound if a
// later sound chunk says that it was synced; else -1.
func findDamage(r io.Reader, number uint32) (int64, error) {
	block := make([]byte, logBlock)
	bad := int64(-1)
	for start := int64(0); ; start += logBlock {
		n, err := io.ReadFull(r, block)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return -1, err
		}
		b, at := block[:n], 0
		if bad < 0 {
			var ended bool
			if at, ended = soundUpTo(b, number); ended {
				return -1, nil
			}
			if at < n && len(b)-at >= logHeader {
				bad = start + int64(at)
			}
		}
		if bad >= 0 && promises(b[at:], number, bad) {
			return bad, nil
		}
		if n < logBlock {
			return -1, nil
		}
	}
}

// soundUpTo walks the chunks of a block and returns where it met the first one
// that is not sound, or the rest that is too small for one; ended when the log
// ends there as it should.
func soundUpTo(b []byte, number uint32) (at int, ended bool) {
	for at+logOldHeader <= len(b) {
		h := b[at:]
		if h[6] == logTrailerType && binary.LittleEndian.Uint32(h) == 0 && binary.LittleEndian.Uint32(h[7:]) == number+1 {
			return at, true
		}
		size, ok := chunk(h, number)
		if !ok {
			return at, false
		}
		at += size
	}
	return at, false
}

// chunk returns the size of the sound chunk that b begins with.
func chunk(b []byte, number uint32) (size int, ok bool) {
	if len(b) < logOldHeader || binary.LittleEndian.Uint32(b[7:]) != number {
		return 0, false
	}
	header := logHeader
	switch kind := b[6]; {
	case kind >= logTrailerType && kind < logTypeFirst:
		header = logOldHeader
	case kind < logTypeFirst || kind > logTypeLast:
		return 0, false
	}
	size = header + int(binary.LittleEndian.Uint16(b[4:]))
	if size > len(b) {
		return 0, false
	}
	sum := crc(0, b[6:size])
	return size, binary.LittleEndian.Uint32(b) == (sum>>15|sum<<17)+0xa282ead8
}

// promises reports whether any sound chunk in b says that the log was synced
// past offset bad.
func promises(b []byte, number uint32, bad int64) bool {
	for at := 0; at+logHeader <= len(b); at++ {
		h := b[at:]
		if h[6] < logTypeFirst || h[6] > logTypeLast || binary.LittleEndian.Uint32(h[7:]) != number {
			continue
		}
		if int64(binary.LittleEndian.Uint64(h[11:])) <= bad {
			continue
		}
		if _, ok := chunk(h, number); ok {
			return true
		}
	}
	return false
}
