package graph

import (
	"fmt"

	"github.com/graphroom/graphroom/internal/fault"
)

// Check verifies everything that must always hold: every list is sorted by
// valid, distinct keys; every node stands in exactly one list and under an
// allowed, acyclic, bounded chain of parents; heights, link indexes and link
// rules are right; no id lives and is dead at once. It is linear in the graph,
// for tests and for checking stored data. The error is INTERNAL and says what
// is wrong first.
func (g *Graph) Check() error {
	g.settled()
	for _, check := range []func() error{g.checkLists, g.checkNodes, g.checkLinks, g.checkAcyclic} {
		if err := check(); err != nil {
			return fault.Wrap(err, fault.Internal, "the graph is broken: %v", err)
		}
	}
	return nil
}

// check verifies the inside of one list.
func (s *siblings) check() error {
	last, n := "", 0
	for _, chunk := range s.chunks {
		if len(chunk) == 0 || len(chunk) > chunkMax {
			return fmt.Errorf("a chunk has %d slots", len(chunk))
		}
		for _, x := range chunk {
			if !validKey(x.key) || x.key <= last {
				return fmt.Errorf("order key %q follows %q", x.key, last)
			}
			last, n = x.key, n+1
		}
	}
	if n != s.n {
		return fmt.Errorf("a list of %d slots says it has %d", n, s.n)
	}
	return nil
}

func (g *Graph) checkLists() error {
	seen := 0
	var walk func(parent *node, list *siblings, depth int) error
	walk = func(parent *node, list *siblings, depth int) error {
		if err := list.check(); err != nil {
			return fmt.Errorf("children of %s: %w", idOf(parent), err)
		}
		if list.len() > 0 && depth > MaxDepth {
			return fmt.Errorf("node %s is too deep", idOf(parent))
		}
		for _, s := range list.all() {
			n := s.node
			seen++
			if n.parent != parent || g.nodes[n.id] != n || s != &n.slot {
				return fmt.Errorf("node %s stands where it does not belong", n.id)
			}
			if parent != nil && !parent.typ.AllowsChild(n.typ.ID) {
				return fmt.Errorf("node %s must not stand under %s", n.id, parent.id)
			}
			if err := walk(n, &n.children, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(nil, &g.roots, 1); err != nil {
		return err
	}
	if seen != len(g.nodes) {
		return fmt.Errorf("%d nodes stand in lists, %d live", seen, len(g.nodes))
	}
	return nil
}

func (g *Graph) checkNodes() error {
	for id, n := range g.nodes {
		if _, dead := g.tombs[id]; dead || n.id != id || id.IsZero() || n.typ == nil {
			return fmt.Errorf("node %s is not well", id)
		}
		heights := []int32{}
		for _, s := range n.children.all() {
			for len(heights) <= s.node.height() {
				heights = append(heights, 0)
			}
			heights[s.node.height()]++
		}
		if len(heights) != len(n.heights) {
			return fmt.Errorf("node %s has height %d, not %d", id, len(heights), len(n.heights))
		}
		for h := range heights {
			if heights[h] != n.heights[h] {
				return fmt.Errorf("node %s counts its children of height %d wrongly", id, h)
			}
		}
		for i, v := range n.values {
			if n.typ.Property(v.Prop) == nil || i > 0 && n.values[i-1].Prop >= v.Prop || v.Raw == nil && v.By == 0 {
				return fmt.Errorf("node %s has a bad property %s", id, v.Prop)
			}
		}
	}
	return nil
}

func (g *Graph) checkLinks() error {
	out, in := 0, 0
	for _, n := range g.nodes {
		for _, o := range n.out {
			if err := o.list.check(); err != nil {
				return fmt.Errorf("links %s of %s: %w", o.typ, n.id, err)
			}
			out += o.list.len()
		}
		for _, i := range n.in {
			in += len(i.links)
			for at, l := range i.links {
				if l.inAt != at || l.node != n || l.typ.ID != i.typ {
					return fmt.Errorf("links to %s are not indexed well", n.id)
				}
			}
		}
	}
	if out != len(g.links) || in != len(g.links) {
		return fmt.Errorf("%d links live, %d start, %d end", len(g.links), out, in)
	}
	for k, l := range g.links {
		_, gone := g.gone[k]
		switch {
		case gone || l.id() != k || g.nodes[k.Parent] != l.parent || g.nodes[k.Child] != l.node || g.bp.LinkType(k.Type) != l.typ:
			return fmt.Errorf("link %s of %s to %s dangles", k.Type, k.Parent, k.Child)
		case l.parent.outList(k.Type).at(l.view().Position) != &l.slot:
			return fmt.Errorf("link %s of %s to %s is not in its list", k.Type, k.Parent, k.Child)
		case !l.typ.AllowsParent(l.parent.typ.ID) || !l.typ.AllowsChild(l.node.typ.ID):
			return fmt.Errorf("link %s of %s to %s is not allowed", k.Type, k.Parent, k.Child)
		case l.typ.MaxParents > 0 && len(l.node.parents(k.Type)) > l.typ.MaxParents:
			return fmt.Errorf("node %s has too many parents by %s", k.Child, k.Type)
		case l.typ.Unique && k.Parent != k.Child && g.links[linkKey{k.Type, k.Child, k.Parent}] != nil:
			return fmt.Errorf("link %s of %s to %s is there in both directions", k.Type, k.Parent, k.Child)
		}
	}
	return nil
}

// checkAcyclic removes nodes without incoming links, type by type; what is
// left over lies on a cycle.
func (g *Graph) checkAcyclic() error {
	for _, typ := range g.bp.LinkTypes() {
		if !typ.Acyclic {
			continue
		}
		open := map[*node]int{}
		var free []*node
		for _, n := range g.nodes {
			if count := len(n.parents(typ.ID)); count > 0 {
				open[n] = count
			} else {
				free = append(free, n)
			}
		}
		for len(free) > 0 {
			n := free[len(free)-1]
			free = free[:len(free)-1]
			list := n.outList(typ.ID)
			if list == nil {
				continue
			}
			for _, s := range list.all() {
				if open[s.node]--; open[s.node] == 0 {
					delete(open, s.node)
					free = append(free, s.node)
				}
			}
		}
		for n := range open {
			return fmt.Errorf("links of type %s go round through node %s", typ.ID, n.id)
		}
	}
	return nil
}
