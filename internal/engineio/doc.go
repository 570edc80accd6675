// Package engineio is a server for Engine.IO protocol 4: handshake, HTTP long
// polling, WebSocket, the upgrade between them, heartbeat, and the writer that
// makes broadcasts cheap.
//
// # What it owns
//
// A Conn is one Engine.IO session, whatever transport carries it. Everything
// that leaves it goes through one queue of finished WebSocket frames, so order
// holds across answers, broadcasts and the upgrade; a polling response is made
// from the same frames. A Group is a set of subscribers that receive the same
// messages: a message is encoded once per form, and each lane (there are as
// many as processors) joins all that is pending and does one non-blocking write
// per connection and flush.
//
// # Concurrency
//
// All exported methods are safe for concurrent use. A conn costs one reading
// goroutine while it is on WebSocket and none while it is on polling; a second
// one exists only while its socket does not take what is queued. Timers are
// kept in one heap per lane. Locks are taken in this order and never across a
// blocking call: Conn.mu, shard.mu, lane.mu.
//
// # What it does not do
//
// It knows no namespaces, events or acknowledgements (package socketio does),
// and no WebTransport, JSONP or protocol revision 3.
package engineio
