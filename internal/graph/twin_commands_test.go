package graph

import (
	"maps"
	"slices"

	"github.com/graphroom/graphroom/internal/fault"
)

func (r *twinRun) link(c LinkNode) fault.Code {
	parent, child := r.nodes[c.ParentID], r.nodes[c.ChildID]
	if parent == nil || child == nil {
		return fault.NodeNotFound
	}
	if c.LinkType == ChildLink {
		if !child.parent.IsZero() && child.parent != c.ParentID && !c.Move {
			if r.under(c.ParentID, c.ChildID) {
				return fault.Cycle
			}
			return fault.HasParent
		}
		return r.move(c.ChildID, c.ParentID, c.At)
	}
	typ := r.bp.LinkType(c.LinkType)
	if typ == nil || c.Move || c.At != (At{}) && !typ.Ordered {
		return fault.InvalidCommand
	}
	k, list := linkKey{c.LinkType, c.ParentID, c.ChildID}, listKey{c.LinkType, c.ParentID}
	self := ID{}
	if _, there := r.links[k]; there {
		if c.At == (At{}) {
			return ""
		}
		self = c.ChildID
	} else if !typ.AllowsParent(parent.typ.ID) || !typ.AllowsChild(child.typ.ID) {
		return fault.InvalidCommand
	} else if code, _ := r.obstacle(k); code != "" {
		return code
	}
	i, code := r.spotFor(list, c.At, self)
	if code != "" {
		return code
	}
	if !self.IsZero() && i == slices.Index(r.order[list], self) {
		return ""
	}
	r.linkAt(k, i, r.by)
	return ""
}

// obstacle is why a link cannot be made: as a command's code and an undo's
// reason.
func (w *twin) obstacle(k linkKey) (fault.Code, string) {
	typ := w.bp.LinkType(k.Type)
	parents := 0
	for other := range w.links {
		if other.Type == k.Type && other.Child == k.Child {
			parents++
		}
	}
	_, back := w.links[linkKey{k.Type, k.Child, k.Parent}]
	switch {
	case typ.MaxParents > 0 && parents >= typ.MaxParents:
		return fault.HasParent, ReasonMaxParents
	case typ.Unique && back && k.Parent != k.Child:
		return fault.Duplicate, ReasonDuplicate
	case typ.Acyclic && w.reaches(k.Type, k.Child, k.Parent, map[ID]bool{}):
		return fault.Cycle, ReasonCycle
	}
	return "", ""
}

// linkAt makes or reorders a link.
func (r *twinRun) linkAt(k linkKey, i int, by uint64) {
	c := twinChange{kind: "link", link: k, was: r.spot(listKey{k.Type, k.Parent}), to: twinValue{present: true, cell: cell{By: by}}}
	c.from = r.linkValue(k)
	delete(r.gone, k)
	r.links[k] = by
	r.take(listKey{k.Type, k.Parent}, k.Child)
	r.put(listKey{k.Type, k.Parent}, k.Child, i)
	r.changes = append(r.changes, c)
}

func (w *twin) linkValue(k linkKey) twinValue {
	if by, ok := w.links[k]; ok {
		return twinValue{present: true, cell: cell{By: by}}
	}
	return twinValue{cell: cell{By: w.gone[k]}}
}

func (r *twinRun) unlinkAt(k linkKey, by uint64) {
	c := twinChange{kind: "link", link: k, was: r.spot(listKey{k.Type, k.Parent}), from: r.linkValue(k), to: twinValue{cell: cell{By: by}}}
	delete(r.links, k)
	r.take(listKey{k.Type, k.Parent}, k.Child)
	delete(r.gone, k)
	if by != 0 {
		r.gone[k] = by
	}
	r.changes = append(r.changes, c)
}

func (r *twinRun) unlink(c UnlinkNode) fault.Code {
	child := r.nodes[c.ChildID]
	if r.nodes[c.ParentID] == nil || child == nil {
		return fault.NodeNotFound
	}
	if c.LinkType == ChildLink {
		if child.parent != c.ParentID {
			return fault.LinkNotFound
		}
		return r.move(c.ChildID, ID{}, At{})
	}
	if r.bp.LinkType(c.LinkType) == nil {
		return fault.InvalidCommand
	}
	k := linkKey{c.LinkType, c.ParentID, c.ChildID}
	if _, there := r.links[k]; !there {
		return fault.LinkNotFound
	}
	r.unlinkAt(k, r.by)
	return ""
}

func (n *twinNode) cell(prop string) cell {
	if prop == NameProperty {
		return cell{appendString(nil, n.name), n.namedBy}
	}
	return n.props[prop]
}

func (r *twinRun) set(id ID, prop string, raw []byte) fault.Code {
	n := r.nodes[id]
	if n == nil {
		return fault.NodeNotFound
	}
	var to []byte
	var err error
	if prop == NameProperty {
		var name string
		name, err = CanonicalNameValue(raw)
		to = appendString(nil, name)
	} else if p := n.typ.Property(prop); p == nil {
		return fault.PropertyNotFound
	} else {
		to, err = p.Canonical(raw)
	}
	if err != nil {
		return fault.InvalidCommand
	}
	if string(n.cell(prop).Raw) != string(to) {
		r.setCell(id, prop, cell{to, r.by})
	}
	return ""
}

func (r *twinRun) setCell(id ID, prop string, to cell) {
	n := r.nodes[id]
	r.changes = append(r.changes, twinChange{kind: "set", id: id, prop: prop, from: twinValue{cell: n.cell(prop)}, to: twinValue{cell: to}})
	switch {
	case prop == NameProperty:
		n.name, _ = CanonicalNameValue(to.Raw)
		n.namedBy = to.By
	case to.Raw == nil && to.By == 0:
		delete(n.props, prop)
	default:
		n.props[prop] = to
	}
}

func (r *twinRun) unset(c DeleteProperty) fault.Code {
	n := r.nodes[c.NodeID]
	if n == nil {
		return fault.NodeNotFound
	}
	if c.PropertyID == NameProperty {
		return fault.InvalidCommand
	}
	p := n.typ.Property(c.PropertyID)
	switch {
	case p == nil || n.props[c.PropertyID].Raw == nil:
		return fault.PropertyNotFound
	case p.Required:
		return fault.InvalidCommand
	}
	r.setCell(c.NodeID, c.PropertyID, cell{nil, r.by})
	return ""
}

func (r *twinRun) duplicate(c DuplicateNode) fault.Code {
	n := r.nodes[c.NodeID]
	if n == nil {
		return fault.NodeNotFound
	}
	parent := n.parent
	if c.ParentID != nil {
		parent = *c.ParentID
	}
	p := r.nodes[parent]
	switch {
	case p == nil && !parent.IsZero():
		return fault.NodeNotFound
	case p != nil && !p.typ.AllowsChild(n.typ.ID), r.depth(parent)+1+r.height(c.NodeID) > MaxDepth:
		return fault.InvalidCommand
	}
	at := c.At
	if at == (At{}) && parent == n.parent {
		at.After = c.NodeID
	}
	i, code := r.spotFor(children(parent), at, ID{})
	if code != "" {
		return code
	}
	originals := r.preorder(c.NodeID)
	copies := map[ID]ID{}
	for _, id := range originals {
		copies[id] = r.newID()
	}
	links := map[listKey][]ID{}
	for _, id := range originals {
		for _, typ := range r.bp.LinkTypes() {
			for _, child := range r.order[listKey{typ.ID, id}] {
				if to, inside := copies[child]; inside {
					links[listKey{typ.ID, copies[id]}] = append(links[listKey{typ.ID, copies[id]}], to)
				}
			}
		}
	}
	for j, id := range originals {
		o := r.nodes[id]
		m := &twinNode{typ: o.typ, name: o.name, born: r.by, placedBy: r.by, namedBy: r.by, props: map[string]cell{}}
		for prop, v := range o.props {
			if v.Raw == nil {
				continue
			}
			m.props[prop] = cell{v.Raw, r.by}
			for from, to := range copies {
				if o.typ.Property(prop).Type == TypeReference && string(v.Raw) == `"`+from.String()+`"` {
					m.props[prop] = cell{[]byte(`"` + to.String() + `"`), r.by}
				}
			}
		}
		if j == 0 {
			m.parent = parent
			if c.Name != nil {
				m.name = *c.Name
			}
			r.birth(copies[id], m, i, nil)
			continue
		}
		m.parent = copies[o.parent]
		r.birth(copies[id], m, len(r.order[children(m.parent)]), nil)
	}
	for _, k := range slices.SortedFunc(maps.Keys(links), listKey.compare) {
		for _, child := range links[k] {
			r.linkAt(linkKey{k.Type, k.Parent, child}, len(r.order[k]), r.by)
		}
	}
	return ""
}

func (w *twin) preorder(id ID) []ID {
	ids := []ID{id}
	for _, child := range w.order[children(id)] {
		ids = append(ids, w.preorder(child)...)
	}
	return ids
}
