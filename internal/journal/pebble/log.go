package pebble

import (
	"context"
	"errors"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// Create implements journal.Journal.
func (s *Store) Create(ctx context.Context, id string, meta []byte) error {
	if !journal.CheckSession(id) {
		return journal.Invalid("malformed session id %q", id)
	}
	if len(meta) > journal.MaxMeta {
		return journal.TooLarge("meta", int64(len(meta)), journal.MaxMeta)
	}
	err := s.alone(ctx, id, func(t *session, exists bool) error {
		if exists {
			return journal.Exists(id)
		}
		key := nameKey(kindMeta, id)
		b := s.db.NewBatch()
		must(b.Set(key, seal(key, append([]byte{valueVersion}, meta...)), nil))
		if err := s.durable(b); err != nil {
			return err
		}
		t.setPosition(0, 0)
		t.setExists(true)
		return nil
	})
	if err == nil {
		s.wakers.Wake(id)
	}
	return err
}

// Delete implements journal.Journal.
func (s *Store) Delete(ctx context.Context, id string) error {
	if !journal.CheckSession(id) {
		return journal.Unknown(id)
	}
	err := s.alone(ctx, id, func(t *session, exists bool) error {
		if !exists {
			return journal.Unknown(id)
		}
		b := s.db.NewBatch()
		must(b.Delete(nameKey(kindMeta, id), nil))
		must(b.Delete(nameKey(kindSnapshot, id), nil))
		must(b.DeleteRange(idPrefix(kindRecord, id), idEnd(kindRecord, id), nil))
		must(b.DeleteRange(idPrefix(kindSnapChunk, id), idEnd(kindSnapChunk, id), nil))
		must(b.DeleteRange(idPrefix(kindRecordChunk, id), idEnd(kindRecordChunk, id), nil))
		if err := s.durable(b); err != nil {
			return err
		}
		t.setExists(false)
		return nil
	})
	if err == nil {
		s.wakers.Wake(id)
	}
	return err
}

// Meta implements journal.Journal.
func (s *Store) Meta(ctx context.Context, id string) (meta []byte, err error) {
	err = s.with(ctx, id, false, func(*session) error {
		key := nameKey(kindMeta, id)
		value, err := s.get(s.db, key)
		if err != nil {
			return s.readFailed("meta", id, 0, err)
		}
		body, reason := unseal(key, value)
		if reason != "" {
			return journal.Corrupt(&journal.CorruptError{Kind: "meta", Name: id, Reason: reason})
		}
		meta = body
		return nil
	})
	return meta, err
}

// Append implements journal.Journal.
func (s *Store) Append(ctx context.Context, id string, after uint64, recs []journal.Record) error {
	if err := journal.CheckAppend(after, recs); err != nil {
		return err
	}
	err := s.with(ctx, id, true, func(t *session) error {
		t.write.Lock()
		defer t.write.Unlock()
		head, cum := t.position()
		if head != after {
			return journal.Conflict(id, after, head)
		}
		if len(recs) == 0 {
			return nil
		}
		b, err := s.putLarge(id, after, recs)
		if err != nil {
			return err
		}
		for _, r := range recs {
			cum += uint64(len(r.Data))
			key := recordKey(id, r.Last)
			must(b.Set(key, encodeRecord(key, r, cum, s.large(r)), nil))
		}
		if err := s.durable(b); err != nil {
			return err
		}
		t.setPosition(recs[len(recs)-1].Last, cum)
		return nil
	})
	if err == nil && len(recs) > 0 {
		s.wakers.Wake(id)
	}
	return err
}

// Head implements journal.Journal.
func (s *Store) Head(ctx context.Context, id string) (h journal.Head, err error) {
	err = s.with(ctx, id, false, func(t *session) error {
		last, cum := t.position()
		if last == 0 {
			h = journal.Head{First: 1}
			return nil
		}
		oldest, err := s.edge(id, (*pdb.Iterator).First)
		if err != nil {
			return err
		}
		if oldest.last == 0 {
			return missing(id, last)
		}
		h = journal.Head{First: oldest.first, Last: last, Bytes: int64(cum - oldest.cum + oldest.size)}
		return nil
	})
	return h, err
}

// Read implements journal.Journal.
func (s *Store) Read(ctx context.Context, id string, after uint64, maxBytes int) (recs []journal.Record, err error) {
	err = s.with(ctx, id, false, func(t *session) error {
		head, _ := t.position()
		if after >= head {
			return nil
		}
		var err error
		recs, err = s.scan(ctx, id, after, head, maxBytes)
		return err
	})
	return recs, err
}

// scan reads the records after seq after, up to the durable head.
func (s *Store) scan(ctx context.Context, id string, after, head uint64, maxBytes int) (recs []journal.Record, err error) {
	view := s.db.NewSnapshot() // a trim meanwhile would take the chunks away
	defer func() { err = errors.Join(err, view.Close()) }()
	prefix := idPrefix(kindRecord, id)
	it, err := view.NewIter(&pdb.IterOptions{
		LowerBound: recordKey(id, after+1), UpperBound: recordKey(id, head+1),
	})
	if err != nil {
		return nil, s.readFailed("record", id, after+1, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	next, size := after+1, 0
	for ok := it.First(); ok; ok = it.Next() {
		value, verr := it.ValueAndErr()
		if verr != nil {
			return recs, s.readFailed("record", id, next, verr)
		}
		last := keyNumber(it.Key(), len(prefix))
		rec, reason := decodeRecord(it.Key(), value, last)
		if reason != "" {
			return recs, journal.Corrupt(&journal.CorruptError{Kind: "record", Name: id, Seq: last, Reason: reason})
		}
		if rec.first > next || len(recs) > 0 && rec.first < next {
			return recs, s.gap(id, after, next, rec.first, len(recs) == 0)
		}
		if len(recs) > 0 && size+int(rec.size) > maxBytes {
			return recs, nil
		}
		data, derr := s.recordData(ctx, view, id, rec)
		if derr != nil {
			return recs, derr
		}
		recs, size, next = append(recs, journal.Record{First: rec.first, Last: last, Data: data}), size+len(data), last+1
		if ctx.Err() != nil {
			return nil, journal.Unavailable(ctx.Err())
		}
	}
	if err := it.Error(); err != nil {
		return recs, s.readFailed("record", id, next, err)
	}
	if next <= head {
		return recs, missing(id, next)
	}
	return recs, nil
}

// gap words what it means that the record after next-1 begins at first: that
// the log is trimmed, when nothing is before it, or that a record is missing.
func (s *Store) gap(id string, after, next, first uint64, atStart bool) error {
	if atStart && first > next {
		oldest, err := s.edge(id, (*pdb.Iterator).First)
		if err != nil {
			return err
		}
		if oldest.first >= first {
			return journal.Trimmed(id, after, first)
		}
	}
	return missing(id, next)
}

// Trim implements journal.Journal. It is not synced: a crash may forget it.
func (s *Store) Trim(ctx context.Context, id string, through uint64) error {
	return s.with(ctx, id, true, func(t *session) error {
		t.write.Lock()
		defer t.write.Unlock()
		head, _ := t.position()
		oldest, err := s.edge(id, (*pdb.Iterator).First)
		if err != nil {
			return err
		}
		end := min(through+1, head) // the newest record's key is (id, head)
		if through >= head {
			end = head
		}
		if oldest.last == 0 || end <= oldest.last {
			return nil
		}
		b := s.db.NewBatch()
		must(b.DeleteRange(recordKey(id, oldest.last), recordKey(id, end), nil))
		must(b.DeleteRange(idPrefix(kindRecordChunk, id), chunkKey(kindRecordChunk, id, end, 0), nil))
		return s.commit(b, false)
	})
}

// Sessions implements journal.Journal.
func (s *Store) Sessions(ctx context.Context, after string, limit int) (ids []string, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if limit <= 0 {
		limit = 1000
	}
	it, err := s.db.NewIter(&pdb.IterOptions{
		LowerBound: append(nameKey(kindMeta, after), 0), UpperBound: []byte{kindMeta + 1},
	})
	if err != nil {
		return nil, s.readFailed("meta", after, 0, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(ids) < limit; ok = it.Next() {
		if id := string(it.Key()[1:]); !s.unborn(id) {
			ids = append(ids, id)
		}
		if ctx.Err() != nil {
			return nil, journal.Unavailable(ctx.Err())
		}
	}
	if err := it.Error(); err != nil {
		return ids, s.readFailed("meta", after, 0, err)
	}
	return ids, nil
}

// unborn reports whether a session whose meta is visible is being created
// right now and not yet durable.
func (s *Store) unborn(id string) bool {
	s.mu.Lock()
	t := s.sessions[id]
	s.mu.Unlock()
	if t == nil {
		return false
	}
	t.load.Lock()
	defer t.load.Unlock()
	return t.loaded && !t.exists
}

// Watch implements journal.Journal.
func (s *Store) Watch(id string) (<-chan struct{}, func()) { return s.wakers.Watch(id) }

func missing(id string, seq uint64) error {
	return journal.Corrupt(&journal.CorruptError{Kind: "record", Name: id, Seq: seq, Reason: "record is missing"})
}

// must panics on an error that a batch of ours can only give by a bug.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
