package engineio

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

// Errors of Conn.Send.
var (
	// ErrClosed means that the conn takes nothing any more.
	ErrClosed = errors.New("engineio: conn is closed")
	// ErrQueueFull means that the peer does not read what it was sent.
	ErrQueueFull = errors.New("engineio: queue is full")
)

// Why a conn ended, as Handler.Close is told. The first six are the words that
// socket.io servers use.
const (
	ReasonTransportClose = "transport close"
	ReasonTransportError = "transport error"
	ReasonPingTimeout    = "ping timeout"
	ReasonParseError     = "parse error"
	ReasonForced         = "forced close"
	ReasonShutdown       = "server shutting down"
	ReasonSlow           = "slow consumer" // took no bytes for WriteTimeout, or too few
)

// Handler is what a Server tells its owner. For one conn, Open comes first,
// messages come one after the other, and Close comes once; Close may come while
// Message runs.
type Handler interface {
	// Open is called before the peer learns that the conn exists.
	Open(*Conn)
	// Message is one message packet. data is only valid during the call. While
	// it runs nothing else is read from the conn, and the heartbeat waits.
	Message(c *Conn, data []byte, binary bool)
	// Close tells that the conn takes nothing any more. It must not block.
	Close(c *Conn, reason string)
	// Lagging tells that the queue of sub's conn reached its bound: sub has
	// left its groups at a message boundary. lastTag is the tag of the last
	// message of a group that was queued for it since it was in none, 0 when
	// there was none. It must not block.
	Lagging(sub *Subscriber, lastTag uint64, left []*Group)
}

type connState uint8

const (
	stateOpen    connState = iota
	stateClosing           // the owner was told; what is queued still goes out
	stateClosed
)

// Conn is one Engine.IO session.
type Conn struct {
	srv  *Server
	lane *lane
	id   string
	req  *http.Request
	addr string // what the limits per address count
	data any    // the owner's, set in Open
	busy atomic.Int32

	// used by the one goroutine that reads
	reads bucket

	// guarded by lane.mu
	timerDue   int64
	timerIndex int // 1 + index in the heap; 0: not in it

	mu       sync.Mutex
	state    connState
	writing  bool // a goroutine of its own writes the queue to the socket
	dirty    bool // is in lane.dirty
	final    PacketType
	ws       *wsConn       // nil while on polling
	probe    *wsConn       // would like to become ws
	poll     *poll         // the GET that waits
	posted   chan struct{} // closed when the POST that is read now is done
	room     chan struct{} // closed when the queue is below half its bound
	done     chan struct{} // closed when state becomes stateClosed
	q        queue
	members  []*member
	late     *late
	pingAt   int64 // server clock: when to ping
	pongBy   int64 // when the pong must be there; 0: none awaited
	expireAt int64 // end of a probe, or of an orderly close; 0: none
}

// late is what must be done after Conn.mu is released: telling the owner, and
// what may wait (closing a socket waits for those who use it).
type late struct {
	lags    []lag
	failure string
	hangUp  [2]*wsConn
	finish  *wsConn // all was written: end its write side
}

type lag struct {
	sub  *Subscriber
	tag  uint64
	left []*Group
}

// ID returns the session id, the secret of its client.
func (c *Conn) ID() string { return c.id }

// Request returns the handshake: method, URL, host, remote address, TLS state
// and those headers that servers look at. It has no body and no context.
func (c *Conn) Request() *http.Request { return c.req }

// SetData stores a value of the owner. Call it in Handler.Open only.
func (c *Conn) SetData(v any) { c.data = v }

// Data returns what SetData stored.
func (c *Conn) Data() any { return c.data }

// Transport returns "polling" or "websocket".
func (c *Conn) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ws != nil {
		return transportWebSocket
	}
	return transportPolling
}

// Queued returns how many bytes wait for the peer.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.q.bytes
}

// Done returns a channel that is closed when the conn is gone, after what was
// queued went out.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doneLocked()
}

func (c *Conn) doneLocked() chan struct{} {
	if c.done == nil {
		c.done = make(chan struct{})
		if c.state == stateClosed {
			close(c.done)
		}
	}
	return c.done
}

// Send queues finished frames behind everything that was sent or broadcast to
// the conn before. It never blocks. It fails with ErrClosed, or with
// ErrQueueFull when the queue stands at its bound. The caller must not write to
// frames afterwards.
func (c *Conn) Send(frames []byte) error {
	c.mu.Lock()
	defer c.unlock()
	if err := c.mayPushLocked(); err != nil {
		return err
	}
	c.pushLocked(frames)
	return nil
}

// SendNow is Send for what somebody waits for: the queue is written at once, as
// far as the socket takes it, and not at the lane's next flush. It takes the
// caller as long as one write that does not wait.
func (c *Conn) SendNow(frames []byte) error {
	c.mu.Lock()
	defer c.unlock()
	if err := c.mayPushLocked(); err != nil {
		return err
	}
	if deflate := c.deflateLocked(); deflate != nil {
		frames = deflate(frames)
	}
	c.q.push(frames)
	scratch, _ := c.srv.scratch.Get().(*[]byte)
	c.flushWith(*scratch)
	c.srv.scratch.Put(scratch)
	return nil
}

// mayPushLocked puts everything before what will be pushed next, and refuses
// when there is no room for it.
func (c *Conn) mayPushLocked() error {
	if c.state != stateOpen {
		return ErrClosed
	}
	c.syncLocked()
	if c.q.bytes >= c.srv.cfg.MaxQueue {
		return ErrQueueFull
	}
	return nil
}

// SendMessage queues m for sub alone, like Send, but first waits until the
// queue is below half its bound. It fails with ErrClosed or the context's
// error, and then has queued nothing.
func (sub *Subscriber) SendMessage(ctx context.Context, m Message) error {
	c := sub.conn
	for {
		c.mu.Lock()
		if c.state != stateOpen {
			c.unlock()
			return ErrClosed
		}
		c.syncLocked()
		if c.q.bytes < c.srv.cfg.MaxQueue/2 {
			c.q.push(m.Frames(sub.form, c.deflateLocked()))
			c.touchLocked()
			c.unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pushLocked queues frames that are for this conn alone.
func (c *Conn) pushLocked(frames []byte) {
	if deflate := c.deflateLocked(); deflate != nil {
		frames = deflate(frames)
	}
	c.q.push(frames)
	c.touchLocked()
}

// deflateLocked returns what compresses frames for the conn, nil when nothing
// does.
func (c *Conn) deflateLocked() func([]byte) []byte {
	if c.ws != nil && c.ws.deflate {
		return c.srv.deflate.frames
	}
	return nil
}

// touchLocked lets the lane flush the queue.
func (c *Conn) touchLocked() {
	if !c.dirty && !c.writing {
		c.dirty = true
		c.lane.wakeConn(c)
	}
}

// unlock releases mu and then tells what happened under it.
func (c *Conn) unlock() {
	late := c.late
	c.late = nil
	c.mu.Unlock()
	if late == nil {
		return
	}
	for _, ws := range late.hangUp {
		if ws != nil {
			ws.hangUp()
		}
	}
	if late.finish != nil {
		late.finish.closeWrite()
	}
	for _, l := range late.lags {
		c.srv.handler.Lagging(l.sub, l.tag, l.left)
	}
	if late.failure != "" {
		c.drop(late.failure)
	}
}

func (c *Conn) lateLocked() *late {
	if c.late == nil {
		c.late = new(late)
	}
	return c.late
}

// failLocked makes unlock drop the conn.
func (c *Conn) failLocked(reason string) { c.lateLocked().failure = reason }

// Close ends the conn in order: what is queued goes out first, for at most
// Config.CloseTimeout. Handler.Close is called with the reason, unless the conn
// was closed before.
func (c *Conn) Close(reason string) { c.end(reason, true) }

// drop ends the conn at once.
func (c *Conn) drop(reason string) { c.end(reason, false) }

func (c *Conn) end(reason string, orderly bool) {
	c.mu.Lock()
	if c.state == stateClosed || (c.state == stateClosing && orderly) {
		c.unlock()
		return
	}
	first := c.state == stateOpen
	if first {
		if orderly {
			c.syncLocked()
		}
		for i := len(c.members) - 1; i >= 0; i-- {
			m := c.members[i]
			m.sub.lost = append(m.sub.lost, m.shard.group)
			c.dropMemberLocked(i)
		}
		c.members = nil
		c.wakeSendersLocked()
	}
	if orderly {
		c.closingLocked()
	} else {
		c.closedLocked()
	}
	c.unlock()
	if first {
		c.srv.stats.countClosed(reason)
		c.srv.handler.Close(c, reason)
	}
}

// closingLocked begins the orderly end.
func (c *Conn) closingLocked() {
	c.state = stateClosing
	if c.final == 0 {
		c.final = PacketClose
	}
	c.pongBy = 0
	c.expireAt = c.srv.now() + int64(c.srv.cfg.CloseTimeout)
	c.lane.schedule(c, c.expireAt)
	c.lateLocked().hangUp[1] = c.probe
	c.probe = nil
	if c.ws != nil {
		if !c.ws.said {
			c.q.push(AppendFrame(nil, opClose, []byte{0x03, 0xe8})) // 1000: normal closure
		}
		c.touchLocked()
		return
	}
	c.wakePollLocked()
}

// closedLocked ends the conn: nothing of it is left in the server.
func (c *Conn) closedLocked() {
	c.state = stateClosed
	if c.final == 0 {
		c.final = PacketClose
	}
	c.q = queue{}
	c.lane.schedule(c, 0)
	c.srv.forget(c)
	c.lateLocked().hangUp = [2]*wsConn{c.ws, c.probe}
	c.probe = nil
	c.wakePollLocked()
	c.wakeSendersLocked()
	if c.done != nil {
		close(c.done)
	}
	c.srv.release(c)
}

func (c *Conn) wakeSendersLocked() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

func (c *Conn) wakePollLocked() {
	if c.poll != nil {
		select {
		case c.poll.wake <- struct{}{}:
		default:
		}
	}
}

// dropMemberLocked takes members[i] out of its group.
func (c *Conn) dropMemberLocked(i int) {
	m := c.members[i]
	m.shard.drop(m)
	last := len(c.members) - 1
	c.members[i] = c.members[last]
	c.members[last] = nil
	c.members = c.members[:last]
}

func (c *Conn) classOf(sub *Subscriber) classKey {
	return classKey{form: sub.form, deflate: c.ws != nil && c.ws.deflate}
}

// reclassLocked puts the members where their form and transport belong.
func (c *Conn) reclassLocked() {
	for _, m := range c.members {
		key := c.classOf(m.sub)
		m.shard.mu.Lock()
		if m.class.key != key {
			m.shard.exit(m)
			m.shard.enter(m, key)
		}
		m.shard.mu.Unlock()
	}
}
