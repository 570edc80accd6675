package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Calls drives connections in a closed loop: each has one request under way
// and sends the next when the answer to it is there. One goroutine, the one
// that calls Run, serves them all through epoll; an answer is looked at no
// further than to see that it is one and that it is no refusal. It is not safe
// for concurrent use. Make one with NewSocketCalls or NewHTTPCalls.
type Calls struct {
	clock Clock
	epoll int
	conns []*callConn
	byFD  map[int32]*callConn
	buf   []byte
	stats CallStats
}

// CallStats are what a Run has measured.
type CallStats struct {
	Done    uint64 // answered with success
	Refused uint64
	Events  uint64 // frames that were no answer
	Elapsed time.Duration
	Latency Histogram // from sending to the answer
	Refusal string    // the first refusal
}

// callConn is one connection. next makes the n-th request, whole, as it goes
// over the wire; parse takes whole answers off buf and returns what is left.
type callConn struct {
	fd    int
	n     uint64
	sent  int64
	open  bool // a request is under way
	out   []byte
	rest  []byte
	next  func(n uint64, dst []byte) []byte
	parse func(c *Calls, m *callConn, buf []byte, now int64) ([]byte, error)
}

func newCalls(clock Clock) (*Calls, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &Calls{clock: clock, epoll: epoll, byFD: map[int32]*callConn{}, buf: make([]byte, readBuffer)}, nil
}

// NewSocketCalls takes connections over. body appends the JSON argument of the
// n-th event of connection i to dst; every event asks for an acknowledgement.
func NewSocketCalls(clock Clock, conns []*Conn, event string, body func(i int, n uint64, dst []byte) []byte) (*Calls, error) {
	c, err := newCalls(clock)
	if err != nil {
		return nil, err
	}
	for i, conn := range conns {
		fd, err := conn.release()
		if err != nil {
			c.Close()
			return nil, err
		}
		rest, _ := conn.in.Peek(conn.in.Buffered())
		scratch := []byte(nil)
		prefix := "42" + conn.prefix
		m := &callConn{fd: fd, rest: bytes.Clone(rest), parse: (*Calls).frames, next: func(n uint64, dst []byte) []byte {
			scratch = append(scratch[:0], prefix...)
			scratch = strconv.AppendUint(scratch, n, 10)
			scratch = append(append(append(scratch, `["`...), event...), `",`...)
			scratch = append(body(i, n, scratch), ']')
			return appendFrame(dst, opText, string(scratch))
		}}
		if err := c.add(m); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// NewHTTPCalls opens n connections to address that POST to path. body appends
// the JSON body of the n-th request of connection i to dst.
func NewHTTPCalls(ctx context.Context, clock Clock, address, path string, n int, body func(i int, n uint64, dst []byte) []byte) (*Calls, error) {
	c, err := newCalls(clock)
	if err != nil {
		return nil, err
	}
	for i := range n {
		raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			c.Close()
			return nil, err
		}
		fd, err := (&Conn{raw: raw.(*net.TCPConn)}).release()
		if err != nil {
			c.Close()
			return nil, err
		}
		head := "POST " + path + " HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/json\r\nContent-Length: "
		scratch := []byte(nil)
		m := &callConn{fd: fd, parse: (*Calls).answers, next: func(n uint64, dst []byte) []byte {
			scratch = body(i, n, scratch[:0])
			dst = strconv.AppendInt(append(dst, head...), int64(len(scratch)), 10)
			return append(append(dst, "\r\n\r\n"...), scratch...)
		}}
		if err := c.add(m); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

func (c *Calls) add(m *callConn) error {
	c.conns = append(c.conns, m)
	c.byFD[int32(m.fd)] = m                                                           //nolint:gosec // descriptors are small
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(m.fd)} //nolint:gosec // as above
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, m.fd, &event))
}

// Close closes every connection.
func (c *Calls) Close() {
	for _, m := range c.conns {
		_ = unix.Close(m.fd)
	}
	_ = unix.Close(c.epoll)
}

// drainWait bounds the wait for the last answers of a Run.
const drainWait = 30 * time.Second

// Run sends until the requests in all reach total (0: no bound) or the duration
// has passed (0: no bound), waits for the answers that are still open and
// returns what it measured. It may be called again. It fails when ctx ends, or
// when the server ends a connection.
func (c *Calls) Run(ctx context.Context, total uint64, duration time.Duration) (CallStats, error) {
	c.stats = CallStats{}
	began := c.clock.Now()
	var sent uint64
	more := func() bool {
		return (total == 0 || sent < total) && (duration == 0 || c.clock.Now()-began < int64(duration)) && ctx.Err() == nil
	}
	open := 0
	for _, m := range c.conns {
		if more() {
			if err := m.send(c.clock.Now()); err != nil {
				return c.stats, err
			}
			sent++
			open++
		}
	}
	events := make([]unix.EpollEvent, 256)
	idle := began
	for open > 0 {
		n, err := unix.EpollWait(c.epoll, events, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return c.stats, os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:max(n, 0)] {
			m := c.byFD[e.Fd]
			was := m.open
			if err := c.read(m); err != nil {
				return c.stats, err
			}
			if !was || m.open {
				continue
			}
			idle = c.clock.Now()
			if open--; more() {
				if err := m.send(idle); err != nil {
					return c.stats, err
				}
				sent++
				open++
			}
		}
		if c.clock.Now()-idle > int64(drainWait) {
			return c.stats, fmt.Errorf("load: %d answers are missing", open)
		}
	}
	c.stats.Elapsed = time.Duration(c.clock.Now() - began)
	return c.stats, ctx.Err()
}

func (m *callConn) send(now int64) error {
	m.out = m.next(m.n, m.out[:0])
	m.n++
	m.sent, m.open = now, true
	n, err := unix.Write(m.fd, m.out)
	if err == nil && n < len(m.out) {
		err = unix.EAGAIN
	}
	return os.NewSyscallError("write", err)
}

func (c *Calls) read(m *callConn) error {
	held := copy(c.buf, m.rest)
	n, err := unix.Read(m.fd, c.buf[held:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if n <= 0 {
		return fmt.Errorf("load: the server ended a connection: %w", errors.Join(err, net.ErrClosed))
	}
	rest, err := m.parse(c, m, c.buf[:held+n], c.clock.Now())
	if err != nil {
		return err
	}
	if len(rest) == len(c.buf) {
		return errors.New("load: an answer is longer than the buffer")
	}
	m.rest = append(m.rest[:0], rest...)
	return nil
}

// answered counts one answer.
func (c *Calls) answered(m *callConn, ok bool, body []byte, now int64) {
	m.open = false
	if !ok {
		if c.stats.Refused == 0 {
			c.stats.Refusal = string(body[:min(len(body), 300)])
		}
		c.stats.Refused++
		return
	}
	c.stats.Done++
	c.stats.Latency.Add(time.Duration(now - m.sent))
}

// frames takes WebSocket frames.
func (c *Calls) frames(m *callConn, buf []byte, now int64) ([]byte, error) {
	for {
		h, ok, err := parseHeader(buf)
		if err != nil {
			return nil, err
		}
		if !ok || len(buf) < h.size+h.payload {
			return buf, nil
		}
		body := buf[h.size : h.size+h.payload]
		buf = buf[h.size+h.payload:]
		switch {
		case h.opcode == opClose:
			return nil, net.ErrClosed
		case h.opcode == opText && len(body) > 2 && body[0] == '4' && body[1] == '3':
			_, args, _ := bytes.Cut(body, []byte("["))
			c.answered(m, bytes.HasPrefix(args, []byte(`{"ok":true`)), body, now)
		case h.opcode == opText && len(body) == 1 && body[0] == '2':
			if _, err := unix.Write(m.fd, appendFrame(nil, opText, "3")); err != nil {
				return nil, err
			}
		default:
			c.stats.Events++
		}
	}
}

// answers takes HTTP responses that have a Content-Length.
func (c *Calls) answers(m *callConn, buf []byte, now int64) ([]byte, error) {
	for {
		head, body, ok := bytes.Cut(buf, []byte("\r\n\r\n"))
		if !ok {
			return buf, nil
		}
		_, length, ok := bytes.Cut(head, []byte("\r\nContent-Length: "))
		if !ok {
			return nil, fmt.Errorf("load: an answer without a length: %.200s", head)
		}
		length, _, _ = bytes.Cut(length, []byte("\r\n"))
		size, err := strconv.Atoi(string(length))
		if err != nil {
			return nil, err
		}
		if len(body) < size {
			return buf, nil
		}
		c.answered(m, bytes.HasPrefix(head, []byte("HTTP/1.1 2")), body[:size], now)
		buf = body[size:]
	}
}
