package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
	"github.com/graphroom/graphroom/internal/socketio"
)

// SPEC S-8, S-9
func TestEventsAndAcks(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/", "/graph")
		p.write(`42["a",1,"two",{"3":[4,{}]}]`)
		p.write(`42/graph,7[ "b" , [ 1 , 2 ] , null ]`)
		p.expect(`43/graph,7["got",2]`)
		p.write(`420["c\"\\\u00e9"]`)
		p.expect(`430["got",0]`)
		p.write(`42[5,"a number names it"]`)
		want := []string{"connected / {}", "connected /graph {}", `event a 1 "two" {"3":[4,{}]}`, "event b [ 1 , 2 ] null", `event c"\é `, `event 5 "a number names it"`}
		less := func(a, b string) bool { return a < b } // namespaces are independent
		if diff := cmp.Diff(sorted(want, less), sorted(f.waitNotes(6), less)); diff != "" {
			f.Error(diff)
		}
	})
}

func sorted(in []string, less func(a, b string) bool) []string {
	out := append([]string(nil), in...)
	for i := range out {
		for j := i; j > 0 && less(out[j], out[j-1]); j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

// SPEC S-19: what is emitted is JSON of its arguments.
func TestEmit(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/", "/graph")
		root, graph := f.socket(0), f.socket(1)
		type point struct {
			X int `json:"x"`
		}
		_ = root.Emit("e", 1, "a<b>é", nil, point{2}, json.RawMessage(`{"raw" : 1}`), []int{})
		p.expect(`42["e",1,"a<b>é",null,{"x":2},{"raw" : 1},[]]`)
		_ = graph.Emit("none")
		p.expect(`42/graph,["none"]`)
		_ = root.Emit("bad utf8", "a\xffb", json.RawMessage("\"\xff\""))
		p.expect("42[\"bad utf8\",\"a\\ufffdb\",\"\ufffd\"]")
		if err := root.Emit("e", func() {}); err == nil {
			f.Error("emitted a function")
		}
		if err := root.Emit("e", json.RawMessage("{")); err == nil {
			f.Error("emitted what is no JSON")
		}
		_ = root.Emit("e", "\x1e")
		p.expect(`42["e","\u001e"]`)
	})
}

// SPEC S-12
func TestBinary(t *testing.T) {
	both(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(s *socketio.Socket, e socketio.Event) {
			var values []any
			for i := range e.Args {
				v, err := e.Value(i)
				if err != nil {
					r.note(err.Error())
				}
				values = append(values, v)
			}
			_ = s.Emit("back", values...)
			if e.Ack != nil {
				e.Ack(values...)
			}
		}
		s.Namespace("/", h)
		s.Namespace("/graph", h)
	}, func(f *fixture) {
		p := f.join("/", "/graph")
		p.write(`452-["x",{"_placeholder":true,"num":1},[{"b":{"_placeholder":true,"num":0}},1.50]]`)
		p.writeBinary("zero")
		p.writeBinary("one")
		p.expect(`452-["back",{"_placeholder":true,"num":0},[{"b":{"_placeholder":true,"num":1}},1.50]]`)
		p.expect("bone")
		p.expect("bzero")
		p.write(`451-/graph,12["x",{"_placeholder":true,"num":0}]`)
		p.writeBinary("")
		p.expect(`451-/graph,["back",{"_placeholder":true,"num":0}]`)
		p.expect("b")
		p.expect(`461-/graph,12[{"_placeholder":true,"num":0}]`)
		p.expect("b")
		p.write(`450-["none",1]`)
		p.expect(`42["back",1]`)
		q, err := f.client.OpenPolling(f.ctx)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := q.Post(f.ctx, "40", `451-["x",{"_placeholder":true,"num":0}]`, "bAQID"); err != nil {
			f.Fatal(err)
		}
		var packets []string
		for len(packets) < 3 {
			more, err := q.Poll(f.ctx)
			if err != nil {
				f.Fatal(err)
			}
			packets = append(packets, more...)
		}
		if diff := cmp.Diff([]string{`451-["back",{"_placeholder":true,"num":0}]`, "bAQID"}, packets[1:]); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC S-10
func TestCall(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/")
		s := f.socket(0)
		type result struct {
			reply socketio.Reply
			err   error
		}
		call := func(ctx context.Context, name string, args ...any) <-chan result {
			out := make(chan result, 1)
			go func() {
				r, err := s.Call(ctx, name, args...)
				out <- result{r, err}
			}()
			return out
		}
		one := call(f.ctx, "ask", socketio.Binary("q"))
		p.expect(`451-1["ask",{"_placeholder":true,"num":0}]`)
		p.expect("bq")
		p.write("4399[]") // nobody asked
		p.write(`461-1[{"_placeholder":true,"num":0},5]`)
		p.writeBinary("a")
		got := <-one
		v, err := got.reply.Value(0)
		if got.err != nil || err != nil || string(v.(socketio.Binary)) != "a" || string(got.reply.Args[1]) != "5" || got.reply.Socket != s {
			f.Errorf("%+v %v", got, err)
		}
		ctx, cancel := context.WithTimeout(f.ctx, 10*time.Millisecond)
		defer cancel()
		if got := <-call(ctx, "late"); !errors.Is(got.err, context.DeadlineExceeded) {
			f.Errorf("%+v", got)
		}
		p.expect(`422["late"]`)
		p.write("432[]") // too late
		gone := call(f.ctx, "gone")
		p.expect(`423["gone"]`)
		p.write("41")
		if got := <-gone; !errors.Is(got.err, socketio.ErrClosed) {
			f.Errorf("%+v", got)
		}
		if got := <-call(f.ctx, "closed"); !errors.Is(got.err, socketio.ErrClosed) {
			f.Errorf("%+v", got)
		}
		if got := <-call(f.ctx, "bad", func() {}); got.err == nil {
			f.Errorf("%+v", got)
		}
	})
}

// SPEC S-11
func TestRoomCall(t *testing.T) {
	bubble(t, socketio.Config{}, nil, func(f *fixture) {
		peers := []*peer{f.join("/"), f.join("/"), f.join("/")}
		room := f.srv.Room("r")
		for i := range peers {
			room.Add(f.socket(i))
		}
		answer := func(p *peer, args string) {
			text := p.read()
			id := strings.TrimSuffix(strings.TrimPrefix(text, "42"), `["ask",1]`)
			p.write("43" + id + args)
		}
		type result struct {
			replies []socketio.Reply
			err     error
		}
		call := func() <-chan result {
			out := make(chan result, 1)
			go func() {
				ctx, cancel := context.WithTimeout(f.ctx, time.Second)
				defer cancel()
				replies, err := room.Call(ctx, "ask", 1)
				out <- result{replies, err}
			}()
			return out
		}
		one := call()
		for i, p := range peers {
			answer(p, fmt.Sprintf("[%d]", i))
		}
		if got := <-one; got.err != nil || len(got.replies) != 3 {
			f.Errorf("%+v", got)
		}
		two := call()
		answer(peers[0], "[0]")
		peers[1].read()
		peers[2].read()
		if got := <-two; !errors.Is(got.err, context.DeadlineExceeded) || len(got.replies) != 1 {
			f.Errorf("%+v", got)
		}
		three := call()
		answer(peers[0], "[0]")
		peers[1].read()
		answer(peers[2], "[2]")
		f.socket(1).Disconnect(false)
		if got := <-three; got.err != nil || len(got.replies) != 2 {
			f.Errorf("%+v", got)
		}
		if replies, err := f.srv.Room("empty").Call(f.ctx, "x"); err != nil || replies != nil {
			f.Errorf("%v %v", replies, err)
		}
	})
}

// SPEC S-16, S-17, S-18
func TestDisconnect(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/", "/graph")
		p.write(`42/graph,["last"]`)
		p.write("41/graph,")
		f.waitNotes(4)
		p.connect("/graph", `{"again":1}`)
		f.socket(2).Disconnect(false)
		p.expect("41/graph,")
		f.waitNotes(6)
		if err := f.socket(2).Emit("x"); !errors.Is(err, socketio.ErrClosed) {
			f.Errorf("Emit: %v", err)
		}
		if err := f.socket(2).Send(f.ctx, socketio.NewMessage("x", nil, 0, "")); !errors.Is(err, socketio.ErrClosed) {
			f.Errorf("Send: %v", err)
		}
		p.connect("/graph", "")
		f.socket(3).Disconnect(true)
		p.expect("41/graph,")
		p.ended()
		notes := f.waitNotes(9)
		want := []string{
			"connected / {}", "connected /graph {}", "event last ", "disconnect /graph client namespace disconnect",
			`connected /graph {"again":1}`, "disconnect /graph server namespace disconnect", "connected /graph {}",
			"disconnect / forced server close", "disconnect /graph server namespace disconnect",
		}
		if notes[7] > notes[8] {
			notes[7], notes[8] = notes[8], notes[7]
		}
		if diff := cmp.Diff(want, notes); diff != "" {
			f.Error(diff)
		}
		if f.socket(3).Context().Err() == nil {
			f.Error("the context goes on")
		}
	})
}

// SPEC S-18
func TestReasons(t *testing.T) {
	bubble(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/")
		_ = p.ws.Close()
		f.settle()
		p = f.join("/")
		_ = p.ws.WriteFrame(enginetest.Frame{First: 0x83})
		p.ended()
		f.settle()
		p = f.join("/")
		time.Sleep(46 * time.Second)
		f.settle()
		q, err := f.client.OpenPolling(f.ctx)
		if err != nil {
			f.Fatal(err)
		}
		_, _ = q.Post(f.ctx, "40", "1")
		f.settle()
		var got []string
		for _, note := range f.notes() {
			if reason, ok := strings.CutPrefix(note, "disconnect / "); ok {
				got = append(got, reason)
			}
		}
		if diff := cmp.Diff([]string{"transport close", "transport error", "ping timeout", "transport close"}, got); diff != "" {
			f.Error(diff)
		}
		_ = p
	})
}

// SPEC S-18: closing the server.
func TestShutdown(t *testing.T) {
	bubble(t, socketio.Config{}, nil, func(f *fixture) {
		p := f.join("/")
		closed := make(chan error)
		go func() { closed <- f.srv.Close(f.ctx) }()
		p.ended()
		if err := <-closed; err != nil {
			f.Error(err)
		}
		if got := f.notes()[1]; got != "disconnect / server shutting down" {
			f.Error(got)
		}
	})
}

// SPEC S-18: a handler that hangs does not hold Close for ever.
func TestShutdownWithStuckHandler(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Disconnect = func(*socketio.Socket, string) { time.Sleep(time.Minute) }
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		ctx, cancel := context.WithTimeout(f.ctx, time.Second)
		defer cancel()
		closed := make(chan error)
		go func() { closed <- f.srv.Close(ctx) }()
		p.ended()
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("Close: %v", err)
		}
		time.Sleep(2 * time.Minute)
	})
}

// SPEC S-23
func TestEventsBeforeTheEndAreHandled(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(s *socketio.Socket, e socketio.Event) {
			select {
			case <-time.After(time.Second):
				r.note("did " + e.Name)
			case <-s.Context().Done():
				r.note("gave up " + e.Name)
			}
			if e.Ack != nil {
				e.Ack()
			}
		}
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		for i := range 7 {
			p.write(fmt.Sprintf(`42%d["%d"]`, i, i))
		}
		f.settle()
		_ = p.ws.Close()
		time.Sleep(20 * time.Second)
		want := []string{"connected / {}", "did 0", "did 1", "did 2", "did 3", "gave up 4", "gave up 5", "gave up 6", "disconnect / transport close"}
		got := f.notes()
		if len(got) == len(want) && got[5] == "did 4" {
			got[5] = "gave up 4" // both ended at the same instant
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC S-24
func TestInboxIsBounded(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	bubbleDone := false
	network(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(_ *socketio.Socket, e socketio.Event) {
			<-release
			mu.Lock()
			defer mu.Unlock()
			bubbleDone = bubbleDone || e.Name == "last"
		}
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 1000 {
				_ = p.ws.Write(`42["x"]`)
			}
			_ = p.ws.Write(`42["last"]`)
		}()
		<-done
		f.wait("reading to stop", func() bool { return f.srv.Stats().MessagesIn >= 250 })
		if n := f.srv.Stats().MessagesIn; n > 300 {
			f.Errorf("%d messages were read", n)
		}
		close(release)
		f.wait("the last event", func() bool { mu.Lock(); defer mu.Unlock(); return bubbleDone })
	})
}

// SPEC S-24: large events are counted by their bytes.
func TestInboxIsBoundedInBytes(t *testing.T) {
	release := make(chan struct{})
	network(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(_ *socketio.Socket, e socketio.Event) { <-release; r.note(e.Name) }
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		big := `42["x","` + strings.Repeat("y", 500_000) + `"]`
		go func() {
			for range 20 {
				_ = p.ws.Write(big)
			}
		}()
		f.wait("reading to stop", func() bool { return f.srv.Stats().MessagesIn >= 4 })
		if n := f.srv.Stats().MessagesIn; n > 5 {
			f.Errorf("%d messages were read", n)
		}
		close(release)
		f.waitNotes(21)
	})
}

// SPEC S-24: a full inbox does not outlive its connection.
func TestFullInboxAtTheEnd(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(s *socketio.Socket, _ socketio.Event) { <-s.Context().Done() }
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		for range 300 {
			if p.ws.Conn.SetWriteDeadline(time.Now().Add(time.Millisecond)) != nil || p.ws.Write(`42["x"]`) != nil {
				break
			}
		}
		f.settle()
		f.socket(0).Disconnect(true)
		time.Sleep(time.Minute)
		if got := f.notes(); len(got) != 2 {
			f.Errorf("%q", got)
		}
	})
}

// SPEC S-25
func TestPanics(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		record := h.Event
		h.Event = func(s *socketio.Socket, e socketio.Event) {
			if e.Name == "panic" {
				panic("secret")
			}
			record(s, e)
		}
		h.Connected = func(*socketio.Socket) { panic("secret") }
		h.Disconnect = func(*socketio.Socket, string) { r.note("end"); panic("secret") }
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.open()
		p.write("40")
		p.read()
		p.write(`42["panic"]`)
		p.write(`421["ok"]`)
		p.expect(`431["got",0]`)
		p.write("41")
		f.settle()
		if diff := cmp.Diff([]string{"event ok ", "end"}, f.notes()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC S-9: an acknowledgement that cannot be encoded, or comes too late.
func TestAcks(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Event = func(s *socketio.Socket, e socketio.Event) {
			if e.Name == "late" {
				s.Disconnect(false)
			}
			e.Ack(func() {})
		}
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.join("/")
		p.write(`421["x"]`)
		p.expect(`431[]`)
		p.write(`422["late"]`)
		p.expect(`41`)
		f.settle()
	})
}
