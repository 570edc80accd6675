package pebble

import (
	"context"
	"errors"
	"fmt"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
)

// Open opens the data directory, making it when it does not exist, and holds
// it until Close. A log that ends in a torn write is cut there. It does not
// read through what is stored: the time it takes does not grow with the number
// of entries.
//
// CONFLICT: another process holds the directory (the message names it), or it
// is not a graphroom directory, or of a newer format. UNAVAILABLE: the file
// system refused. INTERNAL: what is stored is damaged. ctx bounds the opening;
// when it ends first, the opening goes on in the background and then lets the
// directory go.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := newStore(opts.withDefaults())
	result := make(chan error, 1)
	// Pebble may park the goroutine that opens it (see logger.Fatalf).
	go func() { result <- s.openSafely() }()
	select {
	case err := <-result:
		if err != nil {
			return nil, err
		}
		s.start()
		return s, nil
	case <-s.failed: // the goroutine may be parked, or return yet
		return nil, fault.Wrap(s.failure, fault.Unavailable, "cannot open the data directory %s", opts.Dir)
	case <-ctx.Done():
		go func() {
			if err := <-result; err == nil {
				s.start()
				_ = s.Close(context.WithoutCancel(ctx))
			}
		}()
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "opening the data directory %s took too long", opts.Dir)
	}
}

// openSafely is open with Pebble's panics as errors; Pebble has cleaned up by
// then.
func (s *Store) openSafely() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fmt.Errorf("panic: %v", p), fault.Unavailable, "cannot open the data directory %s", s.opts.Dir)
			_ = s.dir.release()
		}
	}()
	if err := s.open(); err != nil {
		return err
	}
	s.opened.Store(true)
	if err := s.Err(); err != nil {
		return fault.Wrap(err, fault.Unavailable, "cannot open the data directory %s", s.opts.Dir)
	}
	return nil
}

func (s *Store) open() (err error) {
	s.dir, err = claim(s.opts)
	if err != nil {
		return err
	}
	cache := pdb.NewCache(s.opts.CacheBytes)
	defer cache.Unref() // the database holds its own reference
	s.db, err = s.openDatabase(cache)
	if err != nil {
		_ = s.dir.release()
		if pdb.IsCorruptionError(err) || errors.Is(err, journal.ErrCorrupt) {
			return fault.Wrap(err, fault.Internal, "the data directory %s is damaged: %v", s.opts.Dir, err)
		}
		return fault.Wrap(err, fault.Unavailable, "cannot open the data directory %s: %v", s.opts.Dir, err)
	}
	return nil
}

func (s *Store) openDatabase(cache *pdb.Cache) (*pdb.DB, error) {
	if err := checkLog(s.opts.FS, s.dir.store); err != nil {
		return nil, err
	}
	o := s.pebbleOptions(cache)
	db, err := pdb.Open(s.dir.store, o)
	if err != nil || !s.dir.fresh {
		return db, err
	}
	// A new database has made its first log in an older format, which cannot
	// tell damage from a torn tail. The next one is of the newest.
	if err := db.Close(); err != nil {
		return nil, err
	}
	return pdb.Open(s.dir.store, o)
}

func (s *Store) pebbleOptions(cache *pdb.Cache) *pdb.Options {
	o := &pdb.Options{
		FS:                          guard{s.opts.FS, s},
		Cache:                       cache,
		Lock:                        s.dir.lock,
		Logger:                      logger{s},
		EventListener:               s.listener(),
		FormatMajorVersion:          pdb.FormatTableFormatV6,
		MemTableSize:                uint64(s.opts.MemTableBytes),
		MemTableStopWritesThreshold: 3,
		MaxOpenFiles:                s.opts.MaxOpenFiles,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		ReadOnly:                    s.opts.ReadOnly,
		ErrorIfNotExists:            s.opts.ReadOnly,
		// A trimmed or deleted session's space comes back without waiting for
		// the next flush.
		FlushDelayDeleteRange: s.opts.StallTimeout,
	}
	return o
}

// describe words an owner for an error message.
func describe(owner string) string {
	if owner == "" {
		return "another process"
	}
	return "the process with " + owner
}
