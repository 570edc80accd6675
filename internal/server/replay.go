package server

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/graphroom/graphroom/internal/session"
)

// peer is one joined socket on its way through a session's stream. First it
// pulls, at the pace of its own connection: hello, then what it missed or the
// state, then what has been published since. When it has caught up it is let
// into the room. When its connection cannot keep up it leaves the room at an
// exact place and pulls again. What is pulled is never held for it in memory.
type peer struct {
	ctx    context.Context // ends with the socket
	end    endpoint
	b      *broadcaster
	joined session.Joined
	actor  string
	leave  func(reason string)
	filter *filter

	entered atomic.Pointer[position] // where it was last let in
	left    atomic.Bool
}

// room is the room of the socket's session and filter.
func (p *peer) room() string { return p.filter.room(p.b.room) }

func (p *peer) gone() bool { return p.left.Load() || p.ctx.Err() != nil }

// start begins the peer's stream.
func (h *hub) start(p *peer) {
	h.later(func() {
		at, err := p.catchUp(p.ctx)
		if err == nil {
			err = p.follow(p.ctx, at)
		}
		h.stopped(p, err)
	})
}

// pull lets a peer read on by itself from a place.
func (h *hub) pull(p *peer, at position) {
	h.later(func() { h.stopped(p, p.follow(p.ctx, at)) })
}

// lagging is called when the socket has left the room because too much is
// unsent: everything through the broadcast with that tag is queued.
func (h *hub) lagging(p *peer, tag uint64) {
	h.metrics.lagging.Inc()
	h.later(func() {
		at, ok := p.b.after(p.ctx, tag)
		if e := p.entered.Load(); e != nil && (tag == 0 || (ok && at.cursor != 0 && at.cursor < e.cursor)) {
			at, ok = *e, true // nothing was broadcast to it since it came in
		}
		if !ok {
			if !p.gone() {
				p.end.Reset()
			}
			return
		}
		h.stopped(p, p.follow(p.ctx, at))
	})
}

// stopped handles the end of pulling: nothing when the peer is in the room or
// gone, else the connection is cut and the client recovers with a new one.
func (h *hub) stopped(p *peer, err error) {
	if err == nil || p.gone() {
		return
	}
	h.log.Warn("a socket could not catch up and is cut", "room", p.b.room, "error", err)
	p.end.Reset()
}

// catchUp sends hello and then the missed events or the state, and gives the
// place where the rest of the stream begins.
func (p *peer) catchUp(ctx context.Context) (position, error) {
	j := &p.joined
	at := position{cursor: j.Cursor, seq: j.HeadSeq}
	hello := &j.Hello
	if j.Replay || len(j.State) > 0 {
		hello = withoutOffset(j.Hello)
	}
	if err := p.end.Send(ctx, hello); err != nil {
		return at, err
	}
	if j.Replay {
		if _, err := p.replay(ctx, j.ReplayAfter, j.HeadSeq); err != nil {
			return at, err
		}
	}
	for i := range j.State {
		part := &j.State[i]
		if i < len(j.State)-1 {
			part = withoutOffset(*part)
		}
		if err := p.end.Send(ctx, part); err != nil {
			return at, err
		}
		j.State[i] = session.Item{} // large; not needed again
	}
	j.State = nil
	return at, nil
}

// replay sends the numbered events after one seq through another from the
// journal, or as many of them as are durable, and returns the last one sent.
func (p *peer) replay(ctx context.Context, after, through uint64) (uint64, error) {
	for after < through {
		items, err := p.b.sess.Events(ctx, after, broadcastBatch)
		if err != nil {
			return after, err
		}
		if len(items) == 0 {
			return after, nil
		}
		for i := range items {
			if items[i].Seq > through {
				return after, nil
			}
			if p.filter.wants(&items[i]) {
				if err := p.end.Send(ctx, &items[i]); err != nil {
					return after, err
				}
			}
			after = items[i].Seq
		}
	}
	return after, nil
}

// follow reads the stream from a place on until the socket is in the room.
func (p *peer) follow(ctx context.Context, at position) error {
	for {
		items, _, ok := p.b.feed.Read(at.cursor, broadcastBatch)
		if !ok {
			oldest, head := p.b.feed.Oldest()
			seq, err := p.replay(ctx, at.seq, head)
			if err != nil {
				return err
			}
			at = position{cursor: oldest, seq: max(seq, at.seq)}
			continue
		}
		for _, it := range items {
			if it.Seq > at.seq+1 {
				return fmt.Errorf("the stream has a gap: %d comes after %d", it.Seq, at.seq)
			}
			if (it.Seq == 0 || it.Seq > at.seq) && p.filter.wants(it) {
				if err := p.end.Send(ctx, it); err != nil {
					return err
				}
			}
			at = position{cursor: it.Index + 1, seq: max(at.seq, it.Seq)}
		}
		if len(items) == broadcastBatch {
			continue
		}
		in, err := p.b.splice(ctx, p, at)
		if in || err != nil {
			return err
		}
	}
}

// depart ends the membership and tells the session why.
func (h *hub) depart(p *peer, reason string) {
	if p.left.Swap(true) {
		return
	}
	h.forget(p.b, p)
	p.end.Leave(p.room())
	h.later(func() {
		p.leave(reason)
		h.drop(p.b)
	})
}
