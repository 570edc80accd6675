package journaltest_test

import (
	"errors"
	"testing"

	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/journaltest"
	"github.com/graphroom/graphroom/internal/journal/memory"
)

func TestFaultyThatPassesIsAJournal(t *testing.T) {
	journaltest.Run(t, journaltest.Driver{Open: func(testing.TB) journal.Journal {
		return journaltest.NewFaulty(memory.New(), func(string, string) journaltest.Fault { return journaltest.Pass })
	}})
}

func TestFaulty(t *testing.T) {
	tests := []struct {
		fault           journaltest.Fault
		is              error
		written, failed bool
	}{
		{journaltest.Pass, nil, true, false},
		{journaltest.Refuse, journal.ErrUnavailable, false, false},
		{journaltest.Lose, journal.ErrUncertain, false, false},
		{journaltest.Hide, journal.ErrUncertain, true, false},
		{journaltest.Fail, journal.ErrUncertain, false, true},
		{journaltest.FailHidden, journal.ErrUncertain, true, true},
	}
	for _, tt := range tests {
		under := memory.New()
		if err := under.Create(t.Context(), "s", nil); err != nil {
			t.Fatal(err)
		}
		f := journaltest.NewFaulty(under, func(call, session string) journaltest.Fault {
			if call == "Append" && session == "s" {
				return tt.fault
			}
			return journaltest.Pass
		})
		err := f.Append(t.Context(), "s", 0, []journal.Record{{First: 1, Last: 1}})
		if !errors.Is(err, tt.is) {
			t.Errorf("fault %d: %v", tt.fault, err)
		}
		h, err := under.Head(t.Context(), "s")
		if err != nil || (h.Last == 1) != tt.written {
			t.Errorf("fault %d: head %+v, %v", tt.fault, h, err)
		}
		if (f.Err() != nil) != tt.failed {
			t.Errorf("fault %d: failed is %v", tt.fault, f.Err())
		}
		if !tt.failed {
			continue
		}
		<-f.Failed()
		_, read := f.Read(t.Context(), "s", 0, 1)
		_, head := f.Head(t.Context(), "s")
		for _, err := range []error{read, head, f.Trim(t.Context(), "s", 1), f.Delete(t.Context(), "s")} {
			if !errors.Is(err, journal.ErrUnavailable) {
				t.Errorf("fault %d: after the failure: %v", tt.fault, err)
			}
		}
	}
}
