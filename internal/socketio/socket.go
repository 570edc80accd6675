package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
)

// ErrClosed means that the socket takes nothing any more.
var ErrClosed = engineio.ErrClosed

// ErrQueueFull means that the client does not read what it was sent.
var ErrQueueFull = engineio.ErrQueueFull

// How many events, and bytes of them beyond one event, may wait for a socket's
// handler before its connection is not read any more.
const (
	maxInbox      = 256
	maxInboxBytes = 1 << 20
)

// Socket is one client in one namespace.
type Socket struct {
	client *client
	ns     *namespace
	id     string
	sub    *engineio.Subscriber
	ctx    context.Context
	cancel context.CancelFunc
	offset atomic.Bool

	mu      sync.Mutex
	state   socketState
	reason  string
	running bool // a goroutine works on tasks
	tasks   []task
	waiting int           // bytes of tasks
	room    chan struct{} // closed when tasks got fewer
	acks    map[uint64]chan<- Reply
	data    any
	grace   *time.Timer
}

type socketState uint8

const (
	socketConnecting socketState = iota
	socketConnected
	socketEnded
)

type taskKind uint8

const (
	taskConnect taskKind = iota
	taskEvent
	taskLagging
	taskEnd
)

// task is one thing that the handler will do.
type task struct {
	kind  taskKind
	auth  json.RawMessage
	event *Event
	size  int // of the event, in bytes
	tag   uint64
}

func newSocket(c *client, ns *namespace, first task) *Socket {
	s := &Socket{client: c, ns: ns, id: c.srv.cfg.NewID(), tasks: []task{first}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.sub = c.conn.Subscribe(ns.form(false), s)
	return s
}

// ID returns the socket's id, which only its client knows.
func (s *Socket) ID() string { return s.id }

// Namespace returns the name of the socket's namespace.
func (s *Socket) Namespace() string { return s.ns.name }

// Request returns the handshake of the connection: URL with query, headers
// that say who the client is, remote address. It has no body and no context.
func (s *Socket) Request() *http.Request { return s.client.conn.Request() }

// Transport returns "polling" or "websocket".
func (s *Socket) Transport() string { return s.client.conn.Transport() }

// Context ends with the socket: before Disconnect is called, and at the latest
// Config.CloseTimeout after the connection ended.
func (s *Socket) Context() context.Context { return s.ctx }

// Set stores a value of the owner.
func (s *Socket) Set(data any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
}

// Get returns what Set stored.
func (s *Socket) Get() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// SetOffset says whether messages that are broadcast or sent from now on carry
// their offset.
func (s *Socket) SetOffset(on bool) {
	s.offset.Store(on)
	s.sub.SetForm(s.ns.form(on))
}

// Emit queues an event behind everything that the caller queued for this
// socket before, also by Room.Broadcast. It does not block. It fails with
// ErrClosed, with ErrQueueFull, or when an argument has no JSON.
func (s *Socket) Emit(name string, args ...any) error {
	body, attachments, err := encodeArgs(&name, args)
	if err != nil {
		return err
	}
	if !s.isConnected() {
		return ErrClosed
	}
	return s.client.conn.Send(dataFrames(Packet{Type: PacketEvent, Namespace: s.ns.name, Data: body}, attachments))
}

// Send queues m for this socket alone, behind everything queued before, after
// waiting until less than half of Config.MaxQueue is unsent. It fails with
// ErrClosed or the context's error, and then has sent nothing.
func (s *Socket) Send(ctx context.Context, m *Message) error {
	if !s.isConnected() {
		return ErrClosed
	}
	return s.sub.SendMessage(ctx, roomMessage{m, s.client.srv})
}

func (s *Socket) isConnected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == socketConnected
}

// Disconnect makes the client leave the namespace; it does not come back by
// itself. closeConn also ends the connection and with it the client's other
// sockets.
func (s *Socket) Disconnect(closeConn bool) {
	if s.end(ReasonServerNamespace) {
		s.client.send(engineio.TextFrame(AppendPacket(nil, Packet{Type: PacketDisconnect, Namespace: s.ns.name})))
	}
	if closeConn {
		s.client.conn.Close(ReasonForcedServer)
	}
}

// end takes the socket out of everything and lets the handler know. It reports
// whether the socket was connected.
func (s *Socket) end(reason string) bool {
	s.mu.Lock()
	if s.state == socketEnded {
		s.mu.Unlock()
		return false
	}
	was := s.state
	s.state, s.reason = socketEnded, reason
	for _, reply := range s.acks {
		close(reply)
	}
	s.acks = nil
	if was == socketConnecting {
		s.cancel() // nothing is lost by giving up
	} else {
		s.grace = time.AfterFunc(s.client.srv.cfg.CloseTimeout, s.cancel)
	}
	s.mu.Unlock()
	s.client.remove(s)
	s.client.srv.leave(s.sub.Close())
	s.push(task{kind: taskEnd})
	return was == socketConnected
}

// push adds a task. Only events wait for room.
func (s *Socket) push(t task) {
	s.mu.Lock()
	for t.kind == taskEvent && s.state != socketEnded && (len(s.tasks) >= maxInbox || s.waiting > maxInboxBytes) {
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		<-room
		s.mu.Lock()
	}
	s.tasks = append(s.tasks, t)
	s.waiting += t.size
	start := !s.running
	s.running = true
	s.wakeLocked(t.kind == taskEnd)
	s.mu.Unlock()
	if start {
		s.client.srv.goroutine(s.work)
	}
}

// start begins to work on the first task.
func (s *Socket) start() {
	s.mu.Lock()
	start := !s.running
	s.running = true
	s.mu.Unlock()
	if start {
		s.client.srv.goroutine(s.work)
	}
}

func (s *Socket) wakeLocked(roomy bool) {
	if roomy && s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// work does the tasks until there are none.
func (s *Socket) work() {
	for {
		s.mu.Lock()
		if len(s.tasks) == 0 {
			s.running, s.tasks = false, nil
			s.mu.Unlock()
			return
		}
		t := s.tasks[0]
		s.tasks[0] = task{}
		s.tasks = s.tasks[1:]
		s.waiting -= t.size
		s.wakeLocked(len(s.tasks) < maxInbox/2 && s.waiting < maxInboxBytes/2)
		s.mu.Unlock()
		if !s.do(t) {
			s.cancel() // refused: nothing else happens
			return
		}
	}
}

// do does one task. False ends the socket for good.
func (s *Socket) do(t task) bool {
	h := s.ns.handler
	switch t.kind {
	case taskConnect:
		return s.connect(t.auth)
	case taskEvent:
		if h.Event != nil {
			s.protect("event", func() { h.Event(s, *t.event) })
		}
	case taskLagging:
		if h.Lagging == nil {
			s.client.conn.Close(engineio.ReasonSlow)
			return true
		}
		s.protect("lagging", func() { h.Lagging(s, t.tag) })
	case taskEnd:
		s.mu.Lock()
		s.grace.Stop()
		reason := s.reason
		s.mu.Unlock()
		s.cancel()
		if h.Disconnect != nil {
			s.protect("disconnect", func() { h.Disconnect(s, reason) })
		}
		s.client.srv.stats.sockets.Add(-1)
		return false
	}
	return true
}

// connect asks the handler and answers the client.
func (s *Socket) connect(auth json.RawMessage) bool {
	accept, err := Accept{}, error(&ConnectError{Message: "Internal error"})
	s.protect("connect", func() {
		if s.ns.handler.Connect == nil {
			err = nil
			return
		}
		accept, err = s.ns.handler.Connect(s.ctx, s, auth)
	})
	if err != nil {
		s.refuse(err)
		return false
	}
	reply := append([]byte(`{"sid":`), quote(s.id)...)
	if accept.PID != "" {
		reply = append(append(reply, `,"pid":`...), quote(accept.PID)...)
	}
	reply = append(reply, '}')
	frames := engineio.TextFrame(AppendPacket(nil, Packet{Type: PacketConnect, Namespace: s.ns.name, Data: reply}))
	srv := s.client.srv
	srv.stats.sockets.Add(1)
	srv.stats.connects.Add(1)
	s.mu.Lock()
	alive := s.state == socketConnecting
	if alive {
		s.state = socketConnected
	} else {
		s.grace = time.AfterFunc(srv.cfg.CloseTimeout, s.cancel) // it ended meanwhile
	}
	s.mu.Unlock()
	if alive {
		s.client.joined()
		s.client.send(frames)
	}
	if h := s.ns.handler; h.Connected != nil {
		s.protect("connected", func() { h.Connected(s) })
	}
	return true
}

// refuse answers CONNECT_ERROR and forgets the socket.
func (s *Socket) refuse(err error) {
	var refused *ConnectError
	if !errors.As(err, &refused) {
		s.client.srv.cfg.Logger.Error("socket.io connect failed", "namespace", s.ns.name, "error", err)
		refused = &ConnectError{Message: "Internal error"}
	}
	s.mu.Lock()
	ended := s.state == socketEnded
	s.state = socketEnded
	s.wakeLocked(true)
	s.mu.Unlock()
	s.client.remove(s)
	s.client.srv.stats.refused.Add(1)
	if !ended {
		s.client.refuse(s.ns.name, refused)
	}
}

// protect keeps a panic of the handler from everybody else.
func (s *Socket) protect(what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.client.srv.cfg.Logger.Error("socket.io handler panicked", "handler", what,
				"namespace", s.ns.name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// receive queues an event of the client for the handler.
func (s *Socket) receive(p *Packet, attachments [][]byte) {
	items := splitArray(p.Data)
	name, _ := eventName(items[0]) // the packet was checked
	e := &Event{Name: name, Args: items[1:], attachments: attachments}
	if p.HasID {
		e.Ack = s.acker(p.ID)
	}
	size := len(p.Data)
	for _, a := range attachments {
		size += len(a)
	}
	s.push(task{kind: taskEvent, event: e, size: size})
}

// acker returns the function that answers an event.
func (s *Socket) acker(id uint64) func(...any) {
	var used atomic.Bool
	return func(args ...any) {
		if used.Swap(true) {
			return
		}
		body, attachments, err := encodeArgs(nil, args)
		if err != nil {
			s.client.srv.cfg.Logger.Error("socket.io acknowledgement has no JSON", "namespace", s.ns.name, "error", err)
			body, attachments = []byte("[]"), nil
		}
		if !s.isConnected() {
			return
		}
		s.client.sendNow(dataFrames(Packet{Type: PacketAck, Namespace: s.ns.name, ID: id, HasID: true, Data: body}, attachments))
	}
}
