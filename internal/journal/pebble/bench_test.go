package pebble_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/memory"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

// BenchmarkAppend measures durable appends of 400 bytes by writers that each
// have a session, against the memory driver in the same run.
func BenchmarkAppend(b *testing.B) {
	drivers := []struct {
		name string
		open func(*testing.B) journal.Journal
	}{
		{"memory", func(*testing.B) journal.Journal { return memory.New() }},
		{"pebble", func(b *testing.B) journal.Journal { return open(b, pebble.Options{Dir: b.TempDir()}) }},
		{"pebble-interval", func(b *testing.B) journal.Journal {
			return open(b, pebble.Options{Dir: b.TempDir(), Sync: pebble.SyncInterval})
		}},
	}
	for _, writers := range []int{1, 64} {
		for _, d := range drivers {
			b.Run(fmt.Sprintf("%s/%d", d.name, writers), func(b *testing.B) { benchAppend(b, d.open(b), writers) })
		}
	}
}

func benchAppend(b *testing.B, j journal.Journal, writers int) {
	defer shut(b, j)
	data := make([]byte, 400)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for w := range writers {
		if err := j.Create(b.Context(), fmt.Sprintf("s%d", w), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range writers {
		n := b.N / writers
		if w < b.N%writers {
			n++
		}
		wg.Go(func() {
			id := fmt.Sprintf("s%d", w)
			for seq := range uint64(n) {
				err := j.Append(b.Context(), id, seq, []journal.Record{{First: seq + 1, Last: seq + 1, Data: data}})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	if s, ok := j.(*pebble.Store); ok {
		st := s.Stats()
		b.ReportMetric(float64(st.Commits)/float64(st.Groups), "appends/group")
	}
}

// BenchmarkCold measures a restart with a million entries in a thousand
// sessions: opening the directory, and the first read and append of a session
// that is not in memory.
func BenchmarkCold(b *testing.B) {
	const sessions, entries, size = 1000, 1000, 400
	o := pebble.Options{Dir: b.TempDir(), Sync: pebble.SyncInterval}
	s := open(b, o)
	data := make([]byte, size)
	recs := make([]journal.Record, 0, 100)
	for i := range sessions {
		id := fmt.Sprintf("s%04d", i)
		if err := s.Create(b.Context(), id, nil); err != nil {
			b.Fatal(err)
		}
		for seq := uint64(1); seq <= entries; {
			from := seq
			for recs = recs[:0]; len(recs) < cap(recs); seq++ {
				recs = append(recs, journal.Record{First: seq, Last: seq, Data: data})
			}
			if err := s.Append(b.Context(), id, from-1, recs); err != nil {
				b.Fatal(err)
			}
		}
	}
	shut(b, s)
	o.Sync = pebble.SyncAlways

	b.Run("open", func(b *testing.B) {
		for range b.N {
			shut(b, open(b, o))
		}
	})
	b.Run("first-append", func(b *testing.B) {
		s := open(b, o)
		defer func() { shut(b, s) }()
		used := 0
		for i := range b.N {
			if used++; used > sessions/2 { // the rest is warm: start again
				b.StopTimer()
				shut(b, s)
				s, used = open(b, o), 1
				b.StartTimer()
			}
			id := fmt.Sprintf("s%04d", i*7%sessions)
			h, err := s.Head(b.Context(), id)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Read(b.Context(), id, h.Last-100, 1<<20); err != nil {
				b.Fatal(err)
			}
			if err := s.Append(b.Context(), id, h.Last, []journal.Record{{First: h.Last + 1, Last: h.Last + 1, Data: data}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
