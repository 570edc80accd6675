package app

import (
	"context"
	"crypto/rand"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	journalmemory "github.com/graphroom/graphroom/internal/journal/memory"
	"github.com/graphroom/graphroom/internal/journal/pebble"
	"github.com/graphroom/graphroom/internal/project"
	projectmemory "github.com/graphroom/graphroom/internal/project/memory"
	"github.com/graphroom/graphroom/internal/server"
)

// Names of the journal drivers.
const (
	journalPebble = "pebble"
	journalMemory = "memory"
)

// store is the chosen journal and the saved projects beside it.
type store struct {
	journal  journal.Journal
	projects project.Store
	key      func(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error)
}

func openStore(ctx context.Context, o Options) (*store, error) {
	switch o.Journal {
	case journalMemory:
		j := journalmemory.New()
		return &store{journal: j, projects: projectmemory.New(), key: j.Key}, nil
	case journalPebble:
		if o.Data == "" {
			return nil, fault.New(fault.InvalidRequest, "the pebble journal needs a data folder")
		}
		mode, err := pebble.ParseSyncMode(o.Sync)
		if err != nil {
			return nil, fault.Wrap(err, fault.InvalidRequest, "sync is \"always\" or \"interval\", not %q", o.Sync)
		}
		db, err := pebble.Open(ctx, pebble.Options{Dir: o.Data, FS: o.fs, Sync: mode, Logger: o.Logger})
		if err != nil {
			return nil, err
		}
		return &store{journal: db, projects: db.Projects(), key: db.Key}, nil
	default:
		return nil, fault.New(fault.InvalidRequest, "journal is %q or %q, not %q", journalPebble, journalMemory, o.Journal)
	}
}

// recoveryKey is the key that the data folder keeps for Socket.IO's connection
// state recovery, made when it is first asked for.
func (s *store) recoveryKey(ctx context.Context) ([]byte, error) {
	return s.key(ctx, "socketio-recovery", func() ([]byte, error) {
		key := make([]byte, server.RecoveryKeySize)
		_, err := rand.Read(key)
		return key, err
	})
}

func (s *store) close(ctx context.Context) error { return s.journal.Close(ctx) }
