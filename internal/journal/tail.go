package journal

import (
	"context"
	"errors"
	"time"
)

// Tail follows a session: it gives every record with Last > after to f, in
// order, in pages of about maxBytes, and goes on with what is appended later.
// It looks when it is woken and, since a wake is only a hint, every poll
// besides. It blocks until ctx ends (nil), f returns an error (that one), or
// the journal does (ErrTrimmed, ErrUnknown after a deletion, ErrCorrupt, ...).
// Records may not be modified.
func Tail(ctx context.Context, j Journal, session string, after uint64, maxBytes int, poll time.Duration, f func([]Record) error) error {
	wake, stop := j.Watch(session)
	defer stop()
	timer := time.NewTimer(poll)
	defer timer.Stop()
	for {
		recs, err := j.Read(ctx, session, after, maxBytes)
		if len(recs) > 0 {
			if ferr := f(recs); ferr != nil {
				return ferr
			}
			after = recs[len(recs)-1].Last
		}
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ErrUnavailable) {
				return nil
			}
			return err
		}
		if len(recs) > 0 {
			continue
		}
		timer.Reset(poll)
		select {
		case <-wake:
		case <-timer.C:
		case <-j.Failed():
			return Unavailable(j.Err())
		case <-ctx.Done():
			return nil
		}
	}
}
