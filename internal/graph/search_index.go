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
	// indexKeyLen is the length in bytes of an index key before the name.
	indexKeyLen = 8 + len(ID{})
)

// index finds nodes by what they are: one list for each type, each set
// property, each short value and each three bytes of a folded name. All lists
// are in the order of hits and share one slot for each node. It is kept up to
// date by Apply from the changes themselves, never while a command is planned.
type index struct {
	all   siblings
	slots map[ID]*slot
	grams map[gram]*siblings
	lists map[term]*siblings
}

// gram is three bytes of a folded name.
type gram [3]byte

// term names a list that is not of a gram.
type term struct{ kind, name, value string }

// indexKey sorts by the writer of a node's existence, then by id. Behind that
// it carries the folded name, so that most nodes that do not match are passed
// over without a look at them; a rename changes it in place.
func indexKey(born uint64, id ID, folded string) string {
	key := make([]byte, 0, indexKeyLen+len(folded))
	key = binary.BigEndian.AppendUint64(key, born)
	key = append(key, id[:]...)
	return string(append(key, folded...))
}

// indexID is the node of a slot of the index. Slots do not point at nodes:
// planning and reverting make nodes anew.
func indexID(x *slot) (id ID) {
	copy(id[:], x.key[8:])
	return id
}

func typeTerm(id string) term           { return term{"type", id, ""} }
func propTerm(prop string) term         { return term{"set", prop, ""} }
func valueTerm(prop, value string) term { return term{"value", prop, value} }

// gramsOf lists the grams of a folded name, none twice.
func gramsOf(folded string) []gram {
	if len(folded) < len(gram{}) {
		return nil
	}
	grams := make([]gram, 0, len(folded)-2)
	for i := range len(folded) - 2 {
		grams = append(grams, gram([]byte(folded[i:i+3])))
	}
	slices.SortFunc(grams, func(a, b gram) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(grams)
}

func valueTerms(prop string, raw []byte) []term {
	switch {
	case raw == nil:
		return nil
	case len(raw) > maxIndexed:
		return []term{propTerm(prop)}
	default:
		return []term{propTerm(prop), valueTerm(prop, string(raw))}
	}
}

// imageTerms lists all terms of a node.
func imageTerms(typ string, values []value) []term {
	terms := append(make([]term, 0, 1+2*len(values)), typeTerm(typ))
	for _, v := range values {
		terms = append(terms, valueTerms(v.Prop, v.Raw)...)
	}
	return terms
}

// buildIndex indexes every node, in the order of the lists, so that each list
// only grows at its end.
func buildIndex(g *Graph) *index {
	ix := &index{slots: make(map[ID]*slot, len(g.nodes)), grams: map[gram]*siblings{}, lists: map[term]*siblings{}}
	slots := make([]*slot, 0, len(g.nodes))
	for _, n := range g.nodes {
		slots = append(slots, &slot{key: indexKey(n.born, n.id, fold(n.name))})
	}
	slices.SortFunc(slots, func(a, b *slot) int { return strings.Compare(a.key, b.key) })
	for _, x := range slots {
		n := g.nodes[indexID(x)]
		ix.slots[n.id] = x
		ix.all.insert(x)
		addTo(ix.grams, x, gramsOf(x.key[indexKeyLen:]))
		addTo(ix.lists, x, imageTerms(n.typ.ID, n.values))
	}
	return ix
}

func addTo[K comparable](lists map[K]*siblings, x *slot, names []K) {
	for _, name := range names {
		list := lists[name]
		if list == nil {
			list = &siblings{}
			lists[name] = list
		}
		list.insert(x)
	}
}

func dropFrom[K comparable](lists map[K]*siblings, x *slot, names []K) {
	for _, name := range names {
		list := lists[name]
		list.remove(x.key)
		if list.len() == 0 {
			delete(lists, name)
		}
	}
}

// note follows a change that was applied to the graph.
func (ix *index) note(body changeBody) {
	switch c := body.(type) {
	case *birth:
		x := &slot{key: indexKey(c.Node.By, c.ID, fold(c.Node.Name))}
		ix.slots[c.ID] = x
		ix.all.insert(x)
		addTo(ix.grams, x, gramsOf(x.key[indexKeyLen:]))
		addTo(ix.lists, x, imageTerms(c.Node.Type, c.Node.Values))
	case *death:
		x := ix.slots[c.ID]
		dropFrom(ix.grams, x, gramsOf(x.key[indexKeyLen:]))
		dropFrom(ix.lists, x, imageTerms(c.Node.Type, c.Node.Values))
		ix.all.remove(x.key)
		delete(ix.slots, c.ID)
	case *setting:
		x := ix.slots[c.ID]
		if c.Prop == NameProperty {
			to, _ := nameOf(c.To.Raw)
			dropFrom(ix.grams, x, gramsOf(x.key[indexKeyLen:]))
			x.key = x.key[:indexKeyLen] + fold(to)
			addTo(ix.grams, x, gramsOf(x.key[indexKeyLen:]))
			return
		}
		dropFrom(ix.lists, x, valueTerms(c.Prop, c.From.Raw))
		addTo(ix.lists, x, valueTerms(c.Prop, c.To.Raw))
	}
}
