package pebble_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

const killSessions = 8

// TestKillHelper is not a test: TestKillNine runs it as the process that it
// kills. It appends to every session for as long as it lives and says what was
// acknowledged.
func TestKillHelper(t *testing.T) {
	dir := os.Getenv("GRAPHROOM_TEST_KILL")
	if dir == "" {
		t.Skip("only as a helper process")
	}
	s := open(t, pebble.Options{Dir: dir, MemTableBytes: 256 << 10})
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range killSessions {
		wg.Go(func() {
			id := fmt.Sprintf("s%d", i)
			_ = s.Create(ctx, id, nil) // it exists from the second round on
			h, err := s.Head(ctx, id)
			if err != nil {
				t.Error(err)
				return
			}
			for seq := h.Last + 1; ; seq += 2 {
				recs := []journal.Record{
					{First: seq, Last: seq, Data: payload(id, seq, 300)},
					{First: seq + 1, Last: seq + 1, Data: payload(id, seq+1, 300)},
				}
				if err := s.Append(ctx, id, seq-1, recs); err != nil {
					t.Error(err)
					return
				}
				if _, err := fmt.Printf("%d %d\n", i, seq+1); err != nil {
					return // nobody listens any more
				}
				if seq%50 == 1 {
					_ = s.PutSnapshot(ctx, id, seq, payload(id, seq, 5000))
					_ = s.Trim(ctx, id, seq/2)
				}
			}
		})
	}
	wg.Wait()
}

// SPEC J-12: kill -9 in the middle of writing, again and again: everything that
// was acknowledged is there, whole.
func TestKillNine(t *testing.T) {
	dir := t.TempDir()
	var acked [killSessions]uint64
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillHelper$")
		cmd.Env = append(os.Environ(), "GRAPHROOM_TEST_KILL="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var i int
			var seq uint64
			if _, err := fmt.Sscanf(lines.Text(), "%d %d", &i, &seq); err != nil {
				continue // the process was killed in the middle of a line, or a message
			}
			acked[i] = max(acked[i], seq)
			if n == 500*(round+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		auditKilled(t, dir, acked[:])
	}
}

func auditKilled(t *testing.T, dir string, acked []uint64) {
	t.Helper()
	s := open(t, pebble.Options{Dir: dir})
	defer shut(t, s)
	for i, want := range acked {
		id := fmt.Sprintf("s%d", i)
		h, err := s.Head(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if h.Last < want || h.Last > want+2 || h.Last%2 != 0 {
			t.Fatalf("%s ends at %d, acknowledged were %d", id, h.Last, want)
		}
	}
	if got := problems(t, s); len(got) > 0 {
		t.Fatalf("got %q", got)
	}
}
