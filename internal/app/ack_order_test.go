package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// A client gets the events of its own command before the acknowledgement, and
// that of a refused one after command:failed (SPEC X-15).
func TestEventsBeforeAck(t *testing.T) {
	for _, journal := range []string{"memory", "pebble"} {
		o, _ := options(t)
		o.Journal = journal
		a := start(t, o)
		mustPost(t, a, "/sessions", `{"session_id":"s"}`, http.StatusCreated)
		mustPost(t, a, "/projects", `{"session_id":"s","template_id":"outline","project_name":"P"}`, http.StatusCreated)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, err := load.Dial(ctx, load.Options{Address: strings.TrimPrefix(a.URL(), "http://"), Auth: map[string]string{"session_id": "s"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		for i := range 60 {
			typ, last := "item", "command:executed"
			if i%3 == 2 {
				typ, last = "nothing", "command:failed"
			}
			if err := c.Request(i, "command:execute", json.RawMessage(`{"command_type":"CreateNode","data":{"blueprint_type_id":"`+typ+`"}}`)); err != nil {
				t.Fatal(err)
			}
			got := ""
			for {
				p, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				if p.Ack == i {
					break
				}
				got = p.Event
			}
			if got != last {
				t.Fatalf("%s: the acknowledgement of command %d came after %q", journal, i, got)
			}
		}
	}
}
