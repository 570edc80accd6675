// Package graph is the pure domain: nodes, links, blueprints, commands, and
// the changes that commands become. It plans a command into changes or a coded
// refusal (Plan), applies changes (Apply), takes them back exactly (Revert),
// and makes their guarded inverses for undo and redo (Invert).
//
// It knows no time, context, randomness, goroutine or I/O: ids, the writer of
// an entry and everything else from outside come in with the call. A Graph is
// not safe for concurrent use: one goroutine owns it, and even methods that
// only answer questions must not run beside another call, because planning
// works on the graph and takes its work back. Blueprints, commands and changes
// never change once made and may be shared.
//
// Every value in a graph (the existence of a node, its name, each property,
// its placement, each link) carries its writer: the first seq of the entry
// that left it there, 0 for what was loaded. Undo is judged by writers alone.
package graph

import (
	"encoding/json"
	"slices"
	"strings"
)

// MaxDepth is the number of levels that the containment tree may have.
const MaxDepth = 200

// Graph holds the nodes and links of one project.
type Graph struct {
	bp    *Blueprint
	nodes map[ID]*node
	roots siblings
	links map[linkKey]*link

	// gone holds the writers of absent links, where absence was written.
	gone map[linkKey]uint64
	// tombs holds deleted ids: they are never given out again.
	tombs map[ID]tomb
	// gens counts how often a list was rebalanced; absent means never. A key
	// from another generation says nothing about the present order.
	gens map[listKey]uint32

	newest uint64 // highest seq that Apply was told
	index  *index // nil until the first search

	held *planner // whose changes are still made; see settled
	step func()   // nil, or called between the steps of long work

	longKey int // bytes of an order key past which its list is rebalanced
}

// node is one live node.
type node struct {
	slot   // among its siblings
	id     ID
	typ    *NodeType
	parent *node // nil: a root

	born     uint64 // writer of its existence
	placedBy uint64 // writer of its placement
	namedBy  uint64 // writer of its name
	name     string
	values   []value // sorted by property

	children siblings
	heights  []int32 // heights[h] children have height h; its length is the height of this node
	out      []outLinks
	in       []inLinks

	changed uint64 // last seq of the newest entry that changed the node itself
	listed  uint64 // the same for its lists: children and links
}

// value is one property: its canonical value, nil when it is unset, and who
// wrote that.
type value struct {
	Prop string          `json:"p"`
	Raw  json.RawMessage `json:"v,omitempty"`
	By   uint64          `json:"w,omitempty"`
}

// link is one live link that is not of the containment tree.
type link struct {
	slot   // among the links of its type and parent; slot.node is the child
	typ    *LinkType
	parent *node
	by     uint64 // writer
	inAt   int    // index in the child's inLinks
}

func (l *link) id() linkKey { return linkKey{l.typ.ID, l.parent.id, l.node.id} }

// outLinks are the links of one type that lead to children of the node.
type outLinks struct {
	typ  string
	list *siblings
}

// inLinks are the links of one type that come from parents of the node, in no
// order.
type inLinks struct {
	typ   string
	links []*link
}

// linkKey names a link.
type linkKey struct {
	Type   string
	Parent ID
	Child  ID
}

func (k linkKey) compare(o linkKey) int {
	if c := strings.Compare(k.Type, o.Type); c != 0 {
		return c
	}
	if c := k.Parent.compare(o.Parent); c != 0 {
		return c
	}
	return k.Child.compare(o.Child)
}

// listKey names an ordered list: the children of a node, the roots (type
// child, zero parent), or the links of one type and parent.
type listKey struct {
	Type   string
	Parent ID
}

// tomb is what is left of a deleted node: who deleted it and where it stood.
type tomb struct {
	By     uint64 `json:"w,omitempty"`
	Parent ID     `json:"p,omitzero"`
}

func (id ID) compare(o ID) int { return slices.Compare(id[:], o[:]) }

// New returns an empty graph of a blueprint.
func New(bp *Blueprint) *Graph {
	return &Graph{
		bp:    bp,
		nodes: map[ID]*node{},
		links: map[linkKey]*link{},
		gone:  map[linkKey]uint64{},
		tombs: map[ID]tomb{},
		gens:  map[listKey]uint32{},

		longKey: maxKey,
	}
}

// Between has f called between the steps of long work: for every change that is
// planned, applied or taken back. It lets the graph's owner see to others
// meanwhile; f must not touch the graph.
func (g *Graph) Between(f func()) { g.step = f }

func (g *Graph) between() {
	if g.step != nil {
		g.step()
	}
}

// Blueprint returns the blueprint that the graph was made with.
func (g *Graph) Blueprint() *Blueprint { return g.bp }

// Len is the number of live nodes.
func (g *Graph) Len() int {
	g.settled()
	return len(g.nodes)
}

// Links is the number of live links, without those of the containment tree.
func (g *Graph) Links() int {
	g.settled()
	return len(g.links)
}

// Has reports whether a node lives.
func (g *Graph) Has(id ID) bool {
	g.settled()
	return g.nodes[id] != nil
}

// list returns the children of a node; the roots for nil.
func (g *Graph) list(parent *node) *siblings {
	if parent == nil {
		return &g.roots
	}
	return &parent.children
}

// position is the 0-based index of a node among its siblings.
func (g *Graph) position(n *node) int {
	rank, _ := g.list(n.parent).rank(n.key)
	return rank
}

// idOf is the id of a node; zero for nil.
func idOf(n *node) ID {
	if n == nil {
		return ID{}
	}
	return n.id
}

// depth is the number of levels from the root to the node, 1 for a root and 0
// for nil.
func (n *node) depth() int {
	d := 0
	for ; n != nil; n = n.parent {
		d++
	}
	return d
}

// height is the number of levels below the node.
func (n *node) height() int { return len(n.heights) }

// under reports whether the node is other or stands somewhere below it.
func (n *node) under(other *node) bool {
	for ; n != nil; n = n.parent {
		if n == other {
			return true
		}
	}
	return false
}

// childHeight notes that one child of the node changed its height from was to
// is, -1 for no child, and carries a change of the node's own height upwards.
func (n *node) childHeight(was, is int) {
	for n != nil && was != is {
		before := n.height()
		for len(n.heights) <= is {
			n.heights = append(n.heights, 0)
		}
		if is >= 0 {
			n.heights[is]++
		}
		if was >= 0 {
			n.heights[was]--
		}
		top := len(n.heights)
		for top > 0 && n.heights[top-1] == 0 {
			top--
		}
		n.heights = n.heights[:top]
		was, is = before, top
		n = n.parent
	}
}

// attach puts a node that stands nowhere under a parent (nil: among the
// roots), at the place its key says.
func (g *Graph) attach(n, parent *node, key string) {
	n.parent, n.key = parent, key
	g.list(parent).insert(&n.slot)
	parent.childHeight(-1, n.height())
}

// detach takes a node out of its siblings.
func (g *Graph) detach(n *node) {
	g.list(n.parent).remove(n.key)
	n.parent.childHeight(n.height(), -1)
	n.parent = nil
}

// value returns a property, nil when neither it nor its writer is known.
func (n *node) value(prop string) *value {
	i, ok := slices.BinarySearchFunc(n.values, prop, func(v value, p string) int { return strings.Compare(v.Prop, p) })
	if !ok {
		return nil
	}
	return &n.values[i]
}

// setValue stores a property. One that is unset and was written by nobody is
// forgotten, so that equal states are equal.
func (n *node) setValue(v value) {
	i, ok := slices.BinarySearchFunc(n.values, v.Prop, func(v value, p string) int { return strings.Compare(v.Prop, p) })
	switch blank := v.Raw == nil && v.By == 0; {
	case ok && blank:
		n.values = slices.Delete(n.values, i, i+1)
	case ok:
		n.values[i] = v
	case !blank:
		n.values = slices.Insert(n.values, i, v)
	}
}

// outList returns the links of a type that start at the node, nil when there
// never were any.
func (n *node) outList(typ string) *siblings {
	for i := range n.out {
		if n.out[i].typ == typ {
			return n.out[i].list
		}
	}
	return nil
}

// parents returns the links of a type that end at the node.
func (n *node) parents(typ string) []*link {
	for i := range n.in {
		if n.in[i].typ == typ {
			return n.in[i].links
		}
	}
	return nil
}

// join adds a link between two live nodes; there must be none yet.
func (g *Graph) join(typ *LinkType, parent, child *node, key string, by uint64) {
	l := &link{typ: typ, parent: parent, by: by}
	l.slot = slot{key: key, node: child, link: l}
	g.links[l.id()] = l
	list := parent.outList(typ.ID)
	if list == nil {
		list = &siblings{}
		parent.out = append(parent.out, outLinks{typ.ID, list})
	}
	list.insert(&l.slot)
	for i := range child.in {
		if in := &child.in[i]; in.typ == typ.ID {
			l.inAt = len(in.links)
			in.links = append(in.links, l)
			return
		}
	}
	child.in = append(child.in, inLinks{typ.ID, []*link{l}})
}

// part removes a link.
func (g *Graph) part(l *link) {
	delete(g.links, l.id())
	l.parent.outList(l.typ.ID).remove(l.key)
	for i := range l.node.in {
		in := &l.node.in[i]
		if in.typ != l.typ.ID {
			continue
		}
		last := in.links[len(in.links)-1]
		in.links[l.inAt], last.inAt = last, l.inAt
		in.links[len(in.links)-1] = nil
		in.links = in.links[:len(in.links)-1]
	}
}
