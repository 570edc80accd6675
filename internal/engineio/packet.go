package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"unicode/utf8"
)

// PacketType is the first character of a text packet (Engine.IO protocol 4,
// "Protocol").
type PacketType byte

// The packet types. A binary message has no character of its own on WebSocket
// and a `b` on polling; both are PacketMessage with Binary set.
const (
	PacketOpen    PacketType = '0'
	PacketClose   PacketType = '1'
	PacketPing    PacketType = '2'
	PacketPong    PacketType = '3'
	PacketMessage PacketType = '4'
	PacketUpgrade PacketType = '5'
	PacketNoop    PacketType = '6'
)

// separator stands between the packets of a polling payload.
const separator = 0x1e

// ErrParse means that the peer's bytes are no packet.
var ErrParse = errors.New("engineio: invalid packet")

// Packet is one decoded packet. Data is the caller's buffer, not a copy.
type Packet struct {
	Type   PacketType
	Binary bool
	Data   []byte
}

// DecodePacket reads one text packet, as a WebSocket text message holds it.
func DecodePacket(text []byte) (Packet, error) {
	if len(text) == 0 {
		return Packet{}, fmt.Errorf("%w: empty", ErrParse)
	}
	if text[0] < byte(PacketOpen) || text[0] > byte(PacketNoop) {
		return Packet{}, fmt.Errorf("%w: unknown type %q", ErrParse, text[0])
	}
	return Packet{Type: PacketType(text[0]), Data: text[1:]}, nil
}

// DecodePayload reads the packets of a polling body one by one and gives each
// to fn, until one is invalid or fn fails. Base64 is decoded in place: body is
// overwritten.
func DecodePayload(body []byte, fn func(Packet) error) error {
	for {
		part, rest, more := bytes.Cut(body, []byte{separator})
		packet, err := decodePart(part)
		if err != nil {
			return err
		}
		if err := fn(packet); err != nil {
			return err
		}
		if !more {
			return nil
		}
		body = rest
	}
}

func decodePart(part []byte) (Packet, error) {
	if len(part) > 0 && part[0] == 'b' {
		data := part[1:]
		n, err := base64.StdEncoding.Decode(data, data)
		if err != nil {
			return Packet{}, fmt.Errorf("%w: base64", ErrParse)
		}
		return Packet{Type: PacketMessage, Binary: true, Data: data[:n]}, nil
	}
	packet, err := DecodePacket(part)
	if err == nil && !utf8.Valid(part) {
		err = fmt.Errorf("%w: not UTF-8", ErrParse)
	}
	return packet, err
}

// AppendPayload appends the polling form of finished frames to dst, which may
// already end with packets.
func AppendPayload(dst, frames []byte) []byte {
	for len(frames) > 0 {
		opcode, payload, rest, ok := NextFrame(frames)
		if !ok {
			return dst // frames are made by this package: they are whole
		}
		frames = rest
		if opcode != OpText && opcode != OpBinary {
			continue // a control frame means nothing to a poll
		}
		if len(dst) > 0 {
			dst = append(dst, separator)
		}
		if opcode == OpBinary {
			dst = append(dst, 'b')
			dst = base64.StdEncoding.AppendEncode(dst, payload)
			continue
		}
		dst = append(dst, payload...)
	}
	return dst
}
