// Package journal is the interface to the durable, ordered log of every
// session: the truth of which all memory is a cache.
//
// It owns the promises (below, and at each method of Journal), the errors that
// carry them, and the few helpers that every driver shares. It does not know
// what a record says: entries, receipts and graphs are opaque bytes here, and
// so are a session's meta and its snapshots. Drivers live in packages below
// it; journaltest holds the contract suite that each of them passes.
//
// Order. A session's records are gapless: the first begins at seq 1, each next
// one begins right after the last seq of the one before. A record covers one
// or more seqs; an append writes one or more records. The seqs are the
// session's own and stand inside the stored record, so that an engine with
// numbers of its own fits below this interface.
//
// Durability. What an Append, Create, PutSnapshot or Delete that returned nil
// has done is there after kill -9 and power loss, unless the driver was opened
// in a mode that says otherwise (memory; pebble with SyncInterval). Readers
// never see a record whose append is not durable yet.
//
// Atomicity. The records of one Append are all there or none is, after any
// crash.
//
// Failure. A mutation answers one of three things: nil (durable), an error
// that is ErrConflict, ErrInvalid, ErrTooLarge, ErrUnknown or ErrUnavailable
// (nothing was written), or any other error, normally ErrUncertain (it may
// have been written). See ErrUncertain for how to settle.
//
// Concurrency. Every method is safe for concurrent use. Appends to one session
// are serialised by the driver; appends to different sessions share the cost
// of making them durable.
//
// Blocking. Reads block on the disk only. Mutations block until durable. A
// context is honoured before a mutation has begun and between the steps of a
// read; a mutation that waits to become durable is never cancelled, because
// its outcome would then be unknown for no reason.
package journal

import (
	"context"
)

// MaxSessionID is the longest session id, in bytes.
const MaxSessionID = 128

// MaxAppend is the most Data, in bytes, that one Append may carry in all its
// records; MaxSnapshot and MaxMeta bound the other values. More is refused
// with ErrTooLarge and nothing is written.
const (
	MaxAppend   = 512 << 20
	MaxSnapshot = 2 << 30
	MaxMeta     = 64 << 10
)

// Record is one entry: opaque data that covers the seqs First to Last.
type Record struct {
	// First and Last are the seqs of the record, inclusive; First >= 1 and
	// Last >= First. A session's records are gapless.
	First, Last uint64
	// Data is the entry. It may be empty. A driver stores a checksum with it.
	Data []byte
}

// Head is where a session's log stands.
type Head struct {
	// First is the first seq still kept; Last+1 when the log is empty.
	First uint64
	// Last is the newest durable seq; 0 when the log is empty.
	Last uint64
	// Bytes is the size of the Data of the kept records. Overhead, indexes and
	// snapshots are not counted.
	Bytes int64
}

// Journal is the log of every session, with the newest snapshot of each.
// The package doc holds the promises that are common to all methods.
//
// Session ids are 1 to 128 of A-Z a-z 0-9 _ - (CheckSession); another one is
// ErrUnknown everywhere, ErrInvalid for Create.
type Journal interface {
	// Create makes an empty session that carries meta, a small opaque value
	// (at most MaxMeta). ErrConflict when the session exists. The driver keeps
	// no reference to meta.
	Create(ctx context.Context, session string, meta []byte) error

	// Meta returns the value given to Create. ErrUnknown for an unknown session.
	// The result belongs to the caller.
	Meta(ctx context.Context, session string) ([]byte, error)

	// Append adds recs, one turn's entries, right after seq after, if that is
	// the session's head. ErrConflict when the head is another one: nothing was
	// written. ErrInvalid when recs are not gapless from after+1. Without recs
	// it only compares. The driver keeps no reference to recs or their Data.
	Append(ctx context.Context, session string, after uint64, recs []Record) error

	// Read returns durable records with Last > after in order: as many as fit
	// into maxBytes of Data, but at least one when there is one. None means
	// that after is the head, or past it. ErrTrimmed when after+1 is before the
	// first kept seq. ErrCorrupt (a *CorruptError names the place) when a
	// record is damaged or missing; the sound records before it are returned
	// along with the error. When after lies inside a record, that whole record
	// is the first. Data must not be modified; it stays valid.
	Read(ctx context.Context, session string, after uint64, maxBytes int) ([]Record, error)

	// Head returns where the session's log stands. After an ErrUncertain it is
	// how to settle.
	Head(ctx context.Context, session string) (Head, error)

	// PutSnapshot keeps data as the session's newest snapshot, made at seq, and
	// drops older ones. seq may not be past the head (ErrInvalid). A snapshot
	// older than the kept one is ignored. data is at most MaxSnapshot; the
	// driver keeps no reference to it.
	PutSnapshot(ctx context.Context, session string, seq uint64, data []byte) error

	// Snapshot returns the newest snapshot and its seq; 0 and nil when there is
	// none. ErrCorrupt when it is damaged. The result belongs to the caller.
	Snapshot(ctx context.Context, session string) (seq uint64, data []byte, err error)

	// Trim lets the driver drop records with Last <= through. It may keep more,
	// it always keeps the newest record, and it may be forgotten in a crash.
	Trim(ctx context.Context, session string, through uint64) error

	// Sessions lists up to limit ids of sessions greater than after, sorted by
	// bytes; limit <= 0 means 1000.
	Sessions(ctx context.Context, after string, limit int) ([]string, error)

	// Delete removes the session with its records, meta and snapshot, durably.
	// ErrUnknown when there is none. The id may be created again.
	Delete(ctx context.Context, session string) error

	// Watch returns a channel that receives after the session grew, was made or
	// was deleted, by this process or, in a shared engine, by another. It is a
	// hint: several wakes become one, and one may be missing, so a reader also
	// looks on its own. stop releases it; the channel is never closed. It does
	// not block and works for sessions that do not exist yet.
	Watch(session string) (wake <-chan struct{}, stop func())

	// Failed is closed when the driver can write no more; Err then says why.
	// From then on every call answers ErrUnavailable. It is the readiness hook.
	Failed() <-chan struct{}

	// Err is nil until Failed is closed, then the first cause.
	Err() error

	// Close refuses new calls, waits for those under way and releases the
	// journal, bounded by ctx. Closing again does nothing. A closed journal
	// answers ErrUnavailable.
	Close(ctx context.Context) error
}
