package engineio

import "time"

// maxCredit bounds how much later than it was due a ping may be queued without
// giving the peer more time: the handshake promised when to expect the end.
const maxCredit = 20 * time.Millisecond

// onTimer runs on the lane when the conn's due time has come. It may come
// early or for a reason that is gone: it looks at what is due, does it, and
// schedules the next.
func (c *Conn) onTimer(now int64) {
	c.mu.Lock()
	defer c.unlock()
	switch c.state {
	case stateClosed:
		return
	case stateClosing:
		if now >= c.expireAt {
			c.closedLocked()
			return
		}
	case stateOpen:
		if c.probe != nil && now >= c.expireAt {
			c.lateLocked().hangUp[1] = c.probe // its reader puts the conn in order
			c.expireAt = 0
		}
		c.beatLocked(now)
	}
	c.rescheduleLocked()
}

// beatLocked queues a ping that is due, and fails the conn whose pong is.
func (c *Conn) beatLocked(now int64) {
	switch {
	case c.pongBy == 0 && now >= c.pingAt:
		c.q.push(packetFrame(PacketPing, ""))
		c.touchLocked()
		c.pongBy = now - min(now-c.pingAt, int64(maxCredit)) + int64(c.srv.cfg.PingTimeout)
	case c.pongBy != 0 && now >= c.pongBy && c.busy.Load() > 0:
		// The pong may lie unread behind a message that is being handled.
		c.pongBy = now + int64(c.srv.cfg.PingTimeout)
	case c.pongBy != 0 && now >= c.pongBy:
		c.failLocked(ReasonPingTimeout)
	}
}

// overdue reports whether the conn has missed its pong, also when the lane has
// not come to notice yet.
func (c *Conn) overdue() bool {
	c.mu.Lock()
	defer c.unlock()
	return c.state == stateOpen && c.pongBy != 0 && c.srv.now() >= c.pongBy && c.busy.Load() == 0
}

// pong notes that the peer is alive.
func (c *Conn) pong() {
	c.mu.Lock()
	defer c.unlock()
	if c.state != stateOpen || c.pongBy == 0 {
		return
	}
	c.pongBy = 0
	c.pingAt = c.srv.now() + int64(c.srv.cfg.PingInterval)
	c.rescheduleLocked()
}

// rescheduleLocked sets the timer to what comes first.
func (c *Conn) rescheduleLocked() {
	if c.state == stateClosed {
		return
	}
	due := c.expireAt
	if c.state == stateOpen {
		beat := c.pingAt
		if c.pongBy != 0 {
			beat = c.pongBy
		}
		if due == 0 || beat < due {
			due = beat
		}
	}
	c.lane.schedule(c, due)
}
