package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
)

// client is one connection and its sockets.
type client struct {
	srv  *Server
	conn *engineio.Conn

	// of the goroutine that reads
	partial     *Packet // waits for attachments
	attachments [][]byte

	mu      sync.Mutex
	sockets []*Socket // those that connect or are connected
	closed  bool
	timer   *time.Timer // ends a connection without sockets; nil while it has one that joined
}

func newClient(s *Server, conn *engineio.Conn) *client {
	c := &client{srv: s, conn: conn}
	c.timer = time.AfterFunc(s.cfg.ConnectTimeout, c.connectTimeout)
	return c
}

func (c *client) connectTimeout() {
	c.mu.Lock()
	idle := len(c.sockets) == 0
	c.timer = nil
	c.mu.Unlock()
	if idle {
		c.conn.Close(ReasonForcedServer)
	}
}

// joined notes that the connection has a namespace.
func (c *client) joined() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// message handles one message of the connection.
func (c *client) message(data []byte, binary bool) {
	if c.read(data, binary) != nil {
		c.conn.Close(engineio.ReasonParseError)
	}
}

func (c *client) read(data []byte, binary bool) error {
	if binary {
		return c.readAttachment(data)
	}
	if c.partial != nil {
		return ErrParse // text where an attachment was announced
	}
	p, err := DecodePacket(data)
	if err != nil {
		return err
	}
	if p.Attachments > max(c.srv.cfg.Limits.Attachments, 0) {
		return ErrParse
	}
	p.Data = bytes.Clone(p.Data) // outlives the call
	if p.Attachments > 0 {
		c.partial = &p
		return nil
	}
	return c.dispatch(&p, nil)
}

func (c *client) readAttachment(data []byte) error {
	if c.partial == nil {
		return ErrParse
	}
	c.attachments = append(c.attachments, bytes.Clone(data))
	if len(c.attachments) < c.partial.Attachments {
		return nil
	}
	p, attachments := c.partial, c.attachments
	c.partial, c.attachments = nil, nil
	return c.dispatch(p, attachments)
}

var errState = errors.New("socketio: packet does not fit the state of its namespace")

// dispatch gives a whole packet to its socket.
func (c *client) dispatch(p *Packet, attachments [][]byte) error {
	binary := p.Type == PacketBinaryEvent || p.Type == PacketBinaryAck
	if binary && !checkPlaceholders(p.Data, attachments) {
		return ErrParse
	}
	s := c.socket(p.Namespace)
	if p.Type == PacketConnect {
		if s != nil {
			return errState
		}
		c.connect(p)
		return nil
	}
	if s == nil {
		return errState
	}
	switch p.Type {
	case PacketDisconnect:
		s.end(ReasonClientNamespace)
	case PacketEvent, PacketBinaryEvent:
		s.receive(p, attachments)
	case PacketAck, PacketBinaryAck:
		s.acknowledged(p, attachments)
	default:
		return errState // CONNECT_ERROR is the server's
	}
	return nil
}

func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.ns.name == namespace {
			return s
		}
	}
	return nil
}

// connect begins to join a namespace.
func (c *client) connect(p *Packet) {
	ns := c.srv.namespaces[p.Namespace]
	if ns == nil {
		c.refuse(p.Namespace, &ConnectError{Message: "Invalid namespace"})
		return
	}
	auth := json.RawMessage(p.Data)
	if auth == nil {
		auth = json.RawMessage("{}")
	}
	s := newSocket(c, ns, task{kind: taskConnect, auth: auth})
	c.mu.Lock()
	limit := c.srv.cfg.Limits.Namespaces
	full := limit > 0 && len(c.sockets) >= limit
	closed := c.closed
	if !full && !closed {
		c.sockets = append(c.sockets, s)
	}
	c.mu.Unlock()
	switch {
	case closed:
	case full:
		c.refuse(p.Namespace, &ConnectError{Message: "Too many namespaces"})
	default:
		s.start()
	}
}

// refuse answers CONNECT_ERROR.
func (c *client) refuse(namespace string, e *ConnectError) {
	body, _, err := encodeArgs(nil, []any{refusal{Message: e.Message, Data: e.Data}})
	if err != nil {
		body = []byte(`[{"message":"Internal error"}]`)
	}
	p := AppendPacket(nil, Packet{Type: PacketConnectError, Namespace: namespace})
	c.send(engineio.TextFrame(p, body[1:len(body)-1]))
}

type refusal struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// send queues frames that the protocol cannot do without: a connection that
// has no room for them ends.
func (c *client) send(frames []byte) {
	if errors.Is(c.conn.Send(frames), engineio.ErrQueueFull) {
		c.conn.Close(engineio.ReasonSlow)
	}
}

// sendNow is send for an answer: somebody waits for it.
func (c *client) sendNow(frames []byte) {
	if errors.Is(c.conn.SendNow(frames), engineio.ErrQueueFull) {
		c.conn.Close(engineio.ReasonSlow)
	}
}

// remove forgets a socket that ended.
func (c *client) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.sockets, s); i >= 0 {
		c.sockets = slices.Delete(c.sockets, i, i+1)
	}
	if len(c.sockets) == 0 && c.timer == nil && !c.closed {
		c.sockets = nil
		c.timer = time.AfterFunc(c.srv.cfg.ConnectTimeout, c.connectTimeout)
	}
}

// close ends all sockets, because the connection ended.
func (c *client) close(reason string) {
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(reason)
	}
}
