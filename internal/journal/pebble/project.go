package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/project"
)

// projects is the Store's project.Store. Saves are synced in every sync mode.
type projects struct {
	store *Store
	// writers serialise the writes of one project; view keeps readers from
	// headers that are not durable yet.
	writers [64]sync.Mutex
	view    sync.RWMutex
}

var _ project.Store = (*projects)(nil)

// Projects returns the store of saved projects in the same directory. It lives
// as long as the Store.
func (s *Store) Projects() project.Store { return &s.projects }

// writer returns the lock that serialises the project's writes.
func (p *projects) writer(id string) *sync.Mutex {
	return &p.writers[maphash.String(p.store.seed, id)%uint64(len(p.writers))]
}

// Put implements project.Store.
func (p *projects) Put(ctx context.Context, saved project.Saved, expected uint64) (uint64, error) {
	if err := project.Check(saved); err != nil {
		return 0, err
	}
	s := p.store
	if err := s.enterWrite(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	lock := p.writer(saved.ProjectID)
	lock.Lock()
	defer lock.Unlock()
	old, err := s.header(s.db, graphs(), saved.ProjectID)
	if err != nil {
		return 0, err
	}
	if old.number != expected {
		return 0, project.Conflict(saved.ProjectID, expected, old.number)
	}
	err = s.putBlob(graphs(), saved.ProjectID, old, expected+1, encodeSaved(saved), saved.Graph, p.publish)
	if err != nil {
		return 0, uncertain(err)
	}
	return expected + 1, nil
}

// publish commits a header: readers see it when it is durable.
func (p *projects) publish(b *pdb.Batch) error {
	p.view.Lock()
	defer p.view.Unlock()
	return p.store.commit(b, true)
}

// Get implements project.Store.
func (p *projects) Get(ctx context.Context, id string) (project.Saved, error) {
	s := p.store
	if err := s.enter(ctx); err != nil {
		return project.Saved{}, err
	}
	defer s.leave()
	if !project.CheckID(id) {
		return project.Saved{}, project.NotFound(id)
	}
	p.view.RLock()
	defer p.view.RUnlock()
	h, data, err := s.blob(ctx, graphs(), id)
	if err != nil {
		return project.Saved{}, err
	}
	if h.gen == 0 {
		return project.Saved{}, project.NotFound(id)
	}
	sum, reason := decodeSaved(id, h)
	if reason != "" {
		return project.Saved{}, journal.Corrupt(&journal.CorruptError{Kind: "project", Name: id, Seq: h.number, Reason: reason})
	}
	return project.Saved{
		ProjectID: id, TemplateID: sum.TemplateID, Name: sum.Name,
		Revision: sum.Revision, SavedAt: sum.SavedAt, Graph: data,
	}, nil
}

// List implements project.Store.
func (p *projects) List(ctx context.Context, after string, limit int) (list []project.Summary, err error) {
	s := p.store
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if limit <= 0 {
		limit = 1000
	}
	p.view.RLock()
	defer p.view.RUnlock()
	it, err := s.db.NewIter(&pdb.IterOptions{
		LowerBound: append(nameKey(kindProject, after), 0), UpperBound: []byte{kindProject + 1},
	})
	if err != nil {
		return nil, s.readFailed("project", after, 0, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok && len(list) < limit; ok = it.Next() {
		id := string(it.Key()[1:])
		value, verr := it.ValueAndErr()
		if verr != nil {
			return nil, s.readFailed("project", id, 0, verr)
		}
		h, reason := decodeHeader(it.Key(), value)
		var sum project.Summary
		if reason == "" {
			sum, reason = decodeSaved(id, h)
		}
		if reason != "" {
			return nil, journal.Corrupt(&journal.CorruptError{Kind: "project", Name: id, Reason: reason})
		}
		list = append(list, sum)
	}
	if err := it.Error(); err != nil {
		return nil, s.readFailed("project", after, 0, err)
	}
	return list, nil
}

// Delete implements project.Store.
func (p *projects) Delete(ctx context.Context, id string) error {
	s := p.store
	if err := s.enterWrite(ctx); err != nil {
		return err
	}
	defer s.leave()
	if !project.CheckID(id) {
		return project.NotFound(id)
	}
	lock := p.writer(id)
	lock.Lock()
	defer lock.Unlock()
	exists, err := s.has(s.db, nameKey(kindProject, id))
	if err != nil {
		return s.readFailed("project", id, 0, err)
	}
	if !exists {
		return project.NotFound(id)
	}
	b := s.db.NewBatch()
	must(b.Delete(nameKey(kindProject, id), nil))
	must(b.DeleteRange(idPrefix(kindProjectChunk, id), idEnd(kindProjectChunk, id), nil))
	return uncertain(p.publish(b))
}

// encodeSaved packs what a header keeps of a project: time, template, name.
func encodeSaved(p project.Saved) []byte {
	v := binary.AppendVarint(nil, p.SavedAt.UnixMilli())
	v = binary.AppendUvarint(v, uint64(len(p.TemplateID)))
	v = append(v, p.TemplateID...)
	return append(v, p.Name...)
}

func decodeSaved(id string, h blobHeader) (sum project.Summary, reason string) {
	ms, n := binary.Varint(h.extra)
	if n <= 0 {
		return sum, "bad time"
	}
	rest := h.extra[n:]
	size, n := binary.Uvarint(rest)
	if n <= 0 || size > uint64(len(rest)-n) {
		return sum, "bad template id"
	}
	rest = rest[n:]
	return project.Summary{
		ProjectID: id, TemplateID: string(rest[:size]), Name: string(rest[size:]),
		Revision: h.number, SavedAt: time.UnixMilli(ms).UTC(), GraphBytes: int64(h.size),
	}, ""
}

// uncertain adds project.ErrUncertain to a journal.ErrUncertain.
func uncertain(err error) error {
	if errors.Is(err, journal.ErrUncertain) {
		return fault.Wrap(errors.Join(project.ErrUncertain, err), fault.Unavailable,
			"it is not known whether the project was saved; try again")
	}
	return err
}
