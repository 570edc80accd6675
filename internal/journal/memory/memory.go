// Package memory is the journal driver that keeps everything in memory and
// loses it with the process: for tests, for measuring, and for servers that
// are told to keep nothing. A restart is a new epoch for every session.
//
// It owns nothing outside itself and starts no goroutines. It is safe for
// concurrent use. It never fails and never answers ErrUncertain.
package memory

import (
	"context"
	"slices"
	"sort"
	"sync"

	"github.com/graphroom/graphroom/internal/journal"
)

// Journal implements journal.Journal. Make it with New.
type Journal struct {
	mu       sync.RWMutex
	sessions map[string]*log
	keys     map[string][]byte
	closed   bool
	failed   chan struct{}
	wakers   journal.Wakers
}

// log is one session; mu guards everything in it. A log that was deleted is
// gone for good: the same id gets a new one.
type log struct {
	mu      sync.RWMutex
	meta    []byte
	recs    []journal.Record
	head    journal.Head
	snapSeq uint64
	snap    []byte
	gone    bool
}

var _ journal.Journal = (*Journal)(nil)

// New returns an empty journal.
func New() *Journal {
	return &Journal{
		sessions: make(map[string]*log),
		keys:     make(map[string][]byte),
		failed:   make(chan struct{}),
	}
}

// find returns the session's log.
func (j *Journal) find(ctx context.Context, session string) (*log, error) {
	if err := journal.Started(ctx); err != nil {
		return nil, err
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return nil, journal.Unavailable(nil)
	}
	l := j.sessions[session]
	if l == nil {
		return nil, journal.Unknown(session)
	}
	return l, nil
}

// Create implements journal.Journal.
func (j *Journal) Create(ctx context.Context, session string, meta []byte) error {
	if err := journal.Started(ctx); err != nil {
		return err
	}
	if !journal.CheckSession(session) {
		return journal.Invalid("malformed session id %q", session)
	}
	if len(meta) > journal.MaxMeta {
		return journal.TooLarge("meta", int64(len(meta)), journal.MaxMeta)
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return journal.Unavailable(nil)
	}
	if j.sessions[session] != nil {
		j.mu.Unlock()
		return journal.Exists(session)
	}
	j.sessions[session] = &log{meta: slices.Clone(meta), head: journal.Head{First: 1}}
	j.mu.Unlock()
	j.wakers.Wake(session)
	return nil
}

// Meta implements journal.Journal.
func (j *Journal) Meta(ctx context.Context, session string) ([]byte, error) {
	l, err := j.find(ctx, session)
	if err != nil {
		return nil, err
	}
	return slices.Clone(l.meta), nil
}

// Append implements journal.Journal.
func (j *Journal) Append(ctx context.Context, session string, after uint64, recs []journal.Record) error {
	l, err := j.find(ctx, session)
	if err != nil {
		return err
	}
	if err := journal.CheckAppend(after, recs); err != nil {
		return err
	}
	if err := l.append(session, after, recs); err != nil {
		return err
	}
	if len(recs) > 0 {
		j.wakers.Wake(session)
	}
	return nil
}

func (l *log) append(session string, after uint64, recs []journal.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return journal.Unknown(session)
	}
	if l.head.Last != after {
		return journal.Conflict(session, after, l.head.Last)
	}
	for _, r := range recs {
		l.recs = append(l.recs, journal.Record{First: r.First, Last: r.Last, Data: append([]byte{}, r.Data...)})
		l.head.Bytes += int64(len(r.Data))
		l.head.Last = r.Last
	}
	return nil
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, session string, after uint64, maxBytes int) ([]journal.Record, error) {
	l, err := j.find(ctx, session)
	if err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if after >= l.head.Last {
		return nil, nil
	}
	if after+1 < l.head.First {
		return nil, journal.Trimmed(session, after, l.head.First)
	}
	start := sort.Search(len(l.recs), func(i int) bool { return l.recs[i].Last > after })
	end, size := start, 0
	for end < len(l.recs) && (end == start || size+len(l.recs[end].Data) <= maxBytes) {
		size += len(l.recs[end].Data)
		end++
	}
	return slices.Clone(l.recs[start:end]), nil
}

// Head implements journal.Journal.
func (j *Journal) Head(ctx context.Context, session string) (journal.Head, error) {
	l, err := j.find(ctx, session)
	if err != nil {
		return journal.Head{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head, nil
}

// PutSnapshot implements journal.Journal.
func (j *Journal) PutSnapshot(ctx context.Context, session string, seq uint64, data []byte) error {
	l, err := j.find(ctx, session)
	if err != nil {
		return err
	}
	if int64(len(data)) > journal.MaxSnapshot {
		return journal.TooLarge("snapshot", int64(len(data)), journal.MaxSnapshot)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
		return journal.Unknown(session)
	case seq == 0 || seq > l.head.Last:
		return journal.Invalid("snapshot at seq %d of a session at %d", seq, l.head.Last)
	case seq >= l.snapSeq:
		l.snapSeq, l.snap = seq, append([]byte{}, data...)
	}
	return nil
}

// Snapshot implements journal.Journal.
func (j *Journal) Snapshot(ctx context.Context, session string) (uint64, []byte, error) {
	l, err := j.find(ctx, session)
	if err != nil {
		return 0, nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.snapSeq, slices.Clone(l.snap), nil
}

// Trim implements journal.Journal.
func (j *Journal) Trim(ctx context.Context, session string, through uint64) error {
	l, err := j.find(ctx, session)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := sort.Search(len(l.recs), func(i int) bool { return l.recs[i].Last > through })
	if n == len(l.recs) {
		n--
	}
	if n <= 0 {
		return nil
	}
	for _, r := range l.recs[:n] {
		l.head.Bytes -= int64(len(r.Data))
	}
	l.recs = slices.Clone(l.recs[n:])
	l.head.First = l.recs[0].First
	return nil
}

// Sessions implements journal.Journal.
func (j *Journal) Sessions(ctx context.Context, after string, limit int) ([]string, error) {
	if err := journal.Started(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 1000
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return nil, journal.Unavailable(nil)
	}
	var ids []string
	for id := range j.sessions {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(limit, len(ids))], nil
}

// Delete implements journal.Journal.
func (j *Journal) Delete(ctx context.Context, session string) error {
	l, err := j.find(ctx, session)
	if err != nil {
		return err
	}
	l.mu.Lock()
	gone := l.gone
	l.gone = true
	l.mu.Unlock()
	if gone {
		return journal.Unknown(session)
	}
	j.mu.Lock()
	delete(j.sessions, session)
	j.mu.Unlock()
	j.wakers.Wake(session)
	return nil
}

// Watch implements journal.Journal.
func (j *Journal) Watch(session string) (<-chan struct{}, func()) { return j.wakers.Watch(session) }

// Failed implements journal.Journal; memory does not fail.
func (j *Journal) Failed() <-chan struct{} { return j.failed }

// Err implements journal.Journal; memory does not fail.
func (j *Journal) Err() error { return nil }

// Close implements journal.Journal.
func (j *Journal) Close(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return nil
}

// Key returns the secret kept under name, or keeps and returns what makeKey
// gives when there is none: the same for every caller until the process ends.
func (j *Journal) Key(ctx context.Context, name string, makeKey func() ([]byte, error)) ([]byte, error) {
	if err := journal.Started(ctx); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, journal.Unavailable(nil)
	}
	if k, ok := j.keys[name]; ok {
		return slices.Clone(k), nil
	}
	k, err := makeKey()
	if err != nil {
		return nil, err
	}
	j.keys[name] = slices.Clone(k)
	return slices.Clone(k), nil
}
