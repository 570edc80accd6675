package socketio

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/graphroom/graphroom/internal/engineio"
)

// Server serves Socket.IO. Make one with New, give it its namespaces, serve,
// and end it with Close.
type Server struct {
	cfg        Config
	engine     *engineio.Server
	namespaces map[string]*namespace
	order      []*namespace // by index
	nextAck    atomic.Uint64
	running    sync.WaitGroup // goroutines of sockets

	roomsMu sync.RWMutex
	rooms   map[string]*engineio.Group

	stats struct {
		sockets           atomic.Int64
		connects, refused atomic.Uint64
	}
}

// namespace is one name with its handler.
type namespace struct {
	name    string
	index   int
	handler Handler
}

// form numbers the ways in which a message is encoded.
func (ns *namespace) form(offset bool) int {
	if offset {
		return ns.index*2 + 1
	}
	return ns.index * 2
}

// New returns a server without namespaces. Its goroutines end with Close.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:        cfg,
		namespaces: make(map[string]*namespace),
		rooms:      make(map[string]*engineio.Group),
	}
	s.engine = engineio.NewServer(cfg.engine(), engineEvents{s})
	return s
}

// Namespace adds a namespace. The name begins with a slash. Call it before the
// server serves.
func (s *Server) Namespace(name string, h Handler) {
	ns := &namespace{name: name, index: len(s.order), handler: h}
	s.order = append(s.order, ns)
	s.namespaces[name] = ns
}

// ServeHTTP serves one request of any transport.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.TrimSuffix(r.URL.Path, "/") != strings.TrimSuffix(s.cfg.Path, "/") {
		http.NotFound(w, r)
		return
	}
	s.engine.ServeHTTP(w, r)
}

// Close refuses new connections and closes all there are: clients see a
// transport that closed, and will try to connect again. It waits until every
// handler has returned. When ctx ends first, connections are dropped and its
// error is returned, though a handler that does not heed its socket's context
// may still run.
func (s *Server) Close(ctx context.Context) error {
	err := s.engine.Close(ctx)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return err
}

// goroutine runs f, which Close waits for.
func (s *Server) goroutine(f func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		f()
	}()
}

// Stats is a snapshot of a server's counters. Gauges say what is now, the
// others count since the start.
type Stats struct {
	engineio.Stats
	Sockets         int    // gauge: sockets that are connected, or whose Disconnect runs
	Rooms           int    // gauge: rooms with sockets in them
	Connects        uint64 // sockets that were accepted
	ConnectsRefused uint64 // sockets that were refused by their handler
}

// Stats takes a snapshot. It visits every connection.
func (s *Server) Stats() Stats {
	s.roomsMu.RLock()
	rooms := len(s.rooms)
	s.roomsMu.RUnlock()
	return Stats{
		Stats:           s.engine.Stats(),
		Sockets:         int(s.stats.sockets.Load()),
		Rooms:           rooms,
		Connects:        s.stats.connects.Load(),
		ConnectsRefused: s.stats.refused.Load(),
	}
}

// engineEvents is what engineio tells a Server.
type engineEvents struct{ srv *Server }

// Open makes the client of a connection.
func (e engineEvents) Open(conn *engineio.Conn) { conn.SetData(newClient(e.srv, conn)) }

// Message reads one message.
func (e engineEvents) Message(conn *engineio.Conn, data []byte, binary bool) {
	conn.Data().(*client).message(data, binary)
}

// Close ends the sockets of a connection.
func (e engineEvents) Close(conn *engineio.Conn, reason string) {
	conn.Data().(*client).close(reason)
}

// Lagging lets the socket's goroutine tell its handler.
func (e engineEvents) Lagging(sub *engineio.Subscriber, lastTag uint64, left []*engineio.Group) {
	e.srv.leave(left)
	sub.Data().(*Socket).push(task{kind: taskLagging, tag: lastTag})
}
