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
