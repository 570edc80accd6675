package graph

import "encoding/json"

// The limits of a command. Decode refuses more with INVALID_COMMAND, except
// for MaxCommandBytes (TOO_LARGE).
const (
	MaxCommandBytes = 1 << 20 // bytes of a command's data
	MaxNesting      = 100     // levels of JSON objects and arrays in a command's data or in a value
	MaxBatch        = 1000    // commands in a Batch
	MaxName         = 1000    // characters (code points) of a node's name
	MaxText         = 64 << 10
	MaxURL          = 8 << 10
	MaxValue        = 256 << 10 // bytes of any value in its canonical form
	MaxToken        = 200       // characters of an id, a coalesce key or a label in a command
)

// ChildLink is the link type of the containment tree. It exists in every
// blueprint and is not among a blueprint's LinkTypes.
const ChildLink = "child"

// NameProperty is the property id under which a node's name is changed. No
// blueprint may declare a property with this id.
const NameProperty = "name"

// Command is an intent to change a graph, decoded and checked by itself: its
// ids are well formed and its limits are kept, but nothing in it has been
// compared with a graph or a blueprint yet. Commands are plain values;
// nobody changes one after Decode returned it.
type Command interface {
	// Type is the command_type on the wire, "CreateNode" for a CreateNode.
	Type() string
}

// At says where among its siblings a node goes. At most one field is set; the
// zero At means the end.
type At struct {
	Index  *int // 0-based, >= 0; past the end means the end
	Before ID   // the sibling that follows
	After  ID   // the sibling that comes before
}

// PropertyValue is a property id and its raw JSON value, valid JSON but not
// yet canonical and not null.
type PropertyValue struct {
	ID    string
	Value json.RawMessage
}

// CreateNode makes a node under ParentID, or a root.
type CreateNode struct {
	BlueprintTypeID string
	ParentID        ID              // zero: a root
	Name            *string         // nil: the label of the type
	NodeID          ID              // zero: the server chooses
	Properties      []PropertyValue // sorted by id, no id twice
	At
}

// DeleteNode removes a node, its subtree and every link that touches them.
type DeleteNode struct {
	NodeID ID
}

// LinkNode makes a link from a parent to a child.
type LinkNode struct {
	LinkType string // ChildLink when the client gave none
	ParentID ID
	ChildID  ID
	Move     bool // ChildLink only: take the child from its present parent
	At
}

// UnlinkNode removes a link. Without its child link a node becomes a root.
type UnlinkNode struct {
	LinkType string // ChildLink when the client gave none
	ParentID ID
	ChildID  ID
}

// MoveNode places a node under a parent, or among the roots.
type MoveNode struct {
	NodeID   ID
	ParentID ID // zero: a root (the client has to say null)
	At
}

// UpdateProperty sets one property; NameProperty renames the node.
type UpdateProperty struct {
	NodeID     ID
	PropertyID string
	Value      json.RawMessage // valid JSON, not null, not yet canonical
	Coalesce   string          // "": an entry of its own
}

// DeleteProperty unsets one property.
type DeleteProperty struct {
	NodeID     ID
	PropertyID string
}

// SetProperties sets several properties of one node in one entry.
type SetProperties struct {
	NodeID     ID
	Properties []PropertyValue // 1 or more, sorted by id, no id twice
}

// DuplicateNode copies a node with its subtree and the links inside it.
type DuplicateNode struct {
	NodeID   ID
	ParentID *ID     // nil: the parent of the original; zero: a root
	Name     *string // nil: the name of the original
	At
}

// Batch is several commands in one entry: all or none.
type Batch struct {
	Commands []Command // 1 to MaxBatch, none of them a Batch
	Label    string    // "" or the label for the history
}

// Type returns "CreateNode".
func (CreateNode) Type() string { return "CreateNode" }

// Type returns "DeleteNode".
func (DeleteNode) Type() string { return "DeleteNode" }

// Type returns "LinkNode".
func (LinkNode) Type() string { return "LinkNode" }

// Type returns "UnlinkNode".
func (UnlinkNode) Type() string { return "UnlinkNode" }

// Type returns "MoveNode".
func (MoveNode) Type() string { return "MoveNode" }

// Type returns "UpdateProperty".
func (UpdateProperty) Type() string { return "UpdateProperty" }

// Type returns "DeleteProperty".
func (DeleteProperty) Type() string { return "DeleteProperty" }

// Type returns "SetProperties".
func (SetProperties) Type() string { return "SetProperties" }

// Type returns "DuplicateNode".
func (DuplicateNode) Type() string { return "DuplicateNode" }

// Type returns "Batch".
func (Batch) Type() string { return "Batch" }
