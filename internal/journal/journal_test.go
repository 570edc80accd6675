package journal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/journaltest"
	"github.com/graphroom/graphroom/internal/journal/memory"
)

func TestCheckSession(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "A-z_09": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a\x00": false, "é": false, "a.b": false, "a/b": false,
	} {
		if got := journal.CheckSession(id); got != want {
			t.Errorf("CheckSession(%q) = %v", id, got)
		}
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	engine := errors.New("block checksum mismatch")
	long := strings.Repeat("x", 4000)
	tests := []struct {
		err  error
		is   error
		code fault.Code
		text string
	}{
		{journal.Unknown(long), journal.ErrUnknown, fault.InvalidSession, "unknown session"},
		{journal.Conflict("s", 3, 5), journal.ErrConflict, fault.Conflict, "at seq 5, not at 3"},
		{journal.Exists("s"), journal.ErrConflict, fault.Conflict, "exists"},
		{journal.Trimmed("s", 3, 9), journal.ErrTrimmed, fault.Conflict, "from seq 9; seq 4 is gone"},
		{journal.Invalid("bad %d", 1), journal.ErrInvalid, fault.Internal, "bad 1"},
		{journal.TooLarge("append", 9, 8), journal.ErrTooLarge, fault.TooLarge, "9 bytes"},
		{journal.Unavailable(engine), journal.ErrUnavailable, fault.Unavailable, "mismatch"},
		{journal.Unavailable(nil), journal.ErrUnavailable, fault.Unavailable, "unavailable"},
		{journal.Uncertain(engine), journal.ErrUncertain, fault.Unavailable, "mismatch"},
		{journal.Corrupt(&journal.CorruptError{Kind: "record", Name: "s", Seq: 7, Reason: "bad", Err: engine}),
			journal.ErrCorrupt, fault.Internal, "corrupt record s seq 7: bad: block checksum mismatch"},
		{journal.Corrupt(&journal.CorruptError{Kind: "store", Reason: "bad"}), journal.ErrCorrupt, fault.Internal, "corrupt store: bad"},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, tt.is) || !fault.Is(tt.err, tt.code) || !strings.Contains(tt.err.Error(), tt.text) {
			t.Errorf("%v: want %v, %s, %q", tt.err, tt.is, tt.code, tt.text)
		}
		if len(tt.err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(tt.err.Error()))
		}
	}
	if !errors.Is(journal.Uncertain(engine), engine) || !errors.Is(tests[9].err, engine) {
		t.Error("the engine's error is lost")
	}
	var place *journal.CorruptError
	if !errors.As(tests[9].err, &place) || place.Seq != 7 {
		t.Error("the place is lost")
	}
}

func TestTailLooksOnItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := deaf{memory.New()}
		if err := j.Create(t.Context(), "s", nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan uint64, 10)
		done := make(chan error, 1)
		go func() {
			done <- journal.Tail(ctx, j, "s", 0, 100, time.Second, func(recs []journal.Record) error {
				got <- recs[len(recs)-1].Last
				return nil
			})
		}()
		synctest.Wait()
		if err := j.Append(t.Context(), "s", 0, []journal.Record{{First: 1, Last: 2}}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if last := <-got; last != 2 || time.Since(start) > time.Second {
			t.Fatalf("got seq %d after %v", last, time.Since(start))
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// deaf is a journal whose wakes are all missing.
type deaf struct{ journal.Journal }

func (deaf) Watch(string) (<-chan struct{}, func()) { return make(chan struct{}), func() {} }

func TestTailEndsWithTheJournal(t *testing.T) {
	j := journaltest.NewFaulty(memory.New(), func(call, _ string) journaltest.Fault {
		if call == "Append" {
			return journaltest.Fail
		}
		return journaltest.Pass
	})
	if err := j.Create(t.Context(), "s", nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- journal.Tail(t.Context(), j, "s", 0, 100, time.Hour, nil) }()
	if err := j.Append(t.Context(), "s", 0, []journal.Record{{First: 1, Last: 1}}); !errors.Is(err, journal.ErrUncertain) {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
}
