package graph

import (
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// full is a graph with everything that a snapshot has to hold.
func full(t testing.TB) *desk {
	d := family(t)
	d.do(UnlinkNode{"see", testID(2), testID(3)})
	d.do(DeleteProperty{testID(2), "count"})
	d.add("item", 5, 1)
	d.do(DeleteNode{testID(5)})
	d.g.longKey = 2
	d.do(CreateNode{BlueprintTypeID: "item", NodeID: testID(6), ParentID: testID(1), At: At{Index: ptr(1)}})
	return d
}

func TestSnapshot(t *testing.T) {
	d := full(t)
	if len(d.g.gens) == 0 || len(d.g.tombs) == 0 || len(d.g.gone) == 0 {
		t.Fatal("the graph is not full")
	}
	data := d.g.Encode()
	g, err := DecodeGraph(d.g.bp, data)
	if err != nil {
		t.Fatal(err)
	}
	if string(g.Encode()) != string(data) || string(g.AppendJSON(nil, "p")) != d.json() {
		t.Error("the copy is another graph")
	}
}

// Every cut and every changed byte is an error or a graph that is well.
func TestBrokenSnapshot(t *testing.T) {
	d := full(t)
	data := d.g.Encode()
	for cut := range data {
		if _, err := DecodeGraph(d.g.bp, data[:cut]); !fault.Is(err, fault.Internal) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	if _, err := DecodeGraph(d.g.bp, append(data[:len(data):len(data)], 0)); err == nil || !strings.Contains(err.Error(), "follows the end") {
		t.Error(err)
	}
	for at := range data {
		for _, flip := range []byte{1, 0x80, 0xFF} {
			broken := []byte(string(data))
			broken[at] ^= flip
			if g, err := DecodeGraph(d.g.bp, broken); err == nil {
				if err := g.Check(); err != nil {
					t.Fatalf("byte %d: %v", at, err)
				}
			}
		}
	}
	other := testBlueprint()
	other.id = "other"
	if _, err := DecodeGraph(other, data); err == nil || !strings.Contains(err.Error(), `belongs to the blueprint "test"`) {
		t.Error(err)
	}
}

// Check finds what must never be.
func TestCheckFinds(t *testing.T) {
	node := func(g *Graph, n int) *node { return g.nodes[testID(n)] }
	for name, breakIt := range map[string]func(g *Graph){
		"an unsorted list":     func(g *Graph) { node(g, 2).key = "z" },
		"a bad key":            func(g *Graph) { node(g, 2).key = "!" },
		"a wrong count":        func(g *Graph) { g.roots.n++ },
		"an empty chunk":       func(g *Graph) { g.roots.chunks = append(g.roots.chunks, nil) },
		"a wrong parent":       func(g *Graph) { node(g, 3).parent = node(g, 1) },
		"a forbidden child":    func(g *Graph) { node(g, 2).typ = g.bp.NodeType("note") },
		"a node nowhere":       func(g *Graph) { g.nodes[testID(9)] = &node_{id: testID(9)} },
		"a living tomb":        func(g *Graph) { g.tombs[testID(2)] = tomb{} },
		"a wrong height":       func(g *Graph) { node(g, 1).heights = nil },
		"wrong heights":        func(g *Graph) { node(g, 1).heights[0]++ },
		"an unknown property":  func(g *Graph) { node(g, 2).values = []value{{Prop: "colour", Raw: raw("1")}} },
		"a link list":          func(g *Graph) { node(g, 4).outList("wire").n++ },
		"a link key":           func(g *Graph) { node(g, 4).outList("wire").at(0).key = "?" },
		"a link index":         func(g *Graph) { node(g, 3).in[0].links[0].inAt = 7 },
		"a gone link":          func(g *Graph) { g.gone[linkKey{"wire", testID(4), testID(3)}] = 1 },
		"a lost link":          func(g *Graph) { delete(g.links, linkKey{"wire", testID(4), testID(3)}) },
		"a link of wrong type": func(g *Graph) { node(g, 4).outList("wire").at(0).link.typ.ParentTypes = []string{"note"} },
		"too many parents": func(g *Graph) {
			g.bp.LinkType("see").MaxParents = 1
			g.join(g.bp.LinkType("see"), node(g, 1), node(g, 3), "a0", 1)
		},
		"a link both ways": func(g *Graph) {
			g.bp.LinkType("see").Unique = true
			g.join(g.bp.LinkType("see"), node(g, 3), node(g, 2), "a0", 1)
		},
		"a circle": func(g *Graph) { g.join(g.bp.LinkType("wire"), node(g, 3), node(g, 4), "a0", 1) },
	} {
		d := family(t)
		if err := d.g.Check(); err != nil {
			t.Fatal(err)
		}
		breakIt(d.g)
		if err := d.g.Check(); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	deep := newDesk(t)
	for i := 1; i <= MaxDepth; i++ {
		deep.add("item", i, i-1)
	}
	n := &node_{id: testID(500), typ: deep.g.bp.NodeType("item")}
	n.slot.node = n
	deep.g.nodes[n.id] = n
	deep.g.attach(n, node(deep.g, MaxDepth), "a0")
	if err := deep.g.Check(); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Error(err)
	}
}

// node_ is node where a variable hides the type.
type node_ = node

func FuzzDecodeGraph(f *testing.F) {
	f.Add(full(f).g.Encode())
	f.Add(New(testBlueprint()).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := DecodeGraph(testBlueprint(), data)
		if err != nil {
			return
		}
		again, err := DecodeGraph(testBlueprint(), g.Encode())
		if err != nil || string(again.Encode()) != string(g.Encode()) {
			t.Fatal("a snapshot of a snapshot is another graph", err)
		}
	})
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(full(f).json()))
	f.Add([]byte(`{"template_id":"test","roots":[{"id":"` + testID(1).String() + `","name":"n","blueprint_type_id":"item","properties":{"data":{"a":1}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Import(testBlueprint(), data)
		if err != nil {
			return
		}
		if err := g.Check(); err != nil {
			t.Fatal(err)
		}
		text := g.AppendJSON(nil, "p")
		again, err := Import(g.bp, text)
		if err != nil || string(again.AppendJSON(nil, "p")) != string(text) {
			t.Fatalf("an export cannot be imported: %v\n%s", err, text)
		}
	})
}

func FuzzReplay(f *testing.F) {
	d := newDesk(f)
	f.Add([]byte(d.add("item", 1, 0)[0].String()))
	f.Add([]byte(d.do(UpdateProperty{NodeID: testID(1), PropertyID: "text", Value: raw(`"x"`)})[0].String()))
	f.Add([]byte(d.do(LinkNode{LinkType: "see", ParentID: testID(1), ChildID: testID(1)})[0].String()))
	f.Add([]byte(d.do(DeleteNode{testID(1)})[0].String()))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Change
		if c.UnmarshalJSON(data) != nil {
			return
		}
		d := family(t)
		before := state(d.g)
		if d.g.Replay([]Change{c}, 100) != nil {
			if state(d.g) != before {
				t.Fatalf("%s was refused half done", c)
			}
			return
		}
		c.Events()
		d.g.ChangedSince([]Change{c}, 1)
		d.g.Revert([]Change{c})
		if state(d.g) != before {
			t.Fatalf("%s cannot be taken back", c)
		}
	})
}
