package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// shapes are the graphs that costs are compared on: all nodes under one
// parent, chains of the greatest depth, and a tree of ten children each.
var shapes = []struct {
	name   string
	parent func(i int) int // of node i >= 2; node 1 is the root
}{
	{"wide", func(int) int { return 1 }},
	{"deep", func(i int) int {
		if (i-2)%(MaxDepth-4) == 0 {
			return 1
		}
		return i - 1
	}},
	{"tree", func(i int) int { return (i-2)/10 + 1 }},
}

// grown is a graph of n nodes named "Node 1" … in a shape.
func grown(t testing.TB, n int, parent func(i int) int) *desk {
	d := newDesk(t)
	for i := 1; i <= n; i++ {
		c := CreateNode{BlueprintTypeID: "item", NodeID: testID(i), Name: ptr(fmt.Sprint("Node ", i))}
		if i > 1 {
			c.ParentID = testID(parent(i))
		}
		d.do(c)
	}
	d.next = 10_000_000
	return d
}

// ops are the single-node commands: each runs one step on a node of the graph
// and leaves it as large as it was. Search comes first, so that the commands
// keep its index up to date.
var ops = []struct {
	name string
	do   func(d *desk, n, step int)
}{
	{"search by name", func(d *desk, n, step int) {
		if page, err := d.g.Search(Query{Text: fmt.Sprint("Node ", 1+step%n)}); err != nil || len(page.Hits) == 0 {
			d.t.Fatal(page, err)
		}
	}},
	{"search by type", func(d *desk, n, _ int) {
		if page, err := d.g.Search(Query{TypeID: "item", Limit: 10}); err != nil || len(page.Hits) != min(10, n) {
			d.t.Fatal(page, err)
		}
	}},
	{"create+undo", func(d *desk, n, step int) {
		d.undo(d.do(CreateNode{BlueprintTypeID: "item", ParentID: testID(1 + step%n/2), At: At{Index: ptr(step % n)}}), false)
	}},
	{"set", func(d *desk, n, step int) {
		d.do(UpdateProperty{NodeID: testID(1 + step%n), PropertyID: "count", Value: json.RawMessage(fmt.Sprint(step))})
	}},
	{"rename", func(d *desk, n, step int) {
		d.do(UpdateProperty{NodeID: testID(1 + step%n), PropertyID: NameProperty, Value: raw(fmt.Sprintf(`"Node %d"`, step))})
	}},
	{"set+undo", func(d *desk, n, step int) {
		d.undo(d.do(UpdateProperty{NodeID: testID(1 + step%n), PropertyID: "count", Value: json.RawMessage(fmt.Sprint(step))}), false)
	}},
	{"move+undo", func(d *desk, n, step int) {
		id := testID(2 + step%(n-1))
		p := d.g.nodes[id].parent
		d.undo(d.do(MoveNode{NodeID: id, ParentID: p.id, At: At{Index: ptr(step % 7)}}), false)
		d.undo(d.do(MoveNode{NodeID: id}), false)
	}},
	{"link+unlink", func(d *desk, n, step int) {
		from, to := testID(1+step%(n/2)), testID(n/2+1+step%(n/2))
		d.do(LinkNode{LinkType: "wire", ParentID: from, ChildID: to})
		d.do(UnlinkNode{"wire", from, to})
	}},
	{"delete+undo a leaf", func(d *desk, n, step int) {
		leaf := d.g.nodes[testID(n)]
		for leaf.children.len() > 0 {
			leaf = leaf.children.at(0).node
		}
		d.undo(d.do(DeleteNode{leaf.id}), false)
	}},
}

// BenchmarkSize tells how much dearer one step is in a graph of 100,000 nodes
// than in one of 10, the graph alone: no journal, no socket. Both are measured
// by turns in one run, and the medians compared.
func BenchmarkSize(b *testing.B) {
	for _, shape := range shapes {
		small, large := grown(b, 10, shape.parent), grown(b, 100_000, shape.parent)
		for _, op := range ops {
			b.Run(shape.name+"/"+op.name, func(b *testing.B) {
				var few, many []time.Duration
				const run = 20
				for i := 0; i < b.N; i += run {
					few = append(few, timed(func() {
						for j := range run {
							op.do(small, 10, 7919*(i+j))
						}
					}))
					many = append(many, timed(func() {
						for j := range run {
							op.do(large, 100_000, 7919*(i+j))
						}
					}))
				}
				slices.Sort(few)
				slices.Sort(many)
				a, z := few[len(few)/2]/run, many[len(many)/2]/run
				b.ReportMetric(float64(a.Nanoseconds()), "ns/at-10")
				b.ReportMetric(float64(z.Nanoseconds()), "ns/at-100k")
				b.ReportMetric(float64(z)/float64(a), "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// BenchmarkSubtree deletes and restores 50,000 nodes, one entry each, with the
// journal form of the changes.
func BenchmarkSubtree(b *testing.B) {
	d := grown(b, 100_000, shapes[2].parent)
	top := MoveNode{NodeID: testID(2)}
	for i := 3; len(subtree(d.g.nodes[testID(2)], nil)) < 50_000; i++ {
		d.do(MoveNode{NodeID: testID(i), ParentID: top.NodeID})
	}
	b.Logf("%d nodes", len(subtree(d.g.nodes[testID(2)], nil)))
	var gone []Change
	b.Run("plan and apply", func(b *testing.B) {
		for range b.N {
			gone = d.do(DeleteNode{testID(2)})
			b.StopTimer()
			d.undo(gone, false)
			b.StartTimer()
		}
	})
	b.Run("undo", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			gone = d.do(DeleteNode{testID(2)})
			b.StartTimer()
			d.undo(gone, false)
		}
	})
	b.Run("journal", func(b *testing.B) {
		var data []byte
		for range b.N {
			data, _ = json.Marshal(gone)
		}
		b.ReportMetric(float64(len(data))/float64(len(gone)), "bytes/change")
	})
	data, _ := json.Marshal(gone)
	b.Run("read journal", func(b *testing.B) {
		for range b.N {
			var back []Change
			if err := json.Unmarshal(data, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("events", func(b *testing.B) {
		for range b.N {
			for _, c := range gone {
				c.Events()
			}
		}
	})
}

// BenchmarkWhole measures what is linear in the graph, at 100,000 nodes.
func BenchmarkWhole(b *testing.B) {
	d := grown(b, 100_000, shapes[2].parent)
	text, snapshot := d.g.AppendJSON(nil, "p"), d.g.Encode()
	for name, f := range map[string]func(){
		"json":           func() { text = d.g.AppendJSON(text[:0], "p") },
		"encode":         func() { d.g.Encode() },
		"decode":         func() { _, _ = DecodeGraph(d.g.bp, snapshot) },
		"import":         func() { _, _ = Import(d.g.bp, text) },
		"check":          func() { _ = d.g.Check() },
		"validate":       func() { d.g.Validate() },
		"search index":   func() { buildIndex(d.g) },
		"search nothing": func() { _, _ = d.g.Search(Query{Text: "qq"}) },
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				f()
			}
		})
	}
}
