package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// stalledBytes is how much the stalled client lets pass: far more than the
// server may keep for it.
const stalledBytes = 200 << 20

// One client among a hundred stops reading while 200 MB of events go by. The
// server does not keep them for it in memory; when it reads again it gets every
// event, in order, on the same connection.
func TestAStalledClientAmongAHundred(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("sends 20 GB over the loopback")
	}
	own := ownServer(t, filepath.Join(t.TempDir(), "data"))
	r := newRoom(t, own, "stalled", "restomod")
	phase := r.create(t, object{"blueprint_type_id": "phase", "parent_id": r.root})
	job := r.create(t, object{"blueprint_type_id": "job", "parent_id": phase})
	clock, err := load.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := load.NewPool(clock, "no stamp")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	dial := func() *load.Conn {
		t.Helper()
		c, err := load.Dial(bounded(t), load.Options{Address: own.addr, Namespace: "/graph", Auth: object{"session_id": "stalled"}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for range 99 {
		if _, err := pool.Add(dial(), false); err != nil {
			t.Fatal(err)
		}
	}
	stalled := dial()
	defer func() { _ = stalled.Close() }()

	start := r.journal(t, "stalled")
	value := []byte(strings.Repeat("x", 60<<10))
	sent, before := 0, own.resident(t)
	for i := 0; sent < stalledBytes; i++ {
		copy(value, fmt.Sprintf("%08d", i))
		r.execute(t, "UpdateProperty", object{
			"node_id": job, "property_id": "description", "value": string(value),
			"coalesce": "typing", // one entry in the undo history, which would otherwise hold every value
		})
		sent += 2 * len(value) // the event has the old value and the new one
	}
	after := own.resident(t)
	t.Logf("%d MB of events; the server's memory %d MB before, %d MB after", sent>>20, before>>20, after>>20)
	if grown := after - before; grown > stalledBytes*3/4 {
		t.Errorf("the server's memory grew by %d MB", grown>>20)
	}

	want := len(start)
	j := &joiner{}
	_ = stalled.SetReadDeadline(time.Now().Add(patience))
	last := r.head(t, "stalled")
	for len(j.events) == 0 || j.events[len(j.events)-1].Seq < last {
		if err := j.next(stalled); err != nil {
			t.Fatalf("after %d events: %v", len(j.events), err)
		}
	}
	for i, e := range j.events {
		if e.Seq != uint64(want+i+1) {
			t.Fatalf("event %d has seq %d, want %d", i, e.Seq, want+i+1)
		}
	}
}

// resident is the server's resident memory in bytes.
func (s *server) resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "statm"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// head is the session's newest seq.
func (r rest) head(t *testing.T, session string) uint64 {
	t.Helper()
	info := r.want(t, 200, "GET", "/sessions/"+session+"/info", nil)
	seq, ok := info["seq"].(float64)
	if !ok {
		t.Fatalf("info %v", info)
	}
	return uint64(seq)
}
