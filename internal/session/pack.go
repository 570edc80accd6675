package session

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/klauspost/compress/zstd"

	"github.com/graphroom/graphroom/internal/graph"
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

// packer makes the stored form of an entry or snapshot while it is written:
// whoever encodes appends to buf and calls spill between the pieces. A large
// value is never there as a whole. A buffer that grows to many megabytes is
// copied in one go, which no goroutine can be taken away from: the collector,
// and with it every other session, would wait.
type packer struct {
	buf  []byte
	out  bytes.Buffer
	zip  *zstd.Encoder // nil while the value is small
	size int           // bytes that have left buf
	step func()        // nil, or called between the pieces
	err  error
}

// newPacker returns one for a value of about that many bytes. step, if any, is
// called between the pieces.
func newPacker(size int, step func()) *packer {
	p := &packer{step: step, buf: make([]byte, 0, min(size, packFrom+packFrom/4))}
	if size > packFrom {
		p.out.Grow(size / 6)
	}
	return p
}

// spill compresses what was appended, once that is worth it.
func (p *packer) spill() {
	if p.step != nil {
		p.step()
	}
	if len(p.buf) < packFrom || p.err != nil {
		return
	}
	p.flush()
}

func (p *packer) flush() {
	if p.zip == nil {
		p.zip, p.err = zstd.NewWriter(&p.out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(packWindow), zstd.WithLowerEncoderMem(true))
	}
	if p.err == nil {
		_, p.err = p.zip.Write(p.buf)
	}
	p.size += len(p.buf)
	p.buf = p.buf[:0]
}

// raw appends data of any size.
func (p *packer) raw(data []byte) {
	for len(data) > 0 {
		n := min(len(data), packFrom)
		p.buf = append(p.buf, data[:n]...)
		data = data[n:]
		p.spill()
	}
}

// base64 appends data of any size as encoding/json writes a []byte.
func (p *packer) base64(data []byte) {
	if data == nil {
		p.buf = append(p.buf, "null"...)
		return
	}
	p.buf = append(p.buf, '"')
	for len(data) > 0 {
		n := min(len(data), packFrom/4*3)
		p.buf = base64.StdEncoding.AppendEncode(p.buf, data[:n])
		data = data[n:]
		p.spill()
	}
	p.buf = append(p.buf, '"')
}

// text appends a key and a string, number a key and a number; nothing when it
// is empty or 0.
func (p *packer) text(key, value string) {
	if value != "" {
		p.buf = appendText(append(p.buf, key...), value)
	}
}

func (p *packer) number(key string, n uint64) {
	if n != 0 {
		p.buf = strconv.AppendUint(append(p.buf, key...), n, 10)
	}
}

// value appends a key and what is small or rare.
func (p *packer) value(key string, v any) error {
	data, err := json.Marshal(v)
	p.buf = append(append(p.buf, key...), data...)
	p.spill()
	return err
}

func (p *packer) changes(changes []graph.Change) (err error) {
	p.buf = append(p.buf, '[')
	for i, c := range changes {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		if p.buf, err = c.AppendJSON(p.buf); err != nil {
			return err
		}
		p.spill()
	}
	p.buf = append(p.buf, ']')
	return nil
}

// done gives the stored form, and the size before it was compressed.
func (p *packer) done() (data []byte, size int, err error) {
	if p.zip == nil && len(p.buf) < packFrom {
		return p.buf, len(p.buf), p.err
	}
	p.flush()
	if p.err == nil {
		p.err = p.zip.Close()
	}
	return p.out.Bytes(), p.size, p.err
}

// unpack gives back what a packer was given.
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
