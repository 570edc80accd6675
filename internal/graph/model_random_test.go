package graph

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// search compares a random search, page by page, with looking at every node.
func (m *model) search() {
	q := Query{Limit: 1 + m.roll(4)}
	if m.roll(2) == 0 {
		q.Text = [...]string{"", "I", "tem", "n<", "N<1", "older"}[m.roll(6)]
	}
	if m.roll(3) == 0 {
		q.TypeID = [...]string{"folder", "item", "note"}[m.roll(3)]
	}
	if m.roll(3) == 0 {
		q.PropertyID = [...]string{NameProperty, "title", "count", "text"}[m.roll(4)]
		if m.roll(2) == 0 {
			q.Value = m.anyValue(q.PropertyID)
		}
	}
	if m.roll(3) == 0 {
		q.Under = m.anyNode()
	}
	var want []ID
	for id, n := range m.w.nodes {
		have := n.cell(q.PropertyID).Raw
		var wanted json.RawMessage
		if q.Value != nil {
			wanted, _ = canonical(n.typ, q.PropertyID, q.Value)
		}
		if strings.Contains(strings.ToLower(n.name), strings.ToLower(q.Text)) && (q.TypeID == "" || n.typ.ID == q.TypeID) &&
			(q.PropertyID == "" || have != nil && (q.Value == nil || string(have) == string(wanted))) && (q.Under.IsZero() || m.w.under(id, q.Under)) {
			want = append(want, id)
		}
	}
	slices.SortFunc(want, func(a, b ID) int {
		return strings.Compare(indexKey(m.w.nodes[a].born, a, ""), indexKey(m.w.nodes[b].born, b, ""))
	})
	var got []ID
	for {
		page, err := m.g.Search(q)
		if err != nil {
			if !fault.Is(err, fault.InvalidRequest) && !(fault.Is(err, fault.NodeNotFound) && m.w.nodes[q.Under] == nil) {
				m.fatalf("search %+v: %v", q, err)
			}
			return
		}
		for _, hit := range page.Hits {
			got = append(got, hit.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	m.tally["hits"] += len(got)
	if !slices.Equal(got, want) {
		m.fatalf("search %+v found %v, not %v", q, got, want)
	}
}

// random makes a command; most of them can succeed.
func (m *model) random(batch bool) Command {
	kinds := 19
	if batch {
		kinds = 21
	}
	switch m.roll(kinds) - 4 {
	case -4, -3, -2, -1, 0, 1, 2, 3:
		return m.randomCreate()
	case 4:
		id := m.anyNode()
		for range 3 { // rather a small subtree
			if other := m.anyNode(); m.w.height(other) < m.w.height(id) {
				id = other
			}
		}
		return DeleteNode{id}
	case 5, 6:
		return MoveNode{NodeID: m.anyNode(), ParentID: m.anyParent(), At: m.anyAt()}
	case 7:
		return LinkNode{LinkType: ChildLink, ParentID: m.anyNode(), ChildID: m.anyNode(), Move: m.roll(2) == 0, At: m.anyAt()}
	case 8, 9:
		return m.randomLink()
	case 10:
		return m.randomUnlink()
	case 11, 12:
		return m.randomSet()
	case 13, 14:
		if m.roll(3) == 0 && m.g.Len() < 60 {
			c := DuplicateNode{NodeID: m.anyNode(), At: m.anyAt()}
			if m.roll(2) == 0 {
				c.ParentID = ptr(m.anyParent())
			}
			return c
		}
		return DeleteProperty{m.anyNode(), m.anyProp()}
	default:
		b := Batch{Commands: make([]Command, 1+m.roll(4))}
		for i := range b.Commands {
			b.Commands[i] = m.random(false)
		}
		if m.roll(2) == 0 { // a selection moves
			move := MoveNode{ParentID: m.anyParent(), At: m.anyAt()}
			for i := range b.Commands {
				move.NodeID = m.anyNode()
				b.Commands[i] = move
			}
		}
		return b
	}
}

func (m *model) randomCreate() Command {
	c := CreateNode{ParentID: m.anyParent(), At: m.anyAt()}
	c.BlueprintTypeID = [...]string{"folder", "item", "item", "item", "note", "none"}[m.roll(5+m.roll(2))]
	if m.roll(12) == 0 {
		c.NodeID = m.anyNode()
	}
	if m.roll(3) == 0 {
		c.Name = ptr("n<" + strconv.Itoa(m.roll(5)))
	}
	if m.roll(3) == 0 {
		c.Properties = []PropertyValue{{"count", raw(strconv.Itoa(m.roll(3)))}}
	}
	return c
}

func (m *model) randomLink() Command {
	c := LinkNode{ParentID: m.anyNode(), ChildID: m.anyNode()}
	c.LinkType = [...]string{"wire", "wire", "owner", "pair", "see", "none"}[m.roll(5+m.roll(2))]
	if c.LinkType == "wire" || m.roll(5) == 0 {
		c.At = m.anyAt()
	}
	return c
}

// randomUnlink mostly takes a link that is there.
func (m *model) randomUnlink() Command {
	links := m.g.sortedLinks()
	if len(links) > 0 && m.roll(4) > 0 {
		k := links[m.roll(len(links))].id()
		return UnlinkNode{k.Type, k.Parent, k.Child}
	}
	id := m.anyNode()
	if n := m.g.nodes[id]; n != nil && n.parent != nil && m.roll(3) > 0 {
		return UnlinkNode{ChildLink, n.parent.id, id}
	}
	return UnlinkNode{"see", id, m.anyNode()}
}

func (m *model) randomSet() Command {
	if m.roll(4) == 0 {
		return SetProperties{m.anyNode(), []PropertyValue{{"count", m.anyValue("count")}, {"text", m.anyValue("text")}}}
	}
	prop := m.anyProp()
	return UpdateProperty{NodeID: m.anyNode(), PropertyID: prop, Value: m.anyValue(prop)}
}

func (m *model) anyProp() string {
	return [...]string{NameProperty, "title", "count", "text", "ref", "data", "none"}[m.roll(6+m.roll(2))]
}

func (m *model) anyValue(prop string) json.RawMessage {
	if m.roll(12) == 0 {
		return raw("[null]")
	}
	switch prop {
	case "count":
		return raw(strconv.Itoa(m.roll(3)))
	case "ref":
		return appendString(nil, m.anyNode().String())
	case "data":
		return raw(`{"b": [1.0, "<"], "a": ` + strconv.Itoa(m.roll(3)) + `}`)
	default:
		return raw(`"v<` + strconv.Itoa(m.roll(3)) + `"`)
	}
}

// anyNode is mostly a live node, sometimes one that is dead or never was.
func (m *model) anyNode() ID {
	live := m.w.preorder(ID{})[1:]
	if len(live) > 0 && m.roll(20) > 0 {
		return live[m.roll(len(live))]
	}
	if m.nextID == 0 || m.roll(4) == 0 {
		return testID(1_000_000 + m.roll(5))
	}
	return testID(1 + m.roll(m.nextID))
}

func (m *model) anyParent() ID {
	if m.roll(5) == 0 {
		return ID{}
	}
	return m.anyNode()
}

func (m *model) anyAt() At {
	switch m.roll(6) {
	case 0, 1:
		return At{Index: ptr(m.roll(4))}
	case 2:
		return At{Before: m.anyNode()}
	case 3:
		return At{After: m.anyNode()}
	default:
		return At{}
	}
}
