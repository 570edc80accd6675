package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

const (
	dialWait  = 10 * time.Second
	retryWait = 20 * time.Millisecond
	replyWait = 30 * time.Second
)

// client is one Socket.IO client: it stays connected while there is a server,
// comes back with epoch and last_seq, and keeps a digest of every numbered
// event it got. A writer may call through it.
type client struct {
	name      string
	address   string
	namespace string
	world     *world
	ledger    *ledger
	tally     *tally

	mu      sync.Mutex
	conn    *load.Conn
	opened  chan struct{} // closed when conn is there
	replies map[int]chan json.RawMessage
	nextID  int

	epoch string
	began bool   // it has been connected before
	base  uint64 // seq before got[0]
	last  uint64
	got   []uint64
	grown chan struct{} // closed at the next numbered event
}

func newClient(name, address, namespace string, w *world, l *ledger, t *tally) *client {
	return &client{
		name: name, address: address, namespace: namespace, world: w, ledger: l, tally: t,
		opened: make(chan struct{}), grown: make(chan struct{}), replies: map[int]chan json.RawMessage{},
	}
}

// run keeps the client connected until the end.
func (c *client) run(ctx context.Context) {
	for {
		m, err := c.world.await(ctx, func(m mode) bool { return m.up() || m == modeEnd })
		if err != nil || m == modeEnd {
			return
		}
		if err := c.connect(ctx); err != nil {
			_, changed := c.world.now()
			timer := time.NewTimer(retryWait)
			select {
			case <-changed:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			continue
		}
		c.listen(ctx)
	}
}

// connect joins the session with what it knows of its history.
func (c *client) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	auth := map[string]any{"session_id": c.ledger.session, "client": map[string]any{"id": c.name}}
	if c.began {
		auth["epoch"], auth["last_seq"] = c.epoch, c.last
	}
	conn, err := load.Dial(ctx, load.Options{Address: c.address, Namespace: c.namespace, Auth: auth})
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(dialWait))
	if err := c.hello(conn); err != nil {
		_ = conn.Close()
		return err
	}
	_ = conn.SetReadDeadline(time.Time{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	close(c.opened)
	return nil
}

// hello reads the client's own session:connected, the first event it gets.
func (c *client) hello(conn *load.Conn) error {
	p, err := conn.Next()
	if err != nil {
		return err
	}
	var body struct {
		Epoch     string `json:"epoch"`
		Head      uint64 `json:"head_seq"`
		Recovered bool   `json:"recovered"`
		ClientID  string `json:"client_id"`
	}
	if err := json.Unmarshal(p.Payload, &body); err != nil || p.Event != "session:connected" || body.ClientID != c.name {
		return fmt.Errorf("%s: the first event is %s %s", c.name, p.Event, p.Payload)
	}
	if c.began {
		c.tally.add(&c.tally.Reconnects, 1)
		if !body.Recovered || body.Epoch != c.epoch {
			c.ledger.faults.lost(c.ledger.session, "%s came back with epoch %s after %d and was not recovered: %s", c.name, c.epoch, c.last, p.Payload)
			return errors.New("not recovered")
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.epoch, c.base, c.last = true, body.Epoch, body.Head, body.Head
	return nil
}

// listen reads until the connection ends.
func (c *client) listen(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	for {
		p, err := c.conn.Next()
		if err != nil {
			c.hangUp()
			return
		}
		if p.Ack >= 0 {
			c.reply(p)
		} else {
			c.event(p)
		}
	}
}

func (c *client) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.Close()
	c.conn = nil
	c.opened = make(chan struct{})
	for id, ch := range c.replies {
		close(ch)
		delete(c.replies, id)
	}
}

func (c *client) reply(p load.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.replies[p.Ack]; ch != nil {
		delete(c.replies, p.Ack)
		ch <- p.Payload
	}
}

// event checks that the stream goes on where it was.
func (c *client) event(p load.Packet) {
	var body struct {
		Seq  uint64  `json:"seq"`
		Head *uint64 `json:"head_seq"`
	}
	if json.Unmarshal(p.Payload, &body) != nil || body.Seq == 0 {
		if p.Event == "project:loaded" {
			c.ledger.faults.lost(c.ledger.session, "%s got the state instead of what it missed after %d", c.name, c.last)
		}
		return
	}
	c.tally.add(&c.tally.Events, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case body.Seq <= c.last:
		c.ledger.faults.twice(c.ledger.session, "%s got event %d again after %d", c.name, body.Seq, c.last)
		return
	case body.Seq > c.last+1:
		c.ledger.faults.lost(c.ledger.session, "%s got event %d after %d", c.name, body.Seq, c.last)
		c.got, c.base = nil, body.Seq-1
	}
	c.got = append(c.got, c.ledger.digest(p.Event, p.Payload))
	c.last = body.Seq
	close(c.grown)
	c.grown = make(chan struct{})
}

// caughtUp waits until the client has every event through seq.
func (c *client) caughtUp(ctx context.Context, seq uint64) error {
	for {
		c.mu.Lock()
		last, grown := c.last, c.grown
		began := c.began
		c.mu.Unlock()
		if began && last >= seq {
			return nil
		}
		timer := time.NewTimer(retryWait) // its first connection is no event
		select {
		case <-grown:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s is at %d of %d: %w", c.name, last, seq, ctx.Err())
		}
		timer.Stop()
	}
}

// take gives what came since the last take.
func (c *client) take() (first uint64, got []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, got = c.base+1, c.got
	c.base, c.got = c.last, nil
	return first, got
}

// call sends an event and waits for its acknowledgement. An error says that
// the outcome is not known.
func (c *client) call(ctx context.Context, name string, arg any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	for {
		c.mu.Lock()
		conn, opened := c.conn, c.opened
		if conn != nil {
			break
		}
		c.mu.Unlock()
		_, changed := c.world.now()
		select {
		case <-opened:
		case <-changed:
			return nil, errors.New("not connected")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	id := c.nextID
	c.nextID++
	ch := make(chan json.RawMessage, 1)
	c.replies[id] = ch
	conn := c.conn
	c.mu.Unlock()
	if err := conn.Request(id, name, arg); err != nil {
		return nil, err
	}
	select {
	case answer, ok := <-ch:
		if !ok {
			return nil, errors.New("the connection ended before the answer")
		}
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
