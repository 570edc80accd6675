package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
)

func (r *room) join(key string, opt JoinOptions) (Joined, func(string)) {
	r.t.Helper()
	j, leave, err := r.s.Join(r.t.Context(), Client{Key: key, ID: "id-" + key, Name: key}, opt)
	if err != nil {
		r.t.Fatal(err)
	}
	return j, leave
}

// SPEC N-30: joining and leaving are told to everyone, with the count.
func TestJoinAndLeave(t *testing.T) {
	r := newRoom(t, nil)
	feed := r.tail()
	a, leaveA := r.join("a", JoinOptions{})
	b, leaveB := r.join("b", JoinOptions{})
	if a.ClientCount != 1 || b.ClientCount != 2 || a.Recovered || len(a.State) != 0 || a.Replay {
		t.Errorf("a %+v b %+v", a, b)
	}
	items := feed.items()
	if len(items) != 2 || items[0].Name != EventSessionConnected || string(items[1].Payload) != string(b.Hello.Payload) {
		t.Fatalf("events %v", items)
	}
	m := body(t, items[1])
	user, _ := m["user"].(map[string]any)
	if m["client_id"] != "id-b" || m["client_count"] != 2.0 || m["epoch"] != b.Epoch || m["head_seq"] != 1.0 ||
		m["recovered"] != false || user["name"] != "b" {
		t.Errorf("payload %s", items[1].Payload)
	}
	if a.Cursor != items[0].Index+1 || b.Cursor != items[1].Index+1 {
		t.Errorf("cursors %d %d", a.Cursor, b.Cursor)
	}
	_, _, err := r.s.Join(t.Context(), Client{Key: "a"}, JoinOptions{})
	wantCode(t, err, fault.Conflict)
	if info, err := r.s.Info(t.Context()); err != nil || info.ClientCount != 2 {
		t.Errorf("a refused join changed the clients: %+v, %v", info, err)
	}
	leaveA("transport close")
	if m := body(t, feed.items()[0]); m["client_count"] != 1.0 || m["reason"] != "transport close" || m["client_id"] != "id-a" {
		t.Errorf("left: %v", m)
	}
	leaveB("x")
	if info, err := r.s.Info(t.Context()); err != nil || info.ClientCount != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestJoinIsBounded(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.MaxClients = 1 })
	r.join("a", JoinOptions{})
	_, _, err := r.s.Join(t.Context(), Client{Key: "b"}, JoinOptions{})
	wantCode(t, err, fault.RateLimited)
}

// SPEC N-31: epoch and last_seq get exactly what was missed; another epoch, a
// seq past the head or before what is kept gets the state, and recovered says which.
func TestJoinRecovers(t *testing.T) {
	r := newRoom(t, nil)
	r.create("ann", r.root)
	j, _ := r.join("first", JoinOptions{Snapshot: true})
	if len(j.State) != 1 || j.State[0].Seq != 0 || j.Recovered {
		t.Fatalf("snapshot: %+v", j)
	}
	if m := body(t, &j.State[0]); m["head_seq"] != 3.0 || m["seq"] != nil || m["graph"] == nil {
		t.Errorf("state %s", j.State[0].Payload)
	}
	at := func(n uint64) *uint64 { return &n }
	for name, tc := range map[string]struct {
		opt               JoinOptions
		recovered, replay bool
	}{
		"missed some":   {JoinOptions{Epoch: j.Epoch, LastSeq: at(1)}, true, true},
		"missed none":   {JoinOptions{Epoch: j.Epoch, LastSeq: at(3)}, true, false},
		"never had any": {JoinOptions{Epoch: j.Epoch, LastSeq: at(0)}, true, true},
		"other epoch":   {JoinOptions{Epoch: "other", LastSeq: at(1)}, false, false},
		"no epoch":      {JoinOptions{LastSeq: at(1)}, false, false},
		"past the head": {JoinOptions{Epoch: j.Epoch, LastSeq: at(4)}, false, false},
		"far past":      {JoinOptions{Epoch: j.Epoch, LastSeq: at(^uint64(0))}, false, false},
	} {
		got, _ := r.join(name, tc.opt)
		if got.Recovered != tc.recovered || got.Replay != tc.replay || (len(got.State) == 1) == tc.recovered {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// SPEC N-32: the clients of a deleted session are told, its feed ends, and the
// id is unknown until it is made again, with another epoch.
func TestDelete(t *testing.T) {
	r := newRoom(t, nil)
	j, leave := r.join("a", JoinOptions{})
	feed := r.tail()
	if err := r.m.Delete(t.Context(), "room"); err != nil {
		t.Fatal(err)
	}
	items := feed.items()
	if len(items) != 1 || items[0].Name != EventSessionDisconnected || body(t, items[0])["reason"] != ReasonSessionDeleted {
		t.Fatalf("events %v", items)
	}
	if err := feed.feed.Wait(t.Context(), feed.cursor); !errors.Is(err, ErrFeedClosed) {
		t.Errorf("the feed goes on: %v", err)
	}
	leave("late")
	_, err := r.m.Get(t.Context(), "room")
	wantCode(t, err, fault.InvalidSession)
	_, err = r.s.Info(t.Context())
	wantCode(t, err, fault.InvalidSession)
	wantCode(t, r.m.Delete(t.Context(), "room"), fault.InvalidSession)
	info, err := r.session("room").Info(t.Context())
	if err != nil || info.Epoch == j.Epoch || info.Seq != 0 {
		t.Errorf("made again: %+v, %v", info, err)
	}
}

// SPEC N-13: without a follower nothing is published; who joins has what came
// before in the journal, and what comes after in the feed.
func TestNobodyFollows(t *testing.T) {
	r := newRoom(t, nil)
	r.create("ann", r.root)
	feed := r.tail()
	if items, _, _ := feed.feed.Read(0, 100); len(items) != 0 {
		t.Errorf("%d items for nobody", len(items))
	}
	j, leave := r.join("a", JoinOptions{})
	r.create("ann", r.root)
	items, _, ok := feed.feed.Read(j.Cursor, 100)
	if !ok || j.HeadSeq != 3 || len(items) != 3 || items[1].Seq != 4 {
		t.Errorf("joined at %d, then %d items, ok=%v", j.HeadSeq, len(items), ok)
	}
	leave("x")
}

// A client that joins while commands stream in misses none and gets none twice.
func TestJoinInAStorm(t *testing.T) {
	r := newRoom(t, nil)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := r.do("ann", "UpdateProperty", `{"node_id":%q,"property_id":"size","value":%d}`, r.root, time.Now().UnixNano()%1000); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for i := range 50 {
		feed, release, err := r.s.Follow()
		if err != nil {
			t.Fatal(err)
		}
		j, leave := r.join(fmt.Sprint(i), JoinOptions{})
		next := j.HeadSeq + 1
		for cursor := j.Cursor; next < j.HeadSeq+20; {
			if err := feed.Wait(t.Context(), cursor); err != nil {
				t.Fatal(err)
			}
			items, after, ok := feed.Read(cursor, 100)
			if !ok {
				t.Fatal("overrun")
			}
			for _, it := range items {
				if it.Seq != 0 && it.Seq != next {
					t.Fatalf("join %d at %d: got %d, want %d", i, j.HeadSeq, it.Seq, next)
				}
				if it.Seq != 0 {
					next++
				}
			}
			cursor = after
		}
		leave("x")
		release()
	}
	close(stop)
	<-done
}
