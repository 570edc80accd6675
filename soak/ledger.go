package main

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"
)

// ledger is what the outside knows of one session: what was asked and
// acknowledged, and what the journal said when it was last read. Its methods
// are safe for concurrent use.
type ledger struct {
	session string
	seed    maphash.Seed
	faults  *faults

	mu       sync.Mutex
	epoch    string
	events   []uint64          // digest of the numbered event seq i+1
	executed map[string]uint64 // command id -> seq of the event that ended it
	asked    map[string]bool   // every id that was ever sent
	refused  map[string]bool
	receipts []receipt // acknowledged and not yet compared
}

// receipt is the part of an answer that must be the same for ever.
type receipt struct {
	id  string
	seq uint64
}

func newLedger(session string, f *faults) *ledger {
	return &ledger{
		session: session, seed: maphash.MakeSeed(), faults: f,
		executed: map[string]uint64{}, asked: map[string]bool{}, refused: map[string]bool{},
	}
}

// digest identifies an event.
func (l *ledger) digest(name string, payload []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(name)
	_, _ = h.Write(payload)
	return h.Sum64()
}

func (l *ledger) ask(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[id] = true
}

func (l *ledger) acknowledged(id string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts = append(l.receipts, receipt{id, seq})
}

func (l *ledger) refuse(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[id] = true
}

// page is an answer of GET /sessions/{id}/events.
type page struct {
	Epoch  string  `json:"epoch"`
	Head   uint64  `json:"head_seq"`
	Events []event `json:"events"`
	More   bool    `json:"more"`
}

type event struct {
	Seq  uint64          `json:"seq"`
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// head is the last seq that the journal has been read to.
func (l *ledger) head() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.events))
}

// read takes a page of the journal over.
func (l *ledger) read(p page) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch == "" {
		l.epoch = p.Epoch
	}
	if p.Epoch != l.epoch {
		l.faults.lost(l.session, "the history became another: epoch %s was %s", p.Epoch, l.epoch)
	}
	for _, e := range p.Events {
		if want := uint64(len(l.events)) + 1; e.Seq != want {
			l.faults.reordered(l.session, "the journal has seq %d where %d belongs", e.Seq, want)
			return fmt.Errorf("session %s: the journal is not gapless at %d", l.session, want)
		}
		l.events = append(l.events, l.digest(e.Name, e.Data))
		id := commandOf(e)
		if id == "" {
			continue
		}
		if first, ok := l.executed[id]; ok {
			l.faults.twice(l.session, "command %s stands at %d and again at %d", id, first, e.Seq)
		}
		if !l.asked[id] {
			l.faults.twice(l.session, "command %s at %d was never asked for", id, e.Seq)
		}
		l.executed[id] = e.Seq
	}
	return nil
}

// again holds a page that was read before against what it said then.
func (l *ledger) again(p page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range p.Events {
		if e.Seq == 0 || e.Seq > uint64(len(l.events)) {
			continue
		}
		if l.events[e.Seq-1] != l.digest(e.Name, e.Data) {
			l.faults.lost(l.session, "event %d is not what it was", e.Seq)
		}
	}
}

// commandOf is the id of the request that an event ends, "" for any other.
func commandOf(e event) string {
	var body struct {
		CommandID string `json:"command_id"`
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(e.Data, &body) != nil {
		return ""
	}
	switch e.Name {
	case "command:executed":
		return body.CommandID
	case "command:undo", "command:redo":
		return body.RequestID
	default:
		return ""
	}
}

// settle compares every receipt since the last time with the journal, which
// was read to its head meanwhile. It returns how many it compared.
func (l *ledger) settle() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.receipts)
	for _, r := range l.receipts {
		switch at, ok := l.executed[r.id]; {
		case !ok:
			l.faults.lost(l.session, "command %s was acknowledged at %d and is not in the journal", r.id, r.seq)
		case at != r.seq:
			l.faults.reordered(l.session, "command %s was acknowledged at %d and stands at %d", r.id, r.seq, at)
		}
	}
	l.receipts = l.receipts[:0]
	for id := range l.refused {
		if at, ok := l.executed[id]; ok {
			l.faults.twice(l.session, "command %s was refused and stands at %d", id, at)
		}
	}
	clear(l.refused)
	return n
}

// compare holds part of a client's stream, seqs first and on, against the
// journal.
func (l *ledger) compare(client string, first uint64, got []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, d := range got {
		seq := first + uint64(i)
		if seq > uint64(len(l.events)) {
			l.faults.lost(l.session, "%s got event %d, which the journal does not have", client, seq)
			return
		}
		if l.events[seq-1] != d {
			l.faults.reordered(l.session, "%s got another event %d than the journal has", client, seq)
		}
	}
}

// faults collects what went wrong.
type faults struct {
	mu sync.Mutex
	// Lost, Twice and Reordered count.
	Lost, Twice, Reordered int
	Texts                  []string
}

const maxTexts = 50

func (f *faults) note(count *int, session, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*count++
	if len(f.Texts) < maxTexts {
		f.Texts = append(f.Texts, session+": "+fmt.Sprintf(format, args...))
	}
}

func (f *faults) lost(session, format string, args ...any) { f.note(&f.Lost, session, format, args...) }
func (f *faults) twice(session, format string, args ...any) {
	f.note(&f.Twice, session, format, args...)
}
func (f *faults) reordered(session, format string, args ...any) {
	f.note(&f.Reordered, session, format, args...)
}

func (f *faults) any() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Lost+f.Twice+f.Reordered > 0
}
