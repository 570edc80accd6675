package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// live is one loaded session: a core, its goroutine, its feed and its clients.
// Everything but the mailbox, the feed and refs belongs to the goroutine.
type live struct {
	id   string
	m    *Manager
	log  *slog.Logger
	feed *Feed
	ctx  context.Context // of the session's own work; never cancelled, a turn is finished

	mailbox chan *request
	quit    chan struct{} // closed by the manager: no request is under way or will come
	done    chan struct{} // closed when the goroutine has ended

	// under Manager.mu
	refs     int       // requests under way, clients, followers
	lastUsed time.Time // when refs last became 0

	pace        *pace
	core        *core // nil until loaded, and after a turn was discarded
	clients     map[string]Client
	clientCount atomic.Int64 // len(clients), for Manager.List
	followers   atomic.Int64 // clients and Follow calls not yet released
	joined      []string     // client keys in the order they joined
	firstSeq    uint64       // the oldest seq still in the journal
	deleted     bool

	snapshots   sync.WaitGroup // the snapshot being written, at most one
	snapshotEnd chan snapshotResult
	writing     bool
	snapSize    int // bytes of the newest snapshot
	sinceBytes  int // journal bytes since it was taken
	sinceCount  int
}

// request is one visit to the turn. run decides; what it returns is the answer
// unless the turn's append fails. done is closed when the answer may leave.
type request struct {
	run    func(t *turn) error
	failed func(t *turn, err *fault.Error) // publishes command:failed when run refuses; may be nil
	err    error
	done   chan struct{}
}

const (
	mailboxSize  = 256
	turnRequests = 256     // most requests in one turn
	turnBytes    = 1 << 20 // a turn that holds that many journal bytes takes no further request
)

func newLive(m *Manager, id string) *live {
	return &live{
		id: id, m: m, ctx: context.Background(), log: m.cfg.Logger.With("session", id), feed: newFeed(m.cfg.FeedBytes),
		mailbox: make(chan *request, mailboxSize), quit: make(chan struct{}), done: make(chan struct{}),
		pace: newPace(&m.turns), clients: map[string]Client{}, snapshotEnd: make(chan snapshotResult, 1),
	}
}

// submit takes r through a turn. An error of ctx means that the outcome is
// unknown; the request may still run.
func (l *live) submit(ctx context.Context, r *request) error {
	r.done = make(chan struct{})
	select {
	case l.mailbox <- r:
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "gave up waiting for the session; nothing was done")
	case <-l.done:
		return errGone
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "gave up waiting for the answer; try the same command_id again")
	case <-l.done:
		select {
		case <-r.done:
			return r.err
		default:
			return errGone
		}
	}
}

// errGone says that this live is finished; the manager may have a new one.
var errGone = errors.New("session: not loaded any more")

func (l *live) loop() {
	defer close(l.done)
	defer l.feed.close()
	for {
		select {
		case r := <-l.mailbox:
			l.turn(r)
		case res := <-l.snapshotEnd:
			l.snapshotWritten(res)
		case <-l.quit:
			l.finish()
			return
		}
		if l.deleted {
			l.snapshots.Wait()
			l.m.forget(l)
			return
		}
	}
}

// finish leaves a snapshot behind, so that the next load is short.
func (l *live) finish() {
	l.snapshots.Wait()
	if l.core == nil || l.sinceCount == 0 || l.sinceBytes < l.m.cfg.SnapshotMinBytes/4 {
		return
	}
	data, _, err := l.core.encode(l.pace.step)
	if err == nil {
		err = l.m.cfg.Journal.PutSnapshot(l.ctx, l.id, l.core.head, data)
	}
	if err != nil {
		l.log.Warn("no snapshot at the end; the next load reads more of the journal", "err", err)
	}
}

// turn is the work on all requests that were waiting when it began.
type turn struct {
	l       *live
	now     time.Time
	after   uint64 // head before the entries that are not appended yet
	records []journal.Record
	bytes   int
	out     []Item     // to publish after the append
	waiting []*request // to answer after the append
	// followed: somebody may read what is published. Without a follower events
	// are not even encoded. It holds until the next flush, and who joins does so
	// behind one.
	followed bool
}

func (l *live) turn(first *request) {
	l.m.turns.Add(1)
	l.pace.begin()
	t := &turn{l: l, now: l.m.cfg.Clock(), followed: l.followers.Load() > 0}
	if err := l.load(); err != nil {
		first.answer(err)
		if fault.Is(err, fault.InvalidSession) {
			l.deleted = true // it never was; the goroutine ends
		}
		return
	}
	t.after = l.core.head
	t.take(first)
	for n := 1; n < turnRequests && t.bytes < turnBytes && l.core != nil && !l.deleted; n++ {
		select {
		case r := <-l.mailbox:
			t.take(r)
			continue
		default:
		}
		break
	}
	if t.flush() == nil && l.core != nil && !l.deleted {
		l.maybeSnapshot()
	}
}

func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

// take runs one request. A panic in it is contained: the request is answered
// with INTERNAL, and the state, which it may have left half changed, is
// discarded with all of the turn that is not yet in the journal.
func (t *turn) take(r *request) {
	defer func() {
		if p := recover(); p != nil {
			t.l.log.Error("panic in a turn", "panic", p, "stack", string(debug.Stack()))
			err := fault.Wrap(fmt.Errorf("panic: %v", p), fault.Internal, "internal error")
			t.abandon(fault.New(fault.Unavailable, "the turn was abandoned and nothing was done; try the same command_id again"), true)
			t.l.core = nil
			if r.failed != nil {
				t.now = t.l.m.cfg.Clock()
				r.failed(t, err)
				t.l.feed.push(t.out)
				t.out = nil
			}
			r.answer(err)
		}
	}()
	err := r.run(t)
	if err != nil && r.failed != nil {
		r.failed(t, fault.From(err))
	}
	r.err = err
	if t.l.core == nil && len(t.waiting) == 0 && len(t.records) == 0 {
		r.answer(err) // a flush inside run has already discarded the turn
		return
	}
	t.waiting = append(t.waiting, r)
}

// commit applies an entry to the working state and adds it to what this turn
// appends.
func (t *turn) commit(e *entry) error {
	rec, err := encodeEntry(e, t.l.pace.step)
	if err != nil {
		return err
	}
	var events []Item
	if t.followed {
		events = e.events(t.l.id, t.l.pace.step)
	}
	if err := t.l.core.apply(e); err != nil {
		panic(err) // planned on this very state: a bug, and the state is lost
	}
	t.records = append(t.records, rec)
	t.bytes += len(rec.Data)
	t.out = append(t.out, events...)
	return nil
}

// hint publishes at once, before anything of this turn is durable.
func (t *turn) hint(it Item) {
	if t.followed {
		t.l.feed.push([]Item{it})
	}
}

// flush makes the turn so far durable, then publishes it and answers. On
// failure the working state is discarded and nothing is published.
func (t *turn) flush() error {
	l := t.l
	if len(t.records) > 0 {
		if err := l.m.cfg.Journal.Append(l.ctx, l.id, t.after, t.records); err != nil {
			l.log.Error("append failed; the working state is discarded", "after", t.after, "entries", len(t.records), "err", err)
			answer := fault.Wrap(err, fault.Unavailable, "the journal did not confirm the command: its outcome is unknown, try the same command_id again")
			t.abandon(answer, errors.Is(err, journal.ErrConflict))
			l.core = nil
			return answer
		}
		l.sinceBytes += t.bytes
		l.sinceCount += len(t.records)
	}
	l.m.cfg.Observe.turn(len(t.waiting), len(t.records), t.bytes)
	if t.followed {
		l.feed.push(t.out)
	}
	for _, r := range t.waiting {
		r.answer(r.err)
	}
	t.reset()
	return nil
}

func (t *turn) reset() {
	if t.l.core != nil {
		t.after = t.l.core.head
	}
	t.records, t.bytes, t.out, t.waiting = nil, 0, nil, nil
	t.followed = t.l.followers.Load() > 0
}

// abandon answers everything that waits with err. known says that nothing of
// it was written: then each command is said to have failed; otherwise only
// those are that had been refused before.
func (t *turn) abandon(err *fault.Error, known bool) {
	waiting := t.waiting
	t.out = nil
	if t.l.core != nil {
		t.l.core.head = t.after // about to be discarded: what is published stands behind this
	}
	for _, r := range waiting {
		refused := r.err != nil
		if !refused {
			r.err = err
		}
		if r.failed != nil && (known || refused) {
			r.failed(t, fault.From(r.err))
		}
	}
	t.l.feed.push(t.out)
	for _, r := range waiting {
		r.answer(r.err)
	}
	t.records, t.bytes, t.out, t.waiting = nil, 0, nil, nil
}
