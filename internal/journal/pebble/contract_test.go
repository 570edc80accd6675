package pebble_test

import (
	"context"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/journaltest"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

func open(t testing.TB, o pebble.Options) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func shut(t testing.TB, s journal.Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// driver runs the suite on a store with small buffers, so that flushes and
// compactions happen within it.
func driver(o pebble.Options) journaltest.Driver {
	o.MemTableBytes, o.Sessions = 256<<10, 8
	return journaltest.Driver{
		Open: func(t testing.TB) journal.Journal {
			o.Dir = t.TempDir()
			return open(t, o)
		},
		Reopen: func(t testing.TB, j journal.Journal) journal.Journal {
			shut(t, j)
			return open(t, o)
		},
	}
}

func TestContract(t *testing.T) { journaltest.Run(t, driver(pebble.Options{})) }

// Nearly every record and snapshot of the suite is stored in chunks.
func TestContractInChunks(t *testing.T) {
	journaltest.Run(t, driver(pebble.SmallPieces(pebble.Options{})))
}

func TestContractInterval(t *testing.T) {
	journaltest.Run(t, driver(pebble.Options{Sync: pebble.SyncInterval, Interval: time.Millisecond}))
}
