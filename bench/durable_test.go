package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/transfer"
)

func outcomes(verdicts []verdict) string {
	var out []string
	for _, v := range verdicts {
		out = append(out, v.Outcome)
	}
	return strings.Join(out, " ")
}

func TestJudgeDurable(t *testing.T) {
	rate := func(driver string, rate float64) durableSample {
		return durableSample{Scenario: durableGoal, Driver: driver, Rate: rate}
	}
	size := func(nodes int, cpu float64) durableSample {
		return durableSample{Scenario: durableSize, Driver: onDisk, Nodes: nodes, CPU: cpu}
	}
	memory := func(rss int64) durableSample {
		return durableSample{Scenario: durableMemory, Driver: onDisk, RSS: rss}
	}
	for name, c := range map[string]struct {
		rows  []durableSample
		quick bool
		want  string
	}{
		"fast":             {[]durableSample{rate(onDisk, 16_000), rate(inMemory, 90_000)}, false, "PASS PASS"},
		"slow machine":     {[]durableSample{rate(onDisk, 6_100), rate(inMemory, 10_000)}, false, "PASS PASS"},
		"slow":             {[]durableSample{rate(onDisk, 5_900), rate(inMemory, 10_000)}, false, "FAIL PASS"},
		"one driver alone": {[]durableSample{rate(onDisk, 5_900)}, false, "PASS"},
		"grows little":     {[]durableSample{size(smallNodes, 100), size(largeNodes, 130)}, false, "PASS PASS"},
		"grows":            {[]durableSample{size(smallNodes, 100), size(largeNodes, 131)}, false, "FAIL PASS"},
		"quick":            {[]durableSample{size(smallNodes, 100), size(largeNodes, 999)}, true, "PASS"},
		"restart":          {[]durableSample{{Scenario: durableRestart, Driver: onDisk, StartMS: 1999, ColdMS: 51}}, false, "PASS FAIL PASS"},
		"memory":           {[]durableSample{memory(100), memory(120)}, false, "PASS PASS"},
		"memory grows":     {[]durableSample{memory(100), memory(121)}, false, "FAIL PASS"},
		"refused":          {[]durableSample{{Problem: "1 refused"}}, false, "FAIL"},
	} {
		if got := outcomes(judgeDurable(c.rows, c.quick)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		var b bytes.Buffer
		printDurable(&b, c.rows)
		if b.Len() == 0 {
			t.Errorf("%s: nothing is printed", name)
		}
	}
}

func TestProjectFileIsOne(t *testing.T) {
	all, err := graph.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, nodes := range []int{1, 10, 250} {
		file, first := projectFile("p", nodes)
		f, err := transfer.Decode(file, 1<<20, func(id string) *graph.Blueprint {
			for _, bp := range all {
				if bp.ID() == id {
					return bp
				}
			}
			return nil
		})
		if err != nil || bytes.Count(f.Graph, []byte(`"id":`)) != nodes || !bytes.Contains(f.Graph, []byte(first)) {
			t.Errorf("%d nodes: %v", nodes, err)
		}
	}
}

// One short round of a scenario on a real server.
func TestDurableRound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(t.TempDir(), "durable")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := buildOurs(ctx, root, dir, "./cmd/graphroom")
	if err != nil {
		t.Fatal(err)
	}
	for _, socket := range []bool{true, false} {
		d := durable{name: "test", socket: socket, clients: 4, sessions: 2}
		got, err := d.run(ctx, binary, dir, onDisk, 0, true)
		if err != nil || got.Commands == 0 || got.Problem != "" || got.Rate <= 0 || got.P50 <= 0 || got.RSS == 0 {
			t.Errorf("socket %v: %+v, %v", socket, got, err)
		}
	}
}
