package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/graphroom/graphroom/internal/graph"
	journalmemory "github.com/graphroom/graphroom/internal/journal/memory"
	"github.com/graphroom/graphroom/internal/project"
	projectmemory "github.com/graphroom/graphroom/internal/project/memory"
	"github.com/graphroom/graphroom/internal/session"
)

// The goals of size: what one command costs must not grow with its project.
const (
	smallNodes = 10
	largeNodes = 100_000
	sizeGrowth = 1.3
)

// sizeSample is what one kind of work cost in the small and the large project,
// in one round: microseconds for one, medians of interleaved blocks.
type sizeSample struct {
	Round int     `json:"round"`
	Work  string  `json:"work"`
	Small float64 `json:"small_us"`
	Large float64 `json:"large_us"`
}

// sizeRoom is one open project, in a session of its own on memory drivers: the
// whole way of a command but transport and disk.
type sizeRoom struct {
	s     *session.Session
	nodes []string
	rng   *rand.Rand
}

// benchSize measures single commands, undo and search in a project of ten
// nodes and in one of a hundred thousand, block by block in turn.
func benchSize(ctx context.Context, o options, r *report) error {
	blocks, block := 40, 250
	if o.quick {
		blocks, block = 4, 50
	}
	for round := range o.rounds {
		small, closeSmall, err := newSizeRoom(ctx, smallNodes)
		if err != nil {
			return err
		}
		large, closeLarge, err := newSizeRoom(ctx, largeNodes)
		if err != nil {
			return err
		}
		for _, w := range sizeWorks() {
			var a, b []float64
			for i := range blocks + 2 {
				x, err := small.time(ctx, w, block)
				if err != nil {
					return fmt.Errorf("%s in the small project: %w", w.name, err)
				}
				y, err := large.time(ctx, w, block)
				if err != nil {
					return fmt.Errorf("%s in the large project: %w", w.name, err)
				}
				if i >= 2 { // the first ones warm up
					a, b = append(a, x), append(b, y)
				}
			}
			r.Size = append(r.Size, sizeSample{Round: round, Work: w.name, Small: middle(a), Large: middle(b)})
		}
		closeSmall()
		closeLarge()
	}
	r.Verdicts = append(r.Verdicts, judgeSize(r.Size)...)
	return nil
}

func judgeSize(samples []sizeSample) []verdict {
	var out []verdict
	for _, w := range sizeWorks() {
		var ratios []float64
		for _, s := range samples {
			if s.Work == w.name {
				ratios = append(ratios, s.Large/s.Small)
			}
		}
		if len(ratios) > 0 {
			m := middle(ratios)
			out = append(out, judge(m <= sizeGrowth, fmt.Sprintf("%.2f", m),
				"size: %s among %d nodes within %g times of among %d", w.name, largeNodes, sizeGrowth, smallNodes))
		}
	}
	return out
}

func printSize(w io.Writer, samples []sizeSample) {
	if len(samples) == 0 {
		return
	}
	fmt.Fprintf(w, "\nCost of one command, in microseconds, by the size of its project\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "work\t%d nodes\t%d nodes\tratio\t\n", smallNodes, largeNodes)
	for _, s := range samples {
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.2f\t\n", s.Work, s.Small, s.Large, s.Large/s.Small)
	}
	_ = t.Flush()
}

// sizeWork is one kind of work that leaves the project's size as it was.
type sizeWork struct {
	name string
	do   func(context.Context, *sizeRoom) (int, error) // how many commands it ran
}

func sizeWorks() []sizeWork {
	return []sizeWork{
		{"create and delete", func(ctx context.Context, r *sizeRoom) (int, error) {
			id := uuid.NewString()
			if err := r.run(ctx, "CreateNode", `{"blueprint_type_id":"item","node_id":%q,"parent_id":%q,"index":0}`, id, r.any()); err != nil {
				return 0, err
			}
			return 2, r.run(ctx, "DeleteNode", `{"node_id":%q}`, id)
		}},
		{"set a property", func(ctx context.Context, r *sizeRoom) (int, error) {
			return 1, r.run(ctx, "UpdateProperty", `{"node_id":%q,"property_id":"name","value":"n%d"}`, r.any(), r.rng.Uint32())
		}},
		{"move among siblings", func(ctx context.Context, r *sizeRoom) (int, error) {
			return 1, r.run(ctx, "MoveNode", `{"node_id":%q,"parent_id":%q,"index":%d}`,
				r.leaf(), r.nodes[0], r.rng.IntN(3))
		}},
		{"undo and redo", func(ctx context.Context, r *sizeRoom) (int, error) {
			if err := r.run(ctx, "UpdateProperty", `{"node_id":%q,"property_id":"name","value":"n%d"}`, r.any(), r.rng.Uint32()); err != nil {
				return 0, err
			}
			if _, err := r.s.Undo(ctx, session.Step{}); err != nil {
				return 0, err
			}
			_, err := r.s.Redo(ctx, session.Step{})
			return 3, err
		}},
		{"search by name", func(ctx context.Context, r *sizeRoom) (int, error) {
			return 1, r.s.Read(ctx, "", func(v session.View) error {
				page, err := v.Graph.Search(graph.Query{Text: "needle", Limit: 10})
				if err == nil && len(page.Hits) != 1 {
					err = fmt.Errorf("%d found", len(page.Hits))
				}
				return err
			})
		}},
	}
}

// any is some node but the needle.
func (r *sizeRoom) any() string {
	i := r.rng.IntN(len(r.nodes) - 1)
	if i >= len(r.nodes)/2 {
		i++
	}
	return r.nodes[i]
}

func (r *sizeRoom) leaf() string { return r.nodes[len(r.nodes)-1-r.rng.IntN(4)] }

func (r *sizeRoom) run(ctx context.Context, kind, data string, args ...any) error {
	_, err := r.s.Execute(ctx, session.Execute{Type: kind, Data: fmt.Appendf(nil, data, args...)})
	return err
}

// time is the mean microseconds of one command in a block of n.
func (r *sizeRoom) time(ctx context.Context, w sizeWork, n int) (float64, error) {
	start, commands := time.Now(), 0
	for range n {
		done, err := w.do(ctx, r)
		if err != nil {
			return 0, err
		}
		commands += done
	}
	return float64(time.Since(start).Nanoseconds()) / 1e3 / float64(commands), nil
}

// newSizeRoom opens an outline of that many nodes: a root whose children have
// children, as evenly as the number allows.
func newSizeRoom(ctx context.Context, nodes int) (*sizeRoom, func(), error) {
	all, err := graph.Builtin()
	if err != nil {
		return nil, nil, err
	}
	templates := map[string]*graph.Blueprint{}
	for _, bp := range all {
		templates[bp.ID()] = bp
	}
	store := projectmemory.New()
	m := session.NewManager(session.Config{
		Journal: journalmemory.New(), Projects: store, Logger: slog.New(slog.DiscardHandler),
		Templates: func(id string) *graph.Blueprint { return templates[id] },
		Clock:     time.Now, NewID: func() graph.ID { return graph.ID(uuid.New()) },
	})
	r := &sizeRoom{rng: rand.New(rand.NewPCG(1, uint64(nodes)))}
	id := uuid.NewString()
	doc, ids := outline(id, nodes)
	r.nodes = ids
	if _, err := store.Put(ctx, project.Saved{ProjectID: id, TemplateID: "outline", Name: "Size", Graph: doc}, 0); err != nil {
		return nil, nil, err
	}
	if r.s, err = m.Create(ctx, "size"); err != nil {
		return nil, nil, err
	}
	if _, err := r.s.Load(ctx, id, "", "", false); err != nil {
		return nil, nil, err
	}
	return r, func() { _ = m.Close(context.WithoutCancel(ctx)) }, nil
}

type outlineNode struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"blueprint_type_id"`
	Position   int            `json:"position"`
	Properties struct{}       `json:"properties"`
	Children   []*outlineNode `json:"children"`
}

// outline is a graph in the wire shape, and its node ids, the root's first.
// One node's name is "needle".
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

func middle(v []float64) float64 { return median(v, func(x float64) float64 { return x }) }
