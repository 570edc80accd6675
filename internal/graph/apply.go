package graph

import (
	"encoding/json"
	"fmt"

	"github.com/graphroom/graphroom/internal/fault"
)

// Apply makes the changes, in order, and marks the nodes that they touch as
// changed at seq at, the last seq of their entry (0 marks nothing). Changes
// that were planned on the graph's present state always fit; others are a
// fault of the program, and Apply panics. For changes from a journal see
// Replay. The changes that were planned last, before anything else was asked of
// the graph, are made already: applying them costs next to nothing.
func (g *Graph) Apply(changes []Change, at uint64) {
	if err := g.Replay(changes, at); err != nil {
		panic(err)
	}
}

// Replay is Apply for changes that come from outside, a journal: one that does
// not fit the graph is an INTERNAL error that says which and why. What came
// before it stays applied, so a graph that refused is to be thrown away.
func (g *Graph) Replay(changes []Change, at uint64) error {
	made := g.held != nil && sameSlice(g.held.changes, changes)
	if made {
		g.held = nil
	}
	g.settled()
	if len(changes) > maxKept {
		g.index = nil
	}
	g.newest = max(g.newest, at)
	for i, c := range changes {
		g.between()
		if !made {
			err := fmt.Errorf("it is empty")
			if c.body != nil {
				err = c.body.apply(g)
			}
			if err != nil {
				return fault.Wrap(err, fault.Internal, "change %d of %d of the entry that ends at seq %d does not fit the graph", i+1, len(changes), at)
			}
		}
		if at > 0 {
			c.body.mark(g, at)
		}
		if g.index != nil {
			g.index.note(c.body)
		}
	}
	return nil
}

// sameSlice reports whether two slices are one, not just equal.
func sameSlice(a, b []Change) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// Revert takes back changes that were applied last: values, writers and keys
// are exactly as before. Only the marks for ChangedSince stay, and are those
// of the newest change for a node that comes back, which can do no more than
// refuse a command with expected_seq once too often.
func (g *Graph) Revert(changes []Change) {
	g.settled()
	g.index = nil
	for i := len(changes) - 1; i >= 0; i-- {
		if err := changes[i].body.revert(g); err != nil {
			panic(fault.Wrap(err, fault.Internal, "change %d of %d cannot be taken back", i+1, len(changes)))
		}
	}
	for _, c := range changes {
		if d, ok := c.body.(*death); ok {
			g.markNode(d.ID, g.newest)
			g.markList(d.ID, g.newest)
		}
	}
}

// revive makes a node from its image.
func (g *Graph) revive(id ID, im *image) error {
	typ := g.bp.NodeType(im.Type)
	parent := g.nodes[im.Place.Parent]
	switch {
	case id.IsZero() || g.nodes[id] != nil:
		return fmt.Errorf("node %s lives already", id)
	case typ == nil:
		return fmt.Errorf("node %s has the unknown type %q", id, im.Type)
	case parent == nil && !im.Place.Parent.IsZero():
		return fmt.Errorf("node %s has no living parent %s", id, im.Place.Parent)
	}
	for i, v := range im.Values {
		if typ.Property(v.Prop) == nil || i > 0 && im.Values[i-1].Prop >= v.Prop || v.Raw == nil && v.By == 0 {
			return fmt.Errorf("node %s has a bad property %q", id, v.Prop)
		}
	}
	if err := freeKey(g.list(parent), im.Place.Key); err != nil {
		return err
	}
	n := &node{id: id, typ: typ, name: im.Name, born: im.By, placedBy: im.Place.By, namedBy: im.NamedBy}
	n.slot.node = n
	if len(im.Values) > 0 {
		n.values = append([]value(nil), im.Values...)
	}
	return g.replant(n, im)
}

// replant puts a node that stands nowhere to its place, with its links.
func (g *Graph) replant(n *node, im *image) error {
	g.nodes[n.id] = n
	g.attach(n, g.nodes[im.Place.Parent], im.Place.Key)
	for i, l := range im.Links {
		if err := g.restoreLink(l); err != nil {
			for _, l := range im.Links[:i] {
				g.part(g.links[l.id()])
			}
			g.detach(n)
			delete(g.nodes, n.id)
			return err
		}
	}
	return nil
}

func (g *Graph) restoreLink(l linkImage) error {
	typ, parent, child := g.bp.LinkType(l.Type), g.nodes[l.Parent], g.nodes[l.Child]
	switch {
	case typ == nil:
		return fmt.Errorf("there is no link type %q", l.Type)
	case parent == nil || child == nil:
		return fmt.Errorf("link %s of %s to %s has an end that does not live", l.Type, l.Parent, l.Child)
	case g.links[l.id()] != nil:
		return fmt.Errorf("link %s of %s to %s exists already", l.Type, l.Parent, l.Child)
	}
	if list := parent.outList(l.Type); list != nil {
		if err := freeKey(list, l.Place.Key); err != nil {
			return err
		}
	}
	g.join(typ, parent, child, l.Place.Key, l.Place.By)
	return nil
}

// freeKey checks that a key is well formed and not yet in the list.
func freeKey(list *siblings, key string) error {
	if !validKey(key) {
		return fmt.Errorf("%q is not an order key", key)
	}
	if _, taken := list.rank(key); taken {
		return fmt.Errorf("order key %q is taken", key)
	}
	return nil
}

// bury takes away a node that has no children and whose links are those of the
// image.
func (g *Graph) bury(id ID, im *image) error {
	n := g.nodes[id]
	switch {
	case n == nil:
		return fmt.Errorf("node %s does not live", id)
	case n.children.len() > 0:
		return fmt.Errorf("node %s still has children", id)
	case idOf(n.parent) != im.Place.Parent || n.key != im.Place.Key:
		return fmt.Errorf("node %s stands elsewhere", id)
	case n.linkCount() != len(im.Links):
		return fmt.Errorf("node %s has other links", id)
	}
	for _, l := range im.Links {
		if g.links[l.id()] == nil {
			return fmt.Errorf("node %s has no link %s of %s to %s", id, l.Type, l.Parent, l.Child)
		}
	}
	for _, l := range im.Links {
		g.part(g.links[l.id()])
	}
	g.detach(n)
	delete(g.nodes, id)
	return nil
}

// linkCount is the number of links that touch the node.
func (n *node) linkCount() int {
	count := 0
	for _, out := range n.out {
		count += out.list.len()
	}
	for _, in := range n.in {
		for _, l := range in.links {
			if l.parent != n {
				count++
			}
		}
	}
	return count
}

func (c *birth) apply(g *Graph) error {
	grave, dead := g.tombs[c.ID]
	if dead != (c.Grave != nil) || dead && grave != *c.Grave {
		return fmt.Errorf("node %s was deleted differently", c.ID)
	}
	if err := g.revive(c.ID, &c.Node); err != nil {
		return err
	}
	delete(g.tombs, c.ID)
	return nil
}

func (c *birth) revert(g *Graph) error {
	if err := g.bury(c.ID, &c.Node); err != nil {
		return err
	}
	if c.Grave != nil {
		g.tombs[c.ID] = *c.Grave
	}
	return nil
}

func (c *death) apply(g *Graph) error {
	if err := g.bury(c.ID, &c.Node); err != nil {
		return err
	}
	g.tombs[c.ID] = c.Grave
	return nil
}

func (c *death) revert(g *Graph) error {
	if err := g.revive(c.ID, &c.Node); err != nil {
		return err
	}
	delete(g.tombs, c.ID)
	return nil
}

func (c *placing) apply(g *Graph) error  { return g.transplant(c.ID, c.From, c.To) }
func (c *placing) revert(g *Graph) error { return g.transplant(c.ID, c.To, c.From) }

func (g *Graph) transplant(id ID, from, to place) error {
	n, parent := g.nodes[id], g.nodes[to.Parent]
	switch {
	case n == nil:
		return fmt.Errorf("node %s does not live", id)
	case idOf(n.parent) != from.Parent || n.key != from.Key || n.placedBy != from.By:
		return fmt.Errorf("node %s stands elsewhere", id)
	case parent == nil && !to.Parent.IsZero():
		return fmt.Errorf("node %s has no living parent %s", id, to.Parent)
	case parent != n.parent && parent.under(n):
		return fmt.Errorf("node %s would stand under itself", id)
	}
	if parent != n.parent || to.Key != from.Key {
		if err := freeKey(g.list(parent), to.Key); err != nil {
			return err
		}
		g.detach(n)
		g.attach(n, parent, to.Key)
	}
	n.placedBy = to.By
	return nil
}

func (c *linking) apply(g *Graph) error  { return g.relink(c, c.From, c.To) }
func (c *linking) revert(g *Graph) error { return g.relink(c, c.To, c.From) }

func (g *Graph) relink(c *linking, from, to place) error {
	k := c.id()
	if now := g.linkPlace(k); now.Key != from.Key || now.By != from.By {
		return fmt.Errorf("link %s of %s to %s is not as it was", c.Type, c.Parent, c.Child)
	}
	l := g.links[k]
	if to.Key != "" {
		if l != nil && to.Key == l.key {
			l.by = to.By
			return nil
		}
		if l != nil {
			if err := freeKey(l.parent.outList(k.Type), to.Key); err != nil {
				return err
			}
			g.part(l)
		}
		if err := g.restoreLink(linkImage{Type: k.Type, Parent: k.Parent, Child: k.Child, Place: to}); err != nil {
			return err
		}
		delete(g.gone, k)
		return nil
	}
	if l != nil {
		g.part(l)
	}
	if to.By == 0 {
		delete(g.gone, k)
	} else {
		g.gone[k] = to.By
	}
	return nil
}

// linkPlace is the present value of a link: its key and writer, or no key and
// the writer of its absence.
func (g *Graph) linkPlace(k linkKey) place {
	if l := g.links[k]; l != nil {
		return place{Key: l.key, By: l.by}
	}
	return place{By: g.gone[k]}
}

func (c *setting) apply(g *Graph) error  { return g.set(c, c.From, c.To) }
func (c *setting) revert(g *Graph) error { return g.set(c, c.To, c.From) }

func (g *Graph) set(c *setting, from, to cell) error {
	n := g.nodes[c.ID]
	if n == nil {
		return fmt.Errorf("node %s does not live", c.ID)
	}
	if now := n.cell(c.Prop); now.By != from.By || string(now.Raw) != string(from.Raw) {
		return fmt.Errorf("%s of node %s is not as it was", c.Prop, c.ID)
	}
	if c.Prop != NameProperty {
		if n.typ.Property(c.Prop) == nil {
			return fmt.Errorf("node %s has no property %s", c.ID, c.Prop)
		}
		n.setValue(value{Prop: c.Prop, Raw: to.Raw, By: to.By})
		return nil
	}
	name, ok := nameOf(to.Raw)
	if !ok {
		return fmt.Errorf("%q is no name for node %s", to.Raw, c.ID)
	}
	n.name, n.namedBy = name, to.By
	return nil
}

// nameOf reads a name from its JSON form, which this package wrote.
func nameOf(raw json.RawMessage) (string, bool) {
	r := newJSONReader(raw, NameProperty)
	if r.kind() != kindString {
		return "", false
	}
	name := r.str()
	r.end()
	return name, !r.broken
}

// cell is the present value of a property or, for NameProperty, of the name.
func (n *node) cell(prop string) cell {
	if prop == NameProperty {
		return cell{Raw: appendString(nil, n.name), By: n.namedBy}
	}
	if v := n.value(prop); v != nil {
		return cell{Raw: v.Raw, By: v.By}
	}
	return cell{}
}

func (c *rekeying) apply(g *Graph) error {
	if err := c.rewrite(g, c.Gen, func(r rekey) (from, to string) { return r.From, r.To }); err != nil {
		return err
	}
	g.gens[listKey{c.Type, c.Parent}] = c.Gen + 1
	return nil
}

func (c *rekeying) revert(g *Graph) error {
	if err := c.rewrite(g, c.Gen+1, func(r rekey) (from, to string) { return r.To, r.From }); err != nil {
		return err
	}
	if c.Gen == 0 {
		delete(g.gens, listKey{c.Type, c.Parent})
	} else {
		g.gens[listKey{c.Type, c.Parent}] = c.Gen
	}
	return nil
}

// rewrite changes keys in place. The order of the list stays, which is
// checked for the items among each other and against both neighbours.
func (c *rekeying) rewrite(g *Graph, gen uint32, way func(rekey) (from, to string)) error {
	l := g.lane(listKey{c.Type, c.Parent})
	if g.gens[l.id] != gen || len(c.Items) == 0 {
		return fmt.Errorf("the order keys below %s were made anew differently", c.Parent)
	}
	slots := make([]*slot, len(c.Items))
	last := ""
	for i, r := range c.Items {
		from, to := way(r)
		s := l.find(r.ID)
		if s == nil || s.key != from || !validKey(to) || to <= last {
			return fmt.Errorf("order key %q of %s does not fit", to, r.ID)
		}
		if i > 0 {
			if _, next := l.list.around(slots[i-1].key); next != s {
				return fmt.Errorf("%s does not follow the one before it", r.ID)
			}
		}
		slots[i], last = s, to
	}
	before, _ := l.list.around(slots[0].key)
	_, after := l.list.around(slots[len(slots)-1].key)
	_, first := way(c.Items[0])
	if before != nil && before.key >= first || after != nil && after.key <= last {
		return fmt.Errorf("the new order keys below %s do not fit between their neighbours", c.Parent)
	}
	for i, r := range c.Items {
		_, slots[i].key = way(r)
	}
	return nil
}
