package server

import (
	"context"
	"time"

	"github.com/graphroom/graphroom/internal/socketio"
)

// ackPatience bounds how long an acknowledgement waits for the events of its
// command: a broadcaster that is stuck cannot keep it.
const ackPatience = 50 * time.Millisecond

// eventsFirst waits until the events of what a socket has just done are on
// their way to it, so that it gets them before the acknowledgement, and in one
// write with it. A socket that is still catching up gets them when it is there.
func (k *sockets) eventsFirst(sock *socketio.Socket) {
	p, ok := sock.Get().(*peer)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(sock.Context(), ackPatience)
	defer cancel()
	p.b.settle(ctx, p.b.feed.Next())
}
