package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

const (
	streamBatch = 256 // most events taken from feed or journal at once

	defaultMaxStreams = 10_000
	defaultKeepAlive  = 15 * time.Second
	followAttempts    = 3
)

// streams are the event streams (server-sent events) under way. A stop lets
// each send what was published before it, and ends them.
type streams struct {
	limit    int
	stopping context.Context
	stop     context.CancelFunc

	mu   sync.Mutex
	open int
	wg   sync.WaitGroup
}

func newStreams(limit int) *streams {
	if limit <= 0 {
		limit = defaultMaxStreams
	}
	k := &streams{limit: limit}
	k.stopping, k.stop = context.WithCancel(context.Background())
	return k
}

// enter counts a stream in; it must hold a piece of work (Server.begin), so
// that none enters once a stop waits for the streams. RATE_LIMITED past the limit.
func (k *streams) enter() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open >= k.limit {
		return fault.New(fault.RateLimited, "%d event streams are open, which is the most", k.limit)
	}
	k.open++
	k.wg.Add(1)
	return nil
}

func (k *streams) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open--
	k.wg.Done()
}

func (k *streams) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open
}

// wait blocks until every stream has ended, bounded by ctx. stop goes first.
func (k *streams) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		k.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stream is one follower of a session over HTTP, from its place on, at the pace
// of its connection. Between two writes it holds one buffer and a place; what
// leaves memory before it came to it is read from the journal.
type stream struct {
	sess     *session.Session
	feed     *session.Feed
	epoch    string
	at       position
	out      *eventWriter
	stopping context.Context // the server's
	// keepAlive is the longest silence.
	keepAlive time.Duration
}

// stream answers a request with the session's events until the client goes, the
// session is deleted or the server stops (SPEC ).
func (s *Server) stream(w http.ResponseWriter, r *http.Request, sess *session.Session, opt session.JoinOptions) {
	if err := s.streams.enter(); err != nil {
		writeError(w, r, s.log, err)
		return
	}
	defer s.streams.leave()
	requestOf(r.Context()).detach() // a stop waits for it as for a stream, not as for a command
	feed, release, joined, err := follow(r.Context(), sess, opt)
	if err != nil {
		writeError(w, r, s.log, err)
		return
	}
	defer release()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would gather events
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	st := &stream{
		sess: sess, feed: feed, epoch: joined.Epoch, stopping: s.streams.stopping, keepAlive: s.cfg.KeepAlive,
		at: position{cursor: joined.Cursor, seq: joined.HeadSeq}, out: newEventWriter(w),
	}
	defer context.AfterFunc(st.stopping, st.out.hurry)()
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	err = st.start(&joined)
	if err == nil {
		err = st.run(r.Context(), joined.HeadSeq)
	}
	if errors.Is(err, session.ErrFeedClosed) {
		err = st.farewell(r.Context(), requestID(r.Context()), time.Now())
	}
	if err != nil && r.Context().Err() == nil {
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "an event stream is cut; its client comes back and goes on",
			slog.String("session", sess.ID()), slog.Any("error", err), slog.String("request_id", requestID(r.Context())))
	}
}

// follow holds the session in memory and decides, in one turn, where the
// follower's stream begins. Both are of one history even where the session is
// deleted and made again meanwhile.
func follow(ctx context.Context, sess *session.Session, opt session.JoinOptions) (*session.Feed, func(), session.Joined, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for range followAttempts {
		feed, release, err := sess.Follow()
		if err != nil {
			return nil, nil, session.Joined{}, err
		}
		joined, err := sess.Sync(ctx, opt)
		if err != nil {
			release()
			return nil, nil, session.Joined{}, err
		}
		still, releaseAgain, err := sess.Follow()
		if err != nil {
			release()
			return nil, nil, session.Joined{}, err
		}
		releaseAgain()
		if still == feed { // then Sync spoke of this one too
			return feed, release, joined, nil
		}
		release()
	}
	return nil, nil, session.Joined{}, fault.New(fault.Unavailable, "the session was deleted just now; try again")
}

// start sends what comes before the live events: the state, or what was missed.
// The id that it sets tells a client that comes back where it stood, even when
// no event ever came.
func (st *stream) start(j *session.Joined) error {
	st.out.retry()
	for i := range j.State {
		if err := st.out.event(&j.State[i], ""); err != nil {
			return err
		}
		j.State[i] = session.Item{} // large; not needed again
	}
	if j.Replay {
		st.at.seq = j.ReplayAfter
	}
	st.out.place(eventID(st.epoch, st.at.seq))
	return st.out.flush()
}

// run sends the stream from its place on: what the journal has through that
// seq, then the live events. nil: the server stops and all that was published
// is sent. ErrFeedClosed: the session is over, and all is sent.
func (st *stream) run(ctx context.Context, through uint64) error {
	live, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(st.stopping, cancel)()
	if err := st.replay(ctx, through); err != nil {
		return err
	}
	for {
		caughtUp, err := st.fill(ctx)
		if err != nil {
			return err
		}
		if err := st.out.flush(); err != nil {
			return err
		}
		if !caughtUp {
			continue
		}
		if st.stopping.Err() != nil {
			return nil
		}
		if err := st.wait(live); err != nil && st.stopping.Err() == nil {
			return err
		}
	}
}

// fill puts live events into the buffer until it is full or none is left. The
// feed's items are let go before the buffer is written: a client that does not
// read holds no more than the buffer.
func (st *stream) fill(ctx context.Context) (caughtUp bool, err error) {
	items, _, ok := st.feed.Read(st.at.cursor, streamBatch)
	if !ok { // too slow: the journal has the numbered ones
		oldest, head := st.feed.Oldest()
		if err := st.replay(ctx, head); err != nil {
			return false, err
		}
		st.at.cursor = oldest
		return false, nil
	}
	for _, it := range items {
		if it.Seq > st.at.seq+1 { // written, but its turn never learned that it was
			if err := st.replay(ctx, it.Seq-1); err != nil {
				return false, err
			}
		}
		if err := st.pass(it); err != nil {
			return false, err
		}
		st.at.cursor = it.Index + 1
		if st.out.full() {
			return false, nil
		}
	}
	return len(items) < streamBatch, nil
}

// pass sends one event, unless it is a numbered one that was sent before.
func (st *stream) pass(it *session.Item) error {
	if it.Seq == 0 {
		return st.out.event(it, "")
	}
	if it.Seq <= st.at.seq {
		return nil
	}
	st.at.seq = it.Seq
	return st.out.event(it, eventID(st.epoch, it.Seq))
}

// replay sends the numbered events through that seq from the journal.
func (st *stream) replay(ctx context.Context, through uint64) error {
	for st.at.seq < through {
		items, err := st.sess.Events(ctx, st.at.seq, streamBatch)
		if err != nil {
			return err
		}
		if len(items) == 0 || items[0].Seq != st.at.seq+1 {
			return fmt.Errorf("the journal does not give what comes after %d", st.at.seq)
		}
		for i := range items {
			if items[i].Seq > through {
				return nil
			}
			if err := st.pass(&items[i]); err != nil {
				return err
			}
			items[i] = session.Item{}
		}
		if err := st.out.flush(); err != nil {
			return err
		}
	}
	return nil
}

// wait blocks until there is more, and sends a sign of life when there is
// nothing for long. live ends it.
func (st *stream) wait(live context.Context) error {
	for {
		ctx, cancel := context.WithTimeout(live, st.keepAlive)
		err := st.feed.Wait(ctx, st.at.cursor)
		cancel()
		switch {
		case err == nil || errors.Is(err, session.ErrFeedClosed):
			return err
		case live.Err() != nil:
			return live.Err()
		}
		st.out.comment("keep-alive")
		if err := st.out.flush(); err != nil {
			return err
		}
	}
}

// farewellData is the session:disconnected of a follower, which is no client.
type farewellData struct {
	SessionID   string         `json:"session_id"`
	Timestamp   string         `json:"timestamp"`
	HeadSeq     uint64         `json:"head_seq"`
	ClientID    string         `json:"client_id"`
	ClientCount int            `json:"client_count"`
	User        session.Client `json:"user"`
	Reason      string         `json:"reason"`
}

// deleted tells why the feed ended: not when the sessions are being closed.
func (st *stream) deleted(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	info, err := st.sess.Info(ctx)
	return fault.Is(err, fault.InvalidSession) || (err == nil && info.Epoch != st.epoch)
}

// farewell says that the session was deleted, where that is why its feed ended.
// The stream of id is named like a client.
func (st *stream) farewell(ctx context.Context, id string, now time.Time) error {
	if !st.deleted(ctx) {
		return nil
	}
	data, err := json.Marshal(farewellData{
		SessionID: st.sess.ID(), Timestamp: now.UTC().Format("2006-01-02T15:04:05.000Z"), HeadSeq: st.at.seq,
		ClientID: id, User: session.Client{ID: id}, Reason: session.ReasonSessionDeleted,
	})
	if err != nil {
		return err
	}
	if err := st.out.event(&session.Item{Name: session.EventSessionDisconnected, Payload: data}, ""); err != nil {
		return err
	}
	return st.out.flush()
}
