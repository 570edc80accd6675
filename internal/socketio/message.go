package socketio

import (
	"encoding/json"
	"strings"
	"sync"

	"github.com/graphroom/graphroom/internal/engineio"
)

// Message is one event for many sockets. It is immutable, safe for concurrent
// use, and encoded at most once for each namespace, with and without offset.
type Message struct {
	body   []byte // ["name",payload
	offset []byte // ,"offset"] or nil
	tag    uint64

	mu       sync.Mutex
	variants []variant
}

type variant struct {
	form     int
	deflated bool
	frames   []byte
}

// NewMessage makes a message of one argument. payload must be valid JSON: one
// that is not is sent as null. tag is the caller's number, reported by
// Handler.Lagging. offset is sent as a trailing argument to sockets that want
// it (Socket.SetOffset), unless it is empty.
func NewMessage(name string, payload json.RawMessage, tag uint64, offset string) *Message {
	if !json.Valid(payload) {
		payload = json.RawMessage("null")
	}
	quoted := quote(name)
	body := make([]byte, 0, len(quoted)+len(payload)+2)
	body = append(append(append(body, '['), quoted...), ',')
	body = append(body, validUTF8(payload)...)
	m := &Message{body: body, tag: tag}
	if offset != "" {
		m.offset = append(append([]byte{','}, quote(offset)...), ']')
	}
	return m
}

// Tag returns the number that NewMessage was given.
func (m *Message) Tag() uint64 { return m.tag }

// Size returns about how many bytes the message has on the wire.
func (m *Message) Size() int { return len(m.body) + len(m.offset) + 32 }

// encode returns the message as finished frames for a namespace. form is one
// number for each pair of namespace and offset.
func (m *Message) encode(form int, namespace string, offset bool, deflate func([]byte) []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.variants {
		if v.form == form && v.deflated == (deflate != nil) {
			return v.frames
		}
	}
	head := AppendPacket(nil, Packet{Type: PacketEvent, Namespace: namespace})
	tail := []byte{']'}
	if offset && m.offset != nil {
		tail = m.offset
	}
	frames := engineio.TextFrame(head, m.body, tail)
	if deflate != nil {
		frames = deflate(frames)
	}
	m.variants = append(m.variants, variant{form: form, deflated: deflate != nil, frames: frames})
	return frames
}

// frames is a Message on its way through a server, whose namespaces give the
// forms their meaning.
type roomMessage struct {
	*Message
	srv *Server
}

// Frames implements engineio.Message.
func (m roomMessage) Frames(form int, deflate func([]byte) []byte) []byte {
	ns := m.srv.order[form/2]
	return m.encode(form, ns.name, form%2 == 1, deflate)
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // a string always marshals
	}
	return b
}

// validUTF8 replaces what is no UTF-8: a text frame with it would close the
// connection.
func validUTF8(raw []byte) []byte {
	return []byte(strings.ToValidUTF8(string(raw), "\uFFFD"))
}
