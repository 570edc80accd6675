package socketio_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/socketio"
)

// SPEC S-19
func TestRooms(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		p, q := f.join("/", "/graph"), f.join("/graph")
		room := f.srv.Room("session_1")
		for i := range 3 {
			room.Add(f.socket(i))
			room.Add(f.socket(i))
		}
		f.socket(2).SetOffset(true)
		if room.Len() != 3 || room.Name() != "session_1" || len(room.Sockets()) != 3 || f.srv.Stats().Rooms != 1 {
			f.Errorf("room of %d", room.Len())
		}
		m := socketio.NewMessage("graph:node-created", json.RawMessage(`{"a":1}`), 7, "42")
		if n := room.Broadcast(m); n != 3 || m.Tag() != 7 {
			f.Errorf("broadcast to %d", n)
		}
		got := []string{p.read(), p.read()}
		if got[0] > got[1] {
			got[0], got[1] = got[1], got[0]
		}
		if diff := cmp.Diff([]string{`42/graph,["graph:node-created",{"a":1}]`, `42["graph:node-created",{"a":1}]`}, got); diff != "" {
			f.Error(diff)
		}
		q.expect(`42/graph,["graph:node-created",{"a":1},"42"]`)
		room.Broadcast(socketio.NewMessage("no offset", json.RawMessage(`1`), 8, ""))
		q.expect(`42/graph,["no offset",1]`)
		if err := f.socket(2).Send(f.ctx, m); err != nil {
			f.Error(err)
		}
		q.expect(`42/graph,["graph:node-created",{"a":1},"42"]`)
		if n := f.srv.Room("other").Broadcast(m); n != 0 || f.srv.Room("other").Len() != 0 || f.srv.Room("other").Sockets() != nil {
			f.Errorf("broadcast to %d", n)
		}
		room.Remove(f.socket(0))
		room.Remove(f.socket(0))
		f.srv.Room("other").Remove(f.socket(0))
		f.socket(1).Disconnect(false)
		_ = q.ws.Close()
		f.wait("the room to be empty", func() bool { return room.Len() == 0 && f.srv.Stats().Rooms == 0 })
		room.Add(f.socket(2))
		if f.srv.Stats().Rooms != 0 {
			f.Error("a socket that ended joined")
		}
	})
}

// SPEC S-20
func TestEmitAfterBroadcast(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/", "/graph")
		room := f.srv.Room("r")
		room.Add(f.socket(0))
		room.Add(f.socket(1))
		for i := range 100 {
			room.Broadcast(socketio.NewMessage("b", json.RawMessage(fmt.Sprint(i)), 0, ""))
			_ = f.socket(i%2).Emit("e", i)
			for range 2 {
				if got := p.read(); !strings.HasSuffix(got, fmt.Sprintf(`["b",%d]`, i)) {
					f.Fatalf("%d: read %q", i, got)
				}
			}
			if got := p.read(); !strings.HasSuffix(got, fmt.Sprintf(`["e",%d]`, i)) {
				f.Fatalf("%d: read %q", i, got)
			}
		}
	})
}

// What is no JSON is a mistake of ours, and no client's trouble.
func TestBadMessages(t *testing.T) {
	bubble(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/")
		room := f.srv.Room("r")
		room.Add(f.socket(0))
		for _, c := range [][2]string{{"{", "null"}, {"", "null"}, {"\"\xff\"", "\"\ufffd\""}} {
			room.Broadcast(socketio.NewMessage("x", json.RawMessage(c[0]), 0, ""))
			p.expect(`42["x",` + c[1] + `]`)
		}
	})
}

// SPEC S-21, S-22: a socket that lags pulls what it missed and joins again, and
// has seen everything once and in order.
func TestLagging(t *testing.T) {
	const total = 10_000 // 20 MB: more than sockets hold
	text := strings.Repeat("x", 2000)
	message := func(i int) *socketio.Message {
		return socketio.NewMessage("m", json.RawMessage(fmt.Sprintf(`[%d,%q]`, i, text)), uint64(i), "")
	}
	published := make(chan int, 1)
	published <- 0
	both(t, socketio.Config{MaxQueue: 64 << 10}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Lagging = func(sock *socketio.Socket, lastTag uint64) {
			r.note("lagging")
			next := int(lastTag) + 1
			for {
				n := <-published // holds the publisher
				if next > n {
					s.Room("r").Add(sock)
					published <- n
					return
				}
				published <- n
				if sock.Send(sock.Context(), message(next)) != nil {
					return
				}
				next++
			}
		}
		s.Namespace("/", h)
	}, func(f *fixture) {
		<-published
		published <- 0
		p := f.join("/")
		room := f.srv.Room("r")
		room.Add(f.socket(0))
		go func() {
			for i := 1; i <= total; i++ {
				<-published
				room.Broadcast(message(i))
				published <- i
			}
		}()
		f.wait("lagging", func() bool {
			if f.bubble {
				time.Sleep(time.Second) // virtual
			}
			return len(f.notes()) > 1
		})
		for i := 1; i <= total; i++ {
			if got := p.read(); !strings.HasPrefix(got, fmt.Sprintf(`42["m",[%d,`, i)) {
				f.Fatalf("read %.30q, want %d", got, i)
			}
		}
	})
}

// SPEC S-21
func TestLaggingWithoutHandler(t *testing.T) {
	bubble(t, socketio.Config{MaxQueue: 10_000}, nil, func(f *fixture) {
		p := f.join("/")
		room := f.srv.Room("r")
		room.Add(f.socket(0))
		for i := range 100 {
			room.Broadcast(socketio.NewMessage("m", json.RawMessage(`"`+strings.Repeat("x", 1000)+`"`), uint64(i), ""))
		}
		time.Sleep(time.Second)
		p.ended()
		f.settle()
		if got := f.notes(); got[len(got)-1] != "disconnect / "+engineio.ReasonSlow {
			f.Errorf("%q", got)
		}
		if f.srv.Stats().Rooms != 0 {
			f.Error("the room is left")
		}
	})
}

// E-26: a client that asks and does not read the answers.
func TestUnreadAcks(t *testing.T) {
	bubble(t, socketio.Config{MaxQueue: 10_000}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(_ *socketio.Socket, e socketio.Event) { e.Ack(strings.Repeat("x", 1000)) }
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		for range 100 {
			if p.ws.Write(`421["x"]`) != nil {
				break
			}
			f.settle()
		}
		f.settle()
		if got := f.notes(); got[len(got)-1] != "disconnect / "+engineio.ReasonSlow {
			f.Errorf("%q", got)
		}
	})
}
