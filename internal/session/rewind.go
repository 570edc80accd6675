package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// errPast ends a walk over entries at the wanted seq.
var errPast = errors.New("past the wanted seq")

// rewinder takes a core's graphs back, entry by entry, from where a snapshot
// has them. Taking a change back refuses values that are not those the change
// left, so rewinding also holds a snapshot against the entries before it, when
// those from the start are no longer kept.
type rewinder struct {
	c     *core
	taken int             // entries taken back
	lost  map[string]bool // projects whose copy before a load is not known
}

// rewind takes back every entry with a last seq in (to, c.head], newest first.
// The core's histories and receipts stay as they are: only its graphs are of
// use afterwards. An error says what does not fit.
func rewind(ctx context.Context, j journal.Journal, c *core, from, to uint64) (*rewinder, error) {
	r := &rewinder{c: c, lost: map[string]bool{}}
	pages, err := pageStarts(ctx, j, c.id, max(from, to), c.head)
	if err != nil {
		return r, err
	}
	for i := len(pages) - 1; i >= 0; i-- {
		records, err := j.Read(ctx, c.id, pages[i], readBytes)
		if err != nil {
			return r, err
		}
		for k := len(records) - 1; k >= 0; k-- {
			rec := records[k]
			if rec.Last > c.head || rec.Last <= to {
				continue
			}
			e, err := decodeEntry(rec)
			if err != nil {
				return r, err
			}
			if err := contain(func() error { return r.back(e) }); err != nil {
				return r, fmt.Errorf("entry %d, taken back from seq %d: %w", e.First, c.head, err)
			}
		}
	}
	return r, nil
}

// pageStarts gives the seqs after which the pages of (after, through] begin.
func pageStarts(ctx context.Context, j journal.Journal, id string, after, through uint64) ([]uint64, error) {
	var pages []uint64
	for after < through {
		records, err := j.Read(ctx, id, after, readBytes)
		if err != nil || len(records) == 0 {
			return pages, err
		}
		pages = append(pages, after)
		after = records[len(records)-1].Last
	}
	return pages, nil
}

func (r *rewinder) back(e *entry) error {
	p := r.c.projects[e.ProjectID]
	if p == nil {
		return nil // of a copy that a later load replaced
	}
	r.taken++
	switch e.Kind {
	case kindLoad:
		if !bytes.Equal(p.graph.AppendJSON(nil, p.id), e.Loaded.Graph) {
			return fmt.Errorf("project %s is not what was loaded there", p.id)
		}
		delete(r.c.projects, p.id)
		r.lost[p.id] = true
		if r.c.active == p.id {
			r.c.active = ""
		}
	case kindCommand, kindUndo, kindRedo:
		p.graph.Revert(e.Changes)
	}
	return nil
}

// contain turns a panic of f into an error: what is read from a disk may be
// anything.
func contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if asErr, ok := p.(error); ok {
				err = asErr
				return
			}
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// GraphAt gives an open project's graph as it was right after seq, in the wire
// shape; 0 means now, "" the project that was active then. An entry counts from
// its last seq on. It reads the journal alone: forward from the newest snapshot
// or the start, or back from the snapshot where the start is no longer kept.
// CONFLICT when seq, or the state before a load, is no longer kept;
// PROJECT_NOT_FOUND when the project was not open then; INVALID_REQUEST when
// seq is past the head.
func GraphAt(ctx context.Context, j journal.Journal, id, projectID string, seq uint64) ([]byte, error) {
	limits := Config{}.withDefaults().limits()
	c, _, err := loadCore(ctx, j, id, limits, seq)
	var lost map[string]bool
	if errors.Is(err, journal.ErrTrimmed) {
		c, lost, err = coreBefore(ctx, j, id, limits, seq)
	}
	if err != nil {
		return nil, err
	}
	if seq > c.head {
		return nil, fault.New(fault.InvalidRequest, "seq %d is past the head %d", seq, c.head)
	}
	p, err := c.find(projectID)
	switch {
	case err == nil:
		return p.graph.AppendJSON(nil, p.id), nil
	case lost[projectID] || projectID == "" && len(lost) > 0:
		return nil, fault.New(fault.Conflict, "the project was made or loaded after seq %d, and what was there before is no longer kept", seq)
	default:
		return nil, err
	}
}

// coreBefore takes the newest snapshot back to seq.
func coreBefore(ctx context.Context, j journal.Journal, id string, limits coreLimits, seq uint64) (*core, map[string]bool, error) {
	head, err := j.Head(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if seq+1 < head.First {
		return nil, nil, journal.Trimmed(id, seq, head.First)
	}
	c, err := snapshotCore(ctx, j, id, limits)
	if err != nil {
		return nil, nil, err
	}
	r, err := rewind(ctx, j, c, head.First-1, seq)
	if err != nil {
		return nil, nil, fmt.Errorf("session %s: %w", id, err)
	}
	return c, r.lost, nil
}

// snapshotCore is the core as the newest snapshot has it, empty when there is
// none.
func snapshotCore(ctx context.Context, j journal.Journal, id string, limits coreLimits) (*core, error) {
	m, err := readMeta(ctx, j, id)
	if err != nil {
		return nil, err
	}
	seq, image, err := j.Snapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	c := newCore(id, m.Epoch, m.CreatedAt, limits)
	if seq == 0 {
		return c, nil
	}
	if err := contain(func() error { return c.decode(image) }); err != nil {
		return nil, fmt.Errorf("session %s: snapshot at %d: %w", id, seq, err)
	}
	if c.head != seq {
		return nil, fmt.Errorf("session %s: snapshot at %d says it is of %d", id, seq, c.head)
	}
	return c, nil
}

// sameGraphs compares what does not depend on the options of the server that
// wrote the snapshot: the open projects and their graphs, with writers.
func sameGraphs(a, b *core) bool {
	if a.head != b.head || a.active != b.active || len(a.order) != len(b.order) {
		return false
	}
	for i, id := range a.order {
		if b.order[i] != id || !bytes.Equal(a.projects[id].graph.Encode(), b.projects[id].graph.Encode()) {
			return false
		}
	}
	return true
}

// checkGraphs holds every graph against its own rules.
func (c *core) checkGraphs(problem func(format string, args ...any)) {
	for _, id := range c.order {
		if p := c.projects[id]; p != nil {
			if err := contain(p.graph.Check); err != nil {
				problem("project %s: %v", id, err)
			}
		}
	}
}
