package session

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Large entries and snapshots are kept compressed: one huge command must not
// hold the disk, which all sessions share, for longer than it has to. Small
// ones are not worth it.
const (
	packFrom  = 32 << 10
	unpackMax = 1 << 30 // bytes that a stored value may become
	// packWindow is how far back a match is sought. It is most of the memory
	// that packing takes, for as long as that lasts.
	packWindow = 512 << 10
)

// zstdMagic begins a compressed value (RFC 8878, section 3.1.1); JSON never
// begins so.
const zstdMagic = "\x28\xb5\x2f\xfd"

// pack gives the stored form of an encoded entry or snapshot.
func pack(data []byte) []byte {
	if len(data) < packFrom {
		return data
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(packWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return data // constant options: they are valid
	}
	return w.EncodeAll(data, make([]byte, 0, len(data)/4))
}

// unpack gives back what pack was given.
func unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte(zstdMagic)) {
		return data, nil
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(unpackMax))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out, err := r.DecodeAll(data, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, fmt.Errorf("over %d bytes: %w", unpackMax, err)
	}
	return out, err
}
