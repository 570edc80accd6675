package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// readBuffer is how much one read takes at most; one buffer serves all
// connections of a pool.
const readBuffer = 256 << 10

// Pool counts the events that arrive on many connections. Its one goroutine
// reads them all through epoll into one buffer; no packet is decoded further
// than its event stamp. Make one with NewPool, end it with Close.
//
// A measured event holds KEY STAMP, where KEY is the text that NewPool was
// given and STAMP the sender's reading of CLOCK_MONOTONIC. When ,"n":NUMBER
// follows, the numbers have to count up by one; 0 is not checked. An event
// without the key is counted, no more.
type Pool struct {
	clock  Clock
	key    string
	epoll  int
	wake   int // an eventfd
	done   chan struct{}
	notify chan struct{} // one token: the target may be reached

	mu    sync.Mutex // guards members and stats, held by the loop while it works
	conns []*member
	byFD  map[int32]*member
	stats Stats

	target  atomic.Uint64
	closing atomic.Bool
	buf     []byte
	offset  int // of the stamp in the last event seen
}

// Stats are what a pool has seen since its last Reset. Deliveries, Bytes and
// Latency only count connections that read.
type Stats struct {
	Deliveries uint64
	Bytes      uint64 // read from the sockets, frame headers included
	Reads      uint64 // system calls that got something
	Disordered uint64 // events whose number was not the last plus one
	Unreadable uint64 // frames that hold no packet of a kind we know
	Closed     int    // connections that the server ended
	Latency    Histogram
}

// member is one connection of a pool.
type member struct {
	fd     int
	prefix string
	stalls bool
	dead   bool
	events uint64
	last   uint64 // number of the last event
	rest   []byte // the start of a frame whose end has not come
}

// StampKey is the key of events whose payload begins with the stamp.
const StampKey = `{"t":`

// NewPool returns an empty pool with its goroutine running. key is what stands
// right before the stamp in an event, for example StampKey.
func NewPool(clock Clock, key string) (*Pool, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &Pool{
		clock: clock, key: key, epoll: epoll, wake: wake,
		done: make(chan struct{}), notify: make(chan struct{}, 1),
		byFD: make(map[int32]*member), buf: make([]byte, readBuffer),
	}
	if err := p.watch(wake); err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(wake)
		return nil, err
	}
	go p.loop()
	return p, nil
}

// Add takes a connection over: the caller must not use it any more. With
// stalls set the pool never reads from it. It returns the connection's index
// for Publish.
func (p *Pool) Add(c *Conn, stalls bool) (int, error) {
	fd, err := c.release()
	if err != nil {
		return 0, err
	}
	rest, _ := c.in.Peek(c.in.Buffered())
	m := &member{fd: fd, prefix: "42" + c.prefix, stalls: stalls, rest: append([]byte(nil), rest...)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, m)
	p.byFD[int32(fd)] = m
	if stalls {
		return len(p.conns) - 1, nil
	}
	return len(p.conns) - 1, p.watch(fd)
}

// release hands the connection's file descriptor over, out of the reach of
// the runtime's own poller.
func (c *Conn) release() (int, error) {
	sys, err := c.raw.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd, dupErr := -1, error(nil)
	if err := sys.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return 0, err
	}
	if dupErr != nil {
		return 0, os.NewSyscallError("fcntl", dupErr)
	}
	return fd, c.raw.Close()
}

func (p *Pool) watch(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event))
}

// Publish sends an event from connection i. It fails when the socket's buffer
// is full: a load client does not queue.
func (p *Pool) Publish(i int, event, payload string) error {
	p.mu.Lock()
	m := p.conns[i]
	p.mu.Unlock()
	return m.write(m.prefix + `["` + event + `",` + payload + `]`)
}

func (m *member) write(packet string) error {
	frame := appendFrame(make([]byte, 0, len(packet)+14), opText, packet)
	n, err := unix.Write(m.fd, frame)
	if err == nil && n < len(frame) {
		err = unix.EAGAIN
	}
	return os.NewSyscallError("write", err)
}

// Stats returns what was counted since the last Reset.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Reset starts the statistics anew. The number of events that AwaitAll and
// Fewest know goes on.
func (p *Pool) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats = Stats{}
}

// Fewest returns the smallest number of events that any reading, living
// connection has received since it was added.
func (p *Pool) Fewest() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	fewest, any := ^uint64(0), false
	for _, m := range p.conns {
		if !m.stalls && !m.dead {
			fewest, any = min(fewest, m.events), true
		}
	}
	if !any {
		return 0
	}
	return fewest
}

// AwaitAll blocks until every reading connection has received at least n
// events since it was added. It fails when ctx ends, or when the server
// closed one of them. Only one goroutine may call it at a time.
func (p *Pool) AwaitAll(ctx context.Context, n uint64) error {
	p.target.Store(n)
	p.nudge()
	for {
		behind, dead := p.behind(n)
		if dead > 0 {
			return fmt.Errorf("load: the server closed %d connections", dead)
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-p.notify:
		case <-p.done:
			return errors.New("load: the pool is closed")
		case <-ctx.Done():
			return fmt.Errorf("load: %d connections have not received %d events: %w", behind, n, ctx.Err())
		}
	}
}

func (p *Pool) behind(n uint64) (behind, dead int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.conns {
		switch {
		case m.stalls:
		case m.dead:
			dead++
		case m.events < n:
			behind++
		}
	}
	return behind, dead
}

// Close closes every connection and ends the pool's goroutine.
func (p *Pool) Close() {
	if p.closing.Swap(true) {
		return
	}
	p.nudge()
	<-p.done
	for _, m := range p.conns {
		if !m.dead {
			_ = unix.Close(m.fd)
		}
	}
	_ = unix.Close(p.epoll)
	_ = unix.Close(p.wake)
}

func (p *Pool) nudge() { _, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// loop reads until Close.
func (p *Pool) loop() {
	defer close(p.done)
	events := make([]unix.EpollEvent, 512)
	for !p.closing.Load() {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		p.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == p.wake {
				_, _ = unix.Read(p.wake, p.buf[:8])
			} else if m := p.byFD[e.Fd]; m != nil {
				p.read(m)
			}
		}
		p.mu.Unlock()
		if p.stillBehind() {
			continue
		}
		select {
		case p.notify <- struct{}{}:
		default:
		}
	}
}

// stillBehind looks at the connections in turn until one is short of the
// target, which is the first one looked at for most of the time.
func (p *Pool) stillBehind() bool {
	target := p.target.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, m := range p.conns {
		if !m.stalls && !m.dead && m.events < target {
			p.conns[0], p.conns[i] = m, p.conns[0]
			return true
		}
	}
	return false
}

// read takes what one connection has and counts the whole frames of it.
func (p *Pool) read(m *member) {
	held := copy(p.buf, m.rest)
	n, err := unix.Read(m.fd, p.buf[held:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 {
		p.bury(m)
		return
	}
	p.stats.Reads++
	p.stats.Bytes += uint64(n)
	now := p.clock.Now()
	buf := p.buf[:held+n]
	for len(buf) > 0 {
		h, ok, err := parseHeader(buf)
		if err != nil || h.size+h.payload > readBuffer/2 {
			p.stats.Unreadable++
			p.bury(m)
			return
		}
		if !ok || len(buf) < h.size+h.payload {
			break
		}
		p.frame(m, h, buf[h.size:h.size+h.payload], now)
		if m.dead {
			return
		}
		buf = buf[h.size+h.payload:]
	}
	m.rest = append(m.rest[:0], buf...)
}

func (p *Pool) bury(m *member) {
	m.dead = true
	p.stats.Closed++
	delete(p.byFD, int32(m.fd))
	_ = unix.Close(m.fd)
}

// frame counts one frame.
func (p *Pool) frame(m *member, h header, body []byte, now int64) {
	switch {
	case h.opcode == opText && h.fin && len(body) > len(m.prefix) && string(body[:len(m.prefix)]) == m.prefix:
		p.event(m, body, now)
	case h.opcode == opText && len(body) == 1 && body[0] == '2':
		_ = m.write("3")
	case h.opcode == opText && h.fin && len(body) > 1 && body[0] == '4':
		// an answer to something else: not counted
	case h.opcode == opPing:
		_, _ = unix.Write(m.fd, appendFrame(nil, opPong, string(body)))
	case h.opcode == opClose:
		p.bury(m)
	default:
		p.stats.Unreadable++
	}
}

func (p *Pool) event(m *member, body []byte, now int64) {
	m.events++
	p.stats.Deliveries++
	stamp, number, ok := p.stamp(body)
	if !ok {
		return
	}
	p.stats.Latency.Add(time.Duration(now - stamp))
	if number == 0 {
		return
	}
	if m.last != 0 && number != m.last+1 {
		p.stats.Disordered++
	}
	m.last = number
}

// stamp finds the stamp and number of an event. It looks first where the last
// one was.
func (p *Pool) stamp(body []byte) (stamp int64, number uint64, ok bool) {
	if p.offset < len(p.key) || p.offset > len(body) || string(body[p.offset-len(p.key):p.offset]) != p.key {
		at := bytes.Index(body, []byte(p.key))
		if at < 0 {
			return 0, 0, false
		}
		p.offset = at + len(p.key)
	}
	i := p.offset
	for ; i < len(body) && body[i]-'0' < 10; i++ {
		stamp = stamp*10 + int64(body[i]-'0')
	}
	const numberKey = `,"n":`
	if i+len(numberKey) <= len(body) && string(body[i:i+len(numberKey)]) == numberKey {
		for i += len(numberKey); i < len(body) && body[i]-'0' < 10; i++ {
			number = number*10 + uint64(body[i]-'0')
		}
	}
	return stamp, number, true
}
