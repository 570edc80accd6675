package pebble

import (
	"context"

	"github.com/graphroom/graphroom/internal/journal"
)

// MaxKey bounds the names and values of keys, in bytes.
const MaxKey = 4 << 10

// Key returns the secret kept under name. When there is none it keeps what
// makeKey gives, synced in every sync mode, and returns that: every caller
// gets the same secret, after a restart too. An error of makeKey is returned
// as it is and nothing is kept. ErrInvalid for a name or value that is empty
// or over MaxKey; ErrCorrupt for a damaged one, which is never replaced.
func (s *Store) Key(ctx context.Context, name string, makeKey func() ([]byte, error)) ([]byte, error) {
	if name == "" || len(name) > MaxKey {
		return nil, journal.Invalid("a key's name has 1 to %d bytes", MaxKey)
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	s.keys.Lock()
	defer s.keys.Unlock()
	key := nameKey(kindKey, name)
	value, err := s.get(s.db, key)
	if err != nil {
		return nil, s.readFailed("key", name, 0, err)
	}
	if value != nil {
		body, reason := unseal(key, value)
		if reason != "" {
			return nil, journal.Corrupt(&journal.CorruptError{Kind: "key", Name: name, Reason: reason})
		}
		return body, nil
	}
	if s.opts.ReadOnly {
		return nil, journal.Unavailable(errReadOnly)
	}
	secret, err := makeKey()
	if err != nil {
		return nil, err
	}
	if len(secret) == 0 || len(secret) > MaxKey {
		return nil, journal.Invalid("a key has 1 to %d bytes", MaxKey)
	}
	b := s.db.NewBatch()
	must(b.Set(key, seal(key, append([]byte{valueVersion}, secret...)), nil))
	if err := s.commit(b, true); err != nil {
		return nil, err
	}
	return append([]byte(nil), secret...), nil
}
