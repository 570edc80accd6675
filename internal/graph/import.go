package graph

import (
	"errors"

	"github.com/graphroom/graphroom/internal/fault"
)

// importNesting is how deep the JSON of a graph may be nested: two levels for
// each level of the tree, and a value inside.
const importNesting = 2*MaxDepth + MaxNesting + 8

// Import makes a graph from the shape that AppendJSON writes. Everything in it
// counts as loaded: its writer is 0. Positions may be left out, since the
// order of the arrays says them; a position that says otherwise is a fault, as
// is anything that commands could not have made, and any unknown field. A
// graph with faults is refused whole, with the places of the first ones
// (INVALID_REQUEST). project_id is not looked at; seq and epoch, which GET
// /graph adds, are ignored. AppendJSON of the result gives the bytes that
// AppendJSON wrote.
func Import(bp *Blueprint, graphJSON []byte) (*Graph, error) {
	im := importer{
		r: newJSONReader(graphJSON, "graph"), g: New(bp),
		seen: map[ID]bool{},
	}
	im.r.depth = MaxNesting - importNesting
	im.graph()
	im.r.end()
	if err := im.err(); err != nil {
		return nil, err
	}
	im.plant(im.roots, nil)
	im.connect()
	if err := im.err(); err != nil {
		return nil, err
	}
	return im.g, nil
}

// importer reads a graph into plain nodes, noting faults with their places,
// and then builds the graph from them.
type importer struct {
	r     *jsonReader
	g     *Graph
	seen  map[ID]bool
	roots []*importNode
	links []importLink
}

type importNode struct {
	id       ID
	typ      *NodeType
	name     string
	values   []value
	children []*importNode
}

type importLink struct {
	typ           string
	parent, child ID
	position      *int
}

func (im *importer) err() error { return im.r.err(fault.InvalidRequest, "") }

func (im *importer) graph() {
	r := im.r
	ignored := func() { r.skip() }
	template := func() {
		if !r.want(kindString) {
			return
		}
		if id := r.str(); id != im.g.bp.ID() {
			r.note("is " + quote(id) + ", but the blueprint is " + quote(im.g.bp.ID()))
		}
	}
	r.fields(
		optional("project_id", ignored), optional("seq", ignored), optional("epoch", ignored),
		required("template_id", template),
		required("roots", func() { im.roots = im.list(1) }),
		optional("links", im.readLinks),
	)
}

// list reads an array of nodes at a depth. Whether the parent allows their
// types is checked by the parent, whose type may come later in the text.
func (im *importer) list(depth int) []*importNode {
	r := im.r
	if !r.want(kindArray) {
		return nil
	}
	var nodes []*importNode
	r.array(func(i int) {
		if depth > MaxDepth {
			if i == 0 {
				r.note("is deeper than " + itoa(MaxDepth) + " levels")
			}
			r.skip()
			return
		}
		nodes = append(nodes, im.node(i, depth))
	})
	return nodes
}

func (im *importer) node(index, depth int) *importNode {
	r := im.r
	n := &importNode{}
	typeID := ""
	var raws []PropertyValue
	r.fields(
		required("id", r.id(&n.id)),
		required("name", r.line(&n.name, MaxName)),
		required("blueprint_type_id", r.text(&typeID)),
		optional("position", im.position(index)),
		optional("properties", r.properties(&raws)),
		optional("children", func() { n.children = im.list(depth + 1) }),
	)
	if !n.id.IsZero() {
		if im.seen[n.id] {
			r.noteAt("id", "is the id of another node too")
		}
		im.seen[n.id] = true
	}
	if typeID == "" {
		return n
	}
	if n.typ = im.g.bp.NodeType(typeID); n.typ == nil {
		r.noteAt("blueprint_type_id", "is no node type of the blueprint: "+quote(typeID))
		return n
	}
	im.values(n, raws)
	for i, child := range n.children {
		if child.typ != nil && !n.typ.AllowsChild(child.typ.ID) {
			im.noteIn("must not stand here: the blueprint does not allow "+child.typ.ID+" under "+n.typ.ID, "children", i)
		}
	}
	return n
}

// position reads an index that has to be this one.
func (im *importer) position(index int) func() {
	return func() {
		var at *int
		im.r.index(&at)()
		if at != nil && *at != index {
			im.r.note("must be " + itoa(index) + ", the index in the array, or be left out")
		}
	}
}

func (im *importer) values(n *importNode, raws []PropertyValue) {
	r := im.r
	base := r.location() + ".properties."
	for _, raw := range raws {
		if r.broken {
			return
		}
		prop := n.typ.Property(raw.ID)
		if prop == nil {
			im.noteIn("is no property of "+n.typ.ID, "properties", raw.ID)
			continue
		}
		canonical, err := prop.Canonical(raw.Value)
		if err != nil {
			im.noteAll(relocate(err, raw.ID, base+raw.ID))
			continue
		}
		n.values = append(n.values, value{Prop: raw.ID, Raw: canonical})
	}
}

// noteAll takes over the faults of a value.
func (im *importer) noteAll(err error) {
	var e *fault.Error
	if !errors.As(err, &e) {
		return
	}
	for _, d := range e.Details {
		if len(im.r.faults) == maxFaults {
			im.r.more++
			continue
		}
		im.r.faults = append(im.r.faults, d)
	}
}

// noteIn notes a fault below the present place, at a path of keys and indexes.
func (im *importer) noteIn(message string, path ...any) {
	before := len(im.r.path)
	for _, step := range path {
		switch s := step.(type) {
		case string:
			im.r.path = append(im.r.path, jsonStep{key: &s})
		case int:
			im.r.path = append(im.r.path, jsonStep{index: s})
		}
	}
	im.r.note(message)
	im.r.path = im.r.path[:before]
}

func (im *importer) readLinks() {
	r := im.r
	if !r.want(kindArray) {
		return
	}
	r.array(func(int) {
		var l importLink
		r.fields(
			required("link_type", r.text(&l.typ)),
			required("parent_id", r.id(&l.parent)),
			required("child_id", r.id(&l.child)),
			optional("position", r.index(&l.position)),
		)
		im.links = append(im.links, l)
	})
}

// plant builds nodes that had no fault.
func (im *importer) plant(nodes []*importNode, parent *node) {
	keys := keysBetween("", "", len(nodes))
	for i, from := range nodes {
		n := &node{id: from.id, typ: from.typ, name: from.name, values: from.values}
		n.slot.node = n
		im.g.nodes[n.id] = n
		im.g.attach(n, parent, keys[i])
		im.plant(from.children, n)
	}
}

// connect builds the links, each under the rules that commands are under.
func (im *importer) connect() {
	last := map[listKey]string{}
	for i, l := range im.links {
		typ, parent, child := im.g.bp.LinkType(l.typ), im.g.nodes[l.parent], im.g.nodes[l.child]
		switch {
		case typ == nil:
			im.noteIn("is no link type of the blueprint: "+quote(l.typ), "links", i, "link_type")
			continue
		case parent == nil:
			im.noteIn("is no node of the graph", "links", i, "parent_id")
			continue
		case child == nil:
			im.noteIn("is no node of the graph", "links", i, "child_id")
			continue
		case im.g.links[linkKey{l.typ, l.parent, l.child}] != nil:
			im.noteIn("is there twice", "links", i)
			continue
		}
		if err := im.g.mayLink(typ, parent, child); err != nil {
			im.noteIn(fault.From(err).Message, "links", i)
			continue
		}
		list := listKey{l.typ, l.parent}
		if at := im.g.lane(list).list.len(); l.position != nil && *l.position != at {
			im.noteIn("must be "+itoa(at)+", by the order of the array, or be left out", "links", i, "position")
		}
		last[list] = keyBetween(last[list], "")
		im.g.join(typ, parent, child, last[list], 0)
	}
}
