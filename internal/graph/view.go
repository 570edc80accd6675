package graph

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/graphroom/graphroom/internal/fault"
)

// AppendJSON appends the graph shape of docs/SPEC.md to dst: project_id,
// template_id, the roots with all below them, and the links that are not of
// the containment tree, sorted by type, parent and position. It is also the
// format of saved and exported graphs. Equal graphs give equal bytes, and the
// bytes stay as they are when encoding/json embeds them.
func (g *Graph) AppendJSON(dst []byte, projectID string) []byte {
	g.settled()
	dst = append(dst, `{"project_id":`...)
	dst = appendString(dst, projectID)
	dst = append(dst, `,"template_id":`...)
	dst = appendString(dst, g.bp.ID())
	w := writer{allFields}
	dst = append(dst, `,"roots":`...)
	dst = w.list(dst, &g.roots, -1)
	dst = append(dst, `,"links":`...)
	dst = appendLinks(dst, g.sortedLinks())
	return append(dst, '}')
}

// fields is a set of the fields of a node besides its id and children.
type fields uint8

const (
	fieldName fields = 1 << iota
	fieldType
	fieldPosition
	fieldProperties
	fieldChildCount

	allFields = fieldName | fieldType | fieldPosition | fieldProperties
)

// writer writes nodes as JSON.
type writer struct{ fields fields }

// list appends an array of nodes with so many levels below them; -1: all.
func (w *writer) list(dst []byte, list *siblings, levels int) []byte {
	dst = append(dst, '[')
	for i, s := range list.all() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.node(dst, s.node, i, levels)
	}
	return append(dst, ']')
}

func (w *writer) node(dst []byte, n *node, position, levels int) []byte {
	dst = append(dst, `{"id":"`...)
	dst, _ = n.id.AppendText(dst)
	dst = append(dst, '"')
	if w.fields&fieldName != 0 {
		dst = append(dst, `,"name":`...)
		dst = appendString(dst, n.name)
	}
	if w.fields&fieldType != 0 {
		dst = append(dst, `,"blueprint_type_id":`...)
		dst = appendString(dst, n.typ.ID)
	}
	if w.fields&fieldPosition != 0 {
		dst = append(dst, `,"position":`...)
		dst = strconv.AppendInt(dst, int64(position), 10)
	}
	if w.fields&fieldProperties != 0 {
		dst = append(dst, `,"properties":`...)
		dst = appendProperties(dst, n.values)
	}
	if w.fields&fieldChildCount != 0 {
		dst = append(dst, `,"child_count":`...)
		dst = strconv.AppendInt(dst, int64(n.children.len()), 10)
	}
	if levels == 0 {
		return append(dst, '}')
	}
	dst = append(dst, `,"children":`...)
	dst = w.list(dst, &n.children, levels-1)
	return append(dst, '}')
}

// appendProperties writes the set properties as an object, sorted by id.
func appendProperties(dst []byte, values []value) []byte {
	dst = append(dst, '{')
	first := true
	for _, v := range values {
		if v.Raw == nil {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, v.Prop)
		dst = append(dst, ':')
		dst = append(dst, v.Raw...)
	}
	return append(dst, '}')
}

// sortedLinks lists all links by type, parent and order.
func (g *Graph) sortedLinks() []*link {
	links := make([]*link, 0, len(g.links))
	for _, l := range g.links {
		links = append(links, l)
	}
	slices.SortFunc(links, compareLinks)
	return links
}

func compareLinks(a, b *link) int {
	ka, kb := a.id(), b.id()
	ka.Child, kb.Child = ID{}, ID{}
	if c := ka.compare(kb); c != 0 {
		return c
	}
	if a.key < b.key {
		return -1
	}
	if a.key > b.key {
		return 1
	}
	return 0
}

// appendLinks writes links in the order given.
func appendLinks(dst []byte, links []*link) []byte {
	dst = append(dst, '[')
	for i, l := range links {
		if i > 0 {
			dst = append(dst, ',')
		}
		view := l.view()
		dst = append(dst, `{"link_type":`...)
		dst = appendString(dst, view.LinkType)
		dst = append(dst, `,"parent_id":"`...)
		dst, _ = view.ParentID.AppendText(dst)
		dst = append(dst, `","child_id":"`...)
		dst, _ = view.ChildID.AppendText(dst)
		dst = append(dst, `","position":`...)
		dst = strconv.AppendInt(dst, int64(view.Position), 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// Link is a link as answers show it. Position is the 0-based index among the
// links of its type and parent.
type Link struct {
	LinkType string `json:"link_type"`
	ParentID ID     `json:"parent_id"`
	ChildID  ID     `json:"child_id"`
	Position int    `json:"position"`
}

func (l *link) view() Link {
	rank, _ := l.parent.outList(l.typ.ID).rank(l.key)
	return Link{l.typ.ID, l.parent.id, l.node.id, rank}
}

// TreeOptions says what Tree shows.
type TreeOptions struct {
	Root   ID       // only this node and below; zero: all roots
	Depth  int      // levels to show, 1 or more; 0: all
	Fields []string // of a node besides its id; empty: all but child_count
}

// fieldNamed is the bit of a name that TreeOptions.Fields may hold; 0 for any
// other.
func fieldNamed(name string) fields {
	switch name {
	case "name":
		return fieldName
	case "blueprint_type_id":
		return fieldType
	case "position":
		return fieldPosition
	case "properties":
		return fieldProperties
	case "child_count":
		return fieldChildCount
	default:
		return 0
	}
}

// Tree answers {roots: [node], links: [link]} for the whole graph or one
// subtree, down to a depth, as JSON. A node at the last level has no field
// children; child_count tells how many there are. The links are those with
// both ends in the answer. An unknown field is INVALID_REQUEST, an unknown
// root NODE_NOT_FOUND.
func (g *Graph) Tree(o TreeOptions) (json.RawMessage, error) {
	g.settled()
	w := writer{}
	for _, name := range o.Fields {
		bit := fieldNamed(name)
		if bit == 0 {
			return nil, fault.New(fault.InvalidRequest, "a node has no field %s", quote(name))
		}
		w.fields |= bit
	}
	if len(o.Fields) == 0 {
		w.fields = allFields
	}
	if o.Depth < 0 {
		return nil, fault.New(fault.InvalidRequest, "depth must not be negative")
	}
	dst := []byte(`{"roots":`)
	if o.Root.IsZero() && o.Depth == 0 {
		dst = w.list(dst, &g.roots, -1)
		dst = append(dst, `,"links":`...)
		return append(appendLinks(dst, g.sortedLinks()), '}'), nil
	}
	shown := map[*node]bool{}
	if o.Root.IsZero() {
		dst = w.list(dst, &g.roots, o.Depth-1)
		for _, s := range g.roots.all() {
			s.node.show(shown, o.Depth-1)
		}
	} else {
		n := g.nodes[o.Root]
		if n == nil {
			return nil, fault.New(fault.NodeNotFound, "there is no node %s", o.Root)
		}
		dst = append(w.node(append(dst, '['), n, g.position(n), o.Depth-1), ']')
		n.show(shown, o.Depth-1)
	}
	dst = append(dst, `,"links":`...)
	return append(appendLinks(dst, linksAmong(shown)), '}'), nil
}

// show collects the node and so many levels below it; negative: all.
func (n *node) show(shown map[*node]bool, levels int) {
	shown[n] = true
	if levels == 0 {
		return
	}
	for _, s := range n.children.all() {
		s.node.show(shown, levels-1)
	}
}

// linksAmong lists the links with both ends in a set, sorted.
func linksAmong(shown map[*node]bool) []*link {
	var links []*link
	for n := range shown {
		for _, out := range n.out {
			for _, s := range out.list.all() {
				if shown[s.node] {
					links = append(links, s.link)
				}
			}
		}
	}
	slices.SortFunc(links, compareLinks)
	return links
}

// NodeDetail is one node with what surrounds it.
type NodeDetail struct {
	ID              ID              `json:"id"`
	Name            string          `json:"name"`
	BlueprintTypeID string          `json:"blueprint_type_id"`
	ParentID        *ID             `json:"parent_id"`
	Position        int             `json:"position"`
	Properties      json.RawMessage `json:"properties"`
	ChildCount      int             `json:"child_count"`
	Ancestors       []NodeRef       `json:"ancestors"` // from the root to the parent
	Links           []Link          `json:"links"`     // all that touch the node, by type, parent and position
	ChangedSeq      uint64          `json:"-"`         // see Changed
}

// NodeRef names a node.
type NodeRef struct {
	ID              ID     `json:"id"`
	Name            string `json:"name"`
	BlueprintTypeID string `json:"blueprint_type_id"`
}

// Node answers one node; NODE_NOT_FOUND when it does not live.
func (g *Graph) Node(id ID) (NodeDetail, error) {
	g.settled()
	n := g.nodes[id]
	if n == nil {
		return NodeDetail{}, fault.New(fault.NodeNotFound, "there is no node %s", id)
	}
	d := NodeDetail{
		ID: id, Name: n.name, BlueprintTypeID: n.typ.ID, ParentID: orNull(idOf(n.parent)),
		Position: g.position(n), Properties: appendProperties(nil, n.values), ChildCount: n.children.len(),
		Ancestors: []NodeRef{}, Links: []Link{}, ChangedSeq: g.Changed(id),
	}
	for a := n.parent; a != nil; a = a.parent {
		d.Ancestors = append(d.Ancestors, NodeRef{a.id, a.name, a.typ.ID})
	}
	slices.Reverse(d.Ancestors)
	var links []*link
	for _, out := range n.out {
		for _, s := range out.list.all() {
			links = append(links, s.link)
		}
	}
	for _, in := range n.in {
		for _, l := range in.links {
			if l.parent != n {
				links = append(links, l)
			}
		}
	}
	slices.SortFunc(links, compareLinks)
	for _, l := range links {
		d.Links = append(d.Links, l.view())
	}
	return d, nil
}
