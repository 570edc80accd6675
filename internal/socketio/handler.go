package socketio

import (
	"context"
	"encoding/json"
)

// Handler is what a namespace does. Any function may be nil. For one socket
// they are called one at a time: Connect; then, when it returned no error,
// Connected, the events, and Disconnect. All of them may take time.
type Handler struct {
	// Connect decides about a client that asks to join, before it is answered.
	// auth is the client's object, {} when it sent none. A *ConnectError is
	// shown to the client, any other error is not: it is logged. ctx ends with
	// the connection. Connect must not emit.
	Connect func(ctx context.Context, s *Socket, auth json.RawMessage) (Accept, error)
	// Connected is called after the client's answer was queued: the first place
	// to emit and to join rooms. It is called even when the connection has ended
	// meanwhile, so that Disconnect always follows a Connect without error.
	Connected func(s *Socket)
	// Event is one event of the client.
	Event func(s *Socket, e Event)
	// Disconnect is called last and once. reason is as other servers name it,
	// for example ReasonClientNamespace.
	Disconnect func(s *Socket, reason string)
	// Lagging is called when more than Config.MaxQueue would be unsent: the
	// socket has left all rooms, and lastTag is the tag of the last Message of a
	// room that was queued for it since it was in none; 0: there was none. The
	// owner sends what follows (Socket.Send) and lets the socket join again,
	// from another goroutine when that takes time. When nil, the connection is
	// closed.
	Lagging func(s *Socket, lastTag uint64)
}

// Accept is the answer to a client that may join.
type Accept struct {
	// PID is a private id, sent when not empty: a client that has one presents
	// it when it connects again, with the last offset it saw.
	PID string
}

// ConnectError refuses a client.
type ConnectError struct {
	// Message is the message of the error that the client sees.
	Message string
	// Data is its data, left out when nil.
	Data any
}

// Error returns the message.
func (e *ConnectError) Error() string { return "socketio: refused: " + e.Message }

// Event is what a client emitted.
type Event struct {
	// Name is the event's name.
	Name string
	// Args are the arguments as JSON. Where the client sent bytes there is a
	// placeholder; see Value.
	Args []json.RawMessage
	// Ack answers the client, once; later calls do nothing. It is nil when the
	// client asked for no answer. It may be called from any goroutine, also
	// after Event returned, and does not block.
	Ack func(args ...any)

	attachments [][]byte
}

// Value decodes argument i with the client's bytes in place: objects are
// map[string]any, arrays []any, numbers json.Number, bytes Binary.
func (e Event) Value(i int) (any, error) { return decodeValue(e.Args[i], e.attachments) }

// Reply is a client's acknowledgement.
type Reply struct {
	// Socket is who answered.
	Socket *Socket
	// Args are the arguments as JSON; see Value.
	Args []json.RawMessage

	attachments [][]byte
}

// Value decodes argument i as Event.Value does.
func (r Reply) Value(i int) (any, error) { return decodeValue(r.Args[i], r.attachments) }

// Why a socket ended, besides the reasons of engineio.
const (
	// ReasonClientNamespace: the client left the namespace.
	ReasonClientNamespace = "client namespace disconnect"
	// ReasonServerNamespace: Socket.Disconnect was called.
	ReasonServerNamespace = "server namespace disconnect"
	// ReasonForcedServer: the server closed the connection, because of
	// Disconnect on another socket or because the client broke the protocol.
	ReasonForcedServer = "forced server close"
)
