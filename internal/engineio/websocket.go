package engineio

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

// upgrader turns requests into WebSockets.
type upgrader struct {
	srv *Server
	gws *gws.Upgrader
}

func newUpgrader(s *Server) *upgrader {
	return &upgrader{srv: s, gws: gws.NewUpgrader(gwsEvents{}, &gws.ServerOption{
		ReadMaxPayloadSize: int(s.cfg.MaxPayload),
		ReadBufferSize:     s.cfg.ReadBuffer,
		ParallelGolimit:    1,
		CheckUtf8Enabled:   true,
		Logger:             silent{},
		Recovery:           func(gws.Logger) {},
		HandshakeTimeout:   s.cfg.UpgradeTimeout,
		NewSession:         func() gws.SessionStorage { return noStorage{} },
		PermessageDeflate:  gws.PermessageDeflate{Enabled: s.cfg.Deflate, PoolSize: 4},
	})}
}

// acceptable reports whether r is a WebSocket handshake that can succeed.
func (u *upgrader) acceptable(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 &&
		headerHas(r.Header, "Connection", "upgrade") && headerHas(r.Header, "Upgrade", "websocket") &&
		r.Header.Get("Sec-WebSocket-Version") == "13" && r.Header.Get("Sec-WebSocket-Key") != ""
}

func headerHas(h http.Header, name, token string) bool {
	for _, value := range h[name] {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// upgrade takes the connection out of the HTTP server and answers 101. On
// failure the peer was answered.
func (u *upgrader) upgrade(w http.ResponseWriter, r *http.Request, c *Conn) (*wsConn, error) {
	ws := &wsConn{conn: c}
	if strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "server_max_window_bits") {
		r.Header.Del("Sec-WebSocket-Extensions") // a window we do not bound: decline
	}
	ws.deflate = u.srv.cfg.Deflate && strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	socket, err := u.gws.Upgrade(hijacker{ResponseWriter: w, ws: ws}, r)
	if err != nil {
		if ws.Conn == nil {
			u.srv.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		}
		return nil, err
	}
	ws.socket = socket
	ws.fd = newFDWriter(ws.Conn)
	return ws, nil
}

// serveOpen opens a conn on WebSocket.
func (u *upgrader) serveOpen(w http.ResponseWriter, r *http.Request, c *Conn) {
	ws, err := u.upgrade(w, r, c)
	if err != nil {
		u.srv.release(c)
		u.srv.running.Done()
		return
	}
	ws.queued.Store(true)
	c.open(ws)
	go func() {
		defer u.srv.running.Done()
		ws.read()
	}()
}

// serveProbe lets a WebSocket try to become the transport of a polling conn.
// One that may not is closed after its handshake: clients expect that.
func (u *upgrader) serveProbe(w http.ResponseWriter, r *http.Request, c *Conn) {
	if !u.acceptable(r) {
		u.srv.refuse(w, r, http.StatusBadRequest, codeBadRequest)
		return
	}
	ws, err := u.upgrade(w, r, c)
	if err != nil {
		return
	}
	c.mu.Lock()
	welcome := c.state == stateOpen && c.ws == nil && c.probe == nil
	if welcome {
		c.probe = ws
		c.expireAt = u.srv.now() + int64(u.srv.cfg.UpgradeTimeout)
		c.rescheduleLocked()
		u.srv.goroutine(ws.read)
	}
	c.unlock()
	if !welcome {
		_ = ws.socket.WriteClose(1000, nil)
	}
}

// wsConn is the connection of one WebSocket as gws sees it: what gws writes
// (pongs, close frames) goes through the conn's queue once the WebSocket is its
// transport, and directly before.
type wsConn struct {
	net.Conn
	conn    *Conn
	socket  *gws.Conn
	fd      *fdWriter // nil: only blocking writes
	early   []byte    // read by the HTTP server before the upgrade
	deflate bool
	queued  atomic.Bool
	closed  atomic.Bool
	probed  bool  // guarded by Conn.mu: the probe was answered
	said    bool  // guarded by Conn.mu: a close frame is queued
	heard   bool  // guarded by Conn.mu: the peer's close frame was read
	reason  error // why reading ended; the reader's
}

// Read reads from the peer.
func (ws *wsConn) Read(p []byte) (int, error) {
	if len(ws.early) > 0 {
		n := copy(p, ws.early)
		if ws.early = ws.early[n:]; len(ws.early) == 0 {
			ws.early = nil
		}
		return n, nil
	}
	return ws.Conn.Read(p)
}

// Write takes one whole frame (or the 101 response) from gws.
func (ws *wsConn) Write(p []byte) (int, error) {
	c := ws.conn
	if !ws.queued.Load() {
		if ws.socket != nil { // else it is the handshake, which has a deadline
			_ = ws.Conn.SetWriteDeadline(time.Now().Add(c.srv.cfg.UpgradeTimeout))
			defer func() { _ = ws.Conn.SetWriteDeadline(time.Time{}) }()
		}
		return ws.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.unlock()
	if c.state != stateOpen {
		return len(p), nil
	}
	if c.q.bytes >= 2*c.srv.cfg.MaxQueue {
		c.failLocked(ReasonSlow) // a flood of pings, and nobody reads the pongs
		return len(p), nil
	}
	ws.said = ws.said || p[0]&0x0f == opClose
	c.q.push(append([]byte(nil), p...))
	c.touchLocked()
	return len(p), nil
}

// Close is called by gws when the WebSocket has ended; its reader does the
// rest.
func (ws *wsConn) Close() error {
	if !ws.queued.Load() {
		ws.hangUp()
	}
	return nil
}

// SetDeadline bounds the handshake only; later the conn keeps its own time.
func (ws *wsConn) SetDeadline(t time.Time) error {
	if ws.socket != nil {
		return nil
	}
	return ws.Conn.SetDeadline(t)
}

// hangUp closes the connection at once. It is safe to call again, and never
// with Conn.mu held.
func (ws *wsConn) hangUp() {
	if ws.closed.Swap(true) {
		return
	}
	if t, ok := ws.Conn.(*tls.Conn); ok {
		_ = t.NetConn().Close() // tls.Conn.Close may wait for its alert
		return
	}
	_ = ws.Conn.Close()
}

// closeWrite tells the peer that nothing more comes.
func (ws *wsConn) closeWrite() {
	if half, ok := ws.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// read reads until the WebSocket ends, and then sees to it that its conn does.
func (ws *wsConn) read() {
	defer ws.hangUp()
	ws.readMessages()
	c := ws.conn
	c.mu.Lock()
	if c.ws != ws { // never became the transport, or was refused
		if c.probe == ws {
			c.probe, c.expireAt = nil, 0
			c.rescheduleLocked()
		}
		c.unlock()
		return
	}
	open := c.state == stateOpen
	var closed *gws.CloseError
	ws.heard = errors.As(ws.reason, &closed)
	c.unlock()
	if open {
		// gws has queued a close frame where there is one to send.
		c.Close(closeReason(ws.reason))
	}
	c.mu.Lock()
	c.touchLocked() // when all is written already, the lane ends it now
	c.unlock()
	// An orderly close ends when the peer closes too, or when its time is over.
	_, _ = io.Copy(io.Discard, ws.Conn)
	c.mu.Lock()
	if c.state != stateClosed {
		c.closedLocked()
	}
	c.unlock()
}

// readMessages is gws's loop. gws panics on some malformed lengths: that ends
// the conn and nothing else.
func (ws *wsConn) readMessages() {
	defer func() {
		if p := recover(); p != nil {
			ws.reason = errors.New("engineio: panic while reading")
			ws.conn.srv.cfg.Logger.Error("engine.io reader panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	ws.socket.ReadLoop()
}

func closeReason(err error) string {
	var closed *gws.CloseError
	var netErr net.Error
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &closed), errors.As(err, &netErr):
		return ReasonTransportClose
	}
	return ReasonTransportError
}

// onText handles one text message.
func (ws *wsConn) onText(data []byte) {
	c := ws.conn
	p, err := DecodePacket(data)
	if !ws.queued.Load() {
		ws.onProbe(p, err)
		return
	}
	if err == nil && p.Type == PacketClose {
		c.Close(ReasonTransportClose)
		return
	}
	if err == nil {
		err = c.onPacket(p)
	}
	switch {
	case err == nil, errors.Is(err, errStop):
	case errors.Is(err, ErrParse):
		c.Close(ReasonParseError)
	default:
		c.Close(ReasonTransportError)
	}
}

// onProbe handles a packet of a WebSocket that is not the transport yet.
func (ws *wsConn) onProbe(p Packet, err error) {
	c := ws.conn
	switch {
	case err == nil && p.Type == PacketPing && string(p.Data) == "probe":
		c.mu.Lock()
		ws.probed = true
		c.wakePollLocked()
		c.unlock()
		_, _ = ws.Write(packetFrame(PacketPong, "probe")) // reading will fail too
	case err == nil && p.Type == PacketUpgrade:
		if !c.adopt(ws) {
			_ = ws.socket.WriteClose(1000, nil)
		}
	default:
		_ = ws.socket.WriteClose(1000, nil)
	}
}

// adopt makes ws the transport. A POST that is being read comes first.
func (c *Conn) adopt(ws *wsConn) bool {
	for {
		c.mu.Lock()
		posted := c.posted
		if posted == nil {
			break
		}
		c.unlock()
		<-posted
	}
	defer c.unlock()
	if c.state != stateOpen || c.probe != ws {
		return false
	}
	c.ws, c.probe, c.expireAt = ws, nil, 0
	ws.queued.Store(true)
	c.reclassLocked()
	c.wakePollLocked()
	c.touchLocked()
	c.rescheduleLocked()
	c.srv.stats.upgrades.Add(1)
	return true
}

// gwsEvents gives what gws reads to the wsConn that it reads from.
type gwsEvents struct{ gws.BuiltinEventHandler }

// OnPing answers a WebSocket ping.
func (gwsEvents) OnPing(socket *gws.Conn, payload []byte) {
	ws, ok := socket.NetConn().(*wsConn)
	if ok && ws.queued.Load() && !ws.conn.throttle() {
		return
	}
	_ = socket.WritePong(payload)
}

// OnMessage handles one whole message.
func (gwsEvents) OnMessage(socket *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }() // gives its buffer back; never fails
	ws := socket.NetConn().(*wsConn)
	if m.Opcode == gws.OpcodeText {
		ws.onText(m.Bytes())
		return
	}
	if !ws.queued.Load() {
		ws.onProbe(Packet{}, ErrParse)
		return
	}
	if ws.conn.onPacket(Packet{Type: PacketMessage, Binary: true, Data: m.Bytes()}) != nil {
		return // only because the conn ended
	}
}

// OnClose notes why reading ended.
func (gwsEvents) OnClose(socket *gws.Conn, err error) {
	if ws, ok := socket.NetConn().(*wsConn); ok {
		ws.reason = err
	}
}

// hijacker gives gws the wsConn in place of the connection.
type hijacker struct {
	http.ResponseWriter
	ws *wsConn
}

// Hijack takes the connection over with what was read ahead.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		early, err := rw.Reader.Peek(n)
		if err != nil {
			_ = conn.Close()
			return nil, nil, err
		}
		h.ws.early = append([]byte(nil), early...)
	}
	h.ws.Conn = conn
	return h.ws, nil, nil
}

type silent struct{}

// Error drops what gws would log: the conn's end says it.
func (silent) Error(...any) {}

// noStorage is the session storage that we do not use.
type noStorage struct{}

// Len returns 0.
func (noStorage) Len() int { return 0 }

// Load finds nothing.
func (noStorage) Load(string) (any, bool) { return nil, false }

// Delete does nothing.
func (noStorage) Delete(string) {}

// Store does nothing.
func (noStorage) Store(string, any) {}

// Range visits nothing.
func (noStorage) Range(func(string, any) bool) {}
