package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// PacketType is the first digit of a packet (Socket.IO protocol 5, "Packet
// types").
type PacketType byte

// The packet types.
const (
	PacketConnect      PacketType = '0'
	PacketDisconnect   PacketType = '1'
	PacketEvent        PacketType = '2'
	PacketAck          PacketType = '3'
	PacketConnectError PacketType = '4'
	PacketBinaryEvent  PacketType = '5'
	PacketBinaryAck    PacketType = '6'
)

// ErrParse means that the client's bytes are no packet that a client may send.
var ErrParse = errors.New("socketio: invalid packet")

// maxIDDigits bounds acknowledgement ids to what a JavaScript number holds.
const maxIDDigits = 15

// Packet is one decoded packet. Data is part of the decoded text: JSON, or nil.
type Packet struct {
	Type        PacketType
	Namespace   string
	ID          uint64 // of the acknowledgement
	HasID       bool
	Attachments int
	Data        []byte
}

// DecodePacket reads the text of one packet and checks that its payload has
// the form that its type demands. Binary packets announce their attachments,
// which follow as messages of their own.
func DecodePacket(text []byte) (Packet, error) {
	var p Packet
	if len(text) == 0 || text[0] < '0' || text[0] > '6' {
		return p, fmt.Errorf("%w: unknown type", ErrParse)
	}
	p.Type, text = PacketType(text[0]), text[1:]
	if p.Type == PacketBinaryEvent || p.Type == PacketBinaryAck {
		n, rest, ok := cutNumber(text)
		if !ok || len(rest) == 0 || rest[0] != '-' || n > 1<<20 {
			return p, fmt.Errorf("%w: attachments", ErrParse)
		}
		p.Attachments, text = int(n), rest[1:]
	}
	p.Namespace = "/"
	if len(text) > 0 && text[0] == '/' {
		end := slices.Index(text, ',')
		if end < 0 {
			end = len(text)
		}
		p.Namespace = string(text[:end])
		text = text[min(end+1, len(text)):]
	}
	if len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
		id, rest, ok := cutNumber(text)
		if !ok {
			return p, fmt.Errorf("%w: acknowledgement id", ErrParse)
		}
		p.ID, p.HasID, text = id, true, rest
	}
	if len(text) > 0 {
		p.Data = text
	}
	return p, p.check()
}

// cutNumber reads the decimal digits at the start of text.
func cutNumber(text []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		n = n*10 + uint64(text[i]-'0')
		if i++; i > maxIDDigits {
			return 0, nil, false
		}
	}
	return n, text[i:], i > 0
}

// check tells whether the payload fits the type.
func (p *Packet) check() error {
	if p.Data != nil && !json.Valid(p.Data) {
		return fmt.Errorf("%w: payload is not JSON", ErrParse)
	}
	first := firstByte(p.Data)
	ok := false
	switch p.Type {
	case PacketConnect:
		ok = first == 0 || first == '{'
	case PacketDisconnect:
		ok = first == 0
	case PacketEvent, PacketBinaryEvent:
		return p.checkEvent()
	case PacketAck, PacketBinaryAck:
		ok = first == '[' && p.HasID
	case PacketConnectError:
		ok = first == '{' || first == '"'
	}
	if !ok {
		return fmt.Errorf("%w: payload", ErrParse)
	}
	return nil
}

func (p *Packet) checkEvent() error {
	items := splitArray(p.Data)
	if len(items) == 0 {
		return fmt.Errorf("%w: an event is an array that begins with its name", ErrParse)
	}
	name, ok := eventName(items[0])
	if !ok {
		return fmt.Errorf("%w: event name", ErrParse)
	}
	if reserved(name) {
		return fmt.Errorf("%w: event name %q is reserved", ErrParse, name)
	}
	return nil
}

// eventName reads the first element of an event: a string or, as other servers
// allow, a number.
func eventName(raw []byte) (string, bool) {
	switch c := firstByte(raw); {
	case c == '"':
		var name string
		err := json.Unmarshal(raw, &name)
		return name, err == nil
	case c == '-' || (c >= '0' && c <= '9'):
		return string(raw), true
	}
	return "", false
}

// reserved tells the names that no packet may carry: clients and servers give
// them a meaning of their own.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// AppendPacket appends the text of p to dst.
func AppendPacket(dst []byte, p Packet) []byte {
	dst = append(dst, byte(p.Type))
	if p.Type == PacketBinaryEvent || p.Type == PacketBinaryAck {
		dst = append(strconv.AppendInt(dst, int64(p.Attachments), 10), '-')
	}
	if p.Namespace != "/" && p.Namespace != "" {
		dst = append(append(dst, p.Namespace...), ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}

// firstByte returns the first byte of a JSON text that is not white space, 0
// when there is none.
func firstByte(raw []byte) byte {
	for _, c := range raw {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

// splitArray returns the elements of a valid JSON array without copying them;
// nil when it is another value.
func splitArray(raw []byte) []json.RawMessage {
	if firstByte(raw) != '[' {
		return nil
	}
	raw = raw[slices.Index(raw, '[')+1:]
	var out []json.RawMessage
	depth, start, inString, some := 0, 0, false, false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case inString && c == '\\':
			i++
		case c == '"':
			inString, some = !inString, true
		case inString:
		case c == '[' || c == '{':
			depth, some = depth+1, true
		case depth > 0 && (c == ']' || c == '}'):
			depth--
		case depth == 0 && (c == ',' || c == ']'):
			if some {
				out = append(out, trimSpace(raw[start:i]))
			}
			if c == ']' {
				return out
			}
			start = i + 1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			some = true
		}
	}
	return out
}

func trimSpace(raw []byte) []byte {
	space := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	for len(raw) > 0 && space(raw[0]) {
		raw = raw[1:]
	}
	for len(raw) > 0 && space(raw[len(raw)-1]) {
		raw = raw[:len(raw)-1]
	}
	return raw
}
