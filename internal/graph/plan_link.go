package graph

import (
	"github.com/graphroom/graphroom/internal/fault"
)

func (p *planner) linkNode(c LinkNode) error {
	parent, err := p.node(c.ParentID)
	if err != nil {
		return err
	}
	child, err := p.node(c.ChildID)
	if err != nil {
		return err
	}
	if c.LinkType != ChildLink {
		return p.join(c, parent, child)
	}
	if child.parent != nil && child.parent != parent && !c.Move {
		if parent.under(child) {
			return fault.New(fault.Cycle, "node %s cannot stand under itself", child.id)
		}
		return fault.New(fault.HasParent, "node %s stands under %s already: move it, or say move", child.id, child.parent.id)
	}
	return p.place(child, parent, c.At)
}

// join makes or reorders a link that is not of the containment tree.
func (p *planner) join(c LinkNode, parent, child *node) error {
	typ := p.g.bp.LinkType(c.LinkType)
	switch {
	case typ == nil:
		return noLinkType(c.LinkType)
	case c.Move:
		return fault.New(fault.InvalidCommand, "move is for the link type %s only", ChildLink)
	case c.At.given() && !typ.Ordered:
		return fault.New(fault.InvalidCommand, "links of type %s have no order to choose", typ.ID)
	}
	k := linkKey{typ.ID, parent.id, child.id}
	lane := p.g.linkLane(typ.ID, parent)
	var self *slot
	if l := p.g.links[k]; l != nil {
		if !c.At.given() {
			return nil
		}
		self = &l.slot
	} else if err := p.g.mayLink(typ, parent, child); err != nil {
		return err
	}
	index, err := p.index(lane, c.At, self)
	if err != nil {
		return err
	}
	if self != nil {
		if rank, _ := lane.list.rank(self.key); rank == index {
			return nil
		}
	}
	key := lane.keyAt(index, self, p.do)
	p.do(&linking{
		Type: typ.ID, Parent: parent.id, Child: child.id,
		From: p.g.linkPlaceAround(k), To: place{Key: key, By: p.env.Writer}, Pos: index,
	})
	return nil
}

// linkPlaceAround is linkPlace with the neighbours of a present link.
func (g *Graph) linkPlaceAround(k linkKey) place {
	now := g.linkPlace(k)
	if now.Key == "" {
		return now
	}
	at := g.lane(listKey{k.Type, k.Parent}).here(&g.links[k].slot)
	at.By = now.By
	return at
}

func noLinkType(id string) error {
	return fault.New(fault.InvalidCommand, "the blueprint has no link type %s", quote(id))
}

// mayLink holds a new link against the rules of its type.
func (g *Graph) mayLink(typ *LinkType, parent, child *node) error {
	switch {
	case !typ.AllowsParent(parent.typ.ID) || !typ.AllowsChild(child.typ.ID):
		return fault.New(fault.InvalidCommand, "the blueprint does not allow a link of type %s from %s to %s", typ.ID, parent.typ.ID, child.typ.ID)
	case typ.MaxParents > 0 && len(child.parents(typ.ID)) >= typ.MaxParents:
		return fault.New(fault.HasParent, "node %s has as many parents by links of type %s as it may have (%d)", child.id, typ.ID, typ.MaxParents)
	case typ.Unique && g.links[linkKey{typ.ID, child.id, parent.id}] != nil:
		return fault.New(fault.Duplicate, "a link of type %s leads the other way already", typ.ID)
	case typ.Acyclic && reaches(typ.ID, child, parent):
		return fault.New(fault.Cycle, "links of type %s must not lead back to where they came from", typ.ID)
	default:
		return nil
	}
}

// reaches reports whether links of a type lead from one node to another; every
// node reaches itself. It looks forwards from one end and backwards from the
// other by turns, so that the smaller side decides the cost.
func reaches(typ string, from, to *node) bool {
	if from == to {
		return true
	}
	ahead, behind := []*node{from}, []*node{to}
	seenAhead, seenBehind := map[*node]bool{from: true}, map[*node]bool{to: true}
	for len(ahead) > 0 && len(behind) > 0 {
		n := ahead[len(ahead)-1]
		ahead = ahead[:len(ahead)-1]
		if list := n.outList(typ); list != nil {
			for _, s := range list.all() {
				if seenBehind[s.node] {
					return true
				}
				if !seenAhead[s.node] {
					seenAhead[s.node] = true
					ahead = append(ahead, s.node)
				}
			}
		}
		n = behind[len(behind)-1]
		behind = behind[:len(behind)-1]
		for _, l := range n.parents(typ) {
			if seenAhead[l.parent] {
				return true
			}
			if !seenBehind[l.parent] {
				seenBehind[l.parent] = true
				behind = append(behind, l.parent)
			}
		}
	}
	return false
}

func (p *planner) unlinkNode(c UnlinkNode) error {
	parent, err := p.node(c.ParentID)
	if err != nil {
		return err
	}
	child, err := p.node(c.ChildID)
	if err != nil {
		return err
	}
	if c.LinkType == ChildLink {
		if child.parent != parent {
			return noLink(c)
		}
		return p.place(child, nil, At{})
	}
	if p.g.bp.LinkType(c.LinkType) == nil {
		return noLinkType(c.LinkType)
	}
	k := linkKey{c.LinkType, c.ParentID, c.ChildID}
	if p.g.links[k] == nil {
		return noLink(c)
	}
	p.do(&linking{
		Type: c.LinkType, Parent: parent.id, Child: child.id,
		From: p.g.linkPlaceAround(k), To: place{By: p.env.Writer},
	})
	return nil
}

func noLink(c UnlinkNode) error {
	return fault.New(fault.LinkNotFound, "there is no link of type %s from %s to %s", c.LinkType, c.ParentID, c.ChildID)
}
