package graph

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// maxCopies is the number of nodes that one DuplicateNode may make.
const maxCopies = 50_000

// duplicateNode copies a subtree: new ids, the same names, values and order,
// the links with both ends inside it, and references inside it turned to the
// copies. Without a place the copy stands right after the original, or at the
// end of another parent.
func (p *planner) duplicateNode(c DuplicateNode) (any, error) {
	n, err := p.node(c.NodeID)
	if err != nil {
		return nil, err
	}
	parent := n.parent
	if c.ParentID != nil {
		if parent, err = p.parent(*c.ParentID); err != nil {
			return nil, err
		}
	}
	if err := mayStand(n.typ, n.height(), parent); err != nil {
		return nil, err
	}
	if c.Name != nil {
		if _, err := CanonicalName(*c.Name); err != nil {
			return nil, err
		}
	}
	at := c.At
	if !at.given() && parent == n.parent {
		at.After = n.id
	}
	lane := p.g.childLane(parent)
	index, err := p.index(lane, at, nil)
	if err != nil {
		return nil, err
	}
	originals := subtree(n, nil)
	if len(originals) > maxCopies {
		return nil, fault.New(fault.InvalidCommand, "a subtree of more than %d nodes cannot be duplicated", maxCopies)
	}
	copies := make(map[ID]ID, len(originals))
	for _, o := range originals {
		if copies[o.id], err = p.newID(ID{}); err != nil {
			return nil, err
		}
	}
	links := linksWithin(originals, copies)
	p.copyNodes(originals, copies, c.Name, idOf(parent), index, lane.keyAt(index, nil, p.do))
	p.copyLinks(links, copies)
	return NodeResult{copies[n.id]}, nil
}

// subtree appends a node and all below it to dst, parents first and in order.
func subtree(n *node, dst []*node) []*node {
	dst = append(dst, n)
	for _, s := range n.children.all() {
		dst = subtree(s.node, dst)
	}
	return dst
}

// linksWithin lists the links that start and end among the nodes, each list of
// one type and parent in order.
func linksWithin(nodes []*node, within map[ID]ID) []*link {
	var links []*link
	for _, n := range nodes {
		for _, out := range n.out {
			for _, s := range out.list.all() {
				if _, ok := within[s.node.id]; ok {
					links = append(links, s.link)
				}
			}
		}
	}
	slices.SortStableFunc(links, func(a, b *link) int { return strings.Compare(a.typ.ID, b.typ.ID) })
	return links
}

// copyNodes makes the copies, the first one at the given place and every other
// one like its original.
func (p *planner) copyNodes(originals []*node, copies map[ID]ID, name *string, parent ID, index int, key string) {
	by := p.env.Writer
	filled := map[ID]int{} // children that a copy has so far
	for i, o := range originals {
		im := image{Type: o.typ.ID, Name: o.name, NamedBy: by, By: by, Values: p.copyValues(o, copies)}
		if i == 0 {
			if name != nil {
				im.Name = *name
			}
			im.Place = place{Parent: parent, Key: key, By: by}
			p.do(&birth{ID: copies[o.id], Node: im, Pos: index})
			continue
		}
		above := copies[o.parent.id]
		im.Place = place{Parent: above, Key: o.key, By: by}
		p.do(&birth{ID: copies[o.id], Node: im, Pos: filled[above]})
		filled[above]++
	}
}

func (p *planner) copyValues(o *node, copies map[ID]ID) []value {
	var values []value
	for _, v := range o.values {
		if v.Raw == nil {
			continue
		}
		raw := v.Raw
		if prop := o.typ.Property(v.Prop); prop != nil && prop.Type == TypeReference {
			raw = copyReference(raw, copies)
		}
		values = append(values, value{v.Prop, raw, p.env.Writer})
	}
	return values
}

// copyReference turns a reference to a node that was copied to its copy.
func copyReference(raw json.RawMessage, copies map[ID]ID) json.RawMessage {
	var id ID
	if json.Unmarshal(raw, &id) != nil {
		return raw
	}
	to, ok := copies[id]
	if !ok {
		return raw
	}
	return appendString(nil, to.String())
}

func (p *planner) copyLinks(links []*link, copies map[ID]ID) {
	filled := map[listKey]int{}
	for _, l := range links {
		parent, child := copies[l.parent.id], copies[l.node.id]
		list := listKey{l.typ.ID, parent}
		p.do(&linking{
			Type: l.typ.ID, Parent: parent, Child: child,
			To:  place{Key: l.key, By: p.env.Writer},
			Pos: filled[list],
		})
		filled[list]++
	}
}
