package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
)

func TestSessionIDs(t *testing.T) {
	r := newRig(t, nil)
	for _, id := range []string{"a b", "ü", "a/b", strings.Repeat("a", 129), "../x", "a\x00"} {
		_, err := r.m.Create(t.Context(), id)
		wantCode(t, err, fault.InvalidRequest)
		_, err = r.m.Open(t.Context(), id)
		wantCode(t, err, fault.InvalidSession)
		_, err = r.m.Get(t.Context(), id)
		wantCode(t, err, fault.InvalidSession)
	}
	for _, id := range []string{"a", "A-z_09", strings.Repeat("a", 128)} {
		if _, err := r.m.Create(t.Context(), id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	_, err := r.m.Create(t.Context(), "a")
	wantCode(t, err, fault.Conflict)
	s, err := r.m.Create(t.Context(), "")
	if err != nil || !ValidID(s.ID()) {
		t.Errorf("chosen id: %v, %v", s, err)
	}
}

func TestList(t *testing.T) {
	r := newRig(t, nil)
	for _, id := range []string{"c", "a", "b"} {
		r.session(id)
	}
	if _, err := r.session("b").Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := r.m.List(t.Context(), "a", 10)
	if err != nil || len(list) != 2 || list[0].SessionID != "b" || !list[0].Loaded || list[1].Loaded || list[1].Epoch == "" {
		t.Errorf("%+v, %v", list, err)
	}
}

// SPEC N-33: a session that nobody uses leaves memory, never the journal; one
// with a client or a follower stays.
func TestIdleSessionsAreUnloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, func(c *Config) {
			c.IdleAfter = time.Minute
			c.Clock = time.Now
		})
		n := r.create("ann", r.root)
		want := r.graph()
		_, leave := r.join("a", JoinOptions{})
		time.Sleep(10 * time.Minute)
		if r.m.Loaded() != 1 {
			t.Fatal("a session with a client left memory")
		}
		leave("gone")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := r.m.Loaded(); got != 0 {
			t.Fatalf("%d sessions loaded", got)
		}
		if r.graph() != want || r.value(n, "name") == "no such node" {
			t.Error("the graph changed by leaving memory")
		}
		r.close(r.m)
	})
}

func TestClosedManager(t *testing.T) {
	r := newRoom(t, nil)
	feed := r.tail()
	r.close(r.m)
	_, err := r.s.Info(t.Context())
	wantCode(t, err, fault.Unavailable)
	if err := feed.feed.Wait(t.Context(), feed.cursor); !errors.Is(err, ErrFeedClosed) {
		t.Errorf("the feed goes on: %v", err)
	}
}

// A caller that gives up gets UNAVAILABLE; the session goes on.
func TestCallerGivesUp(t *testing.T) {
	r := newRoom(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	inside, finish := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- r.s.Read(context.Background(), "", func(View) error {
			close(inside)
			<-finish
			return nil
		})
	}()
	<-inside
	go func() {
		_, err := r.s.Info(ctx)
		done <- err
	}()
	cancel()
	wantCode(t, <-done, fault.Unavailable)
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := r.s.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A thousand sessions at once: what happens in one stays in it.
func TestSessionsAreIsolated(t *testing.T) {
	r := newRig(t, nil)
	type one struct {
		room *room
		feed *tail
	}
	var all []one
	for i := range 200 {
		o := one{room: &room{rig: r, s: r.session(fmt.Sprint("s", i))}}
		o.feed = o.room.tail()
		if _, err := o.room.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "P"}); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	for i, o := range all {
		for range i % 3 {
			o.room.must("ann", "CreateNode", `{"blueprint_type_id":"item"}`)
		}
	}
	for i, o := range all {
		items := o.feed.items()
		if len(items) != 1+3*(i%3) {
			t.Errorf("session %d: %d items", i, len(items))
		}
		for _, it := range items {
			if body(t, it)["session_id"] != fmt.Sprint("s", i) {
				t.Fatalf("session %d got %s", i, it.Payload)
			}
		}
	}
}
