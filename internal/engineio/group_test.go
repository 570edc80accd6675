package engineio_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

// message is a broadcast in two forms, 0 and 1.
type message struct {
	tag     uint64
	text    string
	encoded atomic.Int64
}

func (m *message) Tag() uint64 { return m.tag }
func (m *message) Size() int   { return len(m.text) + 10 }
func (m *message) Frames(form int, deflate func([]byte) []byte) []byte {
	m.encoded.Add(1)
	b := engineio.TextFrame(fmt.Appendf(nil, "%d:%d:%s", form, m.tag, m.text))
	if deflate != nil {
		b = deflate(b)
	}
	return b
}

// room puts all conns of a fixture into a group.
func (f *fixture) room(conns ...int) (*engineio.Group, []*engineio.Subscriber) {
	g := f.srv.NewGroup("room")
	var subs []*engineio.Subscriber
	for _, i := range conns {
		sub := f.conn(i).Subscribe(0, i)
		if !g.Add(sub) {
			f.Fatal("Add refused")
		}
		subs = append(subs, sub)
	}
	return g, subs
}

// SPEC E-29
func TestBroadcast(t *testing.T) {
	both(t, engineio.Config{Lanes: 2}, nil, func(f *fixture) {
		var sockets []*enginetest.WebSocket
		for range 3 {
			ws, _ := f.websocket()
			sockets = append(sockets, ws)
		}
		p := f.polling()
		g, subs := f.room(0, 1, 2, 3)
		if g.Len() != 4 || g.Name() != "room" || len(g.Subscribers()) != 4 || subs[1].Data() != 1 {
			f.Errorf("group of %d", g.Len())
		}
		if g.Add(subs[0]) {
			f.Error("added twice")
		}
		for i := range 5 {
			if n := g.Broadcast(&message{tag: uint64(i)}); n != 4 {
				f.Errorf("broadcast to %d", n)
			}
		}
		for _, ws := range sockets {
			for i := range 5 {
				if got, want := f.read(ws), fmt.Sprintf("40:%d:", i); got != want {
					f.Fatalf("read %q, want %q", got, want)
				}
			}
		}
		var polled []string
		for len(polled) < 5 {
			packets, err := p.Poll(f.ctx)
			if err != nil {
				f.Fatal(err)
			}
			polled = append(polled, packets...)
		}
		if diff := cmp.Diff([]string{"40:0:", "40:1:", "40:2:", "40:3:", "40:4:"}, polled); diff != "" {
			f.Error(diff)
		}
		if !g.Remove(subs[0]) || g.Remove(subs[0]) {
			f.Error("Remove")
		}
		if n := g.Broadcast(&message{tag: 9}); n != 3 {
			f.Errorf("broadcast to %d", n)
		}
		if left := subs[1].Leave(); len(left) != 1 || left[0] != g || g.Len() != 2 {
			f.Errorf("left %d, %d remain", len(left), g.Len())
		}
		f.conn(2).Close("because")
		subs[3].Close()
		if g.Len() != 0 || g.Add(subs[2]) || g.Add(subs[3]) || g.Broadcast(&message{}) != 0 {
			f.Errorf("group of %d", g.Len())
		}
		if s := f.srv.Stats(); s.Deliveries < 20 || s.Flushes == 0 {
			f.Errorf("stats %+v", s)
		}
	})
}

// SPEC E-25, E-29: order holds across groups, forms, direct sends, Add and
// Remove, whatever has been flushed meanwhile.
func TestOrder(t *testing.T) {
	both(t, engineio.Config{Lanes: 2}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		c := f.conn(0)
		a, b := f.srv.NewGroup("a"), f.srv.NewGroup("b")
		one, two := c.Subscribe(0, nil), c.Subscribe(1, nil)
		var want []string
		tag := 0
		broadcast := func(g *engineio.Group, forms ...int) {
			g.Broadcast(&message{tag: uint64(tag)})
			for _, form := range forms {
				want = append(want, fmt.Sprintf("4%d:%d:", form, tag))
			}
			tag++
		}
		for round := range 50 {
			broadcast(a)
			a.Add(one)
			broadcast(a, 0)
			broadcast(a, 0)
			b.Add(two)
			broadcast(b, 1)
			broadcast(a, 0)
			_ = c.Send(engineio.TextFrame([]byte("direct")))
			want = append(want, "4direct")
			broadcast(b, 1)
			two.SetForm(0)
			broadcast(b, 0)
			two.SetForm(1)
			two.SetForm(1)
			if round%2 == 0 {
				b.Add(one)
				broadcast(b, 1, 0)
			}
			a.Remove(one)
			broadcast(a)
			one.Leave()
			two.Leave()
			broadcast(b)
		}
		for i, w := range want {
			if got := f.read(ws); got != w {
				f.Fatalf("message %d is %q, want %q", i, got, w)
			}
		}
	})
}

// SPEC E-25, E-29: many broadcasters, members that come and go.
func TestBroadcastStress(t *testing.T) {
	const conns, rounds = 20, 400
	cfg := engineio.Config{Lanes: 3, FlushInterval: 100 * time.Microsecond, MaxQueue: 1 << 30}
	network(t, cfg, nil, func(f *fixture) {
		var sockets []*enginetest.WebSocket
		for range conns {
			ws, _ := f.websocket()
			sockets = append(sockets, ws)
		}
		g, _ := f.room()
		for i := range conns {
			g.Add(f.conn(i).Subscribe(0, nil))
		}
		other := f.srv.NewGroup("other")
		stop := make(chan struct{})
		var churn, all sync.WaitGroup
		churn.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				sub := f.conn(i%conns).Subscribe(1, nil)
				other.Add(sub)
				other.Broadcast(&message{tag: 1})
				other.Remove(sub)
			}
		})
		for _, ws := range sockets {
			all.Go(func() {
				for next := 0; next < rounds; {
					text, err := ws.Read()
					if err != nil {
						f.Errorf("read: %v", err)
						return
					}
					if strings.HasPrefix(text, "41:") {
						continue
					}
					if text != fmt.Sprintf("40:%d:", next) {
						f.Errorf("read %q, want %d", text, next)
						return
					}
					next++
				}
			})
		}
		for i := range rounds {
			g.Broadcast(&message{tag: uint64(i)})
		}
		close(stop)
		churn.Wait()
		all.Wait()
	})
}

// SPEC E-26: a client that does not read loses its groups at a message
// boundary, and is told apart exactly.
func TestLagging(t *testing.T) {
	const bound = 64 << 10
	both(t, engineio.Config{MaxQueue: bound}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		c := f.conn(0)
		a, b := f.srv.NewGroup("a"), f.srv.NewGroup("b")
		one, two := c.Subscribe(0, "one"), c.Subscribe(1, "two")
		a.Add(one)
		b.Add(one)
		a.Add(two)
		var tag uint64
		for ; len(f.lagList()) == 0; tag++ {
			a.Broadcast(&message{tag: tag + 1, text: strings.Repeat("x", 1000)})
			if f.bubble {
				f.wait("the lane", func() bool { return true })
			}
			if n := c.Queued(); n > bound {
				f.Fatalf("%d bytes queued", n)
			}
		}
		lags := f.lagList()
		if len(lags) != 2 || lags[0].sub != one || lags[0].left != 2 || lags[1].sub != two || lags[1].left != 1 {
			f.Fatalf("lags %+v", lags)
		}
		if a.Len() != 0 || b.Len() != 0 {
			f.Errorf("%d and %d still in the groups", a.Len(), b.Len())
		}
		if n := c.Queued(); f.bubble && n < bound/2 {
			f.Errorf("only %d bytes queued", n)
		}
		if err := c.Send(engineio.TextFrame([]byte("answer"))); err != nil {
			f.Errorf("no room for an answer: %v", err)
		}
		last := map[string]uint64{}
		for {
			text := f.read(ws)
			if text == "4answer" {
				break
			}
			var form, n uint64
			if _, err := fmt.Sscanf(text, "4%d:%d:", &form, &n); err != nil {
				f.Fatal(err)
			}
			name := []string{"one", "two"}[form]
			if n != last[name]+1 {
				f.Fatalf("%s got %d after %d", name, n, last[name])
			}
			last[name] = n
		}
		if last["one"] != lags[0].tag || last["two"] != lags[1].tag {
			f.Errorf("delivered %v, told %d and %d", last, lags[0].tag, lags[1].tag)
		}
		if !a.Add(one) {
			f.Error("cannot join again")
		}
		a.Broadcast(&message{tag: 99})
		if got := f.read(ws); got != "40:99:" {
			f.Errorf("read %q", got)
		}
		one.Leave()
		a.Add(one) // what it got before does not count
		if err := one.SendMessage(f.ctx, &message{tag: 100, text: strings.Repeat("x", bound)}); err != nil {
			f.Fatal(err)
		}
		if err := c.Send(engineio.BinaryFrame(make([]byte, 8<<20))); err != nil && !errors.Is(err, engineio.ErrQueueFull) {
			f.Fatal(err)
		}
		a.Broadcast(&message{tag: 101})
		if f.bubble {
			time.Sleep(time.Second) // virtual
		}
		f.wait("lagging", func() bool { return len(f.lagList()) == 3 })
		if got := f.lagList()[2]; got.tag != 0 || got.left != 1 {
			f.Errorf("lag %+v", got)
		}
		if got := f.srv.Stats().Lagging; got != 2 {
			f.Errorf("lagging %d", got)
		}
	})
}

// SPEC E-26
func TestDirectBound(t *testing.T) {
	both(t, engineio.Config{MaxQueue: 10_000}, nil, func(f *fixture) {
		f.polling()
		c := f.conn(0)
		frame := engineio.TextFrame([]byte(strings.Repeat("x", 3000)))
		var err error
		for n := 0; err == nil; n++ {
			if n > 4 {
				f.Fatal("no bound")
			}
			err = c.Send(frame)
		}
		if !errors.Is(err, engineio.ErrQueueFull) {
			f.Error(err)
		}
		if got := f.srv.Stats().QueuedBytes; got < 10_000 || got > 13_100 {
			f.Errorf("%d bytes queued", got)
		}
	})
}

// SPEC S-22
func TestSendMessageWaits(t *testing.T) {
	both(t, engineio.Config{MaxQueue: 10_000}, nil, func(f *fixture) {
		p := f.polling()
		c := f.conn(0)
		sub := c.Subscribe(0, nil)
		big := strings.Repeat("x", 4000)
		for i := range 2 {
			if err := sub.SendMessage(f.ctx, &message{tag: uint64(i), text: big}); err != nil {
				f.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(f.ctx, 10*time.Millisecond)
		defer cancel()
		if err := sub.SendMessage(ctx, &message{tag: 7}); !errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("full queue: %v", err)
		}
		sent := make(chan error)
		go func() { sent <- sub.SendMessage(f.ctx, &message{tag: 2}) }()
		res := f.get(p)
		if err := <-sent; err != nil {
			f.Error(err)
		}
		res2 := res
		if !strings.Contains(res.Body, "0:2:") {
			res2 = f.get(p)
		}
		if !strings.Contains(res2.Body, "40:2:") || strings.Contains(res.Body+res2.Body, "0:7:") {
			f.Errorf("polled %.20q %.20q", res.Body, res2.Body)
		}
		for range 2 {
			if err := sub.SendMessage(f.ctx, &message{text: big}); err != nil {
				f.Fatal(err)
			}
		}
		go func() { sent <- sub.SendMessage(f.ctx, &message{tag: 3}) }()
		if f.bubble {
			f.wait("the sender", func() bool { return true })
		}
		c.Close("because")
		if err := <-sent; !errors.Is(err, engineio.ErrClosed) {
			f.Errorf("closed: %v", err)
		}
	})
}

// SPEC E-26: a publisher that is faster than the lanes waits for them.
func TestBroadcastWaitsForLanes(t *testing.T) {
	network(t, engineio.Config{Lanes: 1}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		g, _ := f.room(0)
		text := strings.Repeat("x", 1<<20)
		go func() {
			for { // until it lags, or the test is over
				if _, err := ws.Read(); err != nil {
					return
				}
			}
		}()
		for i := range 30 {
			g.Broadcast(&message{tag: uint64(i), text: text})
		}
		if n := f.conn(0).Queued(); n > 8<<20 {
			f.Errorf("%d bytes queued", n)
		}
	})
}

// A reader that reads now and then: its goroutine takes over and gives back.
func TestSlowReader(t *testing.T) {
	both(t, engineio.Config{MaxQueue: 8 << 20}, nil, func(f *fixture) {
		ws, _ := f.websocket()
		g, _ := f.room(0)
		text := strings.Repeat("x", 100_000)
		for round := range 3 {
			for i := range 60 {
				g.Broadcast(&message{tag: uint64(round*60 + i), text: text})
			}
			for i := range 60 {
				if got, want := f.read(ws), fmt.Sprintf("40:%d:", round*60+i); !strings.HasPrefix(got, want) {
					f.Fatalf("read %.20q, want %q", got, want)
				}
			}
		}
		f.wait("the writer", func() bool { return f.srv.Stats().QueuedBytes == 0 })
	})
}

// SPEC E-25: TLS has no non-blocking write; everything else is the same.
func TestTLS(t *testing.T) {
	fx := newFixture(t, engineio.Config{MaxQueue: 4 << 20}, echo)
	server := httptest.NewTLSServer(fx.srv)
	defer server.Close()
	fx.client = enginetest.New("/engine.io/", func(ctx context.Context) (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
		return d.DialContext(ctx, "tcp", server.Listener.Addr().String())
	})
	ws, _ := fx.websocket()
	g, _ := fx.room(0)
	for i := range 500 {
		g.Broadcast(&message{tag: uint64(i), text: strings.Repeat("x", i*10)})
	}
	for i := range 500 {
		if got := fx.read(ws); !strings.HasPrefix(got, fmt.Sprintf("40:%d:", i)) {
			t.Fatalf("read %.20q", got)
		}
	}
	fx.write(ws, "4x")
	if got := fx.read(ws); got != "4x" {
		t.Errorf("read %q", got)
	}
	if fx.conn(0).Request().TLS == nil {
		t.Error("no TLS state")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	closed := make(chan error)
	go func() { closed <- fx.srv.Close(ctx) }()
	if code := fx.ended(ws); code != 1000 {
		t.Errorf("close code %d", code)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// SPEC E-31
func TestServerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := enginetest.NewMemory()
		fx := newFixture(t, engineio.Config{}, nil)
		fx.bubble = true
		server := &http.Server{Handler: fx.srv}
		go func() { _ = server.Serve(mem) }()
		defer func() { fx.client.Close(); _ = server.Close() }()
		fx.client = enginetest.New("/engine.io/", mem.Dial)
		p := fx.polling()
		polled := make(chan enginetest.Response)
		go func() {
			res, _ := p.Get(fx.ctx)
			polled <- res
		}()
		ws, _ := fx.websocket()
		stuck, _ := fx.websocket()
		_ = stuck
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		closed := make(chan error)
		go func() { closed <- fx.srv.Close(ctx) }()
		fx.expect(<-polled, 200, "1")
		if code := fx.ended(ws); code != 1000 {
			t.Errorf("close code %d", code)
		}
		res, err := fx.client.Do(fx.ctx, "GET", "EIO=4&transport=polling", nil, nil)
		if err != nil || res.Status != 503 {
			t.Errorf("handshake while closing: %+v %v", res, err)
		}
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close with a peer that does nothing: %v", err)
		}
		if err := fx.srv.Close(context.Background()); err != nil {
			t.Errorf("second Close: %v", err)
		}
		want := []string{engineio.ReasonShutdown, engineio.ReasonShutdown, engineio.ReasonShutdown}
		if diff := cmp.Diff(want, fx.reasons()); diff != "" {
			t.Error(diff)
		}
	})
}
