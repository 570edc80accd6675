// Package memory is the store of saved projects that loses them with the
// process: for tests and for servers that are told to keep nothing. It is safe
// for concurrent use and starts no goroutines.
package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
)

// Store implements project.Store. Make it with New.
type Store struct {
	mu    sync.RWMutex
	saved map[string]project.Saved
}

var _ project.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return &Store{saved: make(map[string]project.Saved)} }

// Put implements project.Store.
func (s *Store) Put(ctx context.Context, p project.Saved, expected uint64) (uint64, error) {
	if err := started(ctx); err != nil {
		return 0, err
	}
	if err := project.Check(p); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if current := s.saved[p.ProjectID].Revision; current != expected {
		return 0, project.Conflict(p.ProjectID, expected, current)
	}
	p.Revision = expected + 1
	p.SavedAt = p.SavedAt.UTC().Truncate(time.Millisecond)
	p.Graph = slices.Clone(p.Graph)
	s.saved[p.ProjectID] = p
	return p.Revision, nil
}

// Get implements project.Store.
func (s *Store) Get(ctx context.Context, id string) (project.Saved, error) {
	if err := started(ctx); err != nil {
		return project.Saved{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.saved[id]
	if !ok {
		return project.Saved{}, project.NotFound(id)
	}
	p.Graph = slices.Clone(p.Graph)
	return p, nil
}

// List implements project.Store.
func (s *Store) List(ctx context.Context, after string, limit int) ([]project.Summary, error) {
	if err := started(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 1000
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	for id := range s.saved {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var out []project.Summary
	for _, id := range ids[:min(limit, len(ids))] {
		out = append(out, s.saved[id].Summary())
	}
	return out, nil
}

// Delete implements project.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := started(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.saved[id]; !ok {
		return project.NotFound(id)
	}
	delete(s.saved, id)
	return nil
}

func started(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(err, fault.Unavailable, "the call was given up before it began")
	}
	return nil
}
