package graph

import (
	"encoding/binary"
	"encoding/json"
	"testing"
)

// testTypes is a blueprint made by hand, so that the tests of the graph do not
// depend on how files are read. folder holds folder and item, item holds item
// and note, note holds nothing.
func testBlueprint() *Blueprint {
	folder := &NodeType{ID: "folder", Label: "Folder", allowed: []string{"folder", "item"}}
	item := &NodeType{ID: "item", Label: "Item", allowed: []string{"item", "note"}, properties: []*Property{
		{ID: "title", Label: "Title", Type: TypeText, Required: true},
		{ID: "count", Label: "Count", Type: TypeInteger, Default: json.RawMessage("1")},
		{ID: "text", Label: "Text", Type: TypeText},
		{ID: "ref", Label: "Ref", Type: TypeReference},
		{ID: "data", Label: "Data", Type: TypeJSON},
	}}
	note := &NodeType{ID: "note", Label: "Note", properties: []*Property{{ID: "text", Label: "Text", Type: TypeText}}}
	bp := &Blueprint{
		id: "test", name: "Test", version: "1",
		nodeTypes: []*NodeType{folder, item, note},
		linkTypes: []*LinkType{
			{ID: "wire", Acyclic: true, Ordered: true},
			{ID: "owner", MaxParents: 1, ParentTypes: []string{"folder", "item"}, ChildTypes: []string{"item", "note"}},
			{ID: "pair", Unique: true},
			{ID: "see"},
		},
		nodeByID: map[string]*NodeType{}, linkByID: map[string]*LinkType{}, root: folder,
	}
	for _, t := range bp.nodeTypes {
		t.allowedSet, t.byID = map[string]bool{}, map[string]*Property{}
		for _, id := range t.allowed {
			t.allowedSet[id] = true
		}
		for _, p := range t.properties {
			t.byID[p.ID] = p
		}
		bp.nodeByID[t.ID] = t
	}
	for _, l := range bp.linkTypes {
		bp.linkByID[l.ID] = l
	}
	return bp
}

// testID is the nth id of a test.
func testID(n int) (id ID) {
	id[0] = 0xA0
	binary.BigEndian.PutUint32(id[12:], uint32(n))
	return id
}

// desk is a graph with a counter for writers and ids: it plans and applies
// commands like a session does, one entry each.
type desk struct {
	t    testing.TB
	g    *Graph
	seq  uint64
	next int
}

func newDesk(t testing.TB) *desk { return &desk{t: t, g: New(testBlueprint()), next: 1000} }

func (d *desk) env() Env {
	return Env{Writer: d.seq + 1, NewID: func() ID { d.next++; return testID(d.next) }}
}

// try plans and applies a command.
func (d *desk) try(c Command) (Planned, error) {
	p, err := d.g.Plan(c, d.env())
	if err == nil {
		d.apply(p.Changes)
	}
	return p, err
}

func (d *desk) apply(changes []Change) {
	d.seq += uint64(len(changes)) + 1
	d.g.Apply(changes, d.seq)
}

// do is try for a command that must be accepted.
func (d *desk) do(c Command) []Change {
	d.t.Helper()
	p, err := d.try(c)
	if err != nil {
		d.t.Fatalf("%#v: %v", c, err)
	}
	return p.Changes
}

// undo applies the inverse of an entry.
func (d *desk) undo(changes []Change, force bool) Inverted {
	inv := d.g.Invert(changes, force)
	d.apply(inv.Changes)
	return inv
}

// add creates a node with the id testID(n) at the end of a parent, 0: a root.
func (d *desk) add(typ string, n, parent int) []Change {
	d.t.Helper()
	c := CreateNode{BlueprintTypeID: typ, NodeID: testID(n)}
	if parent != 0 {
		c.ParentID = testID(parent)
	}
	return d.do(c)
}

// json is the graph shape.
func (d *desk) json() string { return string(d.g.AppendJSON(nil, "p")) }

// state is the whole state without the marks, which Revert leaves alone.
func state(g *Graph) string {
	g.settled() // what follows reads the fields themselves
	type marks struct{ changed, listed uint64 }
	kept := map[*node]marks{}
	for _, n := range g.nodes {
		kept[n] = marks{n.changed, n.listed}
		n.changed, n.listed = 0, 0
	}
	b := g.Encode()
	for n, m := range kept {
		n.changed, n.listed = m.changed, m.listed
	}
	return string(b)
}

func ptr[T any](v T) *T { return &v }

func raw(s string) json.RawMessage { return json.RawMessage(s) }
