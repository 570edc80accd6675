package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graphroom/graphroom/internal/session"
)

// faultySink does what a sink must not.
type faultySink struct{ broadcast func() (int, error) }

func (f faultySink) Broadcast(string, *session.Item, uint64) (int, error) { return f.broadcast() }

// SPEC X-11: a sink that blocks, panics or fails neither delays nor fails a
// command.
func TestBrokenSink(t *testing.T) {
	for name, broadcast := range map[string]func(stop <-chan struct{}) (int, error){
		"blocks": func(stop <-chan struct{}) (int, error) { <-stop; return 0, nil },
		"panics": func(<-chan struct{}) (int, error) { panic("broken") },
		"errors": func(<-chan struct{}) (int, error) { return 0, errors.New("broken") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			stop := make(chan struct{})
			var calls atomic.Int64
			r.srv.sockets.hub.sink = faultySink{func() (int, error) {
				calls.Add(1)
				return broadcast(stop)
			}}
			defer close(stop) // before the rig stops
			m := r.open("outline")
			sess, err := r.sessions.Get(t.Context(), m.session)
			if err != nil {
				t.Fatal(err)
			}
			c := r.join("/graph", m.session)
			c.events(1) // hello comes before any broadcast
			for i := range 1000 {
				if _, err := sess.Execute(t.Context(), session.Execute{Type: "CreateNode", Data: json.RawMessage(fmt.Sprintf(
					`{"blueprint_type_id":"item","parent_id":%q,"name":"%d"}`, m.root, i))}); err != nil {
					t.Fatal(err)
				}
			}
			if info, err := sess.Info(t.Context()); err != nil || info.NodeCount != 1001 {
				t.Errorf("%v %v", info, err)
			}
			c.waitCalls(&calls)
		})
	}
}

func (c *client) waitCalls(calls *atomic.Int64) {
	for deadline := time.Now().Add(patience); calls.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatal("the sink was never called")
		}
	}
}

// fakeRooms is a sink with sockets whose queues are bounded by number, so that
// lagging happens at will.
type fakeRooms struct {
	mu      sync.Mutex
	members map[*fakeSocket]bool
}

func (f *fakeRooms) Broadcast(_ string, it *session.Item, tag uint64) (int, error) {
	f.mu.Lock()
	var lagging []*fakeSocket
	for s := range f.members {
		s.got = append(s.got, *it)
		s.lastTag = tag
		s.room--
		if s.room <= 0 {
			lagging = append(lagging, s)
			delete(f.members, s)
		}
	}
	n := len(f.members)
	f.mu.Unlock()
	for _, s := range lagging {
		s.lag(s.lastTag)
	}
	return n, nil
}

// fakeSocket is an endpoint that keeps what it got.
type fakeSocket struct {
	rooms   *fakeRooms
	got     []session.Item // under rooms.mu
	lastTag uint64
	room    int // broadcasts until it lags
	again   func() int
	lag     func(tag uint64)
	reset   atomic.Bool
}

func (s *fakeSocket) Send(ctx context.Context, it *session.Item) error {
	s.rooms.mu.Lock()
	defer s.rooms.mu.Unlock()
	s.got = append(s.got, *it)
	return ctx.Err()
}

func (s *fakeSocket) Push(it *session.Item) error { return s.Send(context.Background(), it) }

func (s *fakeSocket) Enter(string) {
	s.rooms.mu.Lock()
	defer s.rooms.mu.Unlock()
	s.lastTag, s.room = 0, s.again()
	s.rooms.members[s] = true
}

func (s *fakeSocket) Leave(string) {
	s.rooms.mu.Lock()
	defer s.rooms.mu.Unlock()
	delete(s.rooms.members, s)
}

func (s *fakeSocket) Kick()  {}
func (s *fakeSocket) Reset() { s.reset.Store(true) }

// streamRig is a hub over fake sockets and a real session.
type streamRig struct {
	t     *testing.T
	r     *rig
	hub   *hub
	rooms *fakeRooms
	sess  *session.Session
	m     room
}

func newStreamRig(t *testing.T) *streamRig {
	r := newRig(t, func(c *Config) { c.Realtime = false })
	rooms := &fakeRooms{members: map[*fakeSocket]bool{}}
	s := &streamRig{t: t, r: r, rooms: rooms, m: r.open("outline"),
		hub: newHub(slog.New(slog.NewTextHandler(r.logs, nil)), newMetrics(prometheus.NewRegistry()), rooms)}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.hub.close(ctx); err != nil {
			t.Error(err)
		}
	})
	var err error
	if s.sess, err = r.sessions.Get(t.Context(), s.m.session); err != nil {
		t.Fatal(err)
	}
	return s
}

// join adds a fake socket that lags after as many broadcasts as room says.
func (s *streamRig) join(key string, opt session.JoinOptions, room func() int) (*fakeSocket, *peer) {
	s.t.Helper()
	b, err := s.hub.hold(s.sess)
	if err != nil {
		s.t.Fatal(err)
	}
	j, leave, err := s.sess.Join(s.t.Context(), session.Client{Key: key, ID: key}, opt)
	if err != nil {
		s.t.Fatal(err)
	}
	sock := &fakeSocket{rooms: s.rooms, again: room}
	p := &peer{ctx: context.Background(), end: sock, b: b, joined: j, leave: leave}
	sock.lag = func(tag uint64) { s.hub.lagging(p, tag) }
	if s.hub.add(b, p, j.Epoch) != nil {
		s.t.Fatal("not added")
	}
	s.hub.start(p)
	return sock, p
}

func (s *streamRig) create(n int) {
	for range n {
		if _, err := s.sess.Execute(context.Background(), session.Execute{Type: "CreateNode",
			Data: json.RawMessage(fmt.Sprintf(`{"blueprint_type_id":"item","parent_id":%q}`, s.m.root))}); err != nil {
			s.t.Error(err)
		}
	}
}

// createLarge makes nodes of 60 kB: a hundred are more than a feed keeps.
func (s *streamRig) createLarge(n int) {
	s.t.Helper()
	text := strings.Repeat("x", 60_000)
	for range n {
		if _, err := s.sess.Execute(s.t.Context(), session.Execute{Type: "CreateNode", Data: json.RawMessage(fmt.Sprintf(
			`{"blueprint_type_id":"item","parent_id":%q,"properties":{"note":%q}}`, s.m.root, text))}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// settled waits until the socket has the event numbered head, and returns all.
func (s *streamRig) settled(sock *fakeSocket, head uint64) []session.Item {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.rooms.mu.Lock()
		got := slices.Clone(sock.got)
		s.rooms.mu.Unlock()
		if slices.ContainsFunc(got, func(it session.Item) bool { return it.Seq == head }) {
			return got
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("event %d did not come; the last of %d is %+v; reset: %v", head, len(got), got[len(got)-1], sock.reset.Load())
		}
	}
}

// checkStream says whether numbered events are gapless after first.
func checkStream(t *testing.T, who string, got []session.Item, first, head uint64) {
	t.Helper()
	next := first
	for _, it := range got {
		if it.Seq == 0 {
			continue
		}
		if it.Seq != next {
			t.Fatalf("%s: event %d came where %d is due", who, it.Seq, next)
		}
		next++
	}
	if next != head+1 {
		t.Fatalf("%s: ended before %d of %d", who, next, head)
	}
}

// SPEC X-12: sockets that join and lag at any time get every numbered event
// exactly once, in order.
func TestSpliceIsExact(t *testing.T) {
	s := newStreamRig(t)
	const commands, joiners = 300, 24
	rnd := rand.New(rand.NewPCG(1, 2))
	type member struct {
		sock *fakeSocket
		head uint64
	}
	var members []member
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { s.create(commands) })
	}
	for i := range joiners {
		patience := 1 + rnd.IntN(40)
		if i%4 == 0 {
			patience = 1 << 30 // one that never lags
		}
		sock, p := s.join(fmt.Sprint("c", i), session.JoinOptions{}, func() int { return patience })
		members = append(members, member{sock, p.joined.HeadSeq})
	}
	wg.Wait()
	head := uint64(1 + 2*3*commands)
	for i, m := range members {
		checkStream(t, fmt.Sprint("socket ", i), s.settled(m.sock, head), m.head+1, head)
		if m.sock.reset.Load() {
			t.Errorf("socket %d was cut", i)
		}
	}
}

// SPEC X-12: hints too come once and in their places to a socket that keeps up
// or lags while its place is in memory.
func TestSpliceKeepsHints(t *testing.T) {
	s := newStreamRig(t)
	steady, _ := s.join("steady", session.JoinOptions{}, func() int { return 1 << 30 })
	slow, _ := s.join("slow", session.JoinOptions{}, func() int { return 3 })
	s.create(200)
	a, b := s.settled(steady, 401), s.settled(slow, 401)
	a, b = a[2:], b[1:] // without hello and, at the first, the other's joining
	if len(a) != len(b) || len(a) != 600 {
		t.Fatalf("%d and %d items", len(a), len(b))
	}
	for i := range a {
		if a[i].Name != b[i].Name || string(a[i].Payload) != string(b[i].Payload) {
			t.Fatalf("item %d: %s and %s", i, a[i].Payload, b[i].Payload)
		}
	}
}

// SPEC X-13: a socket whose place has left the memory goes on from the journal.
func TestLaggingBeyondMemory(t *testing.T) {
	s := newStreamRig(t)
	sock, p := s.join("slow", session.JoinOptions{}, func() int { return 5 })
	held := make(chan struct{})
	sock.lag = func(tag uint64) {
		go func() {
			<-held
			s.hub.lagging(p, tag)
		}()
	}
	s.createLarge(100)
	if oldest, _ := p.b.feed.Oldest(); oldest < 20 {
		t.Fatalf("the feed still begins at %d", oldest)
	}
	close(held)
	checkStream(t, "slow", s.settled(sock, 201), 2, 201)
	if sock.reset.Load() {
		t.Error("it was cut")
	}
}

// SPEC X-13: the broadcaster itself may be overrun.
func TestBroadcasterOverrun(t *testing.T) {
	s := newStreamRig(t)
	sock, p := s.join("a", session.JoinOptions{}, func() int { return 1 << 30 })
	s.create(1)
	s.settled(sock, 3)
	if err := p.b.acquire(t.Context()); err != nil { // as a slow sink does
		t.Fatal(err)
	}
	s.createLarge(100)
	late, latePeer := s.join("late", session.JoinOptions{}, func() int { return 1 << 30 })
	p.b.unlock()
	checkStream(t, "a", s.settled(sock, 203), 2, 203)
	s.create(5)
	checkStream(t, "a", s.settled(sock, 213), 2, 213)
	checkStream(t, "late", s.settled(late, 213), latePeer.joined.HeadSeq+1, 213)
	if sock.reset.Load() || late.reset.Load() {
		t.Error("a socket was cut")
	}
}

// SPEC X-10: nothing of a session is kept once its last socket has left.
func TestHubForgets(t *testing.T) {
	s := newStreamRig(t)
	_, p := s.join("a", session.JoinOptions{}, func() int { return 1 })
	_, q := s.join("b", session.JoinOptions{}, func() int { return 1 })
	s.hub.depart(p, "x")
	s.hub.depart(p, "x") // again: nothing
	s.hub.depart(q, "x")
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.hub.mu.Lock()
		n := len(s.hub.sessions)
		s.hub.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d broadcasters left", n)
		}
	}
	<-p.b.done
}
