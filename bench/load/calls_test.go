package load_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphroom/graphroom/bench/load"
	"github.com/graphroom/graphroom/internal/socketio"
)

// echo is a Socket.IO server that acknowledges what it gets, refuses every
// third event, and sends an event before each acknowledgement.
func echo(t *testing.T) string {
	t.Helper()
	io := socketio.New(socketio.Config{Logger: slog.New(slog.DiscardHandler)})
	var count atomic.Int64
	h := socketio.Handler{
		Connect: func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Accept, error) {
			return socketio.Accept{}, nil
		},
		Event: func(s *socketio.Socket, ev socketio.Event) {
			n := count.Add(1)
			_ = s.Emit("seen", ev.Args[0])
			if ev.Ack != nil {
				ev.Ack(struct {
					OK   bool              `json:"ok"`
					Args []json.RawMessage `json:"args"`
				}{n%3 != 0, ev.Args})
			}
		},
	}
	io.Namespace("/", h)
	io.Namespace("/graph", h)
	srv := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = io.Close(ctx)
		srv.Close()
	})
	return strings.TrimPrefix(srv.URL, "http://")
}

func clock(t *testing.T) load.Clock {
	t.Helper()
	c, err := load.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRequestAndNext(t *testing.T) {
	address := echo(t)
	for _, namespace := range []string{"/", "/graph"} {
		c, err := load.Dial(t.Context(), load.Options{Address: address, Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if err := c.Request(12, "x", map[string]int{"a": 1}); err != nil {
			t.Fatal(err)
		}
		first, err := c.Next()
		if err != nil || first.Event != "seen" || first.Ack != -1 || string(first.Payload) != `{"a":1}` {
			t.Errorf("%s: %+v, %v", namespace, first, err)
		}
		second, err := c.Next()
		if err != nil || second.Ack != 12 || !strings.Contains(string(second.Payload), `"ok":true`) {
			t.Errorf("%s: %+v, %v", namespace, second, err)
		}
		_ = c.Close()
		if _, err := c.Next(); err == nil {
			t.Error("a closed connection has a packet")
		}
	}
}

func TestSocketCalls(t *testing.T) {
	address := echo(t)
	var conns []*load.Conn
	for range 5 {
		c, err := load.Dial(t.Context(), load.Options{Address: address, Namespace: "/graph"})
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	calls, err := load.NewSocketCalls(clock(t), conns, "x", func(i int, n uint64, dst []byte) []byte {
		return fmt.Appendf(dst, `{"client":%d,"n":%d}`, i, n)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	for range 2 {
		got, err := calls.Run(t.Context(), 60, 0)
		if err != nil || got.Done+got.Refused != 60 || got.Refused != 20 || got.Events != 60 || got.Latency.Count() != got.Done || got.Elapsed <= 0 {
			t.Errorf("%d done, %d refused (%s), %d events, %v", got.Done, got.Refused, got.Refusal, got.Events, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := calls.Run(ended, 60, 0); err == nil {
		t.Error("it runs although its context has ended")
	}
}

func TestHTTPCalls(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[string(body)]++
		mu.Unlock()
		if r.Method != http.MethodPost || r.URL.Path != "/at" || r.Header.Get("Content-Type") != "application/json" || string(body) == "0-0" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write([]byte("an answer"))
	}))
	defer srv.Close()
	calls, err := load.NewHTTPCalls(t.Context(), clock(t), strings.TrimPrefix(srv.URL, "http://"), "/at", 3, func(i int, n uint64, dst []byte) []byte {
		return fmt.Appendf(dst, "%d-%d", i, n)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	got, err := calls.Run(t.Context(), 30, 0)
	if err != nil || got.Done != 29 || got.Refused != 1 || !strings.Contains(got.Refusal, "an answer") {
		t.Errorf("%d done, %d refused (%s), %v", got.Done, got.Refused, got.Refusal, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 30 {
		t.Errorf("%d different bodies", len(seen))
	}
}

func TestCallsNoticeTheEnd(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer srv.Close()
	calls, err := load.NewHTTPCalls(t.Context(), clock(t), strings.TrimPrefix(srv.URL, "http://"), "/", 1, func(_ int, _ uint64, dst []byte) []byte { return dst })
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	if _, err := calls.Run(t.Context(), 1, 0); err == nil {
		t.Error("no error")
	}
}
