package graph

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// snapshotFormat begins every snapshot; the number is the format's version.
// Format 1, all numbers as unsigned varints, texts with their length before
// them: format line, template id, number of nodes, nodes (parents first, in
// order), then the number of entries and the entries of the links, the absent
// links, the tombs and the generations, each sorted.
const snapshotFormat = "graphroom-graph 1\n"

// Encode gives the whole state of the graph: nodes, links, order keys,
// writers, tombs and marks. Equal states give equal bytes. The blueprint is
// not part of it, only its id.
func (g *Graph) Encode() []byte {
	g.settled()
	e := encoder{b: []byte(snapshotFormat)}
	e.text(g.bp.ID())
	e.number(uint64(len(g.nodes)))
	e.list(&g.roots, ID{})
	links := g.sortedLinks()
	e.number(uint64(len(links)))
	for _, l := range links {
		e.linkKey(l.id())
		e.text(l.key)
		e.number(l.by)
	}
	e.number(uint64(len(g.gone)))
	for _, k := range slices.SortedFunc(maps.Keys(g.gone), linkKey.compare) {
		e.linkKey(k)
		e.number(g.gone[k])
	}
	e.number(uint64(len(g.tombs)))
	for _, id := range slices.SortedFunc(maps.Keys(g.tombs), ID.compare) {
		e.id(id)
		e.number(g.tombs[id].By)
		e.id(g.tombs[id].Parent)
	}
	e.number(uint64(len(g.gens)))
	for _, k := range slices.SortedFunc(maps.Keys(g.gens), listKey.compare) {
		e.text(k.Type)
		e.id(k.Parent)
		e.number(uint64(g.gens[k]))
	}
	return e.b
}

func (k listKey) compare(o listKey) int {
	if c := strings.Compare(k.Type, o.Type); c != 0 {
		return c
	}
	return k.Parent.compare(o.Parent)
}

type encoder struct{ b []byte }

func (e *encoder) number(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) id(id ID)        { e.b = append(e.b, id[:]...) }

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) linkKey(k linkKey) {
	e.text(k.Type)
	e.id(k.Parent)
	e.id(k.Child)
}

func (e *encoder) list(list *siblings, parent ID) {
	for _, s := range list.all() {
		n := s.node
		e.id(n.id)
		e.id(parent)
		e.text(n.typ.ID)
		e.text(n.name)
		e.text(n.key)
		for _, writer := range [...]uint64{n.born, n.placedBy, n.namedBy, n.changed, n.listed} {
			e.number(writer)
		}
		e.number(uint64(len(n.values)))
		for _, v := range n.values {
			e.text(v.Prop)
			e.text(string(v.Raw)) // empty: unset
			e.number(v.By)
		}
		e.list(&n.children, n.id)
	}
}

// DecodeGraph reads what Encode wrote, for the blueprint that the graph was
// made with. Anything else is an INTERNAL error that says what does not fit
// and at which byte: never a panic, and never a broken graph.
func DecodeGraph(bp *Blueprint, data []byte) (*Graph, error) {
	d := decoder{data: data}
	g := New(bp)
	if !strings.HasPrefix(string(data[:min(len(data), len(snapshotFormat))]), snapshotFormat) {
		return nil, fault.New(fault.Internal, "this is no graph snapshot of a format that this version reads")
	}
	d.at = len(snapshotFormat)
	d.graph(g)
	if d.err == nil && d.at != len(data) {
		d.fail("something follows the end")
	}
	if d.err != nil {
		return nil, fault.Wrap(d.err, fault.Internal, "the graph snapshot is broken at byte %d", d.at)
	}
	if err := g.Check(); err != nil {
		return nil, err
	}
	return g, nil
}

// decoder reads a snapshot; after a fault every method returns zero values.
type decoder struct {
	data []byte
	at   int
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) number() uint64 {
	if d.err != nil {
		return 0
	}
	n, size := binary.Uvarint(d.data[d.at:])
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.at += size
	return n
}

// count reads a number of things that take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.number()
	if n > uint64((len(d.data)-d.at)/size) {
		d.fail("%d entries cannot follow", n)
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(n int) []byte {
	if d.err != nil || n > len(d.data)-d.at {
		d.fail("a text is cut off")
		return nil
	}
	b := d.data[d.at : d.at+n]
	d.at += n
	return b
}

func (d *decoder) text() string { return string(d.bytes(d.count(1))) }

func (d *decoder) id() (id ID) {
	copy(id[:], d.bytes(len(id)))
	return id
}

func (d *decoder) linkKey() linkKey { return linkKey{d.text(), d.id(), d.id()} }

func (d *decoder) graph(g *Graph) {
	if id := d.text(); id != g.bp.ID() && d.err == nil {
		d.fail("it belongs to the blueprint %q, not %q", id, g.bp.ID())
	}
	for range d.count(2 * len(ID{})) {
		d.node(g)
	}
	for range d.count(2 * len(ID{})) {
		k := d.linkKey()
		at := place{Key: d.text(), By: d.number()}
		if d.err != nil {
			return
		}
		if err := g.restoreLink(linkImage{Type: k.Type, Parent: k.Parent, Child: k.Child, Place: at}); err != nil {
			d.fail("%w", err)
		}
	}
	for range d.count(2 * len(ID{})) {
		g.gone[d.linkKey()] = d.number()
	}
	for range d.count(2 * len(ID{})) {
		g.tombs[d.id()] = tomb{d.number(), d.id()}
	}
	for range d.count(len(ID{})) {
		g.gens[listKey{d.text(), d.id()}] = uint32(d.number())
	}
}

func (d *decoder) node(g *Graph) {
	id := d.id()
	im := image{Place: place{Parent: d.id()}, Type: d.text(), Name: d.text()}
	im.Place.Key = d.text()
	im.By, im.Place.By, im.NamedBy = d.number(), d.number(), d.number()
	changed, listed := d.number(), d.number()
	for range d.count(3) {
		v := value{Prop: d.text()}
		if raw := d.text(); raw != "" {
			v.Raw = []byte(raw)
		}
		v.By = d.number()
		im.Values = append(im.Values, v)
	}
	if d.err != nil {
		return
	}
	if err := g.revive(id, &im); err != nil {
		d.fail("%w", err)
		return
	}
	n := g.nodes[id]
	n.changed, n.listed = changed, listed
}
