package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/graphroom/graphroom/bench/load"
)

// The goals of size: what one command costs must not grow with its project.
const (
	smallNodes = 10
	largeNodes = 100_000
	sizeGrowth = 1.3
)

// sizeSample is what one kind of work cost in the small and in the large
// project of one server, in one round: median microseconds of a request.
type sizeSample struct {
	Round int     `json:"round"`
	Work  string  `json:"work"`
	Small float64 `json:"small_us"`
	Large float64 `json:"large_us"`
}

// sizeRoom is an outline of that many nodes, open in a session of its own.
type sizeRoom struct {
	p       *program
	session string
	project string
	nodes   []string // the root's id first, then level by level
	rng     *rand.Rand
}

// benchSize times single commands, undo and search in a project of ten nodes
// and in one of a hundred thousand, request by request in turn.
func benchSize(ctx context.Context, o options, binary, dir string, r *report) error {
	count := 1500
	if o.quick {
		count = 150
	}
	for round := range o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d: size\n", round+1, o.rounds)
		p, err := startProgram(ctx, dir, binary)
		if err != nil {
			return err
		}
		samples, err := sizeRound(ctx, p, count)
		p.Stop()
		if err != nil {
			return err
		}
		for i := range samples {
			samples[i].Round = round
		}
		r.Size = append(r.Size, samples...)
	}
	for _, w := range sizeWorks() {
		var ratios []float64
		for _, s := range r.Size {
			if s.Work == w.name {
				ratios = append(ratios, s.Large/s.Small)
			}
		}
		m := median(ratios, func(x float64) float64 { return x })
		r.Verdicts = append(r.Verdicts, judge(m <= sizeGrowth, fmt.Sprintf("%.2f times", m),
			"size: %s among %d nodes within %g times of among %d", w.name, largeNodes, sizeGrowth, smallNodes))
	}
	return nil
}

func sizeRound(ctx context.Context, p *program, count int) ([]sizeSample, error) {
	small, err := openOutline(ctx, p, "small", smallNodes)
	if err != nil {
		return nil, err
	}
	large, err := openOutline(ctx, p, "large", largeNodes)
	if err != nil {
		return nil, err
	}
	var samples []sizeSample
	for _, w := range sizeWorks() {
		var a, b load.Histogram
		for n := range count + count/10 {
			for _, side := range []struct {
				room *sizeRoom
				h    *load.Histogram
			}{{small, &a}, {large, &b}} {
				took, err := w.do(ctx, side.room)
				if err != nil {
					return nil, fmt.Errorf("%s in %s: %w", w.name, side.room.session, err)
				}
				if n >= count/10 { // the first ones warm up: an index is built when it is first used
					for _, t := range took {
						side.h.Add(t)
					}
				}
			}
		}
		samples = append(samples, sizeSample{
			Work: w.name, Small: float64(a.Quantile(0.5)) / 1e3, Large: float64(b.Quantile(0.5)) / 1e3,
		})
	}
	return samples, nil
}

func printSize(w io.Writer, samples []sizeSample) {
	_, _ = fmt.Fprint(w, "\nOne request by the size of its project, median microseconds\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(t, "work\t%d nodes\t%d nodes\tratio\t\n", smallNodes, largeNodes)
	for _, s := range samples {
		_, _ = fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.2f\t\n", s.Work, s.Small, s.Large, s.Large/s.Small)
	}
	_ = t.Flush()
}

// sizeWork is one kind of work that leaves the project's size as it was; do
// gives the time of each request that counts.
type sizeWork struct {
	name string
	do   func(context.Context, *sizeRoom) ([]time.Duration, error)
}

func sizeWorks() []sizeWork {
	return []sizeWork{
		{"search by name", func(ctx context.Context, r *sizeRoom) ([]time.Duration, error) {
			return r.time(ctx, "/projects/"+r.project+"/graph/search?session_id="+r.session, map[string]any{"text": "needle", "limit": 10})
		}},
		{"create", func(ctx context.Context, r *sizeRoom) ([]time.Duration, error) {
			id := uuid.NewString()
			took, err := r.execute(ctx, "CreateNode", map[string]any{"blueprint_type_id": "item", "node_id": id, "parent_id": r.any(), "index": 0})
			if err == nil {
				_, err = r.execute(ctx, "DeleteNode", map[string]any{"node_id": id})
			}
			return took, err
		}},
		{"delete and its undo", func(ctx context.Context, r *sizeRoom) ([]time.Duration, error) {
			took, err := r.execute(ctx, "DeleteNode", map[string]any{"node_id": r.leaf()})
			if err != nil {
				return nil, err
			}
			back, err := r.time(ctx, "/sessions/"+r.session+"/undo", nil)
			return append(took, back...), err
		}},
		{"rename", func(ctx context.Context, r *sizeRoom) ([]time.Duration, error) {
			return r.rename(ctx)
		}},
		{"move", func(ctx context.Context, r *sizeRoom) ([]time.Duration, error) {
			return r.execute(ctx, "MoveNode", map[string]any{"node_id": r.leaf(), "parent_id": r.nodes[0], "index": r.rng.IntN(3)})
		}},
		{"undo and redo", func(ctx context.Context, r *sizeRoom) ([]time.Duration, error) {
			if _, err := r.rename(ctx); err != nil {
				return nil, err
			}
			undo, err := r.time(ctx, "/sessions/"+r.session+"/undo", nil)
			if err != nil {
				return nil, err
			}
			redo, err := r.time(ctx, "/sessions/"+r.session+"/redo", nil)
			return append(undo, redo...), err
		}},
	}
}

// any is some node but the needle, leaf one of the last.
func (r *sizeRoom) any() string {
	i := r.rng.IntN(len(r.nodes) - 1)
	if i >= len(r.nodes)/2 {
		i++
	}
	return r.nodes[i]
}

func (r *sizeRoom) leaf() string { return r.nodes[len(r.nodes)-1-r.rng.IntN(4)] }

func (r *sizeRoom) rename(ctx context.Context) ([]time.Duration, error) {
	return r.execute(ctx, "UpdateProperty", map[string]any{
		"node_id": r.any(), "property_id": "name", "value": fmt.Sprint("renamed ", r.rng.Uint32()),
	})
}

func (r *sizeRoom) execute(ctx context.Context, kind string, data map[string]any) ([]time.Duration, error) {
	return r.time(ctx, "/commands/execute", map[string]any{"session_id": r.session, "command_type": kind, "data": data})
}

func (r *sizeRoom) time(ctx context.Context, path string, body any) ([]time.Duration, error) {
	if body == nil {
		body = struct{}{}
	}
	start := time.Now()
	_, err := r.p.post(ctx, path, body)
	return []time.Duration{time.Since(start)}, err
}

// openOutline imports an outline and opens it in a new session.
func openOutline(ctx context.Context, p *program, session string, nodes int) (*sizeRoom, error) {
	r := &sizeRoom{p: p, session: session, project: uuid.NewString(), rng: rand.New(rand.NewPCG(1, uint64(nodes)))}
	var graph json.RawMessage
	graph, r.nodes = outline(r.project, nodes)
	if _, err := p.post(ctx, "/projects/import", map[string]any{
		"format": "graphroom-project", "version": 1, "graph": graph,
		"project": map[string]string{"project_id": r.project, "template_id": "outline", "name": session},
	}); err != nil {
		return nil, err
	}
	if _, err := p.post(ctx, "/sessions", map[string]string{"session_id": session}); err != nil {
		return nil, err
	}
	_, err := p.post(ctx, "/projects/"+r.project+"/load", map[string]string{"session_id": session})
	return r, err
}

type outlineNode struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"blueprint_type_id"`
	Position   int            `json:"position"`
	Properties struct{}       `json:"properties"`
	Children   []*outlineNode `json:"children"`
}

// outline is a graph in the wire shape and its node ids: a root whose children
// have children, as wide as a level may be. The node in the middle is the
// needle.
func outline(projectID string, nodes int) (json.RawMessage, []string) {
	const fan = 320
	var ids []string
	made := func(name string, position int) *outlineNode {
		n := &outlineNode{ID: uuid.NewString(), Name: name, Type: "item", Position: position, Children: []*outlineNode{}}
		ids = append(ids, n.ID)
		return n
	}
	root := made("root", 0)
	parents := []*outlineNode{root}
	for i := 1; i < nodes; i++ {
		for len(parents[0].Children) == fan {
			parents = parents[1:]
		}
		name := fmt.Sprint("node ", i)
		if i == nodes/2 {
			name = "needle"
		}
		n := made(name, len(parents[0].Children))
		parents[0].Children = append(parents[0].Children, n)
		parents = append(parents, n)
	}
	doc, err := json.Marshal(map[string]any{
		"project_id": projectID, "template_id": "outline", "roots": []*outlineNode{root}, "links": []string{},
	})
	if err != nil {
		panic(err) // a tree of strings always encodes
	}
	return doc, ids
}

// The goal of neighbours: what a huge command costs the other sessions.
const (
	subtreeNodes    = 50_000
	neighbourGoal   = 2
	neighbourSlices = 4 // of a round, each alone and beside
)

// neighbourSample is how long the commands of other sessions took while one
// session deleted and restored a large subtree, and while it did not.
type neighbourSample struct {
	Round  int     `json:"round"`
	Turns  int     `json:"turns"` // deletes and undos meanwhile
	Delete float64 `json:"delete_ms"`
	Undo   float64 `json:"undo_ms"`
	Alone  float64 `json:"alone_p99_ms"`
	Beside float64 `json:"beside_p99_ms"`
}

// benchNeighbours offers commands to eight sessions at a steady rate, alone and
// while a ninth deletes and restores 50,000 nodes, by turns.
func benchNeighbours(ctx context.Context, o options, binary, dir string, r *report) error {
	length := 10 * time.Second
	if o.quick {
		length = 2 * time.Second
	}
	for round := range o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d: neighbours\n", round+1, o.rounds)
		p, err := startProgram(ctx, dir, binary)
		if err != nil {
			return err
		}
		s, err := neighbourRound(ctx, p, length)
		p.Stop()
		if err != nil {
			return err
		}
		s.Round = round
		r.Neighbours = append(r.Neighbours, s)
	}
	ratio := median(r.Neighbours, func(s neighbourSample) float64 { return s.Beside / s.Alone })
	r.Verdicts = append(r.Verdicts, judge(ratio <= neighbourGoal, fmt.Sprintf("%.2f times", ratio),
		"neighbours: p99 of other sessions while %d nodes are deleted and restored within %d times of that without", subtreeNodes, neighbourGoal))
	return nil
}

func neighbourRound(ctx context.Context, p *program, length time.Duration) (neighbourSample, error) {
	var s neighbourSample
	var rooms []*sizeRoom
	for i := range 8 {
		room, err := openOutline(ctx, p, fmt.Sprint("neighbour-", i), smallNodes)
		if err != nil {
			return s, err
		}
		rooms = append(rooms, room)
	}
	big, err := openOutline(ctx, p, "big", subtreeNodes+1)
	if err != nil {
		return s, err
	}
	// The root's only child carries everything, so that one delete takes it all.
	if _, err := big.execute(ctx, "CreateNode", map[string]any{"blueprint_type_id": "item"}); err != nil {
		return s, err
	}
	clock, err := load.NewClock()
	if err != nil {
		return s, err
	}
	// By turns, so that what else the machine does meets both alike.
	var alone, beside load.Histogram
	for range neighbourSlices {
		if _, err := steady(ctx, clock, rooms, length/neighbourSlices/4); err != nil { // until what was has settled
			return s, err
		}
		h, err := steady(ctx, clock, rooms, length/neighbourSlices)
		if err != nil {
			return s, err
		}
		alone.Merge(h)
		work, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- s.disturb(work, big) }()
		h, err = steady(ctx, clock, rooms, length/neighbourSlices)
		stop()
		if err = errors.Join(err, <-done); err != nil {
			return s, err
		}
		beside.Merge(h)
	}
	s.Delete, s.Undo = s.Delete/float64(s.Turns), s.Undo/float64(s.Turns)
	s.Alone, s.Beside = float64(alone.Quantile(0.99))/1e6, float64(beside.Quantile(0.99))/1e6
	return s, nil
}

// disturb deletes and restores the subtree, at least once and until ctx ends,
// and adds up how long that took.
func (s *neighbourSample) disturb(ctx context.Context, big *sizeRoom) error {
	for first := true; first || ctx.Err() == nil; first = false {
		took, err := big.execute(context.WithoutCancel(ctx), "DeleteNode", map[string]any{"node_id": big.nodes[0]})
		if err != nil {
			return err
		}
		back, err := big.time(context.WithoutCancel(ctx), "/sessions/big/undo", nil)
		if err != nil {
			return err
		}
		s.Turns++
		s.Delete, s.Undo = s.Delete+took[0].Seconds()*1e3, s.Undo+back[0].Seconds()*1e3
	}
	return nil
}

// steady gives each room 20 commands a second and returns how long they took,
// counted from when each was due.
func steady(ctx context.Context, clock load.Clock, rooms []*sizeRoom, length time.Duration) (*load.Histogram, error) {
	const gap = int64(50 * time.Millisecond)
	type result struct {
		h   load.Histogram
		err error
	}
	results := make(chan result)
	start := clock.Now()
	for i, room := range rooms {
		go func() {
			var res result
			for n := range int64(length) / gap {
				due := start + n*gap + int64(i)*gap/int64(len(rooms))
				if pause := time.Duration(due - clock.Now()); pause > 0 {
					time.Sleep(pause)
				}
				if _, res.err = room.rename(ctx); res.err != nil {
					break
				}
				res.h.Add(time.Duration(clock.Now() - due))
			}
			results <- res
		}()
	}
	var all load.Histogram
	var err error
	for range rooms {
		res := <-results
		all.Merge(&res.h)
		err = errors.Join(err, res.err)
	}
	return &all, err
}

func printNeighbours(w io.Writer, samples []neighbourSample) {
	_, _ = fmt.Fprintf(w, "\nOther sessions while %d nodes are deleted and restored\n\n", subtreeNodes)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "round\tturns\tdelete ms\tundo ms\tp99 alone ms\tp99 beside ms\tratio\t")
	for _, s := range samples {
		_, _ = fmt.Fprintf(t, "%d\t%d\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", s.Round+1, s.Turns, s.Delete, s.Undo, s.Alone, s.Beside, s.Beside/s.Alone)
	}
	_ = t.Flush()
}
