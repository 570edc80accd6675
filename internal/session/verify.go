package session

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// Report is what Verify found of one session.
type Report struct {
	SessionID string
	Entries   int    // entries read and applied
	FirstSeq  uint64 // the oldest seq kept
	HeadSeq   uint64
	Snapshot  uint64 // seq of the snapshot; 0 = none
	Replayed  bool   // the snapshot was compared with a replay from the start
	Problems  []string
}

// Verify reads all that the journal keeps of a session and reports what does
// not fit: an entry that cannot be read or applied, a snapshot that cannot be
// read or that replay contradicts, a graph that breaks its own rules. It needs
// no manager and writes nothing. The error is for what kept it from looking.
func Verify(ctx context.Context, j journal.Journal, id string) (Report, error) {
	rep := Report{SessionID: id}
	m, err := readMeta(ctx, j, id)
	if err != nil {
		return rep, err
	}
	head, err := j.Head(ctx, id)
	if err != nil {
		return rep, err
	}
	rep.FirstSeq, rep.HeadSeq = head.First, head.Last
	problem := func(format string, args ...any) { rep.Problems = append(rep.Problems, fmt.Sprintf(format, args...)) }

	fresh := func() *core { return newCore(id, m.Epoch, m.CreatedAt, Config{}.withDefaults().limits()) }
	fromSnapshot := fresh()
	seq, image, err := j.Snapshot(ctx, id)
	if err != nil {
		problem("snapshot: %v", err)
	}
	rep.Snapshot = seq
	if seq > 0 {
		if err := fromSnapshot.decode(image); err != nil {
			problem("snapshot at %d: %v", seq, err)
			seq = 0
		} else if fromSnapshot.head != seq {
			problem("snapshot at %d says it is of %d", seq, fromSnapshot.head)
		}
	}
	var fromStart *core
	if head.First <= 1 {
		fromStart = fresh()
		rep.Replayed = seq > 0
	}
	err = eachEntry(ctx, j, id, head.First-min(head.First, 1), func(e *entry) error {
		rep.Entries++
		if fromStart != nil {
			if err := fromStart.apply(e); err != nil {
				return err
			}
			if e.Last == seq {
				if !sameGraphs(fromStart, fromSnapshot) {
					problem("snapshot at %d is not what its entries make", seq)
				}
			}
		}
		if e.First > seq && (seq > 0 || fromStart == nil) {
			return fromSnapshot.apply(e)
		}
		return nil
	})
	if err != nil {
		problem("%v", err)
	}
	for _, c := range []*core{fromStart, fromSnapshot} {
		if c == nil {
			continue
		}
		for _, pid := range c.order {
			if err := c.projects[pid].graph.Check(); err != nil {
				problem("project %s: %v", pid, err)
			}
		}
	}
	return rep, nil
}

// sameGraphs compares what does not depend on the options of the server that
// wrote the snapshot: the open projects and their graphs, with writers.
func sameGraphs(a, b *core) bool {
	if a.head != b.head || a.active != b.active || !slices.Equal(a.order, b.order) {
		return false
	}
	for id, p := range a.projects {
		if !bytes.Equal(p.graph.Encode(), b.projects[id].graph.Encode()) {
			return false
		}
	}
	return true
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

// GraphAt gives an open project's graph as it was right after seq, in the wire
// shape; 0 means now, "" the project that was active then. It reads the
// journal alone. CONFLICT when seq is before what the journal keeps,
// PROJECT_NOT_FOUND when the project was not open then.
func GraphAt(ctx context.Context, j journal.Journal, id, projectID string, seq uint64) ([]byte, error) {
	c, _, err := loadCore(ctx, j, id, Config{}.withDefaults().limits(), seq)
	if err != nil {
		return nil, err
	}
	if seq > c.head {
		return nil, fault.New(fault.InvalidRequest, "seq %d is past the head %d", seq, c.head)
	}
	p, err := c.find(projectID)
	if err != nil {
		return nil, err
	}
	return p.graph.AppendJSON(nil, p.id), nil
}
