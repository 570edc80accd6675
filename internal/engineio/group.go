package engineio

import (
	"sync"
	"sync/atomic"
)

// Message is what a Group broadcasts. It is encoded once per form and shared by
// every conn that takes it.
type Message interface {
	// Frames returns the message as finished frames (TextFrame, BinaryFrame)
	// in a form that a Subscriber was made with. With deflate the frames go
	// through it. It is called by several goroutines at once; what it returns
	// is never written to again.
	Frames(form int, deflate func([]byte) []byte) []byte
	// Tag is the caller's number of the message, reported by Lagging.
	Tag() uint64
	// Size is about how many bytes the message has on the wire.
	Size() int
}

// maxPending bounds the bytes that a shard holds for its lane. A broadcast
// beyond it waits for the lane, which never waits for a socket.
const maxPending = 4 << 20

// Group is a set of subscribers that receive the same messages, in the order
// in which Broadcast was called. It is split over the lanes.
type Group struct {
	srv  *Server
	name string

	mu     sync.Mutex // orders broadcasts; makes shards
	shards []*shard   // by lane; nil where nobody ever was
	n      atomic.Int64
}

// NewGroup returns an empty group. It holds no resource of the server.
func (s *Server) NewGroup(name string) *Group {
	return &Group{srv: s, name: name, shards: make([]*shard, len(s.lanes))}
}

// Name returns the name that NewGroup was given.
func (g *Group) Name() string { return g.name }

// Len returns how many subscribers the group has.
func (g *Group) Len() int { return int(g.n.Load()) }

// Broadcast queues m for every subscriber and returns how many there are. It
// does not wait for any socket; it waits for the lanes to take what was
// broadcast before when 4 MiB of that are pending. It must not be called from
// Handler.Lagging.
func (g *Group) Broadcast(m Message) int {
	for full := g.full(); full != nil; full = g.full() {
		full.await() // without g.mu: the lane's owner may need it
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	total := 0
	for _, sh := range g.shards {
		if sh != nil {
			total += sh.append(m)
		}
	}
	return total
}

// full returns a shard that has no room.
func (g *Group) full() *shard {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, sh := range g.shards {
		if sh != nil && sh.isFull() {
			return sh
		}
	}
	return nil
}

// Add makes sub receive what is broadcast from now on. It reports false, and
// does nothing, when sub is in the group already or its conn is not open.
func (g *Group) Add(sub *Subscriber) bool {
	c := sub.conn
	g.mu.Lock()
	sh := g.shards[c.lane.index]
	if sh == nil {
		sh = newShard(g, c.lane)
		g.shards[c.lane.index] = sh
	}
	g.mu.Unlock()

	c.mu.Lock()
	defer c.unlock()
	if c.state != stateOpen || sub.left {
		return false
	}
	first := true
	for _, m := range c.members {
		if m.shard == sh && m.sub == sub {
			return false
		}
		first = first && m.sub != sub
	}
	if first {
		sub.lastTag = 0
	}
	m := &member{sub: sub, shard: sh}
	sh.join(m, c.classOf(sub))
	c.members = append(c.members, m)
	g.n.Add(1)
	return true
}

// Remove makes sub receive nothing that is broadcast from now on; what was
// broadcast before stays queued. It reports whether sub was in the group.
func (g *Group) Remove(sub *Subscriber) bool {
	c := sub.conn
	c.mu.Lock()
	defer c.unlock()
	for i, m := range c.members {
		if m.sub == sub && m.shard.group == g {
			c.syncLocked()
			if i < len(c.members) && c.members[i] == m { // else overflow took it
				c.dropMemberLocked(i)
			}
			return true
		}
	}
	return false
}

// Subscriber is one receiver on a conn; a conn may have several, with
// different forms.
type Subscriber struct {
	conn *Conn
	data any

	// guarded by conn.mu
	form    int
	left    bool
	lastTag uint64   // of the last message of a group since it was in none
	lost    []*Group // that it left with the end of its conn
}

// Subscribe makes a receiver on c that takes messages in the given form. It
// costs nothing until it is added to a group.
func (c *Conn) Subscribe(form int, data any) *Subscriber {
	return &Subscriber{conn: c, form: form, data: data}
}

// Data returns what Subscribe was given.
func (sub *Subscriber) Data() any { return sub.data }

// SetForm changes the form of messages broadcast from now on.
func (sub *Subscriber) SetForm(form int) {
	c := sub.conn
	c.mu.Lock()
	defer c.unlock()
	if sub.form == form {
		return
	}
	c.syncLocked()
	sub.form = form
	c.reclassLocked()
}

// Leave takes sub out of all groups and returns them, also those that it was
// in when its conn ended. What was broadcast before stays queued.
func (sub *Subscriber) Leave() []*Group {
	c := sub.conn
	c.mu.Lock()
	defer c.unlock()
	c.syncLocked()
	groups := sub.lost
	sub.lost = nil
	for i := len(c.members) - 1; i >= 0; i-- {
		if m := c.members[i]; m.sub == sub {
			groups = append(groups, m.shard.group)
			c.dropMemberLocked(i)
		}
	}
	return groups
}

// Close is Leave for good: no later Add has an effect.
func (sub *Subscriber) Close() []*Group {
	sub.conn.mu.Lock()
	sub.left = true
	sub.conn.mu.Unlock()
	return sub.Leave()
}

// member is one subscriber in one group.
type member struct {
	sub    *Subscriber
	shard  *shard
	class  *class // guarded by shard.mu
	index  int    // in class.members, guarded by shard.mu
	cursor uint64 // first message of the shard not yet queued; guarded by conn.mu
	gone   bool   // guarded by conn.mu
}

// classKey is what decides the bytes that a member gets.
type classKey struct {
	form    int
	deflate bool
}

// class is the members of a shard that get the same bytes.
type class struct {
	key     classKey
	members []*member
}

// shard is the part of a group that one lane serves: its members and the log
// of messages that not all of them have got.
type shard struct {
	group *Group
	lane  *lane

	mu      sync.Mutex
	room    sync.Cond // log has shrunk
	log     []entry
	base    uint64 // number of log[0]
	bytes   int
	classes []*class
	count   int
	ready   bool // is in lane.ready
}

type entry struct {
	order uint64 // of the lane: merges what several shards hold for one conn
	msg   Message
}

func newShard(g *Group, l *lane) *shard {
	sh := &shard{group: g, lane: l}
	sh.room.L = &sh.mu
	return sh
}

func (sh *shard) isFull() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.fullLocked()
}

func (sh *shard) fullLocked() bool {
	return sh.count > 0 && sh.bytes > maxPending && !sh.lane.stopped()
}

// await waits until the shard has room.
func (sh *shard) await() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for sh.fullLocked() {
		sh.room.Wait()
	}
}

// append logs m for the members and returns how many there are.
func (sh *shard) append(m Message) int {
	sh.mu.Lock()
	n := sh.count
	if n == 0 {
		sh.mu.Unlock()
		return 0
	}
	sh.log = append(sh.log, entry{order: sh.lane.order.Add(1), msg: m})
	sh.bytes += m.Size()
	wake := !sh.ready
	sh.ready = true
	sh.mu.Unlock()
	if wake {
		sh.lane.wakeShard(sh)
	}
	return n
}

// join adds m at the end of the log. The conn of m is locked.
func (sh *shard) join(m *member, key classKey) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.cursor = sh.base + uint64(len(sh.log))
	sh.count++
	sh.enter(m, key)
}

func (sh *shard) enter(m *member, key classKey) {
	for _, cl := range sh.classes {
		if cl.key == key {
			m.class, m.index = cl, len(cl.members)
			cl.members = append(cl.members, m)
			return
		}
	}
	m.class, m.index = &class{key: key, members: []*member{m}}, 0
	sh.classes = append(sh.classes, m.class)
}

func (sh *shard) exit(m *member) {
	cl := m.class
	last := len(cl.members) - 1
	cl.members[m.index] = cl.members[last]
	cl.members[m.index].index = m.index
	cl.members[last] = nil
	cl.members = cl.members[:last]
	if last > 0 {
		return
	}
	for i, other := range sh.classes {
		if other == cl {
			sh.classes = append(sh.classes[:i], sh.classes[i+1:]...)
			return
		}
	}
}

// drop removes m for good. The conn of m is locked.
func (sh *shard) drop(m *member) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.exit(m)
	sh.count--
	m.gone = true
	sh.group.n.Add(-1)
	if sh.count == 0 {
		sh.room.Broadcast()
	}
}

// pending appends what m has not got to dst and moves its cursor to the end.
func (sh *shard) pending(dst []delivery, m *member) []delivery {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	end := sh.base + uint64(len(sh.log))
	for i := m.cursor; i < end; i++ {
		e := sh.log[i-sh.base]
		dst = append(dst, delivery{order: e.order, sub: m.sub, msg: e.msg})
	}
	m.cursor = end
	return dst
}

// trim drops the first n messages, which every member has got, and reports
// whether more are there.
func (sh *shard) trim(n int) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, e := range sh.log[:n] {
		sh.bytes -= e.msg.Size()
	}
	left := copy(sh.log, sh.log[n:])
	clear(sh.log[left:])
	sh.log = sh.log[:left]
	if left == 0 && cap(sh.log) > 1024 {
		sh.log = nil
	}
	sh.base += uint64(n)
	sh.ready = left > 0
	sh.room.Broadcast()
	return left > 0
}

// Subscribers returns who is in the group now.
func (g *Group) Subscribers() []*Subscriber {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*Subscriber
	for _, sh := range g.shards {
		if sh == nil {
			continue
		}
		sh.mu.Lock()
		for _, cl := range sh.classes {
			for _, m := range cl.members {
				out = append(out, m.sub)
			}
		}
		sh.mu.Unlock()
	}
	return out
}
