// Package socketio is a server for Socket.IO protocol 5: packets, namespaces,
// rooms, acknowledgements, refusals, and the offsets and private ids from which
// clients recover. It stands on package engineio.
//
// # What it owns
//
// A Server has namespaces, each with a Handler; a Socket is one client in one
// namespace of one connection. Rooms are names that sockets of any namespace
// join; a Message that is broadcast to a room is encoded once per namespace.
//
// # Concurrency
//
// All exported methods are safe for concurrent use. The handler of one socket
// is called by one goroutine at a time, in order: Connect, Connected, events as
// the client sent them, Disconnect. That goroutine exists only while there is
// something to do. A handler that takes its time delays its own socket only;
// when 256 events, or 1 MiB of them, wait for it, its connection is not read until
// half of that is done.
//
// # What it does not do
//
// It keeps no messages for clients that are away, and knows no other server:
// recovery and scaling out are its owner's, with Accept.PID and offsets.
package socketio
