package engineio

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	transportPolling   = "polling"
	transportWebSocket = "websocket"
)

// Server serves Engine.IO on every path it is mounted on. Make one with
// NewServer, end it with Close.
type Server struct {
	cfg     Config
	handler Handler
	start   time.Time
	lanes   []*lane
	deflate *deflater
	ws      *upgrader
	scratch sync.Pool // *[]byte of 64 KiB
	stats   counters
	stop    chan struct{}  // ends the lanes
	running sync.WaitGroup // lanes, readers, writers, requests that open

	mu        sync.Mutex
	conns     map[string]*Conn // by id: those that requests may name
	addresses map[string]int   // open conns by address
	live      int              // conns not yet gone
	closing   bool
	empty     chan struct{} // closed when closing and live is 0
	accepts   bucket
	nextLane  int
}

// NewServer returns a server that is ready to serve. Its goroutines end with
// Close.
func NewServer(cfg Config, handler Handler) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:       cfg,
		handler:   handler,
		start:     time.Now(),
		deflate:   newDeflater(),
		stop:      make(chan struct{}),
		empty:     make(chan struct{}),
		conns:     make(map[string]*Conn),
		addresses: make(map[string]int),
	}
	s.accepts.tokens = float64(2 * cfg.Limits.HandshakesPerSecond)
	s.scratch.New = func() any {
		b := make([]byte, 0, 64<<10)
		return &b
	}
	s.ws = newUpgrader(s)
	for i := range cfg.Lanes {
		s.lanes = append(s.lanes, newLane(s, i))
	}
	for _, l := range s.lanes {
		s.goroutine(func() { l.run(s.stop) })
	}
	return s
}

// now is the server clock: nanoseconds since the server began, plus one second
// so that 0 is never a time.
func (s *Server) now() int64 { return int64(time.Since(s.start)) + int64(time.Second) }

func (s *Server) goroutine(f func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		f()
	}()
}

// Close refuses new conns, closes all there are in order, and waits until
// they and all goroutines are gone. When ctx ends first it drops those that are
// left and returns the context's error. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	if first && s.live == 0 {
		close(s.empty)
	}
	s.mu.Unlock()
	for _, c := range s.snapshot() {
		c.Close(ReasonShutdown)
	}
	var err error
	select {
	case <-s.empty:
	case <-ctx.Done():
		err = ctx.Err()
		for _, c := range s.snapshot() {
			c.drop(ReasonShutdown)
		}
		<-s.empty
	}
	if first {
		close(s.stop)
	}
	s.running.Wait()
	return err
}

// ServeHTTP serves one request of any transport. A WebSocket leaves the
// goroutine of the request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.cfg.CheckOrigin(r) {
		s.refuse(w, r, http.StatusForbidden, codeForbidden)
		return
	}
	allowOrigin(w.Header(), r)
	if r.Method == http.MethodOptions {
		preflight(w, r)
		return
	}
	q := r.URL.Query()
	transport, sid := q.Get("transport"), q.Get("sid")
	if transport != transportPolling && transport != transportWebSocket {
		s.refuse(w, r, http.StatusBadRequest, codeUnknownTransport)
		return
	}
	if sid == "" {
		s.handshake(w, r, transport, q.Get("EIO"))
		return
	}
	s.mu.Lock()
	c := s.conns[sid]
	s.mu.Unlock()
	switch {
	case c == nil:
		s.refuse(w, r, http.StatusBadRequest, codeUnknownSID)
	case transport == transportWebSocket:
		s.ws.serveProbe(w, r, c)
	case r.Method == http.MethodGet:
		s.servePoll(w, r, c)
	case r.Method == http.MethodPost:
		s.servePost(w, r, c)
	default:
		s.refuse(w, r, http.StatusBadRequest, codeBadRequest)
	}
}

// handshake opens a conn.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, transport, revision string) {
	code, status := -1, http.StatusBadRequest
	switch {
	case r.Method != http.MethodGet:
		code = codeBadMethod
	case transport == transportWebSocket && !s.ws.acceptable(r):
		code = codeBadRequest
	case revision != "4":
		code = codeBadRevision
	case s.cfg.Limits.HeaderBytes > 0 && len(r.RequestURI)+len(r.Host) > s.cfg.Limits.HeaderBytes:
		code = codeBadRequest
	}
	if code >= 0 {
		s.refuse(w, r, status, code)
		return
	}
	c, status := s.admit(r)
	if c == nil {
		s.stats.refused.Add(1)
		s.refuse(w, r, status, codeForbidden)
		return
	}
	if transport == transportWebSocket {
		s.ws.serveOpen(w, r, c)
		return
	}
	defer s.running.Done()
	c.open(nil)
	s.servePoll(w, r, c)
}

// admit makes a conn within the limits, or says with which status to refuse.
// The conn is counted; release uncounts it. The caller owes one running.Done.
func (s *Server) admit(r *http.Request) (*Conn, int) {
	addr := s.cfg.Address(r)
	limits := &s.cfg.Limits
	now := s.now()
	c := &Conn{srv: s, addr: addr, req: keepRequest(r, limits.HeaderBytes)}
	c.reads = bucket{tokens: float64(2 * limits.MessagesPerSecond), at: now}
	c.id = s.cfg.NewID()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return nil, http.StatusServiceUnavailable
	case limits.Conns > 0 && s.live >= limits.Conns:
		return nil, http.StatusServiceUnavailable
	case limits.ConnsPerAddress > 0 && s.addresses[addr] >= limits.ConnsPerAddress:
		return nil, http.StatusTooManyRequests
	case limits.HandshakesPerSecond > 0 && s.accepts.take(now, limits.HandshakesPerSecond) > 0:
		return nil, http.StatusTooManyRequests
	case s.conns[c.id] != nil:
		return nil, http.StatusServiceUnavailable // an id source that repeats itself
	}
	s.live++
	s.addresses[addr]++
	s.running.Add(1) // Close waits only after closing is set
	c.lane = s.lanes[s.nextLane]
	s.nextLane = (s.nextLane + 1) % len(s.lanes)
	return c, 0
}

// open begins the conn: the open packet is queued, the owner is told, and
// requests can name the conn. Nothing is read from the peer before. ws is nil
// for polling.
func (c *Conn) open(ws *wsConn) {
	s := c.srv
	c.mu.Lock()
	c.ws = ws
	c.q.push(AppendFrame(nil, OpText, []byte{byte(PacketOpen)}, s.openPayload(c.id, ws == nil)))
	c.unlock()
	s.stats.handshakes.Add(1)
	s.handler.Open(c)
	c.mu.Lock()
	if c.state != stateClosed { // Open may have closed it
		s.remember(c)
	}
	if c.state == stateOpen {
		c.pingAt = s.now() + int64(s.cfg.PingInterval)
		c.touchLocked()
		c.rescheduleLocked()
	}
	c.unlock()
	if s.isClosing() {
		c.Close(ReasonShutdown) // Server.Close may not have seen it
	}
}

// openPayload is the handshake: exactly these five members.
func (s *Server) openPayload(sid string, upgradable bool) []byte {
	b := append([]byte(`{"sid":`), jsonString(sid)...)
	if upgradable {
		b = append(b, `,"upgrades":["websocket"]`...)
	} else {
		b = append(b, `,"upgrades":[]`...)
	}
	b = strconv.AppendInt(append(b, `,"pingInterval":`...), s.cfg.PingInterval.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, `,"pingTimeout":`...), s.cfg.PingTimeout.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, `,"maxPayload":`...), s.cfg.MaxPayload, 10)
	return append(b, '}')
}

func jsonString(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // a string always marshals
	}
	return b
}

// remember makes requests find the conn.
func (s *Server) remember(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c.id] = c
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// forget makes requests that name the conn fail.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.id] == c {
		delete(s.conns, c.id)
	}
}

// release uncounts a conn that is gone.
func (s *Server) release(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	if s.addresses[c.addr]--; s.addresses[c.addr] <= 0 {
		delete(s.addresses, c.addr)
	}
	if s.closing && s.live == 0 {
		close(s.empty)
	}
}

// snapshot returns the conns that requests may name.
func (s *Server) snapshot() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		out = append(out, c)
	}
	return out
}
