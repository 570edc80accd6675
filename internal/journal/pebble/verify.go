package pebble

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/journal"
)

// Problem is one thing that Verify found.
type Problem struct {
	// Kind is "record", "snapshot", "meta", "project", "key" or "store".
	Kind string
	// Name is the session, project or key; empty for the store as a whole.
	Name string
	// Seq is the record's or snapshot's seq, the project's revision, or 0.
	Seq uint64
	// Reason says what is wrong, for people.
	Reason string
}

// String is one line for people.
func (p Problem) String() string {
	e := journal.CorruptError{Kind: p.Kind, Name: p.Name, Seq: p.Seq, Reason: p.Reason}
	return e.Error()
}

// Summary is what Verify has looked at.
type Summary struct {
	Sessions, Records, Snapshots, Projects, Keys int
	// Bytes is the Data of all records, snapshots and graphs.
	Bytes int64
	// Problems is how many were reported.
	Problems int
}

// Verify reads every value of the store, checks it against its checksum and
// its neighbours, and reports each problem; damage in one place does not stop
// it from looking at the others. report is called from this goroutine. It
// blocks for as long as reading everything takes, and sees the store as it was
// when it began; others go on working. The error says that it could not finish
// (ctx ended, or the store takes no calls); problems are not errors.
//
// What a record or snapshot says is not looked at: whoever wrote it checks that.
func (s *Store) Verify(ctx context.Context, report func(Problem)) (Summary, error) {
	if err := s.enter(ctx); err != nil {
		return Summary{}, err
	}
	defer s.leave()
	view := s.db.NewSnapshot()
	defer func() { _ = view.Close() }()
	v := &verifier{Store: s, ctx: ctx, view: view, report: report, known: make(map[string]bool)}
	if err := s.db.CheckLevels(nil); err != nil {
		v.problem(Problem{Kind: "store", Reason: "tables overlap or are damaged: " + oneLine(err)})
	}
	for _, step := range []struct {
		kind byte
		name string
		each func(id string, key, value []byte)
	}{
		{kindKey, "key", v.key},
		{kindMeta, "meta", v.session},
		{kindProject, "project", v.project},
		{kindProjectChunk, "project", v.projectChunk},
		{kindRecord, "record", v.stray},
		{kindSnapshot, "snapshot", v.stray},
		{kindSnapChunk, "snapshot", v.stray},
		{kindRecordChunk, "record", v.stray},
	} {
		v.walk(step.kind, step.name, step.each)
		if ctx.Err() != nil {
			return v.sum, journal.Unavailable(ctx.Err())
		}
	}
	v.strangers()
	if err := s.Err(); err != nil {
		return v.sum, journal.Unavailable(err)
	}
	return v.sum, nil
}

type verifier struct {
	*Store
	ctx    context.Context
	view   *pdb.Snapshot
	report func(Problem)
	sum    Summary
	known  map[string]bool // sessions that were looked at
}

func (v *verifier) problem(p Problem) {
	v.sum.Problems++
	v.report(p)
}

// found reports a CorruptError; another error is of a call that could not be
// made, which Verify's end tells.
func (v *verifier) found(kind, name string, err error) {
	var c *journal.CorruptError
	if errors.As(err, &c) {
		reason := c.Reason
		if c.Err != nil {
			reason += ": " + oneLine(c.Err)
		}
		v.problem(Problem{Kind: c.Kind, Name: c.Name, Seq: c.Seq, Reason: reason})
	} else if err != nil && v.ctx.Err() == nil {
		v.problem(Problem{Kind: kind, Name: name, Reason: "cannot be read: " + oneLine(err)})
	}
}

// oneLine is an engine's error without the details below its first line.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// walk visits every id of a kind once: with its key and value for the kinds
// that have one value per id, with the first key of the id for the others.
// After an unreadable place it goes on with the next id that can be found.
func (v *verifier) walk(kind byte, name string, each func(id string, key, value []byte)) {
	it, err := v.view.NewIter(&pdb.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		v.found(name, "", v.readFailed(name, "", 0, err))
		return
	}
	defer func() { _ = it.Close() }() // its error is read below
	for ok := it.First(); ok && v.ctx.Err() == nil; {
		id, numbered := splitKey(it.Key())
		key := append([]byte(nil), it.Key()...)
		value, err := it.ValueAndErr()
		if err != nil {
			v.found(name, id, v.readFailed(name, id, 0, err))
		} else {
			each(id, key, append([]byte(nil), value...))
		}
		if numbered {
			ok = it.SeekGE(idEnd(kind, id))
		} else {
			ok = it.Next()
		}
	}
	if err := it.Error(); err != nil {
		v.found(name, "", v.readFailed(name, "", 0, err))
	}
}

// splitKey reads the id out of a key; numbered when a number follows it.
func splitKey(key []byte) (id string, numbered bool) {
	for i := 1; i < len(key); i++ {
		if key[i] == 0 {
			return string(key[1:i]), true
		}
	}
	return string(key[1:]), false
}

func (v *verifier) key(name string, key, value []byte) {
	v.sum.Keys++
	if _, reason := unseal(key, value); reason != "" {
		v.problem(Problem{Kind: "key", Name: name, Reason: reason})
	}
}

// session checks one session.
func (v *verifier) session(id string, key, value []byte) {
	v.sum.Sessions++
	v.known[id] = true
	if !journal.CheckSession(id) {
		v.problem(Problem{Kind: "meta", Name: id, Reason: "malformed session id"})
	}
	if _, reason := unseal(key, value); reason != "" {
		v.problem(Problem{Kind: "meta", Name: id, Reason: reason})
	}
	v.log(id)
}

// log checks a session's records and snapshot.
func (v *verifier) log(id string) {
	last, whole := v.records(id)
	h, data, err := v.blobIn(v.ctx, v.view, snapshots(), id)
	if err != nil {
		v.found("snapshot", id, err)
		return
	}
	if h.gen > 0 {
		v.sum.Snapshots++
		v.sum.Bytes += int64(len(data))
		if whole && (h.number == 0 || h.number > last) {
			v.problem(Problem{Kind: "snapshot", Name: id, Seq: h.number,
				Reason: fmt.Sprintf("made past the session's last seq %d", last)})
		}
	}
}

// records checks a session's log record by record and returns its last seq;
// whole when it could read to the end.
func (v *verifier) records(id string) (last uint64, whole bool) {
	prefix := idPrefix(kindRecord, id)
	it, err := v.view.NewIter(&pdb.IterOptions{LowerBound: prefix, UpperBound: idEnd(kindRecord, id)})
	if err != nil {
		v.found("record", id, v.readFailed("record", id, 0, err))
		return 0, false
	}
	defer func() { _ = it.Close() }() // its error is read below
	var cum uint64
	sound := false // the record before is known, so this one can be held against it
	for ok := it.First(); ok && v.ctx.Err() == nil; ok = it.Next() {
		v.sum.Records++
		seq := keyNumber(it.Key(), len(prefix))
		value, err := it.ValueAndErr()
		if err != nil {
			v.found("record", id, v.readFailed("record", id, seq, err))
			last, sound = seq, false
			continue
		}
		rec, reason := decodeRecord(it.Key(), value, seq)
		switch {
		case reason != "":
			v.problem(Problem{Kind: "record", Name: id, Seq: seq, Reason: reason})
			last, sound = seq, false
			continue
		case sound && rec.first != last+1:
			v.problem(Problem{Kind: "record", Name: id, Seq: last + 1, Reason: fmt.Sprintf("missing, up to seq %d", rec.first-1)})
		case sound && rec.cum != cum+rec.size:
			v.problem(Problem{Kind: "record", Name: id, Seq: seq, Reason: "the log's size does not add up here"})
		}
		if rec.chunked {
			_, err := v.recordData(v.ctx, v.view, id, rec)
			v.found("record", id, err)
		}
		v.sum.Bytes += int64(rec.size)
		last, cum, sound = rec.last, rec.cum, true
	}
	if err := it.Error(); err != nil {
		v.found("record", id, v.readFailed("record", id, last+1, err))
		return last, false
	}
	return last, true
}

func (v *verifier) project(id string, key, value []byte) {
	v.sum.Projects++
	h, reason := decodeHeader(key, value)
	if reason == "" {
		_, reason = decodeSaved(id, h)
	}
	if reason != "" {
		v.problem(Problem{Kind: "project", Name: id, Reason: reason})
		return
	}
	h, data, err := v.blobIn(v.ctx, v.view, graphs(), id)
	if err != nil {
		v.found("project", id, err)
		return
	}
	if h.number == 0 {
		v.problem(Problem{Kind: "project", Name: id, Reason: "has no revision"})
	}
	v.sum.Bytes += int64(len(data))
}

// projectChunk lets chunks without a header pass: a crash in the middle of a
// first save leaves them.
func (v *verifier) projectChunk(string, []byte, []byte) {}

// stray looks at what belongs to a session that the walk over the metas did
// not see: because there is none, or because the walk met damage.
func (v *verifier) stray(id string, key, _ []byte) {
	if v.known[id] {
		return
	}
	v.known[id] = true
	if exists, err := v.has(v.view, nameKey(kindMeta, id)); err == nil && !exists {
		kind := "snapshot"
		if key[0] == kindRecord || key[0] == kindRecordChunk {
			kind = "record"
		}
		v.problem(Problem{Kind: kind, Name: id, Reason: "belongs to no session"})
		return
	}
	v.log(id)
}

// strangers reports keys of no known kind.
func (v *verifier) strangers() {
	it, err := v.view.NewIter(nil)
	if err != nil {
		v.found("store", "", v.readFailed("store", "", 0, err))
		return
	}
	defer func() { _ = it.Close() }() // its error is read below
	for ok := it.First(); ok && v.ctx.Err() == nil; {
		kind := it.Key()[0]
		switch kind {
		case kindKey, kindMeta, kindProject, kindProjectChunk, kindRecord, kindSnapshot, kindSnapChunk, kindRecordChunk:
		default:
			v.problem(Problem{Kind: "store", Reason: fmt.Sprintf("unknown key %.40q", it.Key())})
		}
		if kind == 0xff {
			return
		}
		ok = it.SeekGE([]byte{kind + 1})
	}
	if err := it.Error(); err != nil {
		v.found("store", "", v.readFailed("store", "", 0, err))
	}
}
