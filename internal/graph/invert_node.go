package graph

import (
	"slices"

	"github.com/graphroom/graphroom/internal/fault"
)

// unmake takes a node away that the entry made or restored, and notes what
// became of that.
func (v *inverter) unmake(c *birth) {
	o := Outcome{Event: EventNodeDeleted, NodeID: c.ID}
	n := v.g.nodes[c.ID]
	if n == nil {
		o.Reason = ReasonMissing
	} else if !v.force {
		o.Reason = othersIn(n, &c.Node)
	}
	if o.Reason != "" {
		v.note(o)
		return
	}
	grave := tomb{Parent: idOf(n.parent)}
	if c.Grave != nil {
		grave.By = c.Grave.By
	}
	for _, below := range subtree(n, nil)[1:] {
		v.note(Outcome{Event: EventNodeDeleted, NodeID: below.id})
	}
	v.deleteBelow(n, grave.By)
	v.do(&death{ID: c.ID, Node: v.g.imageOf(n), Grave: grave})
	v.note(o)
}

// othersIn is the reason why a node that came to be with this image must stay:
// what now stands in it or under it was written by others. What the same entry
// put there has been taken away before.
func othersIn(n *node, im *image) string {
	switch {
	case n.children.len() > 0:
		return ReasonNotEmpty
	case n.born != im.By || n.placedBy != im.Place.By || n.namedBy != im.NamedBy:
		return ReasonChangedSince
	}
	writers := func(a, b value) bool { return a.Prop == b.Prop && a.By == b.By }
	if !slices.EqualFunc(n.values, im.Values, writers) {
		return ReasonChangedSince
	}
	if !n.hasOnlyLinks(im.Links) {
		return ReasonLinked
	}
	return ""
}

// hasOnlyLinks reports whether every link that touches the node is one of
// these, by the same writer.
func (n *node) hasOnlyLinks(links []linkImage) bool {
	known := make(map[linkKey]uint64, len(links))
	for _, l := range links {
		known[l.id()] = l.Place.By
	}
	own := func(l *link) bool {
		by, ok := known[l.id()]
		return ok && by == l.by
	}
	for _, out := range n.out {
		for _, s := range out.list.all() {
			if !own(s.link) {
				return false
			}
		}
	}
	for _, in := range n.in {
		for _, l := range in.links {
			if !own(l) {
				return false
			}
		}
	}
	return true
}

// restore brings a deleted node back: the same id, name, values, place and
// links. Where its parent is gone it goes to the end of the nearest live
// ancestor that allows its type. Links that cannot come back are noted as
// skipped; the node comes without them.
func (v *inverter) restore(c *death) {
	o := Outcome{Event: EventNodeCreated, NodeID: c.ID}
	grave, dead := v.g.tombs[c.ID]
	parent, moved, fostered := v.foster(c.Node.Place.Parent, c.Node.Type)
	switch {
	case v.g.nodes[c.ID] != nil:
		o.Reason = ReasonExists
	case !dead:
		o.Reason = ReasonMissing
	case grave.By != c.Grave.By && !v.force:
		o.Reason = ReasonChangedSince
	case !fostered:
		o.Reason = ReasonNoParent
	case parent.depth()+1 > MaxDepth:
		o.Reason = ReasonDepth
	}
	if o.Reason != "" {
		v.note(o)
		return
	}
	lane := v.g.childLane(parent)
	at := place{Parent: idOf(parent), By: c.Node.Place.By}
	if moved {
		at.Key = lane.keyAt(lane.list.len(), nil, v.do)
	} else {
		at.Key = lane.keyFor(c.Node.Place, nil, v.do)
	}
	b := &birth{ID: c.ID, Node: c.Node, Grave: &grave}
	b.Node.Place, b.Node.Links = at, nil
	b.Pos, _ = lane.list.rank(at.Key)
	var links []Outcome
	if len(c.Node.Links) > 0 {
		b.Node.Links, links = v.restorable(b, c.Node.Links)
	}
	v.do(b)
	v.note(o)
	for _, o := range links {
		v.note(o)
	}
}

// foster finds where a node goes whose parent was the given one: there, or,
// when that is gone, to the nearest live ancestor that allows the type. It
// follows the tombs, each of which knows where its node stood last.
func (v *inverter) foster(parent ID, typ string) (n *node, moved, ok bool) {
	for range len(v.g.tombs) + MaxDepth + 1 {
		n = v.g.nodes[parent]
		if n != nil && (!moved || n.typ.AllowsChild(typ)) {
			return n, moved, true
		}
		if parent.IsZero() {
			return nil, moved, !moved
		}
		moved = true
		if n != nil {
			parent = idOf(n.parent)
		} else {
			parent = v.g.tombs[parent].Parent
		}
	}
	return nil, true, false
}

// restorable decides which links come back with a node. It makes the node and
// each link for a moment, so that every link sees the ones before it, and
// takes them away again. New keys that this needs stay among the changes.
func (v *inverter) restorable(b *birth, links []linkImage) (back []linkImage, outcomes []Outcome) {
	g := v.g
	must(b.apply(g))
	for _, l := range links {
		o := Outcome{Event: EventNodeLinked, LinkType: l.Type, ParentID: l.Parent, ChildID: l.Child}
		parent, child := g.nodes[l.Parent], g.nodes[l.Child]
		if parent == nil || child == nil {
			o.Reason = ReasonMissing
		} else {
			o.Reason = g.linkObstacle(l.Type, parent, child)
		}
		outcomes = append(outcomes, o)
		if o.Reason != "" {
			continue
		}
		lane := g.linkLane(l.Type, parent)
		l.Place = place{Key: v.linkKeyFor(lane, l, b.ID), By: l.Place.By}
		l.Pos, _ = lane.list.rank(l.Place.Key)
		g.join(g.bp.LinkType(l.Type), parent, child, l.Place.Key, l.Place.By)
		back = append(back, l)
	}
	for _, l := range back {
		g.part(g.links[l.id()])
	}
	must(b.revert(g))
	return back, outcomes
}

// linkKeyFor makes the key of a restored link. The list of the restored node
// itself is filled in order, so a former key that no longer counts becomes one
// at the end there; that never asks for new keys in a list that is only there
// for a moment.
func (v *inverter) linkKeyFor(l lane, im linkImage, restored ID) string {
	if im.Parent != restored {
		return l.keyFor(im.Place, nil, v.do)
	}
	last := ""
	if s := l.list.at(l.list.len() - 1); s != nil {
		last = s.key
	}
	if im.Place.Gen == v.g.gens[l.id] && im.Place.Key > last {
		return im.Place.Key
	}
	return keyBetween(last, "")
}

// must reports a fault of this package: what was planned does not fit.
func must(err error) {
	if err != nil {
		panic(fault.Wrap(err, fault.Internal, "a planned change does not fit the graph"))
	}
}
