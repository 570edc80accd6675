// Package server is the edge: REST, the Socket.IO handlers, the broadcaster and
// the one place where errors become answers.
//
//   - rest*.go are the operations of the REST interface, api.go describes and
//     registers them, request.go wraps them: ids, bounds, panics, 404 and 405.
//   - guard.go keeps foreign web pages out, of every transport alike.
//   - socket.go holds the handlers of the socket protocol. A command that comes
//     over a socket runs through the same code as one over REST (command.go).
//   - broadcaster.go follows each live session's feed and hands every event to
//     the session's room; replay.go brings one joining or lagging socket to
//     where the room is. Neither can delay or fail a command.
//   - stream.go follows a session for one HTTP request (server-sent events),
//     sse.go writes that format. It needs no socket layer.
//   - status.go maps error classes to HTTP status, ack and CONNECT_ERROR.
//
// It owns no state of a graph or session: those belong to internal/session. It
// listens on nothing itself: internal/app gives it a listener. A Server is safe
// for concurrent use; its handlers run on the goroutines of their callers, each
// live session with sockets has one broadcaster goroutine, and each socket that
// is catching up has one of its own. An event stream has its request's.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/session"
)

// commandTimeout bounds the wait for a session's turn. Past it the outcome is
// unknown (UNAVAILABLE) and the same command_id may be tried again.
const commandTimeout = 30 * time.Second

// Config is what a Server works with. Sessions, Projects, Templates, Logger and
// Registry are required.
type Config struct {
	Version   string
	Sessions  *session.Manager
	Projects  project.Store
	Templates *Templates
	Logger    *slog.Logger
	Registry  *prometheus.Registry // metrics are registered here and served at /metrics

	Origins []string // browser origins that may use the server; empty: loopback
	Hosts   []string // further host names that the server answers for
	MaxBody int64    // bytes of a request body; 0 = 1 MiB
	// MaxImport bounds the one larger body, a project file; 0 = 64 MiB.
	MaxImport int64

	// MaxStreams bounds the event streams over HTTP at once; 0 = 10,000.
	MaxStreams int
	// KeepAlive is the longest silence of an event stream; 0 = 15 s.
	KeepAlive time.Duration

	Realtime bool   // false mounts no socket layer at all
	Socket   Socket // options of the socket layer

	// RecoveryKey signs the pids of Socket.IO's connection state recovery:
	// RecoveryKeySize random bytes that outlive the process. Empty: a key of this
	// process, so that nobody recovers across a restart by pid.
	RecoveryKey []byte

	// Ready tells whether the server can do its work now; nil always can. The
	// text of its error is shown at /readyz.
	Ready func() error
}

// Server is the edge of one process.
type Server struct {
	cfg     Config
	log     *slog.Logger
	guard   *guard
	metrics *metrics
	handler http.Handler
	sockets *sockets // nil without the socket layer
	streams *streams
	imports importSlots

	draining atomic.Bool
	working  sync.WaitGroup // REST requests and socket commands under way
	workMu   sync.Mutex     // orders working.Add against draining
}

// New builds the server. It fails on options that cannot be understood.
func New(cfg Config) (*Server, error) {
	if cfg.Sessions == nil || cfg.Projects == nil || cfg.Templates == nil || cfg.Logger == nil || cfg.Registry == nil {
		return nil, errors.New("server: Sessions, Projects, Templates, Logger and Registry are required")
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 1 << 20
	}
	if cfg.MaxImport <= 0 {
		cfg.MaxImport = defaultMaxImport
	}
	if cfg.KeepAlive <= 0 {
		cfg.KeepAlive = defaultKeepAlive
	}
	g, err := newGuard(cfg.Origins, cfg.Hosts)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Logger, guard: g, metrics: newMetrics(cfg.Registry), imports: make(importSlots, importsAtOnce), streams: newStreams(cfg.MaxStreams)}
	mux := http.NewServeMux()
	a := newAPI(s, mux)
	a.registerSystem()
	a.registerSessions()
	a.registerProjects()
	a.registerTransfer()
	a.registerGraph()
	a.registerCommands()
	a.registerTemplates()
	if err := a.serveOpenAPI(mux); err != nil {
		return nil, err
	}
	if err := s.serveAsyncAPI(mux); err != nil {
		return nil, err
	}
	s.mountSystem(mux)

	root := http.NewServeMux()
	root.Handle("/", s.rest(s.routes(mux)))
	if cfg.Realtime {
		s.sockets = newSockets(s)
		root.Handle(socketPath, s.sockets.handler())
	}
	s.handler = identify(s.guarded(g.crossOrigin().Handler(root)))
	return s, nil
}

// ServeHTTP answers REST, the documentation and, with Realtime, Socket.IO.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// guarded lets in only what the guard does.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.guard.check(r); err != nil {
			s.metrics.refused.Inc()
			s.log.LogAttrs(r.Context(), slog.LevelWarn, "request refused", slog.String("host", clip(r.Host)),
				slog.String("origin", clip(r.Header.Get("Origin"))), slog.String("request_id", requestID(r.Context())))
			writeError(w, r, s.log, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// begin counts a piece of work that a graceful stop waits for; it refuses when
// the stop has begun. Call done exactly once after nil.
func (s *Server) begin() error {
	s.workMu.Lock()
	defer s.workMu.Unlock()
	if s.draining.Load() {
		return errDraining()
	}
	s.working.Add(1)
	return nil
}

func errDraining() error { return fault.New(fault.Unavailable, "the server is shutting down") }

// Shutdown stops gracefully, bounded by ctx: new work is refused, what is under
// way finishes, the events of it reach the clients, then every socket is told
// and closed, and every event stream ends. The sessions stay the caller's to close, afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	s.workMu.Lock()
	s.draining.Store(true)
	s.workMu.Unlock()
	done := make(chan struct{})
	go func() {
		s.working.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.streams.stop()
	if s.sockets != nil {
		err = errors.Join(err, s.sockets.close(ctx))
	}
	return errors.Join(err, s.streams.wait(ctx))
}
