package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/project"
)

// Config is what a Manager works with. Journal, Projects, Templates, Clock,
// NewID and Logger are required; a zero number means its default.
type Config struct {
	Journal   journal.Journal
	Projects  project.Store
	Templates func(id string) *graph.Blueprint // nil when unknown; safe for concurrent use
	Clock     func() time.Time
	NewID     func() graph.ID // unique ids; safe for concurrent use
	Logger    *slog.Logger
	Observe   Observe

	KeepEntries      int           // entries kept for replay and repeated command ids; 10,000
	HistoryLimit     int           // undoable commands of one actor in one project; 1,000
	MaxProjects      int           // open projects in a session; 64
	MaxClients       int           // joined clients in a session; 10,000
	FeedBytes        int           // newest events of a session kept in memory; 4 MiB
	SnapshotEntries  int           // entries between two snapshots, at least; 1,000
	SnapshotMinBytes int           // journal bytes between two snapshots, at least; 256 KiB
	IdleAfter        time.Duration // a session that nobody uses leaves memory after it; 5 min
}

// Observe receives figures for metrics. Its functions may be nil; they are
// called on the session's goroutine and must not block.
type Observe struct {
	// Turn is called after each append: requests answered, entries and bytes written.
	Turn func(requests, entries, bytes int)
}

func (o Observe) turn(requests, entries, bytes int) {
	if o.Turn != nil {
		o.Turn(requests, entries, bytes)
	}
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (c Config) withDefaults() Config {
	orDefault(&c.KeepEntries, 10_000)
	orDefault(&c.HistoryLimit, 1_000)
	orDefault(&c.MaxProjects, 64)
	orDefault(&c.MaxClients, 10_000)
	orDefault(&c.FeedBytes, 4<<20)
	orDefault(&c.SnapshotEntries, 1_000)
	orDefault(&c.SnapshotMinBytes, 256<<10)
	orDefault(&c.IdleAfter, 5*time.Minute)
	return c
}

func (c Config) limits() coreLimits {
	return coreLimits{history: c.HistoryLimit, receipts: c.KeepEntries, projects: c.MaxProjects}
}

// Manager finds, opens, unloads and deletes sessions. A loaded session has one
// goroutine; one that nobody uses leaves memory and is loaded again when it is
// next named. It is safe for concurrent use.
type Manager struct {
	cfg Config

	recent recentEvents  // shared by all readers of the journal
	turns  atomic.Uint64 // of all sessions, ever

	mu     sync.Mutex
	loaded map[string]*live
	closed bool

	stop context.CancelFunc // ends the sweeper
	wg   sync.WaitGroup     // sweeper and session goroutines
}

// NewManager starts a manager. Close ends it; the journal and the project
// store stay the caller's.
func NewManager(cfg Config) *Manager {
	ctx, stop := context.WithCancel(context.Background())
	m := &Manager{cfg: cfg.withDefaults(), loaded: map[string]*live{}, stop: stop}
	m.wg.Add(1)
	go m.sweep(ctx)
	return m
}

// ValidID reports whether id can name a session: 1 to 128 of A-Z a-z 0-9 _ -.
func ValidID(id string) bool { return journal.CheckSession(id) }

// meta is stored once, when a session is created.
type meta struct {
	Epoch     string    `json:"epoch"`
	CreatedAt time.Time `json:"created_at"`
}

func readMeta(ctx context.Context, j journal.Journal, id string) (meta, error) {
	data, err := j.Meta(ctx, id)
	if err != nil {
		return meta{}, err
	}
	var m meta
	if err := json.Unmarshal(data, &m); err != nil {
		return meta{}, fmt.Errorf("session %s: meta: %w", id, err)
	}
	return m, nil
}

func unknown(id string) error {
	return fault.New(fault.InvalidSession, "unknown session %q", clip(id))
}

// Create makes a session; "" lets the manager choose its id. INVALID_REQUEST
// for a malformed id, CONFLICT when the session exists. It blocks until the
// session is durable.
func (m *Manager) Create(ctx context.Context, id string) (*Session, error) {
	if id == "" {
		id = m.cfg.NewID().String()
	}
	if !ValidID(id) {
		return nil, fault.New(fault.InvalidRequest, "a session id is 1 to 128 of A-Z a-z 0-9 _ -")
	}
	data, err := json.Marshal(meta{Epoch: m.cfg.NewID().String(), CreatedAt: m.cfg.Clock().UTC().Truncate(time.Millisecond)})
	if err != nil {
		return nil, err
	}
	if err := m.cfg.Journal.Create(ctx, id, data); err != nil {
		return nil, err
	}
	return &Session{m: m, id: id}, nil
}

// Get finds a session; INVALID_SESSION when it is unknown or malformed.
func (m *Manager) Get(ctx context.Context, id string) (*Session, error) {
	if !ValidID(id) {
		return nil, unknown(id)
	}
	m.mu.Lock()
	_, ok := m.loaded[id]
	m.mu.Unlock()
	if !ok {
		if _, err := m.cfg.Journal.Meta(ctx, id); err != nil {
			return nil, err
		}
	}
	return &Session{m: m, id: id}, nil
}

// Open finds a session or, when the id is well formed and unknown, makes it.
func (m *Manager) Open(ctx context.Context, id string) (*Session, error) {
	s, err := m.Get(ctx, id)
	if !fault.Is(err, fault.InvalidSession) || !ValidID(id) {
		return s, err
	}
	s, err = m.Create(ctx, id)
	if errors.Is(err, journal.ErrConflict) { // somebody was faster
		return m.Get(ctx, id)
	}
	return s, err
}

// Summary is one line of List.
type Summary struct {
	SessionID   string    `json:"session_id"`
	Epoch       string    `json:"epoch"`
	CreatedAt   time.Time `json:"created_at"`
	ClientCount int       `json:"client_count"`
	Loaded      bool      `json:"loaded"`
}

// List returns up to limit sessions with ids after the given one, in order.
func (m *Manager) List(ctx context.Context, after string, limit int) ([]Summary, error) {
	ids, err := m.cfg.Journal.Sessions(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Summary, 0, len(ids))
	for _, id := range ids {
		md, err := readMeta(ctx, m.cfg.Journal, id)
		if fault.Is(err, fault.InvalidSession) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		s := Summary{SessionID: id, Epoch: md.Epoch, CreatedAt: md.CreatedAt}
		m.mu.Lock()
		if l := m.loaded[id]; l != nil {
			s.Loaded, s.ClientCount = true, int(l.clientCount.Load())
		}
		m.mu.Unlock()
		out = append(out, s)
	}
	return out, nil
}

// Delete removes a session for good. Its clients are told (ReasonSessionDeleted)
// and its feed ends. INVALID_SESSION when it is unknown.
func (m *Manager) Delete(ctx context.Context, id string) error {
	s, err := m.Get(ctx, id)
	if err != nil {
		return err
	}
	return s.visit(ctx, &request{run: (*turn).deleteSession})
}

// acquire returns the loaded session, loading it when it is not, and holds it
// in memory until release.
func (m *Manager) acquire(id string) (*live, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fault.New(fault.Unavailable, "the server is shutting down")
	}
	l := m.loaded[id]
	if l == nil {
		l = newLive(m, id)
		m.loaded[id] = l
		m.wg.Add(1)
		go func() {
			defer m.wg.Done()
			l.loop()
		}()
	}
	l.refs++
	return l, nil
}

func (m *Manager) release(l *live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.refs--
	if l.refs == 0 {
		l.lastUsed = m.cfg.Clock()
	}
}

// forget takes a live that has ended on its own out of the map.
func (m *Manager) forget(l *live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loaded[l.id] == l {
		delete(m.loaded, l.id)
	}
}

// sweep unloads sessions that nobody has used for IdleAfter.
func (m *Manager) sweep(ctx context.Context) {
	defer m.wg.Done()
	tick := time.NewTicker(max(m.cfg.IdleAfter/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.unloadIdle(m.cfg.Clock().Add(-m.cfg.IdleAfter))
			m.recent.forget()
		case <-ctx.Done():
			return
		}
	}
}

func (m *Manager) unloadIdle(before time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, l := range m.loaded {
		if l.refs == 0 && !l.lastUsed.After(before) {
			delete(m.loaded, id)
			close(l.quit)
		}
	}
}

// Loaded is the number of sessions in memory.
func (m *Manager) Loaded() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.loaded)
}

// Close lets the turns under way finish, refuses new requests, ends every feed
// and waits for the sessions' goroutines, bounded by ctx.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		m.stop()
		for id, l := range m.loaded {
			delete(m.loaded, id)
			close(l.quit)
		}
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
