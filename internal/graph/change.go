package graph

import (
	"encoding/json"
	"reflect"
)

// Change is one decided fact about one value of a graph: it holds the value
// before and after, each with its writer, and the positions that its events
// report. It is immutable, needs no graph to be published (Events), and its
// JSON form is the journal's: stable, and equal again after Unmarshal. The
// zero Change is not a change.
type Change struct{ body changeBody }

// changeBody is one kind of change. apply and revert refuse, changing nothing,
// what does not fit the graph; a change that was planned on this state always
// fits.
type changeBody interface {
	apply(g *Graph) error
	revert(g *Graph) error
	events(dst []Event) []Event
	eventCount() int
	appendJSON(dst []byte) []byte
	mark(g *Graph, at uint64)
	changedSince(g *Graph, seq uint64) bool
}

// place is where a node stands among its siblings, or a link among the links
// of its type and parent, and who put it there. An empty key means: a link
// that is not there.
type place struct {
	Parent ID     `json:"p,omitzero"` // nodes only
	Key    string `json:"k,omitempty"`
	By     uint64 `json:"w,omitempty"`
	Gen    uint32 `json:"g,omitempty"` // generation of the list that the key belongs to
	Prev   ID     `json:"a,omitzero"`  // former neighbours; only where undo may need them
	Next   ID     `json:"b,omitzero"`
}

// image is all that there is to know about a node.
type image struct {
	Type    string      `json:"t"`
	Name    string      `json:"n"`
	NamedBy uint64      `json:"nw,omitempty"`
	By      uint64      `json:"w,omitempty"` // writer of its existence
	Place   place       `json:"at"`
	Values  []value     `json:"v,omitempty"`
	Links   []linkImage `json:"l,omitempty"` // those that go and come with the node
}

// linkImage is a link inside the image of one of its ends.
type linkImage struct {
	Type   string `json:"t"`
	Parent ID     `json:"p"`
	Child  ID     `json:"c"`
	Place  place  `json:"at"`
	Pos    int    `json:"i,omitempty"` // index when the link is restored
}

func (l linkImage) id() linkKey { return linkKey{l.Type, l.Parent, l.Child} }

// birth makes a node: a new one, or one restored with its links.
type birth struct {
	ID    ID    `json:"id"`
	Node  image `json:"node"`
	Grave *tomb `json:"grave,omitempty"` // what it rises from; nil for a new id
	Pos   int   `json:"i,omitempty"`
}

// death takes away a node without children, and its links.
type death struct {
	ID    ID    `json:"id"`
	Node  image `json:"node"`
	Grave tomb  `json:"grave"` // what it leaves
}

// placing moves a node.
type placing struct {
	ID   ID    `json:"id"`
	From place `json:"f"`
	To   place `json:"t"`
	Pos  int   `json:"i,omitempty"`
}

// linking makes, removes or reorders a link.
type linking struct {
	Type   string `json:"l"`
	Parent ID     `json:"p"`
	Child  ID     `json:"c"`
	From   place  `json:"f"`
	To     place  `json:"t"`
	Pos    int    `json:"i,omitempty"`
}

func (c *linking) id() linkKey { return linkKey{c.Type, c.Parent, c.Child} }

// setting sets or unsets a property or the name.
type setting struct {
	ID   ID     `json:"id"`
	Prop string `json:"p"`
	From cell   `json:"f"`
	To   cell   `json:"t"`
}

// cell is a value and its writer; no value when it is unset.
type cell struct {
	Raw json.RawMessage `json:"v,omitempty"`
	By  uint64          `json:"w,omitempty"`
}

// rekeying gives members of one list new order keys in the same order: it
// changes no position and has no event, no writer and no inverse.
type rekeying struct {
	Type   string  `json:"l"`
	Parent ID      `json:"p,omitzero"`
	Gen    uint32  `json:"g,omitempty"` // generation before
	Items  []rekey `json:"items"`
}

type rekey struct {
	ID   ID     `json:"id"`
	From string `json:"f"`
	To   string `json:"t"`
}

// Equal reports whether two changes are the same.
func (c Change) Equal(o Change) bool { return reflect.DeepEqual(c.body, o.body) }

// String gives the journal form, for logs and test failures.
func (c Change) String() string {
	text, err := c.MarshalJSON()
	if err != nil {
		return "no change"
	}
	return string(text)
}
