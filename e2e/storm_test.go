package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// watcher is a load client that keeps every numbered event it gets.
type watcher struct {
	conn   *load.Conn
	events []recorded
	err    error
	done   chan struct{}
}

// watch joins a session and reads until the event with the number last. Every
// payload must be of that session.
func watch(t *testing.T, s *server, session, namespace string, last func(recorded) bool) *watcher {
	t.Helper()
	conn, err := load.Dial(bounded(t), load.Options{Address: s.addr, Namespace: namespace, Auth: object{"session_id": session}})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{conn: conn, done: make(chan struct{})}
	t.Cleanup(func() {
		_ = conn.Close()
		<-w.done
	})
	_ = conn.SetReadDeadline(time.Now().Add(4 * patience))
	go func() {
		defer close(w.done)
		for {
			name, data, err := conn.Read()
			if err != nil {
				w.err = err
				return
			}
			var head struct {
				SessionID string `json:"session_id"`
				Seq       uint64
			}
			if err := json.Unmarshal(data, &head); err != nil || head.SessionID != session {
				w.err = fmt.Errorf("%s of session %q: %s", name, head.SessionID, data)
				return
			}
			if head.Seq == 0 {
				continue
			}
			w.events = append(w.events, recorded{Event: name, Seq: head.Seq, Data: data})
			if last(w.events[len(w.events)-1]) {
				return
			}
		}
	}()
	return w
}

// wait blocks until the watcher has its last event.
func (w *watcher) wait(t *testing.T) []recorded {
	t.Helper()
	<-w.done
	if w.err != nil {
		t.Fatalf("a client after %d numbered events: %v", len(w.events), w.err)
	}
	return w.events
}

func TestStormOnOneSession(t *testing.T) {
	const writers, each = 200, 50
	s := startScript(t, "client.mjs")
	r := newRoom(t, shared.live, "storm", "outline")
	first := r.journal(t, "storm")
	head := first[len(first)-1].Seq + 2*writers*each // node-created and command:executed
	var watchers []*watcher
	for i := range 8 {
		watchers = append(watchers, watch(t, shared.live, "storm", []string{"/", "/graph"}[i%2], func(e recorded) bool { return e.Seq == head }))
	}
	officials := []*official{
		s.open(t, "storm websocket", shared.live.url, "/graph", []string{"websocket"}, object{"session_id": "storm"}),
		s.open(t, "storm polling", shared.live.url, "/", []string{"polling"}, object{"session_id": "storm"}),
	}
	for _, c := range officials {
		c.awaitJoined(t, 1)
	}
	receipts := executeFromMany(t, r, writers, each)
	if info := r.want(t, http.StatusOK, "GET", "/sessions/storm/info", nil); info["node_count"] != float64(writers*each+1) {
		t.Errorf("node_count = %v, want %d and the root", info["node_count"], writers*each)
	}
	if len(receipts) != writers*each {
		t.Errorf("%d distinct receipts, want %d", len(receipts), writers*each)
	}
	journal := r.journal(t, "storm")[len(first):]
	if last := journal[len(journal)-1].Seq; last != head || len(journal) != 2*writers*each {
		t.Errorf("the journal ends with %d after %d events, want %d", last, len(journal), head)
	}
	for i, w := range watchers {
		checkNumbered(t, fmt.Sprintf("client %d", i), w.wait(t), journal)
	}
	for _, c := range officials {
		c.awaitEvent(t, "command:executed", "seq", float64(head))
		checkNumbered(t, c.name, numbered(c.all()), journal)
	}
}

// executeFromMany has so many goroutines create nodes and returns how often
// each distinct pair of command id, node id and seq was answered.
func executeFromMany(t *testing.T, r room, writers, each int) map[string]int {
	t.Helper()
	receipts := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() {
			for range each {
				status, text, err := r.send("POST", "/commands/execute", object{
					"session_id": r.session, "command_type": "CreateNode",
					"data": object{"blueprint_type_id": "item", "parent_id": r.root},
				})
				var receipt struct {
					CommandID string `json:"command_id"`
					Seq       uint64
					Result    struct {
						NodeID string `json:"node_id"`
					}
				}
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("%d %s", status, text)
				}
				if err = errors.Join(err, json.Unmarshal(text, &receipt)); err != nil {
					errs[w] = err
					return
				}
				mu.Lock()
				receipts[fmt.Sprint(receipt)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return receipts
}

func TestManySessionsAtOnceStayApart(t *testing.T) {
	sessions := 1000
	if raceDetector && os.Getenv("CI") == "" {
		sessions = 300 // for impatient people; CI does all
	}
	if testing.Short() {
		sessions = 100
	}
	r := shared.live.rest()
	errs := make([]error, sessions)
	watchers := make([]*watcher, sessions)
	for i := range sessions {
		executed := 0
		watchers[i] = watch(t, shared.live, fmt.Sprintf("apart-%d", i), "/graph", func(e recorded) bool {
			if e.Event == "command:executed" {
				executed++
			}
			return executed == 3
		})
	}
	jobs := make(chan int)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := range jobs {
				errs[i] = fillSession(r, fmt.Sprintf("apart-%d", i))
			}
		})
	}
	for i := range sessions {
		jobs <- i
	}
	close(jobs)
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, w := range watchers {
		session := fmt.Sprintf("apart-%d", i)
		checkNumbered(t, session, w.wait(t), r.journal(t, session))
	}
}

// fillSession makes a project in a session and three nodes in it.
func fillSession(r rest, session string) error {
	status, text, err := r.send("POST", "/projects", object{"template_id": "outline", "project_name": session, "session_id": session})
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("POST /projects: %d %s %w", status, text, err)
	}
	for range 3 {
		status, text, err := r.send("POST", "/commands/execute", object{
			"session_id": session, "command_type": "CreateNode", "data": object{"blueprint_type_id": "item", "name": session},
		})
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("CreateNode: %d %s %w", status, text, err)
		}
	}
	return nil
}
