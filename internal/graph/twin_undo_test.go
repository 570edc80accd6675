package graph

import (
	"fmt"
	"slices"
)

// undo takes changes back like Invert, following the rules of DESIGN section 8
// one by one. choice is what the graph made of it: only the places of restored
// members are taken from there.
func (w *twin) undo(changes []twinChange, force bool, choice []Change, strict bool) (done []twinChange, applied, skipped []Outcome) {
	u := &twinUndo{twinRun: &twinRun{twin: w}, force: force, choice: choice, strict: strict}
	for i := len(changes) - 1; i >= 0; i-- {
		u.one(changes[i])
	}
	return u.changes, u.applied, u.skipped
}

type twinUndo struct {
	*twinRun
	force            bool
	strict           bool
	choice           []Change
	applied, skipped []Outcome
}

func (u *twinUndo) note(o Outcome, reason string) {
	o.Reason = reason
	if reason == "" {
		u.applied = append(u.applied, o)
	} else {
		u.skipped = append(u.skipped, o)
	}
}

// chosen finds the next change of the graph that pick takes.
func chosen[T any](u *twinUndo, pick func(T) bool) (found T) {
	for len(u.choice) > 0 {
		c := u.choice[0]
		u.choice = u.choice[1:]
		if body, ok := c.body.(T); ok && pick(body) {
			return body
		}
	}
	u.err = fmt.Errorf("the graph made no such change: %T", found)
	return found
}

// fits checks the index that the graph chose for a returning member: it stands
// to every member that has not moved since as it stood before.
func (u *twinUndo) fits(was spot, now []ID, id ID, at int) {
	if !u.strict || u.err != nil {
		return
	}
	former := slices.Index(was.members, id)
	for i, m := range slices.DeleteFunc(slices.Clone(now), func(x ID) bool { return x == id }) {
		j := slices.Index(was.members, m)
		if j < 0 || u.moved[memberName(was.list, m)] > was.step {
			continue
		}
		if (j < former) != (i < at) {
			u.err = fmt.Errorf("%s came back to index %d of %v, but was in %v", id, at, now, was.members)
		}
	}
}

func (u *twinUndo) one(c twinChange) {
	switch c.kind {
	case "set":
		o := Outcome{Event: EventPropertyChanged, NodeID: c.id, PropertyID: c.prop}
		if c.from.Raw == nil {
			o.Event = EventPropertyDeleted
		}
		n := u.nodes[c.id]
		switch {
		case n == nil:
			u.note(o, ReasonMissing)
		case n.cell(c.prop).By != c.to.By && !u.force:
			u.note(o, ReasonChangedSince)
		default:
			u.setCell(c.id, c.prop, c.from.cell)
			u.note(o, "")
		}
	case "place":
		u.place(c)
	case "link":
		u.link(c)
	case "birth":
		u.birth(c)
	case "death":
		u.death(c)
	}
}

func (u *twinUndo) place(c twinChange) {
	o := Outcome{Event: EventNodeLinked, LinkType: ChildLink, ParentID: c.from.parent, ChildID: c.id}
	if c.from.parent.IsZero() && !c.to.parent.IsZero() {
		o.Event, o.ParentID = EventNodeUnlinked, c.to.parent
	}
	n, parent := u.nodes[c.id], c.from.parent
	switch {
	case n == nil:
		u.note(o, ReasonMissing)
	case n.placedBy != c.to.By && !u.force:
		u.note(o, ReasonChangedSince)
	case !parent.IsZero() && u.nodes[parent] == nil:
		u.note(o, ReasonNoParent)
	case u.under(parent, c.id):
		u.note(o, ReasonCycle)
	case parent != n.parent && u.depth(parent)+1+u.height(c.id) > MaxDepth:
		u.note(o, ReasonDepth)
	default:
		at := chosen(u, func(p *placing) bool { return p.ID == c.id })
		if u.err != nil {
			return
		}
		u.fits(c.was, u.order[children(parent)], c.id, at.Pos)
		u.placeAt(c.id, parent, at.Pos, c.from.By)
		u.note(o, "")
	}
}

func (u *twinUndo) link(c twinChange) {
	k := c.link
	o := Outcome{Event: EventNodeLinked, LinkType: k.Type, ParentID: k.Parent, ChildID: k.Child}
	if !c.from.present {
		o.Event = EventNodeUnlinked
	}
	now := u.linkValue(k)
	_, obstacle := u.obstacle(k)
	switch {
	case u.nodes[k.Parent] == nil || u.nodes[k.Child] == nil:
		u.note(o, ReasonMissing)
	case (now.By != c.to.By || now.present != c.to.present) && !u.force:
		u.note(o, ReasonChangedSince)
	case !c.from.present && !now.present:
		u.note(o, ReasonMissing)
	case !c.from.present:
		u.unlinkAt(k, c.from.By)
		u.note(o, "")
	case !now.present && obstacle != "":
		u.note(o, obstacle)
	default:
		at := chosen(u, func(l *linking) bool { return l.id() == k })
		if u.err != nil {
			return
		}
		u.fits(c.was, u.order[c.was.list], k.Child, at.Pos)
		u.linkAt(k, at.Pos, c.from.By)
		u.note(o, "")
	}
}

func (u *twinUndo) birth(c twinChange) {
	o := Outcome{Event: EventNodeDeleted, NodeID: c.id}
	if reason := u.mayGo(c); reason != "" {
		u.note(o, reason)
		return
	}
	by := uint64(0)
	if c.grave != nil {
		by = c.grave.By
	}
	for _, below := range u.preorder(c.id)[1:] {
		u.note(Outcome{Event: EventNodeDeleted, NodeID: below}, "")
	}
	u.remove(c.id, by)
	u.note(o, "")
}

func (u *twinUndo) mayGo(c twinChange) string {
	n := u.nodes[c.id]
	if n == nil {
		return ReasonMissing
	}
	if u.force {
		return ""
	}
	if len(u.order[children(c.id)]) > 0 {
		return ReasonNotEmpty
	}
	if n.born != c.node.born || n.placedBy != c.node.placedBy || n.namedBy != c.node.namedBy || len(n.props) != len(c.node.props) {
		return ReasonChangedSince
	}
	for prop, v := range n.props {
		if was, ok := c.node.props[prop]; !ok || was.By != v.By {
			return ReasonChangedSince
		}
	}
	for k, by := range u.links {
		if was, ok := c.links[k]; (k.Parent == c.id || k.Child == c.id) && (!ok || was != by) {
			return ReasonLinked
		}
	}
	return ""
}

func (u *twinUndo) death(c twinChange) {
	o := Outcome{Event: EventNodeCreated, NodeID: c.id}
	grave, dead := u.dead[c.id]
	parent, moved := c.node.parent, false
	for !parent.IsZero() && (u.nodes[parent] == nil || moved && !u.nodes[parent].typ.AllowsChild(c.node.typ.ID)) {
		moved = true
		if n := u.nodes[parent]; n != nil {
			parent = n.parent
		} else {
			parent = u.dead[parent].Parent
		}
	}
	switch {
	case !dead:
		u.note(o, ReasonExists)
		return
	case grave.By != c.grave.By && !u.force:
		u.note(o, ReasonChangedSince)
		return
	case moved && parent.IsZero():
		u.note(o, ReasonNoParent)
		return
	case u.depth(parent) >= MaxDepth:
		u.note(o, ReasonDepth)
		return
	}
	at := chosen(u, func(b *birth) bool { return b.ID == c.id })
	if u.err != nil {
		return
	}
	if !moved {
		u.fits(c.was, u.order[children(parent)], c.id, at.Pos)
	}
	n := c.node.clone()
	n.parent = parent
	u.twinRun.birth(c.id, n, at.Pos, &grave)
	u.note(o, "")
	u.deathLinks(c, at)
}

// deathLinks brings back the links of a restored node, in the order of the
// image.
func (u *twinUndo) deathLinks(c twinChange, b *birth) {
	made := &u.changes[len(u.changes)-1]
	links := make([]linkKey, 0, len(c.links))
	for k := range c.links {
		links = append(links, k)
	}
	slices.SortFunc(links, func(a, b linkKey) int {
		if a.Type != b.Type || a.Parent != b.Parent {
			a.Child, b.Child = ID{}, ID{}
			return a.compare(b)
		}
		was := c.linkSpot[a].members
		return slices.Index(was, a.Child) - slices.Index(was, b.Child)
	})
	back := b.Node.Links
	for _, k := range links {
		o := Outcome{Event: EventNodeLinked, LinkType: k.Type, ParentID: k.Parent, ChildID: k.Child}
		_, reason := u.obstacle(k)
		if u.nodes[k.Parent] == nil || u.nodes[k.Child] == nil {
			reason = ReasonMissing
		}
		u.note(o, reason)
		if reason != "" {
			continue
		}
		if len(back) == 0 || back[0].id() != k {
			u.err = fmt.Errorf("the graph did not restore %v", k)
			return
		}
		list := listKey{k.Type, k.Parent}
		u.fits(c.linkSpot[k], u.order[list], k.Child, back[0].Pos)
		u.links[k] = c.links[k]
		u.put(list, k.Child, back[0].Pos)
		made.links[k] = c.links[k]
		back = back[1:]
	}
}
