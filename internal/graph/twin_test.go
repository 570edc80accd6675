package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// twin is the slow and obvious graph of the model test: plain slices for every
// order, no keys, no indexes, a deep copy before each command instead of a way
// back. Where the rules leave the place of a restored member open, it takes
// the graph's choice and checks that it keeps to the members that stayed.
type twin struct {
	bp    *Blueprint
	nodes map[ID]*twinNode
	order map[listKey][]ID
	links map[linkKey]uint64
	gone  map[linkKey]uint64
	dead  map[ID]tomb

	step  int
	moved map[string]int // step at which a member last got its place
	err   error
}

type twinNode struct {
	typ                     *NodeType
	name                    string
	parent                  ID
	born, placedBy, namedBy uint64
	props                   map[string]cell
}

func newTwin(bp *Blueprint) *twin {
	return &twin{
		bp: bp, nodes: map[ID]*twinNode{}, order: map[listKey][]ID{}, links: map[linkKey]uint64{},
		gone: map[linkKey]uint64{}, dead: map[ID]tomb{}, moved: map[string]int{},
	}
}

func (w *twin) clone() *twin {
	c := *w
	c.nodes = map[ID]*twinNode{}
	for id, n := range w.nodes {
		copied := *n
		copied.props = maps.Clone(n.props)
		c.nodes[id] = &copied
	}
	c.order = map[listKey][]ID{}
	for k, ids := range w.order {
		c.order[k] = slices.Clone(ids)
	}
	c.links, c.gone, c.dead, c.moved = maps.Clone(w.links), maps.Clone(w.gone), maps.Clone(w.dead), maps.Clone(w.moved)
	return &c
}

// twinChange is a value before and after.
type twinChange struct {
	kind     string // birth, death, place, link, set
	id       ID
	link     linkKey
	prop     string
	from, to twinValue
	node     *twinNode // birth and death
	links    map[linkKey]uint64
	linkSpot map[linkKey]spot
	grave    *tomb
	was      spot
}

type twinValue struct {
	cell
	parent  ID
	present bool
}

// spot is a list as it was when a member stood in it.
type spot struct {
	list    listKey
	members []ID
	step    int
}

func children(parent ID) listKey { return listKey{ChildLink, parent} }

func memberName(k listKey, id ID) string {
	if k.Type == ChildLink {
		return id.String()
	}
	return k.Type + k.Parent.String() + id.String()
}

func (w *twin) spot(k listKey) spot { return spot{k, slices.Clone(w.order[k]), w.step} }

func (w *twin) put(k listKey, id ID, at int) {
	w.order[k] = slices.Insert(slices.Clone(w.order[k]), at, id)
	w.step++
	w.moved[memberName(k, id)] = w.step
}

func (w *twin) take(k listKey, id ID) {
	w.order[k] = slices.DeleteFunc(slices.Clone(w.order[k]), func(x ID) bool { return x == id })
}

func (w *twin) depth(id ID) int {
	d := 0
	for ; !id.IsZero(); id = w.nodes[id].parent {
		d++
	}
	return d
}

func (w *twin) height(id ID) int {
	h := 0
	for _, child := range w.order[children(id)] {
		h = max(h, 1+w.height(child))
	}
	return h
}

func (w *twin) under(id, other ID) bool {
	for ; !id.IsZero(); id = w.nodes[id].parent {
		if id == other {
			return true
		}
	}
	return false
}

func (w *twin) reaches(typ string, from, to ID, seen map[ID]bool) bool {
	if from == to {
		return true
	}
	seen[from] = true
	for k := range w.links {
		if k.Type == typ && k.Parent == from && !seen[k.Child] && w.reaches(typ, k.Child, to, seen) {
			return true
		}
	}
	return false
}

// run plans and applies a command, or says the code of its refusal and changes
// nothing.
func (w *twin) run(cmd Command, by uint64, newID func() ID) ([]twinChange, fault.Code) {
	before := w.clone()
	r := &twinRun{twin: w, by: by, newID: newID}
	code := r.command(cmd)
	if code != "" {
		*w = *before
		return nil, code
	}
	return r.changes, ""
}

type twinRun struct {
	*twin
	by      uint64
	newID   func() ID
	changes []twinChange

	lastMove *MoveNode
	lastID   ID
}

func (r *twinRun) command(cmd Command) fault.Code {
	switch c := cmd.(type) {
	case CreateNode:
		return r.create(c)
	case DeleteNode:
		if r.nodes[c.NodeID] == nil {
			return fault.NodeNotFound
		}
		r.remove(c.NodeID, r.by)
	case MoveNode:
		return r.move(c.NodeID, c.ParentID, c.At)
	case LinkNode:
		return r.link(c)
	case UnlinkNode:
		return r.unlink(c)
	case UpdateProperty:
		return r.set(c.NodeID, c.PropertyID, c.Value)
	case SetProperties:
		for _, v := range c.Properties {
			if code := r.set(c.NodeID, v.ID, v.Value); code != "" {
				return code
			}
		}
	case DeleteProperty:
		return r.unset(c)
	case DuplicateNode:
		return r.duplicate(c)
	case Batch:
		return r.batch(c)
	}
	return ""
}

func (r *twinRun) batch(c Batch) fault.Code {
	for _, cmd := range c.Commands {
		move, ok := cmd.(MoveNode)
		if !ok {
			r.lastMove = nil
			if code := r.command(cmd); code != "" {
				return code
			}
			continue
		}
		at := move.At
		if last := r.lastMove; last != nil && last.ParentID == move.ParentID && sameAt(last.At, at) && r.lastID != move.NodeID &&
			(at.Index != nil || !at.After.IsZero()) {
			at = At{After: r.lastID}
		}
		if code := r.move(move.NodeID, move.ParentID, at); code != "" {
			return code
		}
		r.lastMove, r.lastID = &move, move.NodeID
	}
	return ""
}

func sameAt(a, b At) bool {
	return (a.Index == nil) == (b.Index == nil) && (a.Index == nil || *a.Index == *b.Index) && a.Before == b.Before && a.After == b.After
}

// spotFor decides an index among the members without self.
func (r *twinRun) spotFor(k listKey, at At, self ID) (int, fault.Code) {
	others := slices.DeleteFunc(slices.Clone(r.order[k]), func(x ID) bool { return x == self })
	anchor, step := at.Before, 0
	if !at.After.IsZero() {
		anchor, step = at.After, 1
	}
	if anchor.IsZero() {
		if at.Index == nil {
			return len(others), ""
		}
		return min(*at.Index, len(others)), ""
	}
	if r.nodes[anchor] == nil {
		return 0, fault.NodeNotFound
	}
	i := slices.Index(others, anchor)
	if i < 0 {
		return 0, fault.InvalidCommand
	}
	return i + step, ""
}

func (r *twinRun) create(c CreateNode) fault.Code {
	typ := r.bp.NodeType(c.BlueprintTypeID)
	if typ == nil {
		return fault.InvalidCommand
	}
	id := c.NodeID
	if id.IsZero() {
		id = r.newID()
	}
	_, dead := r.dead[id]
	switch parent := r.nodes[c.ParentID]; {
	case dead || r.nodes[id] != nil:
		return fault.Duplicate
	case parent == nil && !c.ParentID.IsZero():
		return fault.NodeNotFound
	case parent != nil && !parent.typ.AllowsChild(typ.ID), r.depth(c.ParentID) >= MaxDepth:
		return fault.InvalidCommand
	}
	n := &twinNode{typ: typ, name: typ.Label, parent: c.ParentID, born: r.by, placedBy: r.by, namedBy: r.by, props: map[string]cell{}}
	if c.Name != nil {
		n.name = *c.Name
	}
	for _, p := range typ.Properties() {
		if p.Default != nil {
			n.props[p.ID] = cell{p.Default, r.by}
		}
	}
	for _, v := range c.Properties {
		p := typ.Property(v.ID)
		if p == nil {
			return fault.PropertyNotFound
		}
		value, err := p.Canonical(v.Value)
		if err != nil {
			return fault.InvalidCommand
		}
		n.props[v.ID] = cell{value, r.by}
	}
	at, code := r.spotFor(children(c.ParentID), c.At, ID{})
	if code != "" {
		return code
	}
	r.birth(id, n, at, nil)
	return ""
}

// birth puts a node there and notes it.
func (r *twinRun) birth(id ID, n *twinNode, at int, grave *tomb) {
	r.nodes[id] = n
	delete(r.dead, id)
	r.put(children(n.parent), id, at)
	r.changes = append(r.changes, twinChange{kind: "birth", id: id, node: n.clone(), grave: grave, links: map[linkKey]uint64{}})
}

func (n *twinNode) clone() *twinNode {
	c := *n
	c.props = maps.Clone(n.props)
	return &c
}

// remove deletes a subtree, children first.
func (r *twinRun) remove(id ID, by uint64) {
	for _, child := range slices.Clone(r.order[children(id)]) {
		r.remove(child, by)
	}
	r.bury(id, by)
}

func (r *twinRun) bury(id ID, by uint64) {
	n := r.nodes[id]
	c := twinChange{
		kind: "death", id: id, node: n.clone(), was: r.spot(children(n.parent)), grave: &tomb{by, n.parent},
		links: map[linkKey]uint64{}, linkSpot: map[linkKey]spot{},
	}
	for k, writer := range r.links {
		if k.Parent == id || k.Child == id {
			c.links[k] = writer
			c.linkSpot[k] = r.spot(listKey{k.Type, k.Parent})
		}
	}
	for k := range c.links {
		delete(r.links, k)
		r.take(listKey{k.Type, k.Parent}, k.Child)
	}
	r.take(children(n.parent), id)
	delete(r.nodes, id)
	r.dead[id] = *c.grave
	r.changes = append(r.changes, c)
}

func (r *twinRun) move(id, parent ID, at At) fault.Code {
	n, p := r.nodes[id], r.nodes[parent]
	switch {
	case n == nil, p == nil && !parent.IsZero():
		return fault.NodeNotFound
	case n.parent == parent:
		if at == (At{}) {
			return ""
		}
	case r.under(parent, id):
		return fault.Cycle
	case p != nil && !p.typ.AllowsChild(n.typ.ID), r.depth(parent)+1+r.height(id) > MaxDepth:
		return fault.InvalidCommand
	}
	self := ID{}
	if n.parent == parent {
		self = id
		if at.Before == id || at.After == id {
			return fault.InvalidCommand
		}
	}
	i, code := r.spotFor(children(parent), at, self)
	if code != "" {
		return code
	}
	if n.parent == parent && i == slices.Index(r.order[children(parent)], id) {
		return ""
	}
	r.placeAt(id, parent, i, r.by)
	return ""
}

func (r *twinRun) placeAt(id, parent ID, i int, by uint64) {
	n := r.nodes[id]
	c := twinChange{
		kind: "place", id: id, was: r.spot(children(n.parent)),
		from: twinValue{parent: n.parent, cell: cell{By: n.placedBy}},
		to:   twinValue{parent: parent, cell: cell{By: by}},
	}
	r.take(children(n.parent), id)
	n.parent, n.placedBy = parent, by
	r.put(children(parent), id, i)
	r.changes = append(r.changes, c)
}

// dump writes the graph shape.
func (w *twin) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"project_id":"p","template_id":%q,"roots":`, w.bp.ID())
	w.dumpList(&b, ID{})
	b.WriteString(`,"links":[`)
	comma := ""
	for _, k := range slices.SortedFunc(maps.Keys(w.order), listKey.compare) {
		if k.Type == ChildLink {
			continue
		}
		for i, child := range w.order[k] {
			fmt.Fprintf(&b, `%s{"link_type":"%s","parent_id":"%s","child_id":"%s","position":%d}`, comma, k.Type, k.Parent, child, i)
			comma = ","
		}
	}
	b.WriteString("]}")
	return b.String()
}

func (w *twin) dumpList(b *strings.Builder, parent ID) {
	b.WriteByte('[')
	for i, id := range w.order[children(parent)] {
		if i > 0 {
			b.WriteByte(',')
		}
		n := w.nodes[id]
		fmt.Fprintf(b, `{"id":"%s","name":%s,"blueprint_type_id":"%s","position":%d,"properties":{`, id, appendString(nil, n.name), n.typ.ID, i)
		comma := ""
		for _, prop := range slices.Sorted(maps.Keys(n.props)) {
			if v := n.props[prop]; v.Raw != nil {
				fmt.Fprintf(b, `%s"%s":%s`, comma, prop, v.Raw)
				comma = ","
			}
		}
		b.WriteString(`},"children":`)
		w.dumpList(b, id)
		b.WriteByte('}')
	}
	b.WriteByte(']')
}

// writers compares every writer with the graph's.
func (w *twin) writers(g *Graph) error {
	for id, n := range w.nodes {
		m := g.nodes[id]
		if m == nil || m.born != n.born || m.placedBy != n.placedBy || m.namedBy != n.namedBy || len(m.values) != len(n.props) {
			return fmt.Errorf("node %s has other writers", id)
		}
		for prop, v := range n.props {
			if m.cell(prop).By != v.By {
				return fmt.Errorf("%s of %s was written by %d, not %d", prop, id, m.cell(prop).By, v.By)
			}
		}
	}
	for k, by := range w.links {
		if g.links[k] == nil || g.links[k].by != by {
			return fmt.Errorf("link %v has another writer", k)
		}
	}
	if !maps.Equal(w.gone, g.gone) || !maps.Equal(w.dead, g.tombs) || len(w.links) != len(g.links) {
		return fmt.Errorf("absent links or tombs differ: %v %v, %v %v", w.gone, g.gone, w.dead, g.tombs)
	}
	return nil
}
