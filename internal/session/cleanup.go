package session

import (
	"context"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
)

// Cleanup deletes the sessions that nobody needs: without clients, without a
// project that has unsaved changes, and without an entry in the last idle
// time. It returns their ids. Each session is judged and deleted in one turn
// of its own. It stops at the first error, with what was deleted so far.
func (m *Manager) Cleanup(ctx context.Context, idle time.Duration) ([]string, error) {
	removed := []string{}
	after := ""
	for {
		ids, err := m.cfg.Journal.Sessions(ctx, after, cleanupPage)
		if err != nil || len(ids) == 0 {
			return removed, err
		}
		for _, id := range ids {
			ok, err := m.cleanOne(ctx, id, idle)
			if err != nil {
				return removed, err
			}
			if ok {
				removed = append(removed, id)
			}
		}
		after = ids[len(ids)-1]
	}
}

const cleanupPage = 256

func (m *Manager) cleanOne(ctx context.Context, id string, idle time.Duration) (removed bool, err error) {
	s := &Session{m: m, id: id}
	err = s.visit(ctx, &request{run: func(t *turn) error {
		if !t.l.disposable(t.now.Add(-idle)) {
			return nil
		}
		if err := t.deleteSession(); err != nil {
			return err
		}
		removed = true
		return nil
	}})
	if fault.Is(err, fault.InvalidSession) { // deleted since it was listed
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return removed, nil
}

// DeleteEmpty deletes the session if nothing ever happened in it and nobody is
// in it, and tells whether it did. INVALID_SESSION when it is unknown.
func (m *Manager) DeleteEmpty(ctx context.Context, id string) (deleted bool, err error) {
	s, err := m.Get(ctx, id)
	if err != nil {
		return false, err
	}
	err = s.visit(ctx, &request{run: func(t *turn) error {
		if t.l.core.head > 0 || len(t.l.clients) > 0 {
			return nil
		}
		if err := t.deleteSession(); err != nil {
			return err
		}
		deleted = true
		return nil
	}})
	if err != nil {
		return false, err
	}
	return deleted, nil
}

func (l *live) disposable(before time.Time) bool {
	c := l.core
	if len(l.clients) > 0 || c.lastActive().After(before) {
		return false
	}
	for _, p := range c.projects {
		if p.dirty() {
			return false
		}
	}
	return true
}

// lastActive is when the newest entry was made, or the session itself.
func (c *core) lastActive() time.Time {
	if len(c.receipts.ring) == 0 {
		return c.created
	}
	return time.UnixMilli(c.receipts.newest().Time)
}
