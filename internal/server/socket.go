package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
	"github.com/graphroom/graphroom/internal/socketio"
)

const (
	socketPath = "/socket.io/"

	maxClientID    = 128 // characters
	maxClientName  = 200
	maxClientColor = 32
)

// Names of the events that clients send. Each is answered by its ack.
const (
	eventExecute = "command:execute"
	eventUndo    = "command:undo"
	eventRedo    = "command:redo"
	eventSync    = "session:sync"
)

// Socket holds the options of the socket layer; zero values mean the defaults
// of internal/socketio.
type Socket struct {
	PingInterval   time.Duration
	PingTimeout    time.Duration
	FlushInterval  time.Duration
	MaxQueue       int // unsent bytes held for one connection
	MaxConnections int // connections at once
}

func (s *Server) socketConfig() socketio.Config {
	o := s.cfg.Socket
	return socketio.Config{
		Path: socketPath, Logger: s.log,
		// The guard has judged every request before it gets there.
		CheckOrigin:  func(r *http.Request) bool { return s.guard.check(r) == nil },
		PingInterval: o.PingInterval, PingTimeout: o.PingTimeout, FlushInterval: o.FlushInterval, MaxQueue: o.MaxQueue,
		MaxPayload: s.cfg.MaxBody, Limits: socketio.Limits{Conns: o.MaxConnections},
	}
}

// sockets is the socket layer: transport, handlers and broadcasters.
type sockets struct {
	s      *Server
	io     *socketio.Server
	pids   recovery
	hub    *hub
	joined atomic.Int64
}

func newSockets(s *Server) *sockets {
	k := &sockets{s: s, pids: newRecovery(s.cfg.RecoveryKey)}
	k.io = socketio.New(s.socketConfig())
	k.hub = newHub(s.log, s.metrics, rooms{k.io})
	handler := socketio.Handler{
		Connect: k.connect, Connected: k.connected, Event: k.event, Disconnect: k.disconnect, Lagging: k.lagging,
	}
	k.io.Namespace("/", handler)
	k.io.Namespace("/graph", handler)
	return k
}

func (k *sockets) handler() http.Handler { return k.io }

func (k *sockets) count() int { return int(k.joined.Load()) }

// close lets what was published reach the clients, tells them and closes every
// connection, bounded by ctx.
func (k *sockets) close(ctx context.Context) error {
	k.hub.refuse()
	k.hub.settle(ctx)
	return errors.Join(k.io.Close(ctx), k.hub.close(ctx))
}

// authPayload is what a client sends with CONNECT (SPEC X-1). Keys that are not
// listed are ignored: socket.io-client adds its own.
type authPayload struct {
	SessionID string          `json:"session_id"`
	Client    json.RawMessage `json:"client"`
	Epoch     string          `json:"epoch"`
	LastSeq   *uint64         `json:"last_seq"`
	Snapshot  bool            `json:"snapshot"`
	Recovery  bool            `json:"recovery"` // wants a pid and offsets
	PID       string          `json:"pid"`      // of the connection before; socket.io-client adds both
	Offset    string          `json:"offset"`
	Filter    json.RawMessage `json:"filter"`
}

type authClient struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Color string `json:"color"`
}

// parseAuth reads the payload of CONNECT and falls back to the session_id of
// the URL.
func parseAuth(sock *socketio.Socket, auth json.RawMessage) (authPayload, session.Client, error) {
	var a authPayload
	cl := session.Client{Key: sock.ID(), ID: sock.ID()}
	if len(auth) > 0 && string(auth) != "null" {
		if err := checkJSON(auth); err != nil {
			return a, cl, err
		}
		if err := decodeStrict(auth, &a, true); err != nil {
			return a, cl, err
		}
	}
	if a.SessionID == "" {
		a.SessionID = sock.Request().URL.Query().Get("session_id")
	}
	switch {
	case a.SessionID == "":
		return a, cl, fault.New(fault.InvalidSession, "auth.session_id is required")
	case !session.ValidID(a.SessionID):
		return a, cl, fault.New(fault.InvalidSession, "a session id is 1 to 128 of A-Z a-z 0-9 _ -")
	}
	if a.Client == nil {
		return a, cl, nil
	}
	var c authClient
	if err := decodeStrict(a.Client, &c, true); err != nil {
		return a, cl, err
	}
	if !printable(c.ID, maxClientID) || !printable(c.Name, maxClientName) || !printable(c.Color, maxClientColor) {
		return a, cl, fault.New(fault.InvalidRequest, "client id, name and color are at most %d, %d and %d printable characters",
			maxClientID, maxClientName, maxClientColor)
	}
	if c.ID != "" {
		cl.ID = c.ID
	}
	cl.Name, cl.Color = c.Name, c.Color
	return a, cl, nil
}

// connect judges a CONNECT: nothing is joined unless it returns nil.
func (k *sockets) connect(ctx context.Context, sock *socketio.Socket, auth json.RawMessage) (socketio.Accept, error) {
	p, pid, err := k.join(ctx, sock, auth)
	k.s.metrics.join(err)
	if err != nil {
		e := coded(err)
		logFault(ctx, k.s.log, e)
		return socketio.Accept{}, &socketio.ConnectError{Message: e.Message, Data: connectErrorData{Code: e.Code}}
	}
	sock.Set(p)
	sock.SetOffset(pid != "")
	return socketio.Accept{PID: pid}, nil
}

func (k *sockets) join(ctx context.Context, sock *socketio.Socket, auth json.RawMessage) (_ *peer, pid string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fault.Wrap(fmt.Errorf("panic: %v\n%s", v, debug.Stack()), fault.Internal, "internal error")
		}
	}()
	a, client, err := parseAuth(sock, auth)
	if err != nil {
		return nil, "", err
	}
	want, err := parseFilter(a.Filter)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	sess, err := k.s.cfg.Sessions.Open(ctx, a.SessionID)
	if err != nil {
		return nil, "", err
	}
	b, err := k.hub.hold(sess)
	if err != nil {
		return nil, "", err
	}
	actor := ""
	if client.ID != sock.ID() {
		actor = client.ID
	}
	opt, known := k.pids.options(&a, actor)
	joined, leave, err := sess.Join(ctx, client, opt)
	if err != nil {
		k.hub.drop(b)
		return nil, "", err
	}
	p := &peer{ctx: sock.Context(), end: socketEnd{k.io, sock, a.Recovery}, b: b, joined: joined, actor: actor, leave: leave, filter: want}
	if err := k.hub.add(b, p, joined.Epoch); err != nil {
		k.hub.depart(p, "refused")
		return nil, "", err
	}
	switch {
	case a.Recovery && known && joined.Recovered:
		pid = a.PID // the same one tells socket.io-client that it has recovered
	case a.Recovery:
		pid = k.pids.issue(sess.ID(), actor, joined.Epoch)
	}
	return p, pid, nil
}

// connected begins the stream, once the CONNECT reply is on its way.
func (k *sockets) connected(sock *socketio.Socket) {
	if p, ok := sock.Get().(*peer); ok {
		k.joined.Add(1)
		k.s.metrics.sockets.Inc()
		k.hub.start(p)
	}
}

func (k *sockets) disconnect(sock *socketio.Socket, reason string) {
	if p, ok := sock.Get().(*peer); ok {
		k.joined.Add(-1)
		k.s.metrics.sockets.Dec()
		k.hub.depart(p, reason)
	}
}

func (k *sockets) lagging(sock *socketio.Socket, lastTag uint64) {
	if p, ok := sock.Get().(*peer); ok {
		k.hub.lagging(p, lastTag)
	}
}

// event runs one event of a client. Events of one socket run in order.
func (k *sockets) event(sock *socketio.Socket, ev socketio.Event) {
	reply := ev.Ack
	if reply == nil {
		reply = func(...any) {}
	}
	out, err := k.handle(sock, ev)
	if ev.Ack != nil {
		k.eventsFirst(sock)
	}
	if err != nil {
		e := coded(err)
		logFault(sock.Context(), k.s.log, e)
		reply(newAckError(e))
		return
	}
	reply(out)
}

// ackReceipt is the acknowledgement of a command: {ok: true, …receipt}.
type ackReceipt struct {
	OK bool `json:"ok"`
	session.Receipt
}

// handle gives what the acknowledgement says.
func (k *sockets) handle(sock *socketio.Socket, ev socketio.Event) (_ any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fault.Wrap(fmt.Errorf("panic: %v\n%s", v, debug.Stack()), fault.Internal, "internal error")
		}
	}()
	p, ok := sock.Get().(*peer)
	if !ok {
		return nil, fault.New(fault.Internal, "internal error")
	}
	if err := k.s.begin(); err != nil {
		return nil, err
	}
	defer k.s.working.Done()
	// The command outlives its socket: a client that is gone gets its receipt
	// by asking again with the same command_id.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(sock.Context()), commandTimeout)
	defer cancel()
	switch ev.Name {
	case eventExecute, eventUndo, eventRedo:
		receipt, err := k.command(ctx, p, ev)
		return ackReceipt{OK: true, Receipt: receipt}, err
	case eventSync:
		var b syncBody
		if err := readEvent(ev, p, &b, &b.SessionID, true); err != nil {
			return nil, err
		}
		return p.sync(ctx, &b)
	default:
		return nil, fault.New(fault.InvalidRequest, "unknown event %q", clip(ev.Name))
	}
}

func (k *sockets) command(ctx context.Context, p *peer, ev socketio.Event) (session.Receipt, error) {
	if ev.Name == eventExecute {
		var b executeBody
		if err := readEvent(ev, p, &b, &b.SessionID, false); err != nil {
			return session.Receipt{}, err
		}
		return k.s.execute(ctx, "socket", p.b.sess, p.actor, &b)
	}
	var b stepBody
	if err := readEvent(ev, p, &b, &b.SessionID, true); err != nil {
		return session.Receipt{}, err
	}
	kind := kindUndo
	if ev.Name == eventRedo {
		kind = kindRedo
	}
	return k.s.step(ctx, "socket", kind, p.b.sess, p.actor, &b)
}

// readEvent decodes the one argument of an event, as strictly as a REST body.
func readEvent(ev socketio.Event, p *peer, into any, sessionID *string, optional bool) error {
	switch {
	case len(ev.Args) == 0 && optional:
		return nil
	case len(ev.Args) == 1 && optional && string(ev.Args[0]) == "null":
		return nil
	case len(ev.Args) != 1:
		return fault.New(fault.InvalidRequest, "%s takes one object, got %d arguments", ev.Name, len(ev.Args))
	}
	if err := checkJSON(ev.Args[0]); err != nil {
		return err
	}
	if err := decodeStrict(ev.Args[0], into, false); err != nil {
		return err
	}
	if *sessionID != "" && *sessionID != p.b.sess.ID() {
		return fault.New(fault.InvalidRequest, "this socket is in session %q, not %q", p.b.sess.ID(), clip(*sessionID))
	}
	return nil
}

// rooms is the real sink.
type rooms struct{ io *socketio.Server }

// Broadcast implements sink.
func (r rooms) Broadcast(room string, it *session.Item, tag uint64) (int, error) {
	return r.io.Room(room).Broadcast(socketio.NewMessage(it.Name, it.Payload, tag, offsetOf(it))), nil
}

// socketEnd is the real endpoint.
type socketEnd struct {
	io     *socketio.Server
	sock   *socketio.Socket
	offset bool // the client asked for recovery
}

// Send implements endpoint.
func (e socketEnd) Send(ctx context.Context, it *session.Item) error {
	return e.sock.Send(ctx, socketio.NewMessage(it.Name, it.Payload, 0, offsetOf(it)))
}

// Push implements endpoint.
func (e socketEnd) Push(it *session.Item) error {
	if offset := offsetOf(it); e.offset && offset != "" {
		return e.sock.Emit(it.Name, it.Payload, offset)
	}
	return e.sock.Emit(it.Name, it.Payload)
}

// Enter implements endpoint.
func (e socketEnd) Enter(room string) { e.io.Room(room).Add(e.sock) }

// Leave implements endpoint.
func (e socketEnd) Leave(room string) { e.io.Room(room).Remove(e.sock) }

// Kick implements endpoint.
func (e socketEnd) Kick() { e.sock.Disconnect(false) }

// Reset implements endpoint.
func (e socketEnd) Reset() { e.sock.Disconnect(true) }
