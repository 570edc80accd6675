package engineio_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

// chaotic is a client that does what comes to its mind. What it receives must
// be consecutive all the same.
type chaotic struct {
	f    *fixture
	rng  *rand.Rand
	p    *enginetest.Polling
	ws   *enginetest.WebSocket
	next int // number of the broadcast that must come next; -1: any
}

func (c *chaotic) nap(most time.Duration) { time.Sleep(time.Duration(c.rng.Int64N(int64(most)))) }

// got checks one packet. False: the conn is over.
func (c *chaotic) got(packet string) bool {
	var n int
	switch {
	case packet == "1":
		return false
	case packet == "2":
		if c.rng.IntN(4) == 0 {
			return true // forgets to answer
		}
		if c.ws != nil {
			return c.ws.Write("3") == nil
		}
		res, err := c.p.Post(c.f.ctx, "3")
		return err == nil && res.Status == 200
	case strings.HasPrefix(packet, "40:"):
		if _, err := fmt.Sscanf(packet, "40:%d:", &n); err != nil {
			c.f.Error(err)
		}
		if c.next >= 0 && n != c.next {
			c.f.Errorf("got %d, want %d", n, c.next)
		}
		c.next = n + 1
	}
	return true
}

// poll polls once. False: the conn is over.
func (c *chaotic) poll() bool {
	packets, err := c.p.Poll(c.f.ctx)
	if err != nil {
		return false
	}
	for _, packet := range packets {
		if !c.got(packet) {
			return false
		}
	}
	return true
}

func (c *chaotic) live() {
	c.next = -1
	if c.rng.IntN(2) == 0 {
		ws, err := c.f.client.OpenWebSocket(c.f.ctx, "", nil)
		if err != nil {
			return
		}
		c.ws = ws
		defer ws.Close()
		c.onWebSocket()
		return
	}
	p, err := c.f.client.OpenPolling(c.f.ctx)
	if err != nil {
		return
	}
	c.p = p
	for range c.rng.IntN(20) {
		if !c.poll() {
			return
		}
		c.nap(50 * time.Millisecond)
		if c.rng.IntN(3) == 0 {
			if _, err := p.Post(c.f.ctx, "4hello"); err != nil {
				return
			}
		}
	}
	switch c.rng.IntN(5) {
	case 0: // vanishes
	case 1:
		_, _ = p.Post(c.f.ctx, "1")
	case 2:
		_, _ = p.Post(c.f.ctx, "nonsense")
	default:
		c.upgrade()
	}
}

func (c *chaotic) upgrade() {
	ws, err := c.f.client.OpenWebSocket(c.f.ctx, c.p.Handshake.SID, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	if ws.Write("2probe") != nil {
		return
	}
	c.nap(20 * time.Millisecond)
	if text, err := ws.Read(); err != nil || text != "3probe" {
		return
	}
	if !c.poll() || c.rng.IntN(5) == 0 {
		return // loses heart
	}
	if ws.Write("5") != nil {
		return
	}
	c.ws = ws
	c.onWebSocket()
}

func (c *chaotic) onWebSocket() {
	for range c.rng.IntN(100) {
		text, err := c.ws.Read()
		if err != nil || !c.got(text) {
			return
		}
		if c.rng.IntN(10) == 0 {
			c.nap(200 * time.Millisecond)
			if c.ws.Write("4hello") != nil {
				return
			}
		}
	}
	switch c.rng.IntN(4) {
	case 0:
		_ = c.ws.Write("1")
	case 1:
		_ = c.ws.Write("nonsense")
	case 2:
		_ = c.ws.WriteFrame(enginetest.Frame{First: 0x88, Payload: []byte{3, 232}})
	}
}

// SPEC E-4, E-18, E-20, E-25, E-29, E-31: in whatever way clients come, go, hang
// and break the protocol, and whenever the server closes: each conn is closed
// once, each client sees the broadcasts without a gap, and nothing is left.
func TestChaos(t *testing.T) {
	rounds := uint64(60)
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	const clients = 12
	rng := rand.New(rand.NewPCG(seed, 1))
	cfg := engineio.Config{
		Lanes: 1 + rng.IntN(3), PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond,
		UpgradeTimeout: 100 * time.Millisecond, WriteTimeout: time.Second, MaxQueue: 64 << 10,
	}
	var group *engineio.Group
	opened := 0
	bubble(t, cfg, func(r *recorder) {
		r.onOpen = func(c *engineio.Conn) {
			r.mu.Lock()
			opened++
			r.mu.Unlock()
			group.Add(c.Subscribe(0, nil))
		}
		r.onText = func(c *engineio.Conn, _ string) { _ = c.Send(engineio.TextFrame([]byte("answer"))) }
	}, func(f *fixture) {
		group = f.srv.NewGroup("all")
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				c := &chaotic{f: f, rng: rand.New(rand.NewPCG(seed, uint64(i)+2))}
				c.nap(100 * time.Millisecond)
				for range 3 {
					c.p, c.ws = nil, nil
					c.live()
				}
			})
		}
		stop := make(chan struct{})
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rng.Int64N(int64(5 * time.Millisecond)))):
				}
				group.Broadcast(&message{tag: uint64(i), text: strings.Repeat("x", i%500)})
				if i%50 == 7 {
					f.mu.Lock()
					conns := f.conns
					f.mu.Unlock()
					if len(conns) > 0 {
						conns[i%len(conns)].Close("because")
					}
				}
			}
		})
		time.Sleep(time.Duration(seed) * 100 * time.Millisecond) // also while clients are at it
		if err := f.srv.Close(f.ctx); err != nil {
			f.Error(err)
		}
		close(stop)
		all.Wait()
		if n := len(f.reasons()); n != opened {
			f.Errorf("%d conns, %d ends", opened, n)
		}
		if s := f.srv.Stats(); s.Polling+s.WebSocket+s.Closing != 0 || s.QueuedBytes != 0 || group.Len() != 0 {
			f.Errorf("left: %+v, %d in the group", s, group.Len())
		}
	})
}
