// Package load is the project's Socket.IO load client: raw WebSocket over TCP,
// a minimal Engine.IO v4 and Socket.IO v5 on top, and an epoll loop that
// counts, so that the client is never what a measurement measures.
//
// Dial gives a Conn: one blocking connection that reads and writes packets,
// for tests that look at every packet. Pool takes many Conns over and only
// counts what arrives on them: deliveries, order, and the time between the
// stamp in an event's payload and its arrival.
//
// It owns its connections and one goroutine per Pool. A Conn is for one
// reader and one writer at a time; a Pool's methods are safe for concurrent
// use. It speaks websocket only, does not reconnect, knows no binary packets,
// and masks its frames with a zero key, which is legal on the wire and costs
// nothing: it is no client for anything but tests and benchmarks.
package load
