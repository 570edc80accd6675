package graph

// lane is one ordered list with its name: the children of a node, the roots,
// or the links of one type and parent.
type lane struct {
	id   listKey
	list *siblings
	g    *Graph
}

// childLane is the list of a node's children; of the roots for nil.
func (g *Graph) childLane(parent *node) lane {
	return lane{listKey{ChildLink, idOf(parent)}, g.list(parent), g}
}

// linkLane is the list of a node's links of one type.
func (g *Graph) linkLane(typ string, parent *node) lane {
	list := parent.outList(typ)
	if list == nil {
		list = &siblings{}
	}
	return lane{listKey{typ, parent.id}, list, g}
}

// lane finds a list by name; an empty one when its parent does not live.
func (g *Graph) lane(k listKey) lane {
	parent := g.nodes[k.Parent]
	switch {
	case k.Type == ChildLink && (parent != nil || k.Parent.IsZero()):
		return g.childLane(parent)
	case k.Type != ChildLink && parent != nil:
		return g.linkLane(k.Type, parent)
	default:
		return lane{k, &siblings{}, g}
	}
}

// find returns the slot of a member: a child, or the child of a link.
func (l lane) find(id ID) *slot {
	if l.id.Type != ChildLink {
		if k := l.g.links[linkKey{l.id.Type, l.id.Parent, id}]; k != nil {
			return &k.slot
		}
		return nil
	}
	if n := l.g.nodes[id]; n != nil && idOf(n.parent) == l.id.Parent {
		return &n.slot
	}
	return nil
}

// here is the place of a member, with its neighbours, for a change that undo
// may take back. The writer is left to the caller.
func (l lane) here(s *slot) place {
	p := place{Key: s.key, Gen: l.g.gens[l.id]}
	if l.id.Type == ChildLink {
		p.Parent = l.id.Parent
	}
	before, after := l.list.around(s.key)
	if before != nil {
		p.Prev = before.node.id
	}
	if after != nil {
		p.Next = after.node.id
	}
	return p
}

// keyAt makes a key for index in the list without self (nil: self is not in
// the list). When that key would be too long it first gives the slots around
// new keys, through do.
func (l lane) keyAt(index int, self *slot, do func(changeBody)) string {
	gap := index // index in the list with self
	own := -1
	if self != nil {
		own, _ = l.list.rank(self.key)
		if index > own {
			gap++
		}
	}
	ends := func() (low, high string) {
		left, right := gap-1, gap
		if left == own {
			left--
		}
		if right == own {
			right++
		}
		if s := l.list.at(left); s != nil {
			low = s.key
		}
		if s := l.list.at(right); s != nil {
			high = s.key
		}
		return low, high
	}
	key := keyBetween(ends())
	if len(key) > l.g.longKey {
		do(l.rebalance(gap))
		key = keyBetween(ends())
	}
	return key
}

// rebalance makes new keys for a window around a gap of the list, just wide
// enough that they come out short.
func (l lane) rebalance(gap int) *rekeying {
	for half := 16; ; half *= 2 {
		from, to := max(0, gap-half), min(l.list.len(), gap+half)
		low, high := "", ""
		if s := l.list.at(from - 1); s != nil {
			low = s.key
		}
		if s := l.list.at(to); s != nil {
			high = s.key
		}
		keys := keysBetween(low, high, to-from)
		longest := 0
		for _, key := range keys {
			longest = max(longest, len(key))
		}
		if longest > l.g.longKey*3/8 && to-from < l.list.len() {
			continue
		}
		c := &rekeying{Type: l.id.Type, Parent: l.id.Parent, Gen: l.g.gens[l.id], Items: make([]rekey, to-from)}
		for i, key := range keys {
			s := l.list.at(from + i)
			c.Items[i] = rekey{s.node.id, s.key, key}
		}
		return c
	}
}

// keyFor makes the key that brings a member back to a former place of this
// list: the former key while it still says the same place, or one right before
// it when another has taken it; else, after new keys were made, one beside a
// former neighbour.
func (l lane) keyFor(p place, self *slot, do func(changeBody)) string {
	if p.Gen != l.g.gens[l.id] || !validKey(p.Key) {
		return l.keyAt(l.indexFor(p, self), self, do)
	}
	if self != nil && self.key == p.Key {
		return p.Key
	}
	rank, taken := l.list.rank(p.Key)
	if !taken {
		return p.Key
	}
	if self != nil && self.key < p.Key {
		rank--
	}
	return l.keyAt(rank, self, do)
}

// indexFor is the index, in the list without self, that a former place means
// by its neighbours.
func (l lane) indexFor(p place, self *slot) int {
	without := func(key string) int {
		rank, _ := l.list.rank(key)
		if self != nil && self.key < key {
			rank--
		}
		return rank
	}
	if !p.Prev.IsZero() {
		if s := l.find(p.Prev); s != nil && s != self {
			return without(s.key) + 1
		}
	}
	if !p.Next.IsZero() {
		if s := l.find(p.Next); s != nil && s != self {
			return without(s.key)
		}
	}
	if p.Prev.IsZero() {
		return 0
	}
	return without(p.Key)
}
