package memory_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/journaltest"
	"github.com/graphroom/graphroom/internal/journal/memory"
)

func TestContract(t *testing.T) {
	journaltest.Run(t, journaltest.Driver{
		Open: func(testing.TB) journal.Journal { return memory.New() },
	})
}

func TestKey(t *testing.T) {
	j, ctx := memory.New(), t.Context()
	boom := errors.New("no entropy")
	if _, err := j.Key(ctx, "k", func() ([]byte, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	first, err := j.Key(ctx, "k", func() ([]byte, error) { return []byte("one"), nil })
	if err != nil {
		t.Fatal(err)
	}
	first[0] = 'X'
	again, err := j.Key(ctx, "k", func() ([]byte, error) { return []byte("two"), nil })
	if err != nil || !bytes.Equal(again, []byte("one")) {
		t.Fatalf("got %q, %v", again, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := j.Key(ended, "k", nil); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Key(ctx, "k", nil); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
}
