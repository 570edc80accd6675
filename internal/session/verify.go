package session

import (
	"context"
	"fmt"

	"github.com/graphroom/graphroom/internal/journal"
)

// Report is what Verify found of one session.
type Report struct {
	SessionID string
	Entries   int    // entries read and applied
	FirstSeq  uint64 // the oldest seq kept
	HeadSeq   uint64
	Snapshot  uint64 // seq of the snapshot; 0 = none
	// Replayed: the snapshot was held against all the entries that are kept of
	// those before it: by replay when they are kept from the start, else by
	// taking them back one by one.
	Replayed bool
	Problems []string
}

// Verify reads all that the journal keeps of a session and reports what does
// not fit: an entry that cannot be read or applied, a snapshot that cannot be
// read or that its entries contradict, a graph that breaks its own rules. It
// needs no manager and writes nothing. The error is for what kept it from
// looking.
func Verify(ctx context.Context, j journal.Journal, id string) (Report, error) {
	v := verifier{ctx: ctx, j: j, rep: Report{SessionID: id}}
	m, err := readMeta(ctx, j, id)
	if err != nil {
		return v.rep, err
	}
	head, err := j.Head(ctx, id)
	if err != nil {
		return v.rep, err
	}
	v.rep.FirstSeq, v.rep.HeadSeq = head.First, head.Last
	v.fresh = func() *core { return newCore(id, m.Epoch, m.CreatedAt, Config{}.withDefaults().limits()) }
	v.snapshot()
	if head.First <= 1 {
		v.forward(v.fresh())
	} else {
		v.backAndForward(head.First - 1)
	}
	return v.rep, ctx.Err()
}

type verifier struct {
	ctx   context.Context
	j     journal.Journal
	rep   Report
	fresh func() *core
	snap  *core // as the snapshot has it; nil without a sound one
}

func (v *verifier) problem(format string, args ...any) {
	v.rep.Problems = append(v.rep.Problems, fmt.Sprintf(format, args...))
}

// snapshot reads the newest snapshot.
func (v *verifier) snapshot() {
	seq, image, err := v.j.Snapshot(v.ctx, v.rep.SessionID)
	if err != nil {
		v.problem("snapshot: %v", err)
		return
	}
	v.rep.Snapshot = seq
	if seq == 0 {
		return
	}
	c := v.fresh()
	if err := contain(func() error { return c.decode(image) }); err != nil {
		v.problem("snapshot at %d: %v", seq, err)
		return
	}
	if c.head != seq {
		v.problem("snapshot at %d says it is of %d", seq, c.head)
		return
	}
	v.snap = c
	c.checkGraphs(v.problem)
}

// forward applies every entry that is kept to c, which is as they found it, and
// compares the snapshot on the way.
func (v *verifier) forward(c *core) {
	err := eachEntry(v.ctx, v.j, v.rep.SessionID, c.head, func(e *entry) error {
		if err := contain(func() error { return c.apply(e) }); err != nil {
			return err
		}
		v.rep.Entries++
		if v.snap != nil && e.Last == v.snap.head {
			v.rep.Replayed = true
			if !sameGraphs(c, v.snap) {
				v.problem("snapshot at %d is not what its entries make", v.snap.head)
			}
		}
		return nil
	})
	if err != nil {
		v.problem("%v", err)
	}
	c.checkGraphs(v.problem)
}

// backAndForward is for a session whose first entries are no longer kept: the
// entries after the snapshot are applied to it, those before it taken back.
func (v *verifier) backAndForward(from uint64) {
	if v.snap == nil {
		v.problem("entries through %d are gone and there is no sound snapshot to begin with", from)
		return
	}
	at := v.snap.head
	back, err := rewind(v.ctx, v.j, v.snap, from, from)
	v.rep.Entries += back.taken
	if err != nil {
		v.problem("snapshot at %d: %v", at, err)
	} else {
		v.rep.Replayed = true
		v.snap.checkGraphs(v.problem)
	}
	v.snap = nil
	c, err := snapshotCore(v.ctx, v.j, v.rep.SessionID, v.fresh().limits)
	if err != nil {
		v.problem("%v", err)
		return
	}
	v.forward(c)
}

// eachEntry visits the entries after seq in order.
func eachEntry(ctx context.Context, j journal.Journal, id string, after uint64, visit func(*entry) error) error {
	for {
		records, err := j.Read(ctx, id, after, readBytes)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return nil
		}
		for _, r := range records {
			e, err := decodeEntry(r)
			if err != nil {
				return err
			}
			if err := visit(e); err != nil {
				return err
			}
			after = r.Last
		}
	}
}
