// Package app puts the program together: it opens what was chosen by options,
// starts the parts in their order and stops them in reverse, in bounded time.
// It is the only package that knows the concrete drivers of the journal and of
// the saved projects.
//
// Start order: store, templates, sessions, server, listener. Stop order: no new
// work and no new sockets; what is under way finishes and its events reach the
// clients; sockets are told and closed; listener; sessions; store.
//
// It owns no behaviour of any part. An App is safe for concurrent use.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/server"
	"github.com/graphroom/graphroom/internal/session"
)

// Options are what an App is made from. The zero value of a field means the
// default that is named, Logger excepted: it is required.
type Options struct {
	Version string
	Logger  *slog.Logger

	Listen   string   // host:port; port 0 takes a free one; 127.0.0.1:5000
	Origins  []string // browser origins that may use the server; loopback
	Hosts    []string // further host names that the server answers for
	Realtime bool     // serve Socket.IO beside REST
	Insecure bool     // allow a Listen address beyond this machine

	Data      string // folder of the data, needed by the pebble journal
	Journal   string // "pebble" or "memory"; pebble
	Sync      string // "always" or "interval"; always
	Templates string // folder of further blueprints; none

	ShutdownTimeout time.Duration // bounds Stop; 10 s
	MaxBody         int64         // bytes of a request body; 1 MiB
	MaxImport       int64         // bytes of an imported project file; 64 MiB
	MaxConnections  int           // Socket.IO connections at once; 100,000
	MaxQueue        int           // unsent bytes held for one connection; 1 MiB
	PingInterval    time.Duration // 25 s
	PingTimeout     time.Duration // 20 s
	FlushInterval   time.Duration // 2 ms
	MaxStreams      int           // event streams over HTTP at once; 10,000

	KeepEntries     int           // entries of a session kept for replay and repeated command ids; 10,000
	HistoryLimit    int           // undoable commands of one actor in one project; 1,000
	SnapshotEntries int           // entries between two snapshots of a session, at least; 1,000
	FeedBytes       int           // newest events of a session kept in memory; 4 MiB
	IdleAfter       time.Duration // a session that nobody uses leaves memory after it; 5 min

	fs vfs.FS // the disk; this package's tests set one that fails
}

const (
	defaultListen   = "127.0.0.1:5000"
	defaultShutdown = 10 * time.Second
	openTimeout     = 30 * time.Second
	headerTimeout   = 10 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeader       = 64 << 10
)

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = defaultListen
	}
	if o.Journal == "" {
		o.Journal = journalPebble
	}
	if o.Sync == "" {
		o.Sync = "always"
	}
	if o.ShutdownTimeout <= 0 {
		o.ShutdownTimeout = defaultShutdown
	}
	return o
}

// App is one running server.
type App struct {
	options  Options
	log      *slog.Logger
	store    *store
	sessions *session.Manager
	server   *server.Server
	http     *http.Server
	listener net.Listener

	served   chan struct{} // closed when Serve has returned
	serveErr error         // of Serve, before served is closed
	stop     sync.Once
	stopErr  error
}

// Start starts a server and returns when it listens. ctx bounds the start only.
// On an error nothing is left running.
func Start(ctx context.Context, options Options) (_ *App, err error) {
	o := options.withDefaults()
	if o.Logger == nil {
		return nil, errors.New("app: Logger is required")
	}
	if err := checkListen(ctx, o.Listen, o.Insecure); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	a := &App{options: o, log: o.Logger, served: make(chan struct{})}
	registry := newRegistry()
	if a.store, err = openStore(ctx, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			a.abandon()
		}
	}()
	blueprints, err := loadTemplates(o.Templates, o.Logger)
	if err != nil {
		return nil, err
	}
	templates := server.NewTemplates(blueprints)
	a.sessions = session.NewManager(session.Config{
		Journal: a.store.journal, Projects: a.store.projects, Templates: templates.Get,
		Clock: time.Now, NewID: func() graph.ID { return graph.ID(uuid.New()) },
		Logger: o.Logger, Observe: observe(registry),
		KeepEntries: o.KeepEntries, HistoryLimit: o.HistoryLimit, SnapshotEntries: o.SnapshotEntries, FeedBytes: o.FeedBytes, IdleAfter: o.IdleAfter,
	})
	a.watch(registry)
	recoveryKey, err := a.store.recoveryKey(ctx)
	if err != nil {
		return nil, err
	}
	a.server, err = server.New(server.Config{
		Version: o.Version, Sessions: a.sessions, Projects: a.store.projects, Templates: templates, Logger: o.Logger,
		Registry: registry, Origins: o.Origins, Hosts: o.Hosts, MaxBody: o.MaxBody, MaxImport: o.MaxImport, MaxStreams: o.MaxStreams,
		Realtime: o.Realtime, Ready: a.ready, RecoveryKey: recoveryKey,
		Socket: server.Socket{
			PingInterval: o.PingInterval, PingTimeout: o.PingTimeout, FlushInterval: o.FlushInterval,
			MaxQueue: o.MaxQueue, MaxConnections: o.MaxConnections,
		},
	})
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "cannot listen on %s", o.Listen)
	}
	a.serve()
	return a, nil
}

// serve hands the listener to net/http. There is no timeout for a whole
// request here: long polls and websockets share the server, and the REST side
// sets its own deadlines for body and answer.
func (a *App) serve() {
	a.http = &http.Server{
		Handler:           a.server,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	// Shutdown would wait five seconds for connections on which nothing was
	// ever sent, such as those that browsers open ahead of need.
	var unused unusedConns
	a.http.ConnState = unused.note
	a.http.RegisterOnShutdown(unused.close)
	go func() {
		defer close(a.served)
		if err := a.http.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.serveErr = err
		}
	}()
}

// unusedConns are the connections on which nothing was sent yet. It is safe for
// concurrent use.
type unusedConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func (u *unusedConns) note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state != http.StateNew {
		delete(u.conns, c)
		return
	}
	if u.closed { // accepted a moment before the listener closed
		_ = c.Close()
		return
	}
	if u.conns == nil {
		u.conns = map[net.Conn]struct{}{}
	}
	u.conns[c] = struct{}{}
}

func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns {
		_ = c.Close()
	}
}

// abandon undoes a start that failed halfway.
func (a *App) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), a.options.ShutdownTimeout)
	defer cancel()
	if a.server != nil {
		_ = a.server.Shutdown(ctx)
	}
	if a.sessions != nil {
		_ = a.sessions.Close(ctx)
	}
	_ = a.store.close(ctx)
}

// ready is red when the journal can write no more.
func (a *App) ready() error {
	if err := a.store.journal.Err(); err != nil {
		return fault.Wrap(err, fault.Unavailable, "the journal can write no more")
	}
	return nil
}

// Addr is the address that the server listens on.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// URL is the address for people and clients on this machine, without a slash
// at its end.
func (a *App) URL() string {
	host, port, err := net.SplitHostPort(a.Addr().String())
	if err != nil {
		return "http://" + a.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Wait blocks until ctx ends (nil) or the server cannot go on (why not).
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.store.journal.Failed():
		return fmt.Errorf("the journal can write no more: %w", a.store.journal.Err())
	case <-a.served:
		return fmt.Errorf("the listener failed: %w", a.serveErr)
	}
}

// Stop stops gracefully within Options.ShutdownTimeout and returns an error
// when something could not be closed in order. Only the first call works.
func (a *App) Stop() error {
	a.stop.Do(func() { a.stopErr = a.shutdown() })
	return a.stopErr
}

func (a *App) shutdown() error {
	limit := a.options.ShutdownTimeout
	all, cancelAll := context.WithTimeout(context.Background(), limit)
	defer cancelAll()
	edge, cancelEdge := context.WithTimeout(all, limit*3/4) // the store keeps the rest
	defer cancelEdge()

	// The listener stays open until the sockets are told: a client that polls
	// hears of the end with its next request. New work is refused meanwhile.
	if err := a.server.Shutdown(edge); err != nil {
		a.log.Warn("not everything under way could finish", "error", err)
	}
	if err := a.http.Shutdown(edge); err != nil {
		a.log.Warn("connections were cut", "error", err)
		_ = a.http.Close()
	}
	<-a.served
	return errors.Join(a.sessions.Close(all), a.store.close(all))
}

// Run starts a server, calls ready once it listens, and serves until ctx ends
// or the server cannot go on; then it stops gracefully. nil means that it was
// asked to stop and did.
func Run(ctx context.Context, options Options, ready func(*App)) error {
	a, err := Start(ctx, options)
	if err != nil {
		return err
	}
	ready(a)
	err = a.Wait(ctx)
	if err != nil {
		a.log.Error("stopping", "error", err)
	} else {
		a.log.Info("stopping")
	}
	err = errors.Join(err, a.Stop())
	if err == nil {
		a.log.Info("stopped")
	}
	return err
}

// checkListen refuses an address that other machines can reach, unless that is
// what was asked for: without authentication anyone there could change all.
func checkListen(ctx context.Context, listen string, insecure bool) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fault.New(fault.InvalidRequest, "listen address %q is not host:port", listen)
	}
	if insecure {
		return nil
	}
	if host != "" {
		addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
		if err != nil {
			return fault.Wrap(err, fault.InvalidRequest, "listen address %q cannot be resolved", listen)
		}
		loopback := len(addrs) > 0
		for _, addr := range addrs {
			loopback = loopback && addr.IP.IsLoopback()
		}
		if loopback {
			return nil
		}
	}
	return fault.New(fault.InvalidRequest, "%q can be reached from other machines, and without authentication anyone there could read and change "+
		"everything: listen on 127.0.0.1, or say --insecure if that is what you want", listen)
}

// newRegistry makes the registry that all parts register with.
func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }
