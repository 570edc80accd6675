package engineio

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// syncLocked moves everything that was broadcast to the conn's groups into its
// queue, so that what is queued next comes after it.
func (c *Conn) syncLocked() {
	if len(c.members) == 0 {
		return
	}
	var few [8]delivery
	all := few[:0]
	for _, m := range c.members {
		all = m.shard.pending(all, m)
	}
	if len(all) == 0 {
		return
	}
	if len(c.members) > 1 {
		slices.SortStableFunc(all, func(a, b delivery) int {
			switch {
			case a.order < b.order:
				return -1
			case a.order > b.order:
				return 1
			}
			return 0
		})
	}
	deflate := c.deflateLocked()
	sent := 0
	for _, d := range all {
		frames := d.msg.Frames(d.sub.form, deflate)
		if c.overLocked(len(frames)) {
			c.overflowLocked()
			break
		}
		c.q.push(frames)
		d.sub.lastTag = d.msg.Tag()
		sent++
	}
	c.srv.stats.deliveries.Add(uint64(sent))
	c.touchLocked()
}

// overLocked reports whether n more broadcast bytes would pass the bound. An
// eighth of it is left to direct answers.
func (c *Conn) overLocked(n int) bool {
	bound := c.srv.cfg.MaxQueue
	return !c.q.empty() && c.q.bytes+n > bound-bound/8
}

// overflowLocked takes all subscribers out of their groups; unlock tells the
// owner. What they have not got is the owner's to send.
func (c *Conn) overflowLocked() {
	left := make(map[*Subscriber][]*Group)
	var order []*Subscriber
	for _, m := range c.members {
		if left[m.sub] == nil {
			order = append(order, m.sub)
		}
		left[m.sub] = append(left[m.sub], m.shard.group)
	}
	for i := len(c.members) - 1; i >= 0; i-- {
		c.dropMemberLocked(i)
	}
	l := c.lateLocked()
	for _, sub := range order {
		l.lags = append(l.lags, lag{sub: sub, tag: sub.lastTag, left: left[sub]})
	}
	c.srv.stats.lagging.Add(1)
}

// deliver gives m what it has not got of b and writes it. It reports whether
// the conn keeps a part of b.bytes.
func (c *Conn) deliver(m *member, b *batch) (kept bool) {
	c.mu.Lock()
	end := b.from + uint64(len(b.entries))
	if m.gone || m.cursor >= end {
		c.mu.Unlock()
		return false
	}
	part := b.bytes[b.offsets[m.cursor-b.from]:]
	if len(c.members) > 1 || c.overLocked(len(part)) {
		c.syncLocked() // message by message
		c.flushLocked()
		c.unlock()
		return false
	}
	c.srv.stats.deliveries.Add(end - m.cursor)
	m.cursor = end
	m.sub.lastTag = b.entries[len(b.entries)-1].msg.Tag()
	kept = c.writeLocked(part)
	c.unlock()
	return kept
}

// writeLocked writes p behind what is queued. It reports whether the queue
// keeps a part of p.
func (c *Conn) writeLocked(p []byte) (kept bool) {
	if c.ws == nil || c.ws.fd == nil || c.writing || !c.q.empty() {
		c.q.push(p)
		c.flushLocked()
		return true
	}
	n, err := c.ws.fd.write(p)
	c.srv.stats.writes.Add(1)
	if err != nil {
		c.failLocked(writeReason(err))
		return false
	}
	if n == len(p) {
		return false
	}
	c.q.push(p[n:])
	c.drainLocked()
	return true
}

// flushLocked is flushWith for the lane, whose scratch it uses.
func (c *Conn) flushLocked() { c.flushWith(c.lane.scratch) }

// flushWith writes the queue as far as the socket takes it without waiting, and
// leaves the rest to a goroutine. scratch is the caller's while it runs.
func (c *Conn) flushWith(scratch []byte) {
	switch {
	case c.state == stateClosed || c.writing:
	case c.ws == nil:
		if !c.q.empty() {
			c.wakePollLocked()
		}
	case c.q.empty():
		c.drainedLocked()
	case c.ws.fd == nil:
		c.drainLocked()
	default:
		for !c.q.empty() {
			p := c.q.next(scratch)
			n, err := c.ws.fd.write(p)
			c.srv.stats.writes.Add(1)
			if err != nil {
				c.failLocked(writeReason(err))
				return
			}
			c.q.consume(n)
			if n < len(p) {
				c.drainLocked()
				return
			}
		}
		c.drainedLocked()
	}
}

// drainedLocked is called when everything queued was written.
func (c *Conn) drainedLocked() {
	c.wakeSendersLocked()
	switch {
	case c.state != stateClosing || c.ws == nil:
	case c.ws.heard:
		c.lateLocked().hangUp[0] = c.ws
	default:
		c.lateLocked().finish = c.ws
	}
}

// drainLocked starts the goroutine that writes the queue as the socket takes
// it. It ends when the queue is empty or the conn is closed.
func (c *Conn) drainLocked() {
	c.writing = true
	ws := c.ws
	c.srv.goroutine(func() { c.drain(ws) })
}

func (c *Conn) drain(ws *wsConn) {
	scratch := c.srv.scratch.Get().(*[]byte)
	defer c.srv.scratch.Put(scratch)
	deadline := func() { _ = ws.Conn.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout)) }
	deadline()
	var err error
	if ws.fd != nil {
		err = ws.fd.writeAll(func() []byte { return c.nextChunk(*scratch) }, func(n int) { c.wrote(n); deadline() })
	} else {
		for p := c.nextChunk(*scratch); p != nil && err == nil; p = c.nextChunk(*scratch) {
			var n int
			n, err = ws.Conn.Write(p)
			c.wrote(n)
			deadline()
		}
	}
	if err != nil {
		c.drop(writeReason(err))
	}
}

// nextChunk returns what to write next. nil ends the goroutine that asks: it
// owns the socket's write side no more.
func (c *Conn) nextChunk(scratch []byte) []byte {
	c.mu.Lock()
	defer c.unlock()
	p := c.q.next(scratch)
	if p == nil || c.state == stateClosed {
		if c.state != stateClosed {
			_ = c.ws.Conn.SetWriteDeadline(time.Time{})
			c.drainedLocked()
		}
		c.writing = false
		return nil
	}
	return p
}

func (c *Conn) wrote(n int) {
	c.srv.stats.writes.Add(1)
	c.mu.Lock()
	defer c.unlock()
	if c.state == stateClosed {
		return // the queue is gone
	}
	c.q.consume(n)
	if c.q.bytes < c.srv.cfg.MaxQueue/2 {
		c.wakeSendersLocked()
	}
}

// writeReason says why a conn ends whose write failed.
func writeReason(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonSlow
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return ReasonTransportClose // the peer is gone
	}
	return ReasonTransportError
}
