package engineio_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

// SPEC E-16
func TestHeartbeat(t *testing.T) {
	bubble(t, engineio.Config{}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		for range 3 {
			start := time.Now()
			if got := f.read(ws); got != "2" {
				f.Fatalf("read %q", got)
			}
			if d := time.Since(start); d < 25*time.Second || d > 25*time.Second+5*time.Millisecond {
				f.Errorf("ping after %v", d)
			}
			time.Sleep(7 * time.Second)
			f.write(ws, "3")
			f.wait("the pong", func() bool { return true })
		}
		start := time.Now()
		if got := f.read(ws); got != "2" {
			f.Fatalf("read %q", got)
		}
		f.ended(ws)
		if d := time.Since(start); d != 45*time.Second && d.Round(10*time.Millisecond) != 45*time.Second {
			f.Errorf("ended after %v", d)
		}
		f.wait("the end", func() bool { return len(f.reasons()) == 1 })
		if diff := cmp.Diff([]string{engineio.ReasonPingTimeout}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-16: on polling; the timeout runs from when the ping is queued, polled
// for or not.
func TestPollingHeartbeat(t *testing.T) {
	bubble(t, engineio.Config{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}, nil, func(f *fixture) {
		p := f.polling()
		for range 3 {
			f.expect(f.get(p), 200, "2")
			f.expect(f.post(p, "3"), 200, "ok")
		}
		time.Sleep(510 * time.Millisecond)
		f.expect(f.get(p), 400, `{"code":1,"message":"Session ID unknown"}`)

		p = f.polling()
		start := time.Now()
		f.expect(f.get(p), 200, "2")
		f.expect(f.get(p), 200, "1") // waits until the timeout
		if d := time.Since(start).Round(10 * time.Millisecond); d != 500*time.Millisecond {
			f.Errorf("ended after %v", d)
		}
		if diff := cmp.Diff([]string{engineio.ReasonPingTimeout, engineio.ReasonPingTimeout}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-16: the heartbeat goes on through an upgrade, and a pong nobody asked
// for changes nothing.
func TestHeartbeatAcrossUpgrade(t *testing.T) {
	bubble(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		time.Sleep(20 * time.Second)
		ws := f.upgrade(p)
		f.write(ws, "3")
		start := time.Now()
		if got := f.read(ws); got != "2" {
			f.Fatalf("read %q", got)
		}
		if d := time.Since(start).Round(10 * time.Millisecond); d != 5*time.Second {
			f.Errorf("ping after %v", d)
		}
	})
}

// SPEC E-16: a handler that takes its time does not cost the conn its life.
func TestHeartbeatWaitsForHandler(t *testing.T) {
	bubble(t, engineio.Config{}, func(r *recorder) {
		r.onText = func(*engineio.Conn, string) { time.Sleep(100 * time.Second) }
	}, func(f *fixture) {
		ws, _ := f.websocket()
		go func() {
			for {
				text, err := ws.Read()
				if err != nil {
					return
				}
				if text == "2" {
					_ = ws.Write("3")
				}
			}
		}()
		f.write(ws, "4slow")
		time.Sleep(120 * time.Second)
		f.wait("the handler", func() bool { return len(f.got()) == 1 })
		if got := f.reasons(); len(got) != 0 {
			f.Errorf("closed %q", got)
		}
	})
}

// SPEC E-12
func TestAbortedPoll(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		conn, err := f.client.Dial(f.ctx)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET /engine.io/?" + p.Query + " HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			f.Fatal(err)
		}
		if f.bubble {
			f.wait("the poll", func() bool { return true })
		}
		_ = conn.Close()
		f.wait("the end", func() bool { return len(f.reasons()) == 1 })
		f.expect(f.get(p), 400, "")
		if diff := cmp.Diff([]string{engineio.ReasonTransportError}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-11: a body that stops in the middle ends the conn.
func TestAbortedPost(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		conn, err := f.client.Dial(f.ctx)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := conn.Write([]byte("POST /engine.io/?" + p.Query + " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4x")); err != nil {
			f.Fatal(err)
		}
		_ = conn.Close()
		f.wait("the end", func() bool { return len(f.reasons()) == 1 })
		if got := f.got(); len(got) != 0 {
			f.Errorf("messages %q", got)
		}
	})
}

// SPEC E-18: the orderly close of a peer that does nothing is bounded.
func TestCloseTimeout(t *testing.T) {
	bubble(t, engineio.Config{}, nil, func(f *fixture) {
		f.polling()
		ws, _ := f.websocket()
		start := time.Now()
		f.conn(0).Close("because")
		f.conn(1).Close("because")
		<-f.conn(0).Done()
		<-f.conn(1).Done()
		if d := time.Since(start).Round(10 * time.Millisecond); d != 5*time.Second {
			f.Errorf("gone after %v", d)
		}
		f.ended(ws)
	})
}

// SPEC E-27
func TestWriteTimeout(t *testing.T) {
	bubble(t, engineio.Config{WriteTimeout: 10 * time.Second}, nil, func(f *fixture) {
		_, _ = f.websocket()
		c := f.conn(0)
		start := time.Now()
		_ = c.Send(engineio.TextFrame([]byte("nobody reads this")))
		<-c.Done()
		if d := time.Since(start).Round(10 * time.Millisecond); d != 10*time.Second {
			f.Errorf("gone after %v", d)
		}
		f.wait("the end", func() bool { return len(f.reasons()) == 1 })
		if diff := cmp.Diff([]string{engineio.ReasonSlow}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-28
func TestFlushInterval(t *testing.T) {
	bubble(t, engineio.Config{FlushInterval: 50 * time.Millisecond}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		time.Sleep(time.Second)
		start := time.Now()
		send := func(text string) { _ = f.conn(0).Send(engineio.TextFrame([]byte(text))) }
		send("a")
		f.read(ws)
		if d := time.Since(start); d != 0 {
			f.Errorf("the first message took %v", d)
		}
		f.wait("the writer", func() bool { return true })
		send("b")
		send("c")
		f.read(ws)
		f.read(ws)
		if d := time.Since(start); d != 50*time.Millisecond {
			f.Errorf("the next ones took %v", d)
		}
	})
}

// SPEC E-30
func TestMessageRate(t *testing.T) {
	bubble(t, engineio.Config{Limits: engineio.Limits{MessagesPerSecond: 10}}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		start := time.Now()
		for range 50 { // 20 at once, 30 in three seconds
			f.write(ws, "4x")
		}
		f.wait("reading", func() bool { return true })
		for len(f.got()) < 50 {
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(start); d < 2800*time.Millisecond || d > 3200*time.Millisecond {
			f.Errorf("50 messages took %v", d)
		}
		for range 30 {
			f.write(ws, "4y")
		}
		f.conn(0).Close("because") // also while the reader is held back
		f.ended(ws)
	})
}

// SPEC E-5
func TestHandshakeLimits(t *testing.T) {
	cfg := engineio.Config{Limits: engineio.Limits{Conns: 3, ConnsPerAddress: 2, HandshakesPerSecond: 100}}
	cfg.Address = func(r *http.Request) string { return r.Header.Get("X-Peer") }
	both(t, cfg, nil, func(f *fixture) {
		open := func(peer string) (enginetest.Response, *enginetest.Polling) {
			res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", http.Header{"X-Peer": {peer}}, nil)
			if err != nil {
				f.Fatal(err)
			}
			if res.Status != 200 {
				return res, nil
			}
			h, err := enginetest.ParseOpen(res.Body)
			if err != nil {
				f.Fatal(err)
			}
			return res, &enginetest.Polling{Client: f.client, Handshake: h, Query: "EIO=4&transport=polling&sid=" + h.SID}
		}
		_, first := open("a")
		open("a")
		if res, _ := open("a"); res.Status != 429 || res.Body != `{"code":4,"message":"Forbidden"}` {
			f.Errorf("third of an address: %+v", res)
		}
		open("b")
		if res, _ := open("c"); res.Status != 503 {
			f.Errorf("fourth in all: %+v", res)
		}
		f.post(first, "1")
		f.get(first)
		if res, _ := open("a"); res.Status != 200 {
			f.Errorf("after one has left: %+v", res)
		}
		if got := f.srv.Stats().Refused; got != 2 {
			f.Errorf("refused %d", got)
		}
	})
}

// SPEC E-5
func TestHandshakeRate(t *testing.T) {
	bubble(t, engineio.Config{Limits: engineio.Limits{HandshakesPerSecond: 5}}, nil, func(f *fixture) {
		count := func() (n int) {
			for range 20 {
				res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", nil, nil)
				if err != nil {
					f.Fatal(err)
				}
				if res.Status == 200 {
					n++
				}
			}
			return n
		}
		if n := count(); n != 10 {
			f.Errorf("%d at once", n)
		}
		time.Sleep(time.Second)
		if n := count(); n != 5 {
			f.Errorf("%d after a second", n)
		}
	})
}
