package graph

import (
	"encoding/binary"
	"slices"
	"strings"
)

const (
	// maxIndexed is the length in bytes past which a value has no list of its
	// own.
	maxIndexed = 256
	// maxKept is the number of changes in one entry past which the index is
	// dropped, to be built anew by the next search.
	maxKept = 2000
	// indexKeyLen is the length in bytes of an index key.
	indexKeyLen = 8 + len(ID{})
)

// index finds nodes by what they are: one list for each type, each set
// property, each short value and each three bytes of a folded name. All lists
// are in the order of hits and share one slot for each node. It is kept up to
// date by Apply from the changes themselves, never while a command is planned.
type index struct {
	all   siblings
	slots map[ID]*slot
	lists map[string]*siblings
}

// indexKey sorts by the writer of a node's existence, then by id.
func indexKey(born uint64, id ID) string {
	var key [indexKeyLen]byte
	binary.BigEndian.PutUint64(key[:], born)
	copy(key[8:], id[:])
	return string(key[:])
}

// indexID is the node of a slot of the index. Slots do not point at nodes:
// planning and reverting make nodes anew.
func indexID(x *slot) (id ID) {
	copy(id[:], x.key[8:])
	return id
}

// The terms name the lists: a letter for the kind, then what it is about.
func typeTerm(id string) string            { return "t" + id }
func propTerm(prop string) string          { return "p" + prop }
func valueTerm(prop, value string) string  { return "v" + prop + "\x00" + value }
func gramTerm(folded string, i int) string { return "g" + folded[i:i+3] }

// gramTerms lists the terms of a folded name, none twice.
func gramTerms(folded string) []string {
	if len(folded) < 3 {
		return nil
	}
	terms := make([]string, 0, len(folded)-2)
	for i := range len(folded) - 2 {
		terms = append(terms, gramTerm(folded, i))
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

func valueTerms(prop string, raw []byte) []string {
	switch {
	case raw == nil:
		return nil
	case len(raw) > maxIndexed:
		return []string{propTerm(prop)}
	default:
		return []string{propTerm(prop), valueTerm(prop, string(raw))}
	}
}

// imageTerms lists all terms of a node.
func imageTerms(im *image) []string {
	terms := append(gramTerms(fold(im.Name)), typeTerm(im.Type))
	for _, v := range im.Values {
		terms = append(terms, valueTerms(v.Prop, v.Raw)...)
	}
	return terms
}

// buildIndex indexes every node, in the order of the lists, so that each list
// only grows at its end.
func buildIndex(g *Graph) *index {
	ix := &index{slots: make(map[ID]*slot, len(g.nodes)), lists: map[string]*siblings{}}
	slots := make([]*slot, 0, len(g.nodes))
	for _, n := range g.nodes {
		slots = append(slots, &slot{key: indexKey(n.born, n.id)})
	}
	slices.SortFunc(slots, func(a, b *slot) int { return strings.Compare(a.key, b.key) })
	for _, x := range slots {
		n := g.nodes[indexID(x)]
		ix.slots[n.id] = x
		ix.all.insert(x)
		ix.add(x, imageTerms(&image{Type: n.typ.ID, Name: n.name, Values: n.values}))
	}
	return ix
}

func (ix *index) add(x *slot, terms []string) {
	for _, term := range terms {
		list := ix.lists[term]
		if list == nil {
			list = &siblings{}
			ix.lists[term] = list
		}
		list.insert(x)
	}
}

func (ix *index) drop(x *slot, terms []string) {
	for _, term := range terms {
		list := ix.lists[term]
		list.remove(x.key)
		if list.len() == 0 {
			delete(ix.lists, term)
		}
	}
}

// note follows a change that was applied to the graph.
func (ix *index) note(body changeBody) {
	switch c := body.(type) {
	case *birth:
		x := &slot{key: indexKey(c.Node.By, c.ID)}
		ix.slots[c.ID] = x
		ix.all.insert(x)
		ix.add(x, imageTerms(&c.Node))
	case *death:
		x := ix.slots[c.ID]
		ix.drop(x, imageTerms(&c.Node))
		ix.all.remove(x.key)
		delete(ix.slots, c.ID)
	case *setting:
		x := ix.slots[c.ID]
		if c.Prop == NameProperty {
			from, _ := nameOf(c.From.Raw)
		to, _ := nameOf(c.To.Raw)
			ix.drop(x, gramTerms(fold(from)))
			ix.add(x, gramTerms(fold(to)))
			return
		}
		ix.drop(x, valueTerms(c.Prop, c.From.Raw))
		ix.add(x, valueTerms(c.Prop, c.To.Raw))
	}
}

// check compares the index with one built anew.
func (ix *index) check(g *Graph) bool {
	fresh := buildIndex(g)
	same := func(a, b *siblings) bool {
		if a == nil || a.len() != b.len() {
			return false
		}
		for i, x := range b.all() {
			if y := a.at(i); y.key != x.key {
				return false
			}
		}
		return true
	}
	if len(fresh.lists) != len(ix.lists) || len(fresh.slots) != len(ix.slots) || !same(&ix.all, &fresh.all) {
		return false
	}
	for term, list := range fresh.lists {
		if !same(ix.lists[term], list) {
			return false
		}
	}
	return true
}
