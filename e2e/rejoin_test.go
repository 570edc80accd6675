package e2e

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

func TestClientsAreBackAfterARestart(t *testing.T) {
	for name, stop := range map[string]func(*server) error{
		"SIGTERM": (*server).stop,
		"SIGKILL": func(s *server) error { s.kill(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			first, err := startServer(data)
			if err != nil {
				t.Fatal(err)
			}
			s := startScript(t, "client.mjs")
			all := newCrowd(t, s, first.url, "restart")
			r := newRoom(t, first, "restart", "outline")
			for range 20 {
				r.create(t, object{"blueprint_type_id": "item", "parent_id": r.root})
			}
			before, kept := r.graph(t), r.journal(t, "restart")
			if err := stop(first); err != nil {
				t.Fatal(err)
			}
			second := ownServer(t, data, "--listen", first.addr)
			for _, c := range all {
				c.awaitJoined(t, 2)
			}
			r.rest = second.rest()
			if got := r.graph(t); got != before {
				t.Errorf("after the restart:\n got %s\nwant %s", got, before)
			}
			checkNumbered(t, "the journal after the restart", r.journal(t, "restart"), kept)
			node := r.create(t, object{"blueprint_type_id": "item", "parent_id": r.root})
			for _, c := range all {
				c.awaitEvent(t, "graph:node-created", "node_id", node)
			}
		})
	}
}

func TestAClientThatSleptThroughItsHeartbeatComesBack(t *testing.T) {
	own := ownServer(t, filepath.Join(t.TempDir(), "data"), "--ping-interval", "300ms", "--ping-timeout", "300ms")
	sleeper, witness := startScript(t, "client.mjs"), startScript(t, "client.mjs")
	r := newRoom(t, own, "sleep", "outline")
	var sids []string
	crowd := newCrowd(t, sleeper, own.url, "sleep")
	for _, c := range crowd {
		sids = append(sids, c.awaitJoined(t, 1))
	}
	watcher := witness.open(t, "witness", own.url, "/graph", []string{"websocket"}, object{"session_id": "sleep"})
	watcher.awaitJoined(t, 1)
	if err := sleeper.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, sid := range sids {
		watcher.awaitEvent(t, "session:disconnected", "client_id", sid)
	}
	if err := sleeper.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, c := range crowd {
		c.awaitJoined(t, 2)
	}
	node := r.create(t, object{"blueprint_type_id": "item", "parent_id": r.root})
	for _, c := range crowd {
		c.awaitEvent(t, "graph:node-created", "node_id", node)
	}
}

// TestStateAndStreamJoin has clients join in the middle of a storm, with a
// snapshot, or with what they had seen: nothing is lost or doubled between.
func TestStateAndStreamJoin(t *testing.T) {
	const writers, each = 8, 100
	r := newRoom(t, shared.live, "joining", "outline")
	epoch := r.want(t, 200, "GET", "/sessions/joining/info", nil)["epoch"]
	start := r.journal(t, "joining")
	first := start[len(start)-1].Seq
	head := first + 2*writers*each
	var joiners []*joiner
	var storm sync.WaitGroup
	storm.Go(func() { executeFromMany(t, r, writers, each) })
	for i := range 30 {
		auth := object{"session_id": "joining", "snapshot": true}
		if i%2 == 1 {
			auth = object{"session_id": "joining", "epoch": epoch, "last_seq": first}
		}
		joiners = append(joiners, join(t, shared.live, auth, head))
	}
	storm.Wait()
	journal := r.journal(t, "joining")
	for i, j := range joiners {
		<-j.done
		if j.err != nil {
			t.Fatalf("joiner %d after %d numbered events: %v", i, len(j.events), j.err)
		}
		from := first
		if i%2 == 0 {
			from = j.state
		}
		var want []recorded
		for _, e := range journal {
			if e.Seq > from {
				want = append(want, e)
			}
		}
		checkNumbered(t, fmt.Sprintf("joiner %d", i), j.events, want)
		if recovered := i%2 == 1; j.recovered != recovered {
			t.Errorf("joiner %d: recovered = %v, want %v", i, j.recovered, recovered)
		}
	}
}

// joiner is a client that joins a running stream.
type joiner struct {
	events    []recorded
	state     uint64 // head_seq of the state it got, before any numbered event
	recovered bool
	err       error
	done      chan struct{}
}

// join connects and reads up to the numbered event head.
func join(t *testing.T, s *server, auth object, head uint64) *joiner {
	t.Helper()
	conn, err := load.Dial(bounded(t), load.Options{Address: s.addr, Namespace: "/graph", Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	j := &joiner{done: make(chan struct{})}
	t.Cleanup(func() {
		_ = conn.Close()
		<-j.done
	})
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	go func() {
		defer close(j.done)
		for j.err == nil && (len(j.events) == 0 || j.events[len(j.events)-1].Seq < head) && (len(j.events) > 0 || j.state < head) {
			j.err = j.next(conn)
		}
	}()
	return j
}

func (j *joiner) next(conn *load.Conn) error {
	name, data, err := conn.Read()
	if err != nil {
		return err
	}
	l := line{Name: name, Args: append(line{}.Args, data)}
	seq, _ := field(l, "seq").(float64)
	at, _ := field(l, "head_seq").(float64)
	switch {
	case name == "session:connected" && field(l, "client_id") == conn.SID():
		j.recovered, _ = field(l, "recovered").(bool)
	case seq > 0:
		j.events = append(j.events, recorded{Event: name, Seq: uint64(seq), Data: data})
	case name == "project:loaded" && len(j.events) > 0:
		return errors.New("a state after numbered events")
	case name == "project:loaded":
		j.state = uint64(at)
	}
	return nil
}

func TestASlowReaderMissesNothing(t *testing.T) {
	const pieces = 150 // of 40 KiB: far more than a connection's bound and the sockets' buffers
	r := newRoom(t, shared.live, "slow", "restomod")
	phase := r.create(t, object{"blueprint_type_id": "phase", "parent_id": r.root})
	job := r.create(t, object{"blueprint_type_id": "job", "parent_id": phase})
	start := r.journal(t, "slow")
	conn, err := load.Dial(bounded(t), load.Options{Address: shared.live.addr, Namespace: "/graph", Auth: object{"session_id": "slow"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	filler := make([]byte, 40<<10)
	for i := range pieces {
		for k := range filler {
			filler[k] = byte('a' + (i+k)%26)
		}
		r.execute(t, "UpdateProperty", object{"node_id": job, "property_id": "description", "value": string(filler)})
	}
	want := r.journal(t, "slow")[len(start):]
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	j := &joiner{}
	for len(j.events) < len(want) {
		if err := j.next(conn); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				err = errors.New("nothing more came")
			}
			t.Fatalf("after %d of %d numbered events: %v", len(j.events), len(want), err)
		}
	}
	checkNumbered(t, "the slow reader", j.events, want)
}
