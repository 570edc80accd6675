package engineio

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxBatch bounds what is joined into one write, in bytes.
const maxBatch = 256 << 10

// lane is one writing goroutine and the conns that it serves: it flushes what
// was queued for them and keeps their timers.
type lane struct {
	srv   *Server
	index int
	batch int // bytes that are joined into one write
	order atomic.Uint64
	wake  chan struct{} // holds one token
	done  atomic.Bool

	mu     sync.Mutex
	ready  []*shard // have messages
	dirty  []*Conn  // have frames in their queue
	timers timerHeap
	until  int64 // server clock, ns: when the goroutine looks without being woken
	next   int64 // server clock, ns: earliest time of the next flush

	// used by the goroutine only
	seen    uint64 // order when the last flush began
	shards  []*shard
	conns   []*Conn
	entries []entry
	classes []classView
	members []*member
	offsets []int
	buf     []byte
	scratch []byte
}

// classView is a class as it was when its shard's flush began; its members are
// lane.members[from:to].
type classView struct {
	key      classKey
	from, to int
}

// delivery is one message on its way to one subscriber.
type delivery struct {
	order uint64
	sub   *Subscriber
	msg   Message
}

func newLane(s *Server, index int) *lane {
	return &lane{srv: s, index: index, batch: min(maxBatch, s.cfg.MaxQueue/4), wake: make(chan struct{}, 1), scratch: make([]byte, 0, 64<<10)}
}

func (l *lane) stopped() bool { return l.done.Load() }

func (l *lane) wakeShard(sh *shard) {
	l.mu.Lock()
	l.ready = append(l.ready, sh)
	l.rouse(l.sleepsLocked())
}

func (l *lane) wakeConn(c *Conn) {
	l.mu.Lock()
	l.dirty = append(l.dirty, c)
	l.rouse(l.sleepsLocked())
}

// sleepsLocked reports whether the goroutine must be woken for what was just
// added: it is the first, and no look at the time of the next flush is planned.
func (l *lane) sleepsLocked() bool {
	return len(l.ready)+len(l.dirty) == 1 && l.until > l.next
}

// schedule sets the time (server clock) at which c.onTimer runs; 0 for never.
func (l *lane) schedule(c *Conn, due int64) {
	l.mu.Lock()
	l.timers.set(c, due)
	l.rouse(due != 0 && due < l.until)
}

// rouse unlocks mu and wakes the goroutine when there is a reason. One that is
// already going to look by itself is left alone.
func (l *lane) rouse(reason bool) {
	l.mu.Unlock()
	if !reason {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run serves until stop is closed.
func (l *lane) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := l.srv.now()
		l.runTimers(now)
		l.mu.Lock()
		flush := len(l.ready)+len(l.dirty) > 0 && now >= l.next
		l.mu.Unlock()
		if flush {
			before := l.order.Load()
			l.flush()
			l.pace(now, int(before-l.seen))
			l.seen = before
			continue
		}
		timer.Reset(time.Duration(l.plan(now) - now))
		select {
		case <-l.wake:
		case <-timer.C:
		case <-stop:
			l.done.Store(true)
			l.release()
			return
		}
	}
}

const (
	paceShare = 10 // a lane flushes for about a tenth of its time,
	paceHalf  = 3  // as long as that takes no more than so many halves of the interval,
	paceFull  = 32 // and not so many messages are joined in one write anyway
)

// pace sets the time of the next flush, after one that began at start and
// joined so many messages.
func (l *lane) pace(start int64, messages int) {
	interval := int64(max(l.srv.cfg.FlushInterval, 0))
	next := start + interval
	if messages < paceFull {
		end := l.srv.now()
		next = end + min(max((end-start)*paceShare, interval), interval*paceHalf/2)
	}
	l.mu.Lock()
	l.next = next
	l.mu.Unlock()
}

// plan notes and returns when to look again without being woken. After a flush
// that is at the time of the next one, whether there is something or not: more
// often than not there is, and then nobody has to wake the goroutine.
func (l *lane) plan(now int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now + int64(time.Hour)
	if due := l.timers.first(); due != 0 && due < at {
		at = due
	}
	if l.next < at && (l.next > now || len(l.ready)+len(l.dirty) > 0) {
		at = l.next
	}
	l.until = at
	return at
}

// release lets broadcasts go that wait for this lane.
func (l *lane) release() {
	l.mu.Lock()
	ready := l.ready
	l.ready = nil
	l.mu.Unlock()
	for _, sh := range ready {
		sh.mu.Lock()
		sh.room.Broadcast()
		sh.mu.Unlock()
	}
}

func (l *lane) runTimers(now int64) {
	for {
		l.mu.Lock()
		c := l.timers.pop(now)
		l.mu.Unlock()
		if c == nil {
			return
		}
		c.onTimer(now)
	}
}

// flush gives every conn of the lane what is pending for it.
func (l *lane) flush() {
	l.mu.Lock()
	l.shards, l.ready = l.ready, l.shards[:0]
	l.conns, l.dirty = l.dirty, l.conns[:0]
	l.mu.Unlock()
	for _, sh := range l.shards {
		l.flushShard(sh)
	}
	for _, c := range l.conns {
		c.mu.Lock()
		c.dirty = false
		c.flushLocked()
		c.unlock()
	}
	clear(l.shards)
	clear(l.conns)
	l.srv.stats.flushes.Add(1)
}

// flushShard delivers the log of a shard as it is now.
func (l *lane) flushShard(sh *shard) {
	sh.mu.Lock()
	from := sh.base
	l.entries = append(l.entries[:0], sh.log...)
	l.classes, l.members = l.classes[:0], l.members[:0]
	for _, cl := range sh.classes {
		start := len(l.members)
		l.members = append(l.members, cl.members...)
		l.classes = append(l.classes, classView{key: cl.key, from: start, to: len(l.members)})
	}
	sh.mu.Unlock()
	for _, cl := range l.classes {
		l.flushClass(cl, from)
	}
	if sh.trim(len(l.entries)) {
		l.wakeShard(sh)
	}
	clear(l.entries)
	clear(l.members)
}

// flushClass delivers lane.entries, the first of which has the number from, to
// the members of one class, in batches.
func (l *lane) flushClass(cl classView, from uint64) {
	for i := 0; i < len(l.entries); {
		b := l.join(cl.key, i, from)
		kept := false
		for _, m := range l.members[cl.from:cl.to] {
			if m.sub.conn.deliver(m, &b) {
				kept = true
			}
		}
		if kept && !b.shared {
			l.buf = nil // some conn still needs it
		}
		i += len(b.entries)
	}
}

// batch is consecutive messages of a shard as the bytes of one class.
type batch struct {
	from    uint64  // number of the first
	entries []entry // the messages
	offsets []int   // where each begins in bytes
	bytes   []byte
	shared  bool // bytes belong to the message, not to the lane
}

// join makes the next batch, beginning at lane.entries[i].
func (l *lane) join(key classKey, i int, from uint64) batch {
	var deflate func([]byte) []byte
	if key.deflate {
		deflate = l.srv.deflate.frames
	}
	l.offsets = append(l.offsets[:0], 0)
	first := l.entries[i].msg.Frames(key.form, deflate)
	if i+1 == len(l.entries) || len(first) >= l.batch {
		return batch{from: from + uint64(i), entries: l.entries[i : i+1], offsets: l.offsets, bytes: first, shared: true}
	}
	buf := append(l.buf[:0], first...)
	end := i + 1
	for ; end < len(l.entries); end++ {
		frames := l.entries[end].msg.Frames(key.form, deflate)
		if len(buf)+len(frames) > l.batch {
			break
		}
		l.offsets = append(l.offsets, len(buf))
		buf = append(buf, frames...)
	}
	l.buf = buf
	return batch{from: from + uint64(i), entries: l.entries[i:end], offsets: l.offsets, bytes: buf}
}
