package session

import (
	"sync/atomic"
	"testing"
	"time"
)

// SPEC N-14: only long work rests, and only beside others.
func TestPace(t *testing.T) {
	var turns atomic.Uint64
	now := time.Unix(0, 0)
	rested := 0
	p := newPace(&turns)
	p.now = func() time.Time { return now }
	others := false // have turns whenever it rests
	p.sleep = func(d time.Duration) {
		now = now.Add(d)
		rested++
		if others {
			turns.Add(1)
		}
	}
	work := func(length time.Duration) int {
		rested = 0
		for range int(length / (5 * time.Microsecond)) {
			now = now.Add(5 * time.Microsecond)
			p.step()
		}
		return rested
	}
	turns.Add(1) // its own
	p.begin()
	if n := work(time.Second); n != 0 {
		t.Errorf("alone it rested %d times", n)
	}
	p.begin()
	turns.Add(1)
	if n := work(paceWork / 2); n != 0 {
		t.Errorf("short work rested %d times", n)
	}
	others = true
	p.begin()
	turns.Add(1)
	if n := work(100 * time.Millisecond); n < 100 || n > 200 {
		t.Errorf("beside others it rested %d times in 100 ms of work", n)
	}
	others = false
	if n := work(time.Second); n == 0 || n > 100 {
		t.Errorf("after the others had gone it rested %d times", n)
	}
}
