package graph

// The reasons why the inverse of a change was skipped.
const (
	ReasonChangedSince = "changed-since" // someone wrote the value, or one of the node's, after the entry
	ReasonMissing      = "missing"       // the node, or an end of the link, does not live
	ReasonExists       = "exists"        // the node lives already
	ReasonNotEmpty     = "not-empty"     // others' nodes stand under the node
	ReasonLinked       = "linked"        // others' links touch the node
	ReasonNoParent     = "no-parent"     // the former parent is gone, and no live ancestor of it allows the type
	ReasonCycle        = "cycle"         // the node would stand under itself, or links would lead back
	ReasonDepth        = "depth"         // the tree would be deeper than MaxDepth
	ReasonMaxParents   = "max-parents"   // the child has as many parents by that link type as it may have
	ReasonDuplicate    = "duplicate"     // the link type allows one link between two nodes, and there is one
)

// Outcome is what became of one inverse: the event that was, or would have
// been, published for it, and the reason when it was skipped.
type Outcome struct {
	Event      string `json:"event"`
	NodeID     ID     `json:"node_id,omitzero"`
	PropertyID string `json:"property_id,omitempty"`
	LinkType   string `json:"link_type,omitempty"`
	ParentID   ID     `json:"parent_id,omitzero"`
	ChildID    ID     `json:"child_id,omitzero"`
	Reason     string `json:"reason,omitempty"` // one of the Reason constants
}

// MaxOutcomes is how many outcomes of either kind are listed: those of an
// entry that deleted a large tree would be larger than what it deleted.
const MaxOutcomes = 1000

// Inverted is the inverse of an entry on the present state.
type Inverted struct {
	Changes          []Change
	Applied, Skipped Outcomes
}

// Outcomes lists the first MaxOutcomes of them, in order, and counts the rest.
type Outcomes struct {
	List []Outcome
	More int
}

// Add puts one at the end.
func (o *Outcomes) Add(one Outcome) {
	if len(o.List) >= MaxOutcomes {
		o.More++
		return
	}
	o.List = append(o.List, one)
}

// Join puts others at the end.
func (o *Outcomes) Join(others Outcomes) {
	room := min(MaxOutcomes-len(o.List), len(others.List))
	o.List = append(o.List, others.List[:room]...)
	o.More += others.More + len(others.List) - room
}

// Count is how many there are, listed or not.
func (o Outcomes) Count() int { return len(o.List) + o.More }

// Invert makes the changes that take an entry back, the last change first, and
// leaves the graph exactly as it was. It serves undo and redo alike: the redo
// of an entry is the inverse of its undo.
//
// Each inverse is guarded by the writer: it is made where the value still
// carries the writer that the change left there, and brings back the former
// value with its former writer; else it is skipped with a reason. force makes
// it whoever wrote there since, as far as the graph's rules allow; the forced
// undo of a create takes everything below the node along.
//
// Nothing of what Changes holds depends on an id or time from outside. No
// Changes at all: nothing of the entry can be taken back.
func (g *Graph) Invert(changes []Change, force bool) Inverted {
	g.settled()
	v := inverter{planner: planner{g: g}, force: force}
	for i := len(changes) - 1; i >= 0; i-- {
		v.one(changes[i])
	}
	v.hold()
	v.out.Changes = v.changes
	return v.out
}

// inverter works on the graph itself, like planner.
type inverter struct {
	planner
	force bool
	out   Inverted
}

func (v *inverter) one(c Change) {
	var outcome Outcome
	switch c := c.body.(type) {
	case *birth:
		v.unmake(c)
		return
	case *death:
		v.restore(c)
		return
	case *placing:
		outcome = c.outcome()
		outcome.Reason = v.putBack(c)
	case *linking:
		outcome = c.outcome()
		outcome.Reason = v.relink(c)
	case *setting:
		outcome = Outcome{Event: EventPropertyChanged, NodeID: c.ID, PropertyID: c.Prop}
		if c.From.Raw == nil {
			outcome.Event = EventPropertyDeleted
		}
		outcome.Reason = v.reset(c)
	default: // new order keys changed nothing that anybody sees
		return
	}
	v.note(outcome)
}

// note files an outcome by its reason.
func (v *inverter) note(o Outcome) {
	if o.Reason != "" {
		v.out.Skipped.Add(o)
		return
	}
	v.out.Applied.Add(o)
}

func (c *placing) outcome() Outcome {
	if c.From.Parent.IsZero() && !c.To.Parent.IsZero() {
		return Outcome{Event: EventNodeUnlinked, LinkType: ChildLink, ParentID: c.To.Parent, ChildID: c.ID}
	}
	return Outcome{Event: EventNodeLinked, LinkType: ChildLink, ParentID: c.From.Parent, ChildID: c.ID}
}

func (c *linking) outcome() Outcome {
	o := Outcome{Event: EventNodeLinked, LinkType: c.Type, ParentID: c.Parent, ChildID: c.Child}
	if c.From.Key == "" {
		o.Event = EventNodeUnlinked
	}
	return o
}

// reset brings a property or name back.
func (v *inverter) reset(c *setting) string {
	n := v.g.nodes[c.ID]
	if n == nil {
		return ReasonMissing
	}
	now := n.cell(c.Prop)
	if now.By != c.To.By && !v.force {
		return ReasonChangedSince
	}
	v.do(&setting{ID: c.ID, Prop: c.Prop, From: now, To: c.From})
	return ""
}

// putBack moves a node back to where it stood.
func (v *inverter) putBack(c *placing) string {
	n, parent := v.g.nodes[c.ID], v.g.nodes[c.From.Parent]
	switch {
	case n == nil:
		return ReasonMissing
	case n.placedBy != c.To.By && !v.force:
		return ReasonChangedSince
	case parent == nil && !c.From.Parent.IsZero():
		return ReasonNoParent
	case parent.under(n):
		return ReasonCycle
	case parent != n.parent && parent.depth()+1+n.height() > MaxDepth:
		return ReasonDepth
	}
	lane := v.g.childLane(parent)
	var self *slot
	if n.parent == parent {
		self = &n.slot
	}
	to := place{Parent: c.From.Parent, Key: lane.keyFor(c.From, self, v.do), By: c.From.By}
	pos, _ := lane.list.rank(to.Key)
	if self != nil && self.key < to.Key {
		pos--
	}
	v.do(&placing{ID: c.ID, From: v.g.placeOf(n), To: to, Pos: pos})
	return ""
}

// relink brings a link back to what it was: there, absent, or elsewhere in the
// order.
func (v *inverter) relink(c *linking) string {
	k := c.id()
	now := v.g.linkPlaceAround(k)
	parent, child := v.g.nodes[c.Parent], v.g.nodes[c.Child]
	switch {
	case parent == nil || child == nil:
		return ReasonMissing
	case (now.By != c.To.By || (now.Key == "") != (c.To.Key == "")) && !v.force:
		return ReasonChangedSince
	}
	to := place{By: c.From.By}
	pos := 0
	if c.From.Key == "" {
		if now.Key == "" {
			return ReasonMissing
		}
	} else {
		var self *slot
		if now.Key != "" {
			self = &v.g.links[k].slot
		} else if reason := v.g.linkObstacle(k.Type, parent, child); reason != "" {
			return reason
		}
		lane := v.g.linkLane(k.Type, parent)
		to.Key = lane.keyFor(c.From, self, v.do)
		pos, _ = lane.list.rank(to.Key)
		if self != nil && self.key < to.Key {
			pos--
		}
		now = v.g.linkPlaceAround(k)
	}
	v.do(&linking{Type: c.Type, Parent: c.Parent, Child: c.Child, From: now, To: to, Pos: pos})
	return ""
}

// linkObstacle is the reason why a former link cannot come back; "" when it
// can.
func (g *Graph) linkObstacle(typ string, parent, child *node) string {
	t := g.bp.LinkType(typ)
	switch {
	case t.MaxParents > 0 && len(child.parents(typ)) >= t.MaxParents:
		return ReasonMaxParents
	case t.Unique && g.links[linkKey{typ, child.id, parent.id}] != nil:
		return ReasonDuplicate
	case t.Acyclic && reaches(typ, child, parent):
		return ReasonCycle
	default:
		return ""
	}
}
