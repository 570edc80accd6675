package pebble

import (
	"bytes"
	"context"
	"errors"
	"sync"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// session is what memory knows of one session while it is in use, and for a
// while longer. It is found on disk when first needed.
type session struct {
	id   string
	refs int // guarded by Store.mu; 0 = may be dropped

	// life is held for reading by every call on the session and for writing by
	// Create and Delete, until their outcome is durable.
	life sync.RWMutex

	load   sync.Mutex // guards loaded and exists
	loaded bool
	exists bool

	write sync.Mutex // serialises Append and Trim
	snap  sync.Mutex // serialises PutSnapshot

	pos  sync.Mutex // guards head and cum
	head uint64     // last durable seq
	cum  uint64     // size of the Data of all records up to it
}

// use returns the session's state, counted in. Callers release it.
func (s *Store) use(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.sessions[id]
	if t == nil {
		s.makeRoom()
		t = &session{id: id}
		s.sessions[id] = t
	}
	t.refs++
	return t
}

// makeRoom drops an idle session when too many are in memory. Map order
// chooses it: good enough, and free.
func (s *Store) makeRoom() {
	if len(s.sessions) < s.opts.Sessions {
		return
	}
	looked := 0
	for id, t := range s.sessions {
		if t.refs == 0 {
			delete(s.sessions, id)
			return
		}
		if looked++; looked == 64 {
			return // all busy: the map grows past its bound for now
		}
	}
}

// release counts the session out and forgets it when it does not exist.
func (s *Store) release(t *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.refs--
	if t.refs == 0 && (!t.exists || len(s.sessions) > s.opts.Sessions) {
		delete(s.sessions, t.id)
	}
}

// find tells whether the session exists; the first time it reads that, and
// where the session's head is, from disk.
func (s *Store) find(t *session) (exists bool, err error) {
	t.load.Lock()
	defer t.load.Unlock()
	if t.loaded {
		return t.exists, nil
	}
	exists, err = s.has(s.db, nameKey(kindMeta, t.id))
	if err != nil {
		return false, s.readFailed("meta", t.id, 0, err)
	}
	if exists {
		newest, err := s.edge(t.id, (*pdb.Iterator).Last)
		if err != nil {
			return false, err
		}
		t.setPosition(newest.last, newest.cum)
	}
	t.exists, t.loaded = exists, true
	return exists, nil
}

// setExists says what Create or Delete made durable.
func (t *session) setExists(exists bool) {
	t.load.Lock()
	defer t.load.Unlock()
	t.exists = exists
}

func (s *Store) has(r pdb.Reader, key []byte) (bool, error) {
	_, closer, err := r.Get(key)
	if errors.Is(err, pdb.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// get returns a copy of the value of key; nil when there is none.
func (s *Store) get(r pdb.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pdb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}

// place is what is known of one stored record without its Data.
type place struct {
	first, last uint64 // 0 when there is no record
	cum, size   uint64 // Data up to and including the record; in it
}

// edge returns the first or last record of the session; the zero place when it
// has none.
func (s *Store) edge(id string, seek func(*pdb.Iterator) bool) (p place, err error) {
	prefix := idPrefix(kindRecord, id)
	it, err := s.db.NewIter(&pdb.IterOptions{LowerBound: prefix, UpperBound: idEnd(kindRecord, id)})
	if err != nil {
		return p, s.readFailed("record", id, 0, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !seek(it) {
		if err := it.Error(); err != nil {
			return p, s.readFailed("record", id, 0, err)
		}
		return p, nil
	}
	last := keyNumber(it.Key(), len(prefix))
	value, err := it.ValueAndErr()
	if err != nil {
		return p, s.readFailed("record", id, last, err)
	}
	rec, reason := decodeRecord(it.Key(), value, last)
	if reason != "" {
		return p, journal.Corrupt(&journal.CorruptError{Kind: "record", Name: id, Seq: last, Reason: reason})
	}
	return place{first: rec.first, last: rec.last, cum: rec.cum, size: rec.size}, nil
}

// readFailed words an error of the engine: damage with its place, anything
// else as unavailable.
func (s *Store) readFailed(kind, name string, seq uint64, err error) error {
	if pdb.IsCorruptionError(err) {
		return journal.Corrupt(&journal.CorruptError{
			Kind: kind, Name: name, Seq: seq, Reason: "the store's file is damaged", Err: err,
		})
	}
	return journal.Unavailable(err)
}

// with runs f on an existing session, counted in and kept from being made or
// deleted meanwhile.
func (s *Store) with(ctx context.Context, id string, write bool, f func(*session) error) error {
	enter := s.enter
	if write {
		enter = s.enterWrite
	}
	if err := enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if !journal.CheckSession(id) {
		return journal.Unknown(id)
	}
	t := s.use(id)
	defer s.release(t)
	t.life.RLock()
	defer t.life.RUnlock()
	exists, err := s.find(t)
	if err != nil {
		return err
	}
	if !exists {
		return journal.Unknown(id)
	}
	return f(t)
}

// alone runs f with the session to itself, whether it exists or not.
func (s *Store) alone(ctx context.Context, id string, f func(t *session, exists bool) error) error {
	if err := s.enterWrite(ctx); err != nil {
		return err
	}
	defer s.leave()
	t := s.use(id)
	defer s.release(t)
	t.life.Lock()
	defer t.life.Unlock()
	exists, err := s.find(t)
	if err != nil {
		return err
	}
	return f(t, exists)
}

func (t *session) position() (head, cum uint64) {
	t.pos.Lock()
	defer t.pos.Unlock()
	return t.head, t.cum
}

func (t *session) setPosition(head, cum uint64) {
	t.pos.Lock()
	defer t.pos.Unlock()
	t.head, t.cum = head, cum
}
