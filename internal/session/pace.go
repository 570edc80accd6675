package session

import (
	"sync/atomic"
	"time"
)

// pace keeps the long work of one session from standing in the way of the
// others: while they have turns, it works for a moment and rests for longer.
// Alone it never rests, and what is short never does. It belongs to one
// goroutine.
//
// The figures are measured (docs/adr/0007): on two cores, where a command of
// 50,000 changes would otherwise hold one of them and bring on the collector
// and the disk besides, they keep what others wait for within twice of what
// they wait for without it.
type pace struct {
	turns *atomic.Uint64 // of all sessions, ever
	now   func() time.Time
	sleep func(time.Duration)

	steps int
	since time.Time // when this stretch of work began
	seen  uint64    // turns then
	other time.Time // when another session's turn was last seen
}

const (
	paceSteps = 64                     // between two looks at the clock
	paceWork  = 500 * time.Microsecond // then it rests, if others are about
	paceRest  = 1500 * time.Microsecond
	paceOther = 100 * time.Millisecond // for how long others count as being about
)

func newPace(turns *atomic.Uint64) *pace {
	return &pace{turns: turns, now: time.Now, sleep: time.Sleep}
}

// begin says that work begins.
func (p *pace) begin() {
	p.steps, p.since, p.seen = 0, p.now(), p.turns.Load()
}

// step is called between the steps of the work, of some microseconds each.
func (p *pace) step() {
	if p.steps++; p.steps%paceSteps != 0 {
		return
	}
	now := p.now()
	if now.Sub(p.since) < paceWork {
		return
	}
	if turns := p.turns.Load(); turns != p.seen {
		p.seen, p.other = turns, now
	}
	if now.Sub(p.other) < paceOther {
		p.sleep(paceRest)
		now = p.now()
	}
	p.since = now
}
