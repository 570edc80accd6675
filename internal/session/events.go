package session

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/graphroom/graphroom/internal/journal"
)

// Events reads up to limit numbered events after seq from the journal, in
// order; none at the head. CONFLICT when they are no longer kept. It does not
// wait for a turn.
func (s *Session) Events(ctx context.Context, after uint64, limit int) ([]Item, error) {
	var out []Item
	for len(out) < limit {
		records, err := s.m.cfg.Journal.Read(ctx, s.id, after, readBytes/4)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			return out, nil
		}
		for _, r := range records {
			items, err := s.m.recent.events(s.id, r)
			if err != nil {
				return nil, fmt.Errorf("session %s: %w", s.id, err)
			}
			if skip := after + 1; skip > r.First {
				items = items[min(skip-r.First, uint64(len(items))):]
			}
			out = append(out, items[:min(limit-len(out), len(items))]...)
			after = r.Last
			if len(out) >= limit {
				break
			}
		}
	}
	return out, nil
}

// recentEvents keeps the events of the large entry that was read last: a
// reader takes them page by page, and each page would decode all of it again.
type recentEvents struct {
	mu      sync.Mutex
	session string
	data    []byte
	items   []Item
}

// events gives the numbered events of a record. The result must not be changed.
func (c *recentEvents) events(session string, r journal.Record) ([]Item, error) {
	large := len(r.Data) >= packFrom
	if large {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.session == session && bytes.Equal(c.data, r.Data) && c.items[0].Seq == r.First {
			return c.items, nil
		}
	}
	e, err := decodeEntry(r)
	if err != nil {
		return nil, err
	}
	items := e.events(session, nil)
	if large {
		c.session, c.data, c.items = session, r.Data, items
	}
	return items, nil
}

// forget lets the memory go when nobody has read for a while.
func (c *recentEvents) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.data, c.items = "", nil, nil
}
