package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// readBytes is how much of a journal is read at a time.
const readBytes = 1 << 20

// load makes the core from the journal when there is none: the newest snapshot
// and the entries after it.
func (l *live) load() error {
	if l.core != nil {
		return nil
	}
	c, tail, err := loadCore(l.ctx, l.m.cfg.Journal, l.id, l.m.cfg.limits(), 0)
	if err != nil {
		return l.loadError(err)
	}
	head, err := l.m.cfg.Journal.Head(l.ctx, l.id)
	if err != nil {
		return l.loadError(err)
	}
	// What was read behind the snapshot counts: else a server that is killed
	// often would never write the next one, and read more at every start.
	c.between(l.pace.step)
	l.core, l.firstSeq, l.snapSize = c, head.First, tail.snapshot
	l.sinceBytes, l.sinceCount = tail.bytes, tail.entries
	return nil
}

func (l *live) loadError(err error) error {
	if fault.Is(err, fault.InvalidSession) {
		return err
	}
	l.log.Error("session cannot be loaded", "err", err)
	if errors.Is(err, journal.ErrUncertain) {
		return fault.Wrap(err, fault.Unavailable, "the journal is not available")
	}
	return fault.From(err)
}

// loadTail is what a session was rebuilt from.
type loadTail struct {
	snapshot       int // bytes of the snapshot, unpacked
	entries, bytes int // read behind it
}

// loadCore rebuilds a session as it was at seq, or as it is for seq 0.
func loadCore(ctx context.Context, j journal.Journal, id string, limits coreLimits, at uint64) (*core, loadTail, error) {
	var tail loadTail
	meta, err := readMeta(ctx, j, id)
	if err != nil {
		return nil, tail, err
	}
	seq, data, err := j.Snapshot(ctx, id)
	if err != nil {
		return nil, tail, err
	}
	if data, err = unpack(data); err != nil {
		return nil, tail, fmt.Errorf("session %s: snapshot at %d: %w", id, seq, err)
	}
	tail.snapshot = len(data)
	c := newCore(id, meta.Epoch, meta.CreatedAt, limits)
	if seq > 0 && (at == 0 || seq <= at) {
		if err := c.decode(data); err != nil {
			return nil, tail, fmt.Errorf("session %s: snapshot at %d: %w", id, seq, err)
		}
		if c.head != seq {
			return nil, tail, fmt.Errorf("session %s: snapshot at %d says it is of %d", id, seq, c.head)
		}
	}
	err = eachEntry(ctx, j, id, c.head, func(e *entry) error {
		if at != 0 && e.Last > at {
			return errPast
		}
		tail.entries++
		tail.bytes += e.size
		return c.apply(e)
	})
	if err != nil && !errors.Is(err, errPast) {
		return nil, tail, fmt.Errorf("session %s: %w", id, err)
	}
	return c, tail, nil
}
