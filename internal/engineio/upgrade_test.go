package engineio_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

// SPEC E-19, E-20
func TestUpgrade(t *testing.T) {
	both(t, engineio.Config{}, echo, func(f *fixture) {
		p := f.polling()
		polled := make(chan enginetest.Response)
		go func() {
			res, _ := p.Get(f.ctx)
			polled <- res
		}()
		if f.bubble {
			f.wait("the poll", func() bool { return true })
		}
		ws := f.rawWebSocket(p.Handshake.SID, nil)
		f.write(ws, "2probe")
		if got := f.read(ws); got != "3probe" {
			f.Fatalf("probe answered %q", got)
		}
		f.expect(<-polled, 200, "6")
		if got := f.conn(0).Transport(); got != "polling" {
			f.Errorf("transport %q before the upgrade", got)
		}
		f.write(ws, "5")
		f.write(ws, "4hello")
		if got := f.read(ws); got != "4hello" {
			f.Errorf("read %q", got)
		}
		if got := f.conn(0).Transport(); got != "websocket" {
			f.Errorf("transport %q after the upgrade", got)
		}
		f.expect(f.get(p), 400, `{"code":3,"message":"Bad request"}`)
		f.expect(f.post(p, "4x"), 400, `{"code":3,"message":"Bad request"}`)
		if s := f.srv.Stats(); s.Upgrades != 1 || s.WebSocket != 1 || s.Polling != 0 {
			f.Errorf("stats %+v", s)
		}
	})
}

// SPEC E-19: a poll during the probe gets what is queued at once, else a noop.
func TestPollDuringProbe(t *testing.T) {
	bubble(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		ws := f.rawWebSocket(p.Handshake.SID, nil)
		f.write(ws, "2probe")
		f.read(ws)
		_ = f.conn(0).Send(engineio.TextFrame([]byte("queued")))
		start := time.Now()
		f.expect(f.get(p), 200, "4queued")
		if d := time.Since(start); d > 10*time.Millisecond {
			f.Errorf("waited %v for what was there", d)
		}
		start = time.Now()
		f.expect(f.get(p), 200, "6")
		if d := time.Since(start); d != 100*time.Millisecond {
			f.Errorf("noop after %v", d)
		}
		late := make(chan enginetest.Response)
		go func() {
			res, _ := p.Get(f.ctx)
			late <- res
		}()
		f.wait("the poll", func() bool { return true })
		f.write(ws, "5")
		f.expect(<-late, 400, "")
	})
}

// SPEC E-21
func TestSecondWebSocket(t *testing.T) {
	both(t, engineio.Config{}, echo, func(f *fixture) {
		p := f.polling()
		first := f.rawWebSocket(p.Handshake.SID, nil)
		f.write(first, "2probe")
		f.read(first)
		if code := f.ended(f.rawWebSocket(p.Handshake.SID, nil)); code != 1000 {
			f.Errorf("second while the first probes: %d", code)
		}
		f.write(first, "5")
		f.write(first, "4x")
		if got := f.read(first); got != "4x" {
			f.Errorf("read %q", got)
		}
		if code := f.ended(f.rawWebSocket(p.Handshake.SID, nil)); code != 1000 {
			f.Errorf("second after the upgrade: %d", code)
		}
		ws, h := f.websocket()
		if code := f.ended(f.rawWebSocket(h.SID, nil)); code != 1000 {
			f.Errorf("second of a conn that began on websocket: %d", code)
		}
		for _, w := range []*enginetest.WebSocket{first, ws} {
			f.write(w, "4y")
			if got := f.read(w); got != "4y" {
				f.Errorf("read %q", got)
			}
		}
	})
}

// SPEC E-22
func TestProbesThatFail(t *testing.T) {
	bubble(t, engineio.Config{UpgradeTimeout: 300 * time.Millisecond}, echo, func(f *fixture) {
		p := f.polling()
		for _, spoil := range []func(*enginetest.WebSocket){
			func(ws *enginetest.WebSocket) { f.write(ws, "4x") },
			func(ws *enginetest.WebSocket) { f.write(ws, "2") },
			func(ws *enginetest.WebSocket) { f.write(ws, "") },
			func(ws *enginetest.WebSocket) { _ = ws.WriteBinary([]byte("5")) },
			func(ws *enginetest.WebSocket) {},
			func(ws *enginetest.WebSocket) { _ = ws.WriteFrame(enginetest.Frame{First: 0x89}) },
			func(ws *enginetest.WebSocket) { _ = ws.Close() },
		} {
			ws := f.rawWebSocket(p.Handshake.SID, nil)
			f.write(ws, "2probe")
			f.read(ws)
			spoil(ws)
			f.ended(ws)
			f.expect(f.post(p, "4on"), 200, "ok")
			f.expect(f.get(p), 200, "4on")
			f.wait("the reader", func() bool { return true })
		}
		ws := f.upgrade(p)
		f.write(ws, "4x")
		if got := f.read(ws); got != "4x" {
			f.Errorf("read %q", got)
		}
		if got := f.reasons(); len(got) != 0 {
			f.Errorf("closed %q", got)
		}
	})
}

// SPEC E-18, E-22: a conn that ends takes its probe with it.
func TestCloseDuringProbe(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		ws := f.rawWebSocket(p.Handshake.SID, nil)
		f.write(ws, "2probe")
		f.read(ws)
		f.conn(0).Close("because")
		f.ended(ws)
		f.expect(f.get(p), 200, "1")
		<-f.conn(0).Done()
		if diff := cmp.Diff([]string{"because"}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-20, E-25: messages both ways around an upgrade arrive once and in order.
func TestNothingIsLostInUpgrade(t *testing.T) {
	const n = 300
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		c := f.conn(0)
		var sender sync.WaitGroup
		sender.Go(func() {
			for i := range n {
				if err := c.Send(engineio.TextFrame(fmt.Append(nil, i))); err != nil {
					f.Errorf("send %d: %v", i, err)
				}
				time.Sleep(50 * time.Microsecond) // spreads the messages over the upgrade
			}
		})
		var got []string
		collect := func(packets []string) {
			for _, packet := range packets {
				if strings.HasPrefix(packet, "4") {
					got = append(got, packet[1:])
				}
			}
		}
		for len(got) < n/10 {
			packets, err := p.Poll(f.ctx)
			if err != nil {
				f.Fatal(err)
			}
			collect(packets)
		}
		ws := f.rawWebSocket(p.Handshake.SID, nil)
		f.write(ws, "2probe")
		packets, err := p.Poll(f.ctx) // the last one, as a client that pauses makes it
		if err != nil {
			f.Fatal(err)
		}
		collect(packets)
		f.expect(f.post(p, "4up1", "4up2"), 200, "ok")
		if got := f.read(ws); got != "3probe" {
			f.Fatalf("probe answered %q", got)
		}
		f.write(ws, "5")
		f.write(ws, "4up3")
		for len(got) < n {
			collect([]string{f.read(ws)})
		}
		sender.Wait()
		for i, text := range got {
			if text != fmt.Sprint(i) {
				f.Fatalf("message %d is %q", i, text)
			}
		}
		f.wait("the messages", func() bool { return len(f.got()) == 3 })
		if diff := cmp.Diff([]string{"up1", "up2", "up3"}, f.got()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-20: the upgrade waits for a POST that is being read.
func TestUpgradeWaitsForPost(t *testing.T) {
	release := make(chan struct{}, 1)
	network(t, engineio.Config{}, func(r *recorder) {
		r.onText = func(_ *engineio.Conn, text string) {
			if text == "first" {
				<-release
			}
		}
	}, func(f *fixture) {
		p := f.polling()
		posted := make(chan enginetest.Response)
		go func() {
			res, _ := p.Post(f.ctx, "4first")
			posted <- res
		}()
		ws := f.rawWebSocket(p.Handshake.SID, nil)
		f.write(ws, "2probe")
		f.read(ws)
		f.wait("the post to be read", func() bool { return f.srv.Stats().MessagesIn == 1 })
		f.write(ws, "5")
		f.write(ws, "4second")
		release <- struct{}{}
		f.expect(<-posted, 200, "ok")
		f.wait("the messages", func() bool { return len(f.got()) == 2 })
		if diff := cmp.Diff([]string{"first", "second"}, f.got()); diff != "" {
			f.Error(diff)
		}
	})
}
