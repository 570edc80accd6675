package graph

import (
	"encoding/base64"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// The bounds of a search.
const (
	DefaultPage = 50
	MaxPage     = 500

	// maxGathered is the size past which a subtree is not gathered for each
	// page, but each candidate asked whether it is inside.
	maxGathered = 2000
)

// Query says what to look for: every field that is set must hold.
type Query struct {
	Text       string          // part of the name, upper and lower case alike; at most MaxName characters
	TypeID     string          // the node type
	PropertyID string          // a property that is set; NameProperty is one
	Value      json.RawMessage // with PropertyID: that has this value, in any form that commands accept
	Under      ID              // in the subtree of this node, itself included
	Cursor     string          // Page.Next of the page before; "": the first page
	Limit      int             // hits of a page, 1 to MaxPage; 0: DefaultPage
}

// Page is one page of hits.
type Page struct {
	Hits []Hit  `json:"hits"`           // oldest first: by the writer of their existence, then by id
	Next string `json:"next,omitempty"` // cursor of the next page; "": this is the last one
}

// Hit is a node that matches.
type Hit struct {
	ID              ID     `json:"id"`
	Name            string `json:"name"`
	BlueprintTypeID string `json:"blueprint_type_id"`
	ParentID        *ID    `json:"parent_id"`
}

// Search finds nodes. A cursor stays good when the graph changes between two
// pages, also when the node it stands at goes. The first search builds an
// index, in time linear in the graph; from then on changes keep it up to date,
// and a page costs what the rarest part of its query costs: at worst linear.
//
// INVALID_REQUEST: a limit, cursor, type, property or value that cannot be;
// NODE_NOT_FOUND: Under.
func (g *Graph) Search(q Query) (Page, error) {
	g.settled()
	s := search{g: g, limit: q.Limit, text: fold(q.Text), under: g.nodes[q.Under]}
	if err := s.read(q); err != nil {
		return Page{}, err
	}
	if g.index == nil {
		g.index = buildIndex(g)
	}
	page := Page{Hits: []Hit{}}
	last := s.after
	for x := range s.candidates().from(s.after) {
		if !strings.Contains(x.key[indexKeyLen:], s.text) {
			continue
		}
		n := g.nodes[indexID(x)]
		if !s.matches(n) {
			continue
		}
		if len(page.Hits) == s.limit {
			page.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		last = x.key[:indexKeyLen]
		page.Hits = append(page.Hits, Hit{n.id, n.name, n.typ.ID, orNull(idOf(n.parent))})
	}
	return page, nil
}

// search is a query that was checked.
type search struct {
	g      *Graph
	text   string
	typ    *NodeType
	prop   string
	values map[*NodeType]string // what the property must be, by type; nil: anything
	under  *node
	after  string // index key
	limit  int
}

func (s *search) read(q Query) error {
	switch {
	case q.Limit < 0 || q.Limit > MaxPage:
		return fault.New(fault.InvalidRequest, "limit must be from 1 to %d", MaxPage)
	case checkName(q.Text) != "":
		return fault.New(fault.InvalidRequest, "text %s", checkName(q.Text))
	case !q.Under.IsZero() && s.under == nil:
		return fault.New(fault.NodeNotFound, "there is no node %s", q.Under)
	}
	if s.limit == 0 {
		s.limit = DefaultPage
	}
	if q.TypeID != "" {
		if s.typ = s.g.bp.NodeType(q.TypeID); s.typ == nil {
			return fault.New(fault.InvalidRequest, "the blueprint has no node type %s", quote(q.TypeID))
		}
	}
	if q.Cursor != "" {
		key, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		if err != nil || len(key) != indexKeyLen {
			return fault.New(fault.InvalidRequest, "the cursor is not one that a search gave")
		}
		s.after = string(key)
	}
	s.prop = q.PropertyID
	if s.prop == "" {
		if q.Value != nil {
			return fault.New(fault.InvalidRequest, "a value needs a property_id")
		}
		return nil
	}
	return s.readValue(q.Value)
}

// readValue checks the property, and brings the value into the canonical form
// that it has in each type with such a property.
func (s *search) readValue(raw json.RawMessage) error {
	var refusal error
	known := false
	values := map[*NodeType]string{}
	for _, typ := range s.g.bp.NodeTypes() {
		if s.typ != nil && typ != s.typ || s.prop != NameProperty && typ.Property(s.prop) == nil {
			continue
		}
		known = true
		if raw == nil {
			continue
		}
		value, err := canonical(typ, s.prop, raw)
		if err != nil {
			refusal = err
			continue
		}
		values[typ] = string(value)
	}
	switch {
	case !known:
		return fault.New(fault.InvalidRequest, "no such node has a property %s", quote(s.prop))
	case raw == nil:
		return nil
	case len(values) == 0:
		e := *fault.From(refusal)
		e.Code, e.Class = fault.InvalidRequest, fault.ClassInvalid
		return &e
	}
	s.values = values
	return nil
}

// matches checks all but the text.
func (s *search) matches(n *node) bool {
	if s.typ != nil && n.typ != s.typ {
		return false
	}
	if s.prop != "" {
		raw := n.cell(s.prop).Raw
		if raw == nil {
			return false
		}
		if want, ok := s.values[n.typ]; s.values != nil && (!ok || want != string(raw)) {
			return false
		}
	}
	return s.under == nil || n.under(s.under)
}

// candidates picks the shortest list that holds all hits.
func (s *search) candidates() *siblings {
	ix := s.g.index
	best := &ix.all
	consider := func(list *siblings) {
		if list == nil {
			list = &siblings{}
		}
		if list.len() < best.len() {
			best = list
		}
	}
	if s.typ != nil {
		consider(ix.lists[typeTerm(s.typ.ID)])
	}
	for _, g := range gramsOf(s.text) {
		consider(ix.grams[g])
	}
	if s.prop != "" && s.prop != NameProperty {
		consider(ix.lists[propTerm(s.prop)])
		if one, ok := s.onlyValue(); ok {
			consider(ix.lists[valueTerm(s.prop, one)])
		}
	}
	if s.under != nil {
		if list, ok := ix.below(s.under, min(best.len(), maxGathered)); ok {
			best = list
		}
	}
	return best
}

// onlyValue is the wanted value when it is the same for all types, and short
// enough to be indexed.
func (s *search) onlyValue() (string, bool) {
	one, n := "", 0
	for _, v := range s.values {
		if n == 0 || v != one {
			one = v
			n++
		}
	}
	return one, n == 1 && len(one) <= maxIndexed
}

// fold makes names that differ in case alike.
func fold(s string) string { return strings.ToLower(s) }

// from yields the slots of an index list after the one whose key begins so.
func (s *siblings) from(key string) iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		c, i := s.seek(key)
		for ; c < len(s.chunks); c, i = c+1, 0 {
			for _, x := range s.chunks[c][i:] {
				if (key == "" || x.key[:indexKeyLen] != key) && !yield(x) {
					return
				}
			}
		}
	}
}

// below lists the nodes of a subtree, if it is smaller than limit.
func (ix *index) below(top *node, limit int) (*siblings, bool) {
	var slots []*slot
	var walk func(n *node) bool
	walk = func(n *node) bool {
		if len(slots) >= limit {
			return false
		}
		slots = append(slots, ix.slots[n.id])
		for _, s := range n.children.all() {
			if !walk(s.node) {
				return false
			}
		}
		return true
	}
	if !walk(top) {
		return nil, false
	}
	slices.SortFunc(slots, func(a, b *slot) int { return strings.Compare(a.key, b.key) })
	list := &siblings{}
	for _, x := range slots {
		list.insert(x)
	}
	return list, true
}
