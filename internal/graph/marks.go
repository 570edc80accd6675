package graph

// Every node has two marks: the seq at which it last changed itself (its
// existence, name, properties or placement), and the seq at which one of its
// lists changed (its children, or the links that touch it).

// ChangedSince reports whether a command that came to these changes would work
// on something that changed after seq, for a command with expected_seq:
//
//	a value       the node itself
//	a create      the children of its parent
//	a placement   the node itself, and the children of where it goes
//	a link        the links of both ends
//	a delete      each node that goes: itself, its children and its links
func (g *Graph) ChangedSince(changes []Change, seq uint64) bool {
	g.settled()
	for _, c := range changes {
		if c.body != nil && c.body.changedSince(g, seq) {
			return true
		}
	}
	return false
}

// Changed is the last seq at which the node, its children or its links
// changed; 0 when it does not live or was never changed since it was loaded.
func (g *Graph) Changed(id ID) uint64 {
	g.settled()
	n := g.nodes[id]
	if n == nil {
		return 0
	}
	return max(n.changed, n.listed)
}

func (g *Graph) markNode(id ID, at uint64) {
	if n := g.nodes[id]; n != nil {
		n.changed = at
	}
}

func (g *Graph) markList(id ID, at uint64) {
	if n := g.nodes[id]; n != nil {
		n.listed = at
	}
}

func (g *Graph) nodeSince(id ID, seq uint64) bool {
	n := g.nodes[id]
	return n != nil && n.changed > seq
}

func (g *Graph) listSince(id ID, seq uint64) bool {
	n := g.nodes[id]
	return n != nil && n.listed > seq
}

func (c *birth) mark(g *Graph, at uint64) {
	g.markNode(c.ID, at)
	g.markList(c.Node.Place.Parent, at)
	markEnds(g, c.Node.Links, at)
}

func (c *death) mark(g *Graph, at uint64) {
	g.markList(c.Node.Place.Parent, at)
	markEnds(g, c.Node.Links, at)
}

func markEnds(g *Graph, links []linkImage, at uint64) {
	for _, l := range links {
		g.markList(l.Parent, at)
		g.markList(l.Child, at)
	}
}

func (c *placing) mark(g *Graph, at uint64) {
	g.markNode(c.ID, at)
	g.markList(c.From.Parent, at)
	g.markList(c.To.Parent, at)
}

func (c *linking) mark(g *Graph, at uint64) {
	g.markList(c.Parent, at)
	g.markList(c.Child, at)
}

func (c *setting) mark(g *Graph, at uint64) { g.markNode(c.ID, at) }

func (c *rekeying) mark(*Graph, uint64) {}

func (c *birth) changedSince(g *Graph, seq uint64) bool { return g.listSince(c.Node.Place.Parent, seq) }

func (c *death) changedSince(g *Graph, seq uint64) bool {
	return g.nodeSince(c.ID, seq) || g.listSince(c.ID, seq)
}

func (c *placing) changedSince(g *Graph, seq uint64) bool {
	return g.nodeSince(c.ID, seq) || g.listSince(c.To.Parent, seq)
}

func (c *linking) changedSince(g *Graph, seq uint64) bool {
	return g.listSince(c.Parent, seq) || g.listSince(c.Child, seq)
}

func (c *setting) changedSince(g *Graph, seq uint64) bool { return g.nodeSince(c.ID, seq) }

func (c *rekeying) changedSince(*Graph, uint64) bool { return false }
