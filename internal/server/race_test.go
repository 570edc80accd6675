package server

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/graphroom/graphroom/internal/session"
)

// SPEC G-7: A under B and B under A at the same time: one wins, the other gets
// CYCLE, and the graph is a tree.
func TestMovesThatWouldBeACycle(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	for i := range 50 {
		a, b := r.create(m, m.root, fmt.Sprint("a", i)), r.create(m, m.root, fmt.Sprint("b", i))
		var wg sync.WaitGroup
		answers := make([]reply, 2)
		for k, move := range [][2]string{{a, b}, {b, a}} {
			wg.Go(func() {
				answers[k] = r.do("POST", "/api/v1/commands/execute", fmt.Sprintf(
					`{"session_id":%q,"command_type":"MoveNode","data":{"node_id":%q,"parent_id":%q}}`, m.session, move[0], move[1]))
			})
		}
		wg.Wait()
		won, lost := answers[0], answers[1]
		if won.Status != http.StatusOK {
			won, lost = lost, won
		}
		if won.Status != http.StatusOK || lost.Status != http.StatusConflict || lost.code() != "CYCLE" {
			t.Fatalf("answers %v and %v", answers[0], answers[1])
		}
	}
	sess, err := r.sessions.Get(t.Context(), m.session)
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.Read(t.Context(), "", func(v session.View) error { return v.Graph.Check() }); err != nil {
		t.Error(err)
	}
}
