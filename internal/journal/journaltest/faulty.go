package journaltest

import (
	"context"
	"errors"
	"sync"

	"github.com/graphroom/graphroom/internal/journal"
)

// Fault is what Faulty does with one mutation.
type Fault uint8

// The faults.
const (
	// Pass does nothing special.
	Pass Fault = iota
	// Refuse answers ErrUnavailable; nothing is written.
	Refuse
	// Lose answers ErrUncertain; nothing is written.
	Lose
	// Hide answers ErrUncertain; it is written.
	Hide
	// Fail is Lose, and the journal has failed for good, as the embedded driver
	// does on its first uncertain outcome.
	Fail
	// FailHidden is Hide, and the journal has failed for good.
	FailHidden
)

// Faulty is a journal that fails as its script says. Safe for concurrent use.
type Faulty struct {
	journal.Journal
	script func(call, session string) Fault

	mu     sync.Mutex
	err    error
	failed chan struct{}
}

// errScripted is the cause of every scripted failure.
var errScripted = errors.New("journaltest: scripted failure")

// NewFaulty wraps j. script is asked before each Create, Append, PutSnapshot,
// Trim and Delete, by the method's name; it may be called concurrently and may
// block, which holds the call back.
func NewFaulty(j journal.Journal, script func(call, session string) Fault) *Faulty {
	return &Faulty{Journal: j, script: script, failed: make(chan struct{})}
}

// Failed implements journal.Journal.
func (f *Faulty) Failed() <-chan struct{} { return f.failed }

// Err implements journal.Journal.
func (f *Faulty) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *Faulty) fail() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = errScripted
		close(f.failed)
	}
}

func (f *Faulty) mutate(call, session string, do func() error) error {
	if err := f.Err(); err != nil {
		return journal.Unavailable(err)
	}
	fault := f.script(call, session)
	switch fault {
	case Refuse:
		return journal.Unavailable(errScripted)
	case Hide, FailHidden:
		if err := do(); err != nil {
			return err
		}
	case Pass:
		return do()
	case Lose, Fail:
	}
	if fault == Fail || fault == FailHidden {
		f.fail()
	}
	return journal.Uncertain(errScripted)
}

// Create implements journal.Journal.
func (f *Faulty) Create(ctx context.Context, session string, meta []byte) error {
	return f.mutate("Create", session, func() error { return f.Journal.Create(ctx, session, meta) })
}

// Append implements journal.Journal.
func (f *Faulty) Append(ctx context.Context, session string, after uint64, recs []journal.Record) error {
	return f.mutate("Append", session, func() error { return f.Journal.Append(ctx, session, after, recs) })
}

// PutSnapshot implements journal.Journal.
func (f *Faulty) PutSnapshot(ctx context.Context, session string, seq uint64, data []byte) error {
	return f.mutate("PutSnapshot", session, func() error { return f.Journal.PutSnapshot(ctx, session, seq, data) })
}

// Trim implements journal.Journal.
func (f *Faulty) Trim(ctx context.Context, session string, through uint64) error {
	return f.mutate("Trim", session, func() error { return f.Journal.Trim(ctx, session, through) })
}

// Delete implements journal.Journal.
func (f *Faulty) Delete(ctx context.Context, session string) error {
	return f.mutate("Delete", session, func() error { return f.Journal.Delete(ctx, session) })
}

// Read implements journal.Journal.
func (f *Faulty) Read(ctx context.Context, session string, after uint64, maxBytes int) ([]journal.Record, error) {
	if err := f.Err(); err != nil {
		return nil, journal.Unavailable(err)
	}
	return f.Journal.Read(ctx, session, after, maxBytes)
}

// Head implements journal.Journal.
func (f *Faulty) Head(ctx context.Context, session string) (journal.Head, error) {
	if err := f.Err(); err != nil {
		return journal.Head{}, journal.Unavailable(err)
	}
	return f.Journal.Head(ctx, session)
}
