package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// The long scenarios of the durable bench, beside the rates.
const (
	durableGoal    = "durable-socket-64in64"
	durableSize    = "durable-size"
	durableRestart = "durable-start"
	durableMemory  = "durable-memory"
)

// projectFile writes a project of that many nodes as a project file: items in
// items, a hundred wide.
func projectFile(id string, nodes int) (file []byte, first string) {
	var b strings.Builder
	b.WriteString(`{"format":"graphroom-project","version":1,"project":{"project_id":"` + id + `","template_id":"outline","name":"size"},`)
	b.WriteString(`"graph":{"project_id":"` + id + `","template_id":"outline","roots":[`)
	const wide = 100
	node := func(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", i) }
	for i := 0; i < nodes; i += wide {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"id":"` + node(i) + `","name":"item ` + strconv.Itoa(i) + `","blueprint_type_id":"item","properties":{"note":"a note"},"children":[`)
		for k := i + 1; k < min(i+wide, nodes); k++ {
			if k > i+1 {
				b.WriteByte(',')
			}
			b.WriteString(`{"id":"` + node(k) + `","name":"item ` + strconv.Itoa(k) + `","blueprint_type_id":"item","properties":{"note":"a note"},"children":[]}`)
		}
		b.WriteString(`]}`)
	}
	b.WriteString(`],"links":[]}}`)
	return []byte(b.String()), node(0)
}

// sizeClients is how many REST clients write into each of the two projects.
const sizeClients = 4

// benchSizes measures what a command costs the server in a project of ten nodes
// and in one of a hundred thousand, both open in one server at once and driven
// in turn.
func benchSizes(ctx context.Context, binary, dir string, round int, quick bool) ([]durableSample, error) {
	blocks, block := 12, uint64(2000)
	if quick {
		blocks, block = 2, 500
	}
	data := filepath.Join(dir, "size-"+strconv.Itoa(round))
	defer func() { _ = os.RemoveAll(data) }()
	s, _, err := startServed(ctx, binary, data, onDisk)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	sizes := []int{smallNodes, largeNodes}
	out := make([]durableSample, len(sizes))
	costs := make([][]float64, len(sizes))
	calls := make([]*load.Calls, len(sizes))
	for i, nodes := range sizes {
		id := "size-" + strconv.Itoa(nodes)
		file, node := projectFile(id, nodes)
		if err := s.post(ctx, "/projects/import", file, nil); err != nil {
			return nil, err
		}
		if err := s.post(ctx, "/sessions", []byte(`{"session_id":"`+id+`"}`), nil); err != nil {
			return nil, err
		}
		if err := s.post(ctx, "/projects/"+id+"/load", []byte(`{"session_id":"`+id+`"}`), nil); err != nil {
			return nil, err
		}
		if calls[i], err = s.callers(ctx, slices.Repeat([]place{{id, node}}, sizeClients), false); err != nil {
			return nil, err
		}
		defer calls[i].Close()
		out[i] = durableSample{Scenario: durableSize, Driver: onDisk, Round: round, Clients: sizeClients, Sessions: 1, Nodes: nodes}
	}
	for b := range blocks + 1 {
		for i := range sizes {
			before, err := s.cpu()
			if err != nil {
				return nil, err
			}
			got, err := calls[i].Run(ctx, block, 0)
			if err != nil {
				return nil, err
			}
			after, err := s.cpu()
			if err != nil {
				return nil, err
			}
			if b == 0 {
				continue // warm-up
			}
			var one durableSample
			one.take(got, after-before)
			costs[i] = append(costs[i], one.CPU)
			out[i].Commands += one.Commands
			out[i].Rate, out[i].P50, out[i].P99 = one.Rate, one.P50, one.P99
			out[i].Problem += one.Problem
		}
	}
	for i := range out {
		// The mean, not the median: a snapshot falls into few of the blocks, and
		// is part of the cost.
		for _, c := range costs[i] {
			out[i].CPU += c / float64(len(costs[i]))
		}
	}
	return out, nil
}

// benchRestart fills a journal, ends the server without a farewell and
// measures how soon the next one is ready and answers in a cold session.
func benchRestart(ctx context.Context, binary, dir string, round int, quick bool) (durableSample, error) {
	sessions, each := 1000, uint64(1000)
	if quick {
		sessions, each = 100, 200
	}
	out := durableSample{Scenario: durableRestart, Driver: onDisk, Round: round, Clients: sessions, Sessions: sessions}
	data := filepath.Join(dir, "restart-"+strconv.Itoa(round))
	defer func() { _ = os.RemoveAll(data) }()
	s, _, err := startServed(ctx, binary, data, onDisk, "--sync", "interval")
	if err != nil {
		return out, err
	}
	places, err := s.rooms(ctx, "cold-", sessions, sessions)
	if err != nil {
		s.kill()
		return out, err
	}
	got, err := fill(ctx, s, places, uint64(sessions)*each)
	if err != nil {
		s.kill()
		return out, err
	}
	out.take(got, 0)
	out.Entries = out.Commands
	time.Sleep(time.Second) // past the interval of the last sync: a kill then loses nothing
	s.kill()
	again, took, err := startServed(ctx, binary, data, onDisk)
	if err != nil {
		return out, err
	}
	defer again.kill()
	out.StartMS = float64(took.Microseconds()) / 1000
	cold := make([]float64, 0, 50)
	for i := 0; i < sessions; i += max(sessions/50, 1) {
		began := time.Now()
		if err := again.post(ctx, "/commands/execute", places[i].update(nil, true, 0), nil); err != nil {
			return out, err
		}
		cold = append(cold, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(cold)
	out.ColdMS, out.ColdMax = cold[len(cold)/2], cold[len(cold)-1]
	out.RSS, _, err = again.memory()
	return out, err
}

// fill drives every place over sockets until so many commands are done.
func fill(ctx context.Context, s *served, places []place, commands uint64) (load.CallStats, error) {
	calls, err := s.callers(ctx, places, true)
	if err != nil {
		return load.CallStats{}, err
	}
	defer calls.Close()
	return calls.Run(ctx, commands, 0)
}

// benchMemory lets one server do commands until every bound of a session is
// reached, looks at its memory, does ten times as many and looks again.
func benchMemory(ctx context.Context, binary, dir string, round int, quick bool) ([]durableSample, error) {
	steps := []uint64{300_000, 3_000_000}
	if quick {
		steps = []uint64{3_000, 30_000}
	}
	const sessions = 16
	data := filepath.Join(dir, "memory-"+strconv.Itoa(round))
	defer func() { _ = os.RemoveAll(data) }()
	s, _, err := startServed(ctx, binary, data, onDisk, "--sync", "interval")
	if err != nil {
		return nil, err
	}
	defer s.kill()
	places, err := s.rooms(ctx, "memory-", 4*sessions, sessions)
	if err != nil {
		return nil, err
	}
	calls, err := s.callers(ctx, places, true)
	if err != nil {
		return nil, err
	}
	defer calls.Close()
	var out []durableSample
	done := uint64(0)
	for _, step := range steps {
		got, err := calls.Run(ctx, step-done, 0)
		if err != nil {
			return nil, err
		}
		done = step
		row := durableSample{Scenario: durableMemory, Driver: onDisk, Round: round, Clients: 4 * sessions, Sessions: sessions, Entries: step}
		row.take(got, 0)
		if row.RSS, _, err = s.memory(); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}
