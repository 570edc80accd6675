package graph

import (
	"slices"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

func itoa(i int) string { return strconv.Itoa(i) }

// maxIDTries bounds how often a colliding id source is asked again.
const maxIDTries = 8

// newID returns the id for a new node: the client's when it is free, else a
// fresh one.
func (p *planner) newID(wanted ID) (ID, error) {
	used := func(id ID) bool {
		_, dead := p.g.tombs[id]
		return dead || p.g.nodes[id] != nil
	}
	if !wanted.IsZero() {
		if used(wanted) {
			return ID{}, fault.New(fault.Duplicate, "the node id %s is in use or was used before", wanted)
		}
		return wanted, nil
	}
	for range maxIDTries {
		if id := p.env.NewID(); !id.IsZero() && !used(id) {
			return id, nil
		}
	}
	return ID{}, fault.New(fault.Internal, "no free node id was found")
}

func (p *planner) createNode(c CreateNode) (any, error) {
	typ := p.g.bp.NodeType(c.BlueprintTypeID)
	if typ == nil {
		return nil, fault.New(fault.InvalidCommand, "the blueprint has no node type %q", c.BlueprintTypeID)
	}
	id, err := p.newID(c.NodeID)
	if err != nil {
		return nil, err
	}
	parent, err := p.parent(c.ParentID)
	if err != nil {
		return nil, err
	}
	if err := mayStand(typ, 0, parent); err != nil {
		return nil, err
	}
	im := image{Type: typ.ID, Name: typ.Label, NamedBy: p.env.Writer, By: p.env.Writer}
	if c.Name != nil {
		if im.Name, err = CanonicalName(*c.Name); err != nil {
			return nil, err
		}
	}
	if im.Values, err = p.firstValues(typ, c.Properties); err != nil {
		return nil, err
	}
	lane := p.g.childLane(parent)
	index, err := p.index(lane, c.At, nil)
	if err != nil {
		return nil, err
	}
	key := lane.keyAt(index, nil, p.do)
	im.Place = place{Parent: idOf(parent), Key: key, By: p.env.Writer}
	p.do(&birth{ID: id, Node: im, Pos: index})
	return NodeResult{id}, nil
}

// firstValues are the properties of a new node: those given, and the defaults
// of its type.
func (p *planner) firstValues(typ *NodeType, given []PropertyValue) ([]value, error) {
	var values []value
	for _, g := range given {
		prop := typ.Property(g.ID)
		if prop == nil {
			return nil, noProperty(typ, g.ID)
		}
		raw, err := prop.Canonical(g.Value)
		if err != nil {
			return nil, relocate(err, g.ID, "data.properties."+g.ID)
		}
		values = append(values, value{g.ID, raw, p.env.Writer})
	}
	for _, prop := range typ.Properties() {
		given := slices.ContainsFunc(values, func(v value) bool { return v.Prop == prop.ID })
		if prop.Default != nil && !given {
			values = append(values, value{prop.ID, prop.Default, p.env.Writer})
		}
	}
	slices.SortFunc(values, func(a, b value) int { return strings.Compare(a.Prop, b.Prop) })
	for i := 1; i < len(values); i++ {
		if values[i].Prop == values[i-1].Prop {
			return nil, fault.New(fault.InvalidCommand, "property %q is given twice", values[i].Prop)
		}
	}
	return values, nil
}

func noProperty(typ *NodeType, id string) error {
	return fault.New(fault.PropertyNotFound, "%s has no property %s", typ.ID, quote(id))
}

// mayStand checks that a node of a type, with so many levels below it, may
// stand under a parent (nil: among the roots, which is always allowed).
func mayStand(typ *NodeType, height int, parent *node) error {
	if parent != nil && !parent.typ.AllowsChild(typ.ID) {
		return fault.New(fault.InvalidCommand, "the blueprint does not allow %s under %s", typ.ID, parent.typ.ID)
	}
	if parent.depth()+1+height > MaxDepth {
		return fault.New(fault.InvalidCommand, "the tree would be deeper than %d levels", MaxDepth)
	}
	return nil
}

// index decides where a member goes: its index among the others, self not
// counted.
func (p *planner) index(l lane, at At, self *slot) (int, error) {
	others := l.list.len()
	if self != nil {
		others--
	}
	anchor, step := at.Before, 0
	if anchor.IsZero() {
		anchor, step = at.After, 1
	}
	if anchor.IsZero() {
		if at.Index == nil || *at.Index > others {
			return others, nil
		}
		if *at.Index < 0 {
			return 0, fault.New(fault.InvalidCommand, "index must not be negative")
		}
		return *at.Index, nil
	}
	if _, err := p.node(anchor); err != nil {
		return 0, err
	}
	s := l.find(anchor)
	switch s {
	case nil:
		return 0, fault.New(fault.InvalidCommand, "node %s, named by before or after, is not among the siblings", anchor)
	case self:
		return 0, fault.New(fault.InvalidCommand, "a node cannot go before or after itself")
	}
	rank, _ := l.list.rank(s.key)
	if self != nil && self.key < s.key {
		rank--
	}
	return rank + step, nil
}

// given reports whether the command says any place.
func (a At) given() bool { return a.Index != nil || !a.Before.IsZero() || !a.After.IsZero() }

func (p *planner) deleteNode(c DeleteNode) error {
	n, err := p.node(c.NodeID)
	if err != nil {
		return err
	}
	p.deleteBelow(n, p.env.Writer)
	p.do(&death{ID: n.id, Node: p.g.imageOf(n), Grave: tomb{By: p.env.Writer, Parent: idOf(n.parent)}})
	return nil
}

// deleteBelow takes away all below a node, children first and in order,
// leaving tombs of the given writer. These images need no neighbours: the list
// that they come back to holds nothing else.
func (p *planner) deleteBelow(n *node, by uint64) {
	below := make([]*node, 0, n.children.len())
	for _, s := range n.children.all() {
		below = append(below, s.node)
	}
	for _, child := range below {
		p.deleteBelow(child, by)
		im := p.g.imageOf(child)
		im.Place.Prev, im.Place.Next = ID{}, ID{}
		p.do(&death{ID: child.id, Node: im, Grave: tomb{By: by, Parent: n.id}})
	}
}

// imageOf takes the image of a node that is about to go.
func (g *Graph) imageOf(n *node) image {
	im := image{
		Type: n.typ.ID, Name: n.name, NamedBy: n.namedBy, By: n.born,
		Place: g.placeOf(n),
	}
	if len(n.values) > 0 {
		im.Values = slices.Clone(n.values)
	}
	for _, out := range n.out {
		for _, s := range out.list.all() {
			l := s.link
			im.Links = append(im.Links, linkImage{
				Type: l.typ.ID, Parent: n.id, Child: l.node.id,
				Place: place{Key: l.key, By: l.by, Gen: g.gens[listKey{l.typ.ID, n.id}]},
			})
		}
	}
	for _, in := range n.in {
		for _, l := range in.links {
			if l.parent == n {
				continue
			}
			at := g.linkLane(l.typ.ID, l.parent).here(&l.slot)
			at.By = l.by
			im.Links = append(im.Links, linkImage{Type: l.typ.ID, Parent: l.parent.id, Child: n.id, Place: at})
		}
	}
	slices.SortFunc(im.Links, func(a, b linkImage) int {
		if c := strings.Compare(a.Type, b.Type); c != 0 {
			return c
		}
		if c := a.Parent.compare(b.Parent); c != 0 {
			return c
		}
		return strings.Compare(a.Place.Key, b.Place.Key)
	})
	return im
}

// placeOf is the present placement of a node, with its neighbours.
func (g *Graph) placeOf(n *node) place {
	at := g.childLane(n.parent).here(&n.slot)
	at.By = n.placedBy
	return at
}

func (p *planner) moveNode(c MoveNode) error {
	n, err := p.node(c.NodeID)
	if err != nil {
		return err
	}
	parent, err := p.parent(c.ParentID)
	if err != nil {
		return err
	}
	return p.place(n, parent, c.At)
}

// place puts a node under a parent (nil: among the roots). Without a place in
// at, a node that is there already stays where it is.
func (p *planner) place(n, parent *node, at At) error {
	if parent != n.parent {
		if parent.under(n) {
			return fault.New(fault.Cycle, "node %s cannot stand under itself", n.id)
		}
		if err := mayStand(n.typ, n.height(), parent); err != nil {
			return err
		}
	}
	lane := p.g.childLane(parent)
	var self *slot
	if parent == n.parent {
		self = &n.slot
		if !at.given() {
			return nil
		}
	}
	index, err := p.index(lane, at, self)
	if err != nil {
		return err
	}
	if self != nil && index == p.g.position(n) {
		return nil
	}
	key := lane.keyAt(index, self, p.do)
	p.do(&placing{
		ID: n.id, From: p.g.placeOf(n), Pos: index,
		To: place{Parent: idOf(parent), Key: key, By: p.env.Writer},
	})
	return nil
}

// bulk is a run of moves of one batch to the same place: each goes after the
// one before it, so that a selection keeps its order.
type bulk struct {
	parent ID
	at     At
	last   ID
	on     bool
}

func (b bulk) continues(c MoveNode) bool {
	sameIndex := b.at.Index == c.Index || b.at.Index != nil && c.Index != nil && *b.at.Index == *c.Index
	return b.on && b.parent == c.ParentID && sameIndex && b.at.Before == c.Before && b.at.After == c.After && b.last != c.NodeID
}

// moveInBatch is moveNode where the next move to the same index, or after the
// same sibling, goes after this one.
func (p *planner) moveInBatch(c MoveNode) error {
	at := c
	follows := c.At.Index != nil || !c.At.After.IsZero()
	if follows && p.moved.continues(c) {
		at.At = At{After: p.moved.last}
	}
	if err := p.moveNode(at); err != nil {
		return err
	}
	p.moved = bulk{parent: c.ParentID, at: c.At, last: c.NodeID, on: follows}
	return nil
}
