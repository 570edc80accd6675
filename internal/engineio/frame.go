package engineio

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"sync"
)

// Opcodes of RFC 6455 section 5.2 that a server sends.
const (
	OpText   byte = 1
	OpBinary byte = 2
	opClose  byte = 8
)

const (
	finBit      = 0x80
	deflateBit  = 0x40 // RSV1, RFC 7692
	maxHeader   = 10   // of an unmasked frame
	len16       = 126
	len64       = 127
	deflateFrom = 1024 // bytes; below it deflate costs more than it saves
)

// AppendFrame appends one finished, unmasked frame whose payload is the parts.
func AppendFrame(dst []byte, opcode byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	dst = appendHeader(dst, finBit|opcode, n)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// TextFrame returns a finished frame that holds a message packet with this
// text. The text must be UTF-8 and must not hold the byte 0x1e.
func TextFrame(text ...[]byte) []byte {
	n := 1
	for _, p := range text {
		n += len(p)
	}
	dst := appendHeader(make([]byte, 0, maxHeader+n), finBit|OpText, n)
	dst = append(dst, byte(PacketMessage))
	for _, p := range text {
		dst = append(dst, p...)
	}
	return dst
}

// BinaryFrame returns a finished frame that holds a binary message.
func BinaryFrame(data []byte) []byte {
	return AppendFrame(make([]byte, 0, maxHeader+len(data)), OpBinary, data)
}

// packetFrame returns a finished frame with a packet that is not a message.
func packetFrame(t PacketType, data string) []byte {
	return AppendFrame(make([]byte, 0, 2+1+len(data)), OpText, []byte{byte(t)}, []byte(data))
}

func appendHeader(dst []byte, first byte, n int) []byte {
	switch {
	case n < len16:
		return append(dst, first, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, first, len16), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, len64), uint64(n))
	}
}

// NextFrame splits the first finished frame off b. It reads only what
// AppendFrame makes: unmasked and whole; anything else is not ok.
func NextFrame(b []byte) (opcode byte, payload, rest []byte, ok bool) {
	if len(b) < 2 || b[1] > len64 {
		return 0, nil, nil, false
	}
	head, n := 2, uint64(b[1])
	switch n {
	case len16:
		if len(b) < 4 {
			return 0, nil, nil, false
		}
		head, n = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case len64:
		if len(b) < maxHeader {
			return 0, nil, nil, false
		}
		head, n = maxHeader, binary.BigEndian.Uint64(b[2:])
	}
	if n > uint64(len(b)-head) {
		return 0, nil, nil, false
	}
	end := head + int(n)
	return b[0] & 0x0f, b[head:end], b[end:], true
}

// deflater compresses finished frames. It is safe for concurrent use.
type deflater struct{ pool sync.Pool }

func newDeflater() *deflater {
	return &deflater{pool: sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, flate.BestSpeed)
		if err != nil {
			panic(err) // BestSpeed is a valid level
		}
		return w
	}}}
}

// frames returns the same frames with every data frame of some size
// compressed (RFC 7692, no context takeover). b itself is returned when
// nothing is worth it.
func (d *deflater) frames(b []byte) []byte {
	var out []byte
	for rest := b; len(rest) > 0; {
		opcode, payload, next, ok := NextFrame(rest)
		if !ok {
			return b
		}
		whole := rest[:len(rest)-len(next)]
		rest = next
		if len(payload) < deflateFrom || opcode >= opClose {
			out = append(out, whole...)
			continue
		}
		out = d.appendDeflated(out, opcode, payload)
	}
	return out
}

func (d *deflater) appendDeflated(dst []byte, opcode byte, payload []byte) []byte {
	w := d.pool.Get().(*flate.Writer)
	defer d.pool.Put(w)
	var buf bytes.Buffer
	buf.Grow(len(payload) / 2)
	w.Reset(&buf)
	// A bytes.Buffer takes every write.
	_, _ = w.Write(payload)
	_ = w.Flush()
	small := bytes.TrimSuffix(buf.Bytes(), []byte{0, 0, 0xff, 0xff})
	dst = appendHeader(dst, finBit|deflateBit|opcode, len(small))
	return append(dst, small...)
}
