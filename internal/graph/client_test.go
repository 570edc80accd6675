package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// client is what a front end does with the six graph events: it starts empty,
// knows no blueprint, applies each event as its fields say, and ends with the
// server's graph. Rules G-60 to G-67
// of docs/SPEC.md say the same to people.
type client struct {
	nodes map[string]*clientNode
	roots []string
	links map[string][]string // "type parent" -> children in order
}

type clientNode struct {
	Name       string
	Type       string
	Parent     string
	Properties map[string]json.RawMessage
	Children   []string
}

func newClient() *client {
	return &client{nodes: map[string]*clientNode{}, links: map[string][]string{}}
}

// clientEvent has the fields of all six events.
type clientEvent struct {
	NodeID          string                     `json:"node_id"`
	Name            string                     `json:"name"`
	BlueprintTypeID string                     `json:"blueprint_type_id"`
	ParentID        string                     `json:"parent_id"` // null reads as ""
	ChildID         string                     `json:"child_id"`
	LinkType        string                     `json:"link_type"`
	Position        *int                       `json:"position"`
	Properties      map[string]json.RawMessage `json:"properties"`
	PropertyID      string                     `json:"property_id"`
	OldValue        json.RawMessage            `json:"old_value"`
	NewValue        json.RawMessage            `json:"new_value"`
}

func (c *client) siblings(parent string) *[]string {
	if parent == "" {
		return &c.roots
	}
	return &c.nodes[parent].Children
}

func without(list []string, id string) []string {
	return slices.DeleteFunc(list, func(x string) bool { return x == id })
}

// apply takes one event as it comes over the wire.
func (c *client) apply(e Event) error {
	wire, err := json.Marshal(e.Body)
	if err != nil {
		return err
	}
	var f clientEvent
	if err := json.Unmarshal(wire, &f); err != nil {
		return err
	}
	switch e.Name {
	case EventNodeCreated: // SPEC G-60
		if c.nodes[f.NodeID] != nil {
			return fmt.Errorf("created twice: %s", wire)
		}
		c.nodes[f.NodeID] = &clientNode{Name: f.Name, Type: f.BlueprintTypeID, Parent: f.ParentID, Properties: f.Properties}
		list := c.siblings(f.ParentID)
		*list = slices.Insert(*list, *f.Position, f.NodeID)
	case EventNodeDeleted: // SPEC G-61
		n := c.nodes[f.NodeID]
		if n == nil || len(n.Children) > 0 || n.Parent != f.ParentID {
			return fmt.Errorf("cannot delete: %s", wire)
		}
		list := c.siblings(n.Parent)
		*list = without(*list, f.NodeID)
		delete(c.nodes, f.NodeID)
		for key, children := range c.links {
			if strings.HasSuffix(key, " "+f.NodeID) {
				delete(c.links, key)
				continue
			}
			c.links[key] = without(children, f.NodeID)
		}
	case EventNodeLinked:
		if f.LinkType != ChildLink { // SPEC G-63
			key := f.LinkType + " " + f.ParentID
			c.links[key] = slices.Insert(without(c.links[key], f.ChildID), *f.Position, f.ChildID)
			return nil
		}
		c.move(f.ChildID, f.ParentID, *f.Position) // SPEC G-62
	case EventNodeUnlinked:
		switch {
		case f.LinkType != ChildLink: // SPEC G-65
			key := f.LinkType + " " + f.ParentID
			if !slices.Contains(c.links[key], f.ChildID) {
				return fmt.Errorf("no such link: %s", wire)
			}
			c.links[key] = without(c.links[key], f.ChildID)
		case f.Position != nil: // SPEC G-64
			c.move(f.ChildID, "", *f.Position)
		}
	case EventPropertyChanged: // SPEC G-66
		n := c.nodes[f.NodeID]
		if err := n.check(f); err != nil {
			return err
		}
		if f.PropertyID == NameProperty {
			return json.Unmarshal(f.NewValue, &n.Name)
		}
		n.Properties[f.PropertyID] = f.NewValue
	case EventPropertyDeleted:
		n := c.nodes[f.NodeID]
		if err := n.check(f); err != nil {
			return err
		}
		delete(n.Properties, f.PropertyID)
	default:
		return fmt.Errorf("unknown event %s", e.Name)
	}
	return nil
}

// check compares the server's old value with what the client has.
func (n *clientNode) check(f clientEvent) error {
	have := string(n.Properties[f.PropertyID])
	if f.PropertyID == NameProperty {
		have = string(appendString(nil, n.Name))
	}
	if have == "" {
		have = "null"
	}
	old := string(f.OldValue)
	if old == "" {
		old = "null"
	}
	if have != old {
		return fmt.Errorf("%s of %s is %s, not %s", f.PropertyID, f.NodeID, have, old)
	}
	return nil
}

func (c *client) move(id, parent string, position int) {
	n := c.nodes[id]
	list := c.siblings(n.Parent)
	*list = without(*list, id)
	n.Parent = parent
	list = c.siblings(parent)
	*list = slices.Insert(*list, position, id)
}

// dump writes the graph shape.
func (c *client) dump(project, template string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"project_id":%s,"template_id":%s,"roots":`, strconv.Quote(project), strconv.Quote(template))
	c.dumpList(&b, c.roots)
	b.WriteString(`,"links":[`)
	keys := make([]string, 0, len(c.links))
	for key := range c.links {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	comma := ""
	for _, key := range keys {
		typ, parent, _ := strings.Cut(key, " ")
		for i, child := range c.links[key] {
			fmt.Fprintf(&b, `%s{"link_type":"%s","parent_id":"%s","child_id":"%s","position":%d}`, comma, typ, parent, child, i)
			comma = ","
		}
	}
	b.WriteString("]}")
	return b.String()
}

func (c *client) dumpList(b *strings.Builder, ids []string) {
	b.WriteByte('[')
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		n := c.nodes[id]
		fmt.Fprintf(b, `{"id":"%s","name":%s,"blueprint_type_id":"%s","position":%d,"properties":{`, id, appendString(nil, n.Name), n.Type, i)
		keys := make([]string, 0, len(n.Properties))
		for key := range n.Properties {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for j, key := range keys {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, `"%s":%s`, key, n.Properties[key])
		}
		b.WriteString(`},"children":`)
		c.dumpList(b, n.Children)
		b.WriteByte('}')
	}
	b.WriteByte(']')
}

// watch applies the events of changes to a client and compares the result with
// the graph.
func (c *client) watch(t testing.TB, g *Graph, changes []Change) {
	t.Helper()
	for _, change := range changes {
		for _, e := range change.Events() {
			if err := c.apply(e); err != nil {
				t.Fatalf("the client cannot apply %s of %s: %v", e.Name, change, err)
			}
		}
	}
	if want, got := string(g.AppendJSON(nil, "p")), c.dump("p", g.bp.ID()); want != got {
		t.Fatalf("the client's graph is another\nserver %s\nclient %s", want, got)
	}
}
