package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

// roomOf is the name of a session's Socket.IO room.
func roomOf(sessionID string) string { return "session_" + sessionID }

// sink is where a broadcaster puts events: the rooms of the socket layer. It
// may be slow, block, panic or fail: only the sockets of that session notice.
type sink interface {
	// Broadcast queues the event for every socket in the room and returns their
	// number. tag comes back in the lagging call of a socket that could not take
	// more.
	Broadcast(room string, it *session.Item, tag uint64) (recipients int, err error)
}

// endpoint is one joined socket, as broadcasters and replay see it.
type endpoint interface {
	Send(ctx context.Context, it *session.Item) error // queues; waits while much is unsent
	Push(it *session.Item) error                      // queues without waiting
	Enter(room string)                                // from now on gets what is broadcast there
	Leave(room string)
	Kick()  // ends the membership: the client is told and does not come back by itself
	Reset() // cuts the connection: the client comes back and recovers
}

const (
	broadcastBatch = 256
	inlineItems    = 64      // most events that are pushed at once to let a joiner in
	markCount      = 1 << 12 // most broadcasts whose place in the stream is remembered
)

// position is a place in a session's stream: before the item at cursor of the
// feed, behind the numbered event seq. Cursor 0 says that only seq is known.
type position struct{ cursor, seq uint64 }

// broadcaster follows one session's feed by cursor and hands each event to the
// session's room. It is the only writer of that room, so a socket can be let in
// between two events, exactly. The session only wakes it and never waits.
type broadcaster struct {
	h       *hub
	sess    *session.Session
	feed    *session.Feed
	release func()
	room    string
	cancel  context.CancelFunc
	done    chan struct{}

	// under h.mu
	epoch   string // of the history it follows; "" before the first join
	refs    int
	members map[*peer]struct{}
	groups  atomic.Pointer[[]group] // by filter; read without h.mu, never changed in place
	ended   bool

	// under lock: a channel, so that waiting for it can end with a context even
	// while a sink blocks
	lock    chan struct{}
	next    uint64 // feed index of the next item
	head    uint64 // last numbered event before it
	inside  int    // sockets that have ever been let in
	tag     uint64
	marks   []position // the place after the broadcast with tag t is at (t-1) modulo markCount
	waiting []entrant
	settled []settler
}

// settler waits until the broadcaster has passed a place.
type settler struct {
	cursor uint64
	passed chan struct{}
}

// entrant is a socket that has everything before its place and waits for the
// broadcaster to get there.
type entrant struct {
	p  *peer
	at position
}

func (b *broadcaster) acquire(ctx context.Context) error {
	select {
	case b.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *broadcaster) unlock() { <-b.lock }

// run broadcasts until the feed closes or nobody is left.
func (b *broadcaster) run(ctx context.Context) {
	defer close(b.done)
	defer b.release()
	for {
		items, _, ok := b.feed.Read(b.next, broadcastBatch)
		var err error
		switch {
		case !ok:
			err = b.overrun(ctx)
		case len(items) == 0:
			err = b.feed.Wait(ctx, b.next)
		default:
			err = b.pass(ctx, items)
		}
		if err != nil {
			b.h.end(b, errors.Is(err, session.ErrFeedClosed))
			return
		}
	}
}

// pass broadcasts items of the feed and lets entrants in at their places.
func (b *broadcaster) pass(ctx context.Context, items []*session.Item) error {
	if err := b.acquire(ctx); err != nil {
		return err
	}
	defer b.unlock()
	for _, it := range items {
		b.admit()
		b.next = it.Index + 1
		if it.Seq != 0 {
			if b.inside > 0 && it.Seq <= b.head {
				continue // came from the journal before
			}
			if b.inside > 0 && it.Seq != b.head+1 {
				b.h.log.Error("the stream has a gap; the session's sockets are cut and will recover", "room", b.room, "after", b.head, "seq", it.Seq)
				b.h.reset(b)
			}
			b.head = it.Seq
		}
		b.broadcast(it, position{b.next, b.head})
	}
	b.admit()
	return nil
}

// admit lets the entrants in whose place is here.
func (b *broadcaster) admit() {
	if len(b.settled) > 0 {
		b.settled = slices.DeleteFunc(b.settled, func(s settler) bool {
			passed := s.cursor <= b.next
			if passed {
				close(s.passed)
			}
			return passed
		})
	}
	if len(b.waiting) == 0 {
		return
	}
	kept := b.waiting[:0]
	for _, e := range b.waiting {
		switch {
		case e.p.gone():
		case e.at.cursor == b.next:
			b.enter(e.p, e.at)
		default:
			kept = append(kept, e)
		}
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
}

// enter adds the socket to the room at this very place of the stream.
func (b *broadcaster) enter(p *peer, at position) {
	b.head = max(b.head, at.seq)
	b.inside++
	p.entered.Store(&position{b.next, at.seq})
	p.end.Enter(p.room())
}

// broadcast hands one item to the sink and contains whatever happens there.
func (b *broadcaster) broadcast(it *session.Item, after position) {
	b.tag++
	if len(b.marks) < markCount {
		b.marks = append(b.marks, after)
	} else {
		b.marks[(b.tag-1)%markCount] = after
	}
	if b.inside == 0 {
		return
	}
	b.h.metrics.events.Inc()
	recipients, err := b.trySink(b.room, it)
	for _, g := range b.filtered() {
		if err != nil {
			break
		}
		if g.wants(it) {
			var more int
			more, err = b.trySink(g.room(b.room), it)
			recipients += more
		}
	}
	b.h.metrics.deliveries.Add(float64(recipients))
	if err != nil {
		b.h.metrics.failures.Inc()
		b.h.log.Error("broadcast failed; the session's sockets are cut and will recover", "event", it.Name, "room", b.room, "seq", it.Seq, "error", err)
		b.h.reset(b)
		return
	}
	if b.h.debug {
		b.h.log.LogAttrs(context.Background(), slog.LevelDebug, "event", slog.String("event", it.Name), slog.String("room", b.room),
			slog.Uint64("seq", it.Seq), slog.Int("recipients", recipients))
	}
}

func (b *broadcaster) trySink(room string, it *session.Item) (recipients int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return b.h.sink.Broadcast(room, it, b.tag)
}

// overrun goes on after items have left the feed's memory before they were
// broadcast: the numbered ones come from the journal, hints are lost.
func (b *broadcaster) overrun(ctx context.Context) error {
	if err := b.acquire(ctx); err != nil {
		return err
	}
	defer b.unlock()
	oldest, head := b.feed.Oldest()
	for b.inside > 0 && b.head < head {
		items, err := b.sess.Events(ctx, b.head, broadcastBatch)
		if err == nil && len(items) == 0 {
			break // the rest is not durable yet: it comes with the feed
		}
		if err != nil {
			b.h.log.Error("events were lost to this session's sockets; they are cut and will recover", "room", b.room, "after", b.head, "error", err)
			b.h.reset(b)
			break
		}
		for i := range items {
			if items[i].Seq <= head {
				b.head = items[i].Seq
				b.broadcast(&items[i], position{seq: b.head})
			}
		}
	}
	b.next = oldest
	kept := b.waiting[:0]
	for _, e := range b.waiting {
		if e.at.cursor >= oldest {
			kept = append(kept, e)
			continue
		}
		b.h.pull(e.p, e.at) // its place was jumped over: it reads on by itself
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
	return nil
}

// splice lets a socket that stands at that place into the room, now or when
// the broadcaster gets there. false: the broadcaster is far ahead, read on.
func (b *broadcaster) splice(ctx context.Context, p *peer, at position) (bool, error) {
	if err := b.acquire(ctx); err != nil {
		return false, err
	}
	defer b.unlock()
	if p.gone() {
		return true, nil
	}
	if at.cursor > b.next {
		b.waiting = append(b.waiting, entrant{p, at})
		return true, nil
	}
	if missed := b.next - at.cursor; missed > 0 {
		if missed > inlineItems {
			return false, nil
		}
		items, _, ok := b.feed.Read(at.cursor, int(missed)) //nolint:gosec // at most inlineItems
		if !ok {
			return false, nil
		}
		for _, it := range items {
			if p.filter.wants(it) {
				if err := p.end.Push(it); err != nil {
					return true, err
				}
			}
			at = position{it.Index + 1, max(at.seq, it.Seq)}
		}
	}
	b.enter(p, at)
	return true, nil
}

// after is the place behind the broadcast with that tag; false when it is no
// longer known.
func (b *broadcaster) after(ctx context.Context, tag uint64) (position, bool) {
	if err := b.acquire(ctx); err != nil {
		return position{}, false
	}
	defer b.unlock()
	if tag == 0 || tag > b.tag || b.tag-tag >= markCount {
		return position{}, false
	}
	return b.marks[(tag-1)%markCount], true
}

// settle waits until the broadcaster has passed the item before cursor.
func (b *broadcaster) settle(ctx context.Context, cursor uint64) {
	if b.acquire(ctx) != nil {
		return
	}
	if cursor <= b.next {
		b.unlock()
		return
	}
	s := settler{cursor, make(chan struct{})}
	b.settled = append(b.settled, s)
	b.unlock()
	select {
	case <-s.passed:
	case <-b.done:
	case <-ctx.Done():
	}
}

// hub keeps one broadcaster for each session that has sockets here.
type hub struct {
	log     *slog.Logger
	debug   bool
	metrics *metrics
	sink    sink

	ctx    context.Context // ends with the hub; parent of every goroutine here
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*broadcaster
	closed   bool
}

func newHub(log *slog.Logger, m *metrics, s sink) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	return &hub{
		log: log, debug: log.Enabled(ctx, slog.LevelDebug), metrics: m, sink: s,
		ctx: ctx, cancel: cancel, sessions: map[string]*broadcaster{},
	}
}

// hold returns the session's broadcaster, started when there is none, and keeps
// it until drop.
func (h *hub) hold(sess *session.Session) (*broadcaster, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errDraining()
	}
	if b := h.sessions[sess.ID()]; b != nil {
		b.refs++
		return b, nil
	}
	feed, release, err := sess.Follow()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(h.ctx)
	b := &broadcaster{
		h: h, sess: sess, feed: feed, release: release, room: roomOf(sess.ID()), cancel: cancel, done: make(chan struct{}),
		refs: 1, members: map[*peer]struct{}{}, lock: make(chan struct{}, 1), next: feed.Next(),
	}
	h.sessions[sess.ID()] = b
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		b.run(ctx)
	}()
	return b, nil
}

// drop gives one hold back; the last one ends the broadcaster.
func (h *hub) drop(b *broadcaster) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.refs--
	if b.refs == 0 {
		h.remove(b)
		b.cancel()
	}
}

func (h *hub) remove(b *broadcaster) {
	if h.sessions[b.sess.ID()] == b {
		delete(h.sessions, b.sess.ID())
	}
}

// add makes the peer a member. UNAVAILABLE: the broadcaster follows another
// history of that session than the peer joined (it was deleted meanwhile).
// RATE_LIMITED: the session has too many different filters.
func (h *hub) add(b *broadcaster, p *peer, epoch string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.ended || (b.epoch != "" && b.epoch != epoch) {
		return fault.New(fault.Unavailable, "the session was deleted just now; connect again")
	}
	if !b.joinGroup(p.filter) {
		return fault.New(fault.RateLimited, "the clients of a session have at most %d different filters", maxSessionFilters)
	}
	b.epoch = epoch
	b.members[p] = struct{}{}
	return nil
}

func (h *hub) forget(b *broadcaster, p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := b.members[p]; ok {
		delete(b.members, p)
		b.leaveGroup(p.filter)
	}
}

func (h *hub) membersOf(b *broadcaster) []*peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*peer, 0, len(b.members))
	for p := range b.members {
		list = append(list, p)
	}
	return list
}

// reset cuts every socket of the session; the clients reconnect and recover.
func (h *hub) reset(b *broadcaster) {
	for _, p := range h.membersOf(b) {
		p.end.Leave(p.room())
		h.later(p.end.Reset)
	}
}

// end is the broadcaster's last act. When the session is over, its sockets are
// too; when the whole server stops, the socket layer closes them.
func (h *hub) end(b *broadcaster, sessionOver bool) {
	h.mu.Lock()
	b.ended = true
	h.remove(b)
	closed := h.closed
	h.mu.Unlock()
	if !sessionOver || closed {
		return
	}
	for _, p := range h.membersOf(b) {
		h.later(p.end.Kick)
	}
}

// later runs f on a goroutine that the hub waits for.
func (h *hub) later(f func()) {
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		f()
	}()
}

// refuse stops new joins; the broadcasters go on with what is under way.
func (h *hub) refuse() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// settle waits until every broadcaster has passed what its feed holds now.
func (h *hub) settle(ctx context.Context) {
	h.mu.Lock()
	list := make([]*broadcaster, 0, len(h.sessions))
	for _, b := range h.sessions {
		list = append(list, b)
	}
	h.mu.Unlock()
	for _, b := range list {
		b.settle(ctx, b.feed.Next())
	}
}

// close ends every broadcaster and waits for all goroutines, bounded by ctx.
func (h *hub) close(ctx context.Context) error {
	h.refuse()
	h.cancel()
	done := make(chan struct{})
	go func() {
		h.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
