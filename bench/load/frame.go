package load

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The opcodes of RFC 6455 that a client meets.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// maxFrame bounds what a server may send in one frame; the test server's
// largest states are far below it.
const maxFrame = 64 << 20

var errMasked = errors.New("load: the server sent a masked frame")

// header is a parsed frame header.
type header struct {
	fin     bool
	opcode  byte
	size    int // of the header itself
	payload int
}

// parseHeader reads a frame header from the start of buf. ok is false when
// buf does not hold a whole header yet.
func parseHeader(buf []byte) (h header, ok bool, err error) {
	if len(buf) < 2 {
		return h, false, nil
	}
	if buf[1]&0x80 != 0 {
		return h, false, errMasked
	}
	h.fin, h.opcode = buf[0]&0x80 != 0, buf[0]&0x0f
	switch n := buf[1] & 0x7f; n {
	case 126:
		if len(buf) < 4 {
			return h, false, nil
		}
		h.size, h.payload = 4, int(binary.BigEndian.Uint16(buf[2:]))
	case 127:
		if len(buf) < 10 {
			return h, false, nil
		}
		size := binary.BigEndian.Uint64(buf[2:])
		if size > maxFrame {
			return h, false, fmt.Errorf("load: a frame of %d bytes", size)
		}
		h.size, h.payload = 10, int(size)
	default:
		h.size, h.payload = 2, int(n)
	}
	return h, true, nil
}

// appendFrame appends one whole client frame, masked with a zero key.
func appendFrame(dst []byte, opcode byte, payload string) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, payload...)
}
