package graph

import "encoding/json"

// The names of the six graph events.
const (
	EventNodeCreated     = "graph:node-created"
	EventNodeDeleted     = "graph:node-deleted"
	EventNodeLinked      = "graph:node-linked"
	EventNodeUnlinked    = "graph:node-unlinked"
	EventPropertyChanged = "graph:property-changed"
	EventPropertyDeleted = "graph:property-deleted"
)

// Event is one of the six graph events: its name and the fields that it has
// beyond the envelope. Body is one of the structs of this file.
type Event struct {
	Name string
	Body EventBody
}

// EventBody is the body of one of the six events. AppendJSON appends the JSON
// object that encoding/json would make of it to dst.
type EventBody interface{ AppendJSON(dst []byte) []byte }

// NodeCreated is the body of graph:node-created: the node goes under ParentID
// (null: among the roots) at index Position. Its children and links follow in
// events of their own.
type NodeCreated struct {
	NodeID          ID              `json:"node_id"`
	Name            string          `json:"name"`
	BlueprintTypeID string          `json:"blueprint_type_id"`
	ParentID        *ID             `json:"parent_id"`
	Position        int             `json:"position"`
	Properties      json.RawMessage `json:"properties"`
}

// NodeDeleted is the body of graph:node-deleted: the node goes, with every
// link that touches it. It has no children any more.
type NodeDeleted struct {
	NodeID   ID  `json:"node_id"`
	ParentID *ID `json:"parent_id"`
}

// NodeLinked is the body of graph:node-linked. For the link type child the
// node leaves where it stands and goes under ParentID (null: among the roots)
// at index Position; for another type the link is made, or moved when it was
// there, to index Position among the parent's links of that type.
type NodeLinked struct {
	ParentID *ID    `json:"parent_id"`
	ChildID  ID     `json:"child_id"`
	LinkType string `json:"link_type"`
	Position int    `json:"position"`
}

// NodeUnlinked is the body of graph:node-unlinked. With a Position the child
// became a root at that index; without one, a link of another type ended, or
// the child is about to be linked elsewhere by the next event.
type NodeUnlinked struct {
	ParentID ID     `json:"parent_id"`
	ChildID  ID     `json:"child_id"`
	LinkType string `json:"link_type"`
	Position *int   `json:"position,omitempty"`
}

// PropertyChanged is the body of graph:property-changed. OldValue is null when
// the property was unset. The property id "name" means the name of the node.
type PropertyChanged struct {
	NodeID     ID              `json:"node_id"`
	PropertyID string          `json:"property_id"`
	OldValue   json.RawMessage `json:"old_value"`
	NewValue   json.RawMessage `json:"new_value"`
}

// PropertyDeleted is the body of graph:property-deleted.
type PropertyDeleted struct {
	NodeID     ID              `json:"node_id"`
	PropertyID string          `json:"property_id"`
	OldValue   json.RawMessage `json:"old_value"`
}

// Events gives the graph events of a change, in order and ready to publish:
// none when clients cannot see it, one for most, two for a node that goes to
// another parent, and 1 + the number of links for a restored node.
func (c Change) Events() []Event {
	if c.body == nil {
		return nil
	}
	return c.body.events(nil)
}

// EventCount is how many events there are in Events, without making them.
func (c Change) EventCount() int {
	if c.body == nil {
		return 0
	}
	return c.body.eventCount()
}

// orNull is a pointer to the id, nil for none.
func orNull(id ID) *ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

func (c *birth) events(dst []Event) []Event {
	dst = append(dst, Event{EventNodeCreated, NodeCreated{
		NodeID:          c.ID,
		Name:            c.Node.Name,
		BlueprintTypeID: c.Node.Type,
		ParentID:        orNull(c.Node.Place.Parent),
		Position:        c.Pos,
		Properties:      appendProperties(nil, c.Node.Values),
	}})
	for _, l := range c.Node.Links {
		dst = append(dst, Event{EventNodeLinked, NodeLinked{orNull(l.Parent), l.Child, l.Type, l.Pos}})
	}
	return dst
}

func (c *birth) eventCount() int { return 1 + len(c.Node.Links) }

func (c *death) events(dst []Event) []Event {
	return append(dst, Event{EventNodeDeleted, NodeDeleted{c.ID, orNull(c.Node.Place.Parent)}})
}

func (c *death) eventCount() int { return 1 }

func (c *placing) events(dst []Event) []Event {
	from, to := c.From.Parent, c.To.Parent
	if c.eventCount() == 0 {
		return dst
	}
	if from != to && !from.IsZero() {
		gone := NodeUnlinked{ParentID: from, ChildID: c.ID, LinkType: ChildLink}
		if to.IsZero() {
			gone.Position = &c.Pos
			return append(dst, Event{EventNodeUnlinked, gone})
		}
		dst = append(dst, Event{EventNodeUnlinked, gone})
	}
	return append(dst, Event{EventNodeLinked, NodeLinked{orNull(to), c.ID, ChildLink, c.Pos}})
}

func (c *placing) eventCount() int {
	from, to := c.From.Parent, c.To.Parent
	switch {
	case from == to && c.From.Key == c.To.Key:
		return 0
	case from != to && !from.IsZero() && !to.IsZero():
		return 2
	default:
		return 1
	}
}

func (c *linking) events(dst []Event) []Event {
	switch {
	case c.eventCount() == 0:
		return dst
	case c.To.Key == "":
		return append(dst, Event{EventNodeUnlinked, NodeUnlinked{ParentID: c.Parent, ChildID: c.Child, LinkType: c.Type}})
	default:
		return append(dst, Event{EventNodeLinked, NodeLinked{orNull(c.Parent), c.Child, c.Type, c.Pos}})
	}
}

func (c *linking) eventCount() int {
	if c.To.Key == c.From.Key { // both empty: it was absent and stays so
		return 0
	}
	return 1
}

func (c *setting) events(dst []Event) []Event {
	switch {
	case c.eventCount() == 0:
		return dst
	case c.To.Raw == nil:
		return append(dst, Event{EventPropertyDeleted, PropertyDeleted{c.ID, c.Prop, c.From.Raw}})
	default:
		return append(dst, Event{EventPropertyChanged, PropertyChanged{c.ID, c.Prop, c.From.Raw, c.To.Raw}})
	}
}

func (c *setting) eventCount() int {
	if string(c.From.Raw) == string(c.To.Raw) {
		return 0
	}
	return 1
}

func (c *rekeying) eventCount() int { return 0 }

func (c *rekeying) events(dst []Event) []Event { return dst }
