package graph

import (
	"encoding/json"
	"regexp"
)

// Blueprint is a parsed template: what node types there are, what may stand
// under what, which properties they have and which link types join them. It
// never changes after ParseBlueprint returned it; any number of graphs and
// goroutines share it. Slices and pointers that its methods return belong to
// it and must not be changed.
type Blueprint struct {
	id, version, name, description string

	nodeTypes []*NodeType
	linkTypes []*LinkType
	nodeByID  map[string]*NodeType
	linkByID  map[string]*LinkType
	root      *NodeType
	source    []byte
}

// ID is the template_id, unique among the loaded blueprints.
func (b *Blueprint) ID() string { return b.id }

// Version is the version text of the file, as its author wrote it.
func (b *Blueprint) Version() string { return b.version }

// Name is the name for people.
func (b *Blueprint) Name() string { return b.name }

// Description is the text for people, maybe empty.
func (b *Blueprint) Description() string { return b.description }

// Source is the file's text, from which ParseBlueprint makes an equal blueprint
// again: a journal keeps it, so that history never depends on a changed file.
func (b *Blueprint) Source() []byte { return b.source }

// NodeTypes returns all node types in the order of the file; at least one.
func (b *Blueprint) NodeTypes() []*NodeType { return b.nodeTypes }

// LinkTypes returns the link types in the order of the file, without "child".
func (b *Blueprint) LinkTypes() []*LinkType { return b.linkTypes }

// RootType is the type of a new project's first node; never nil.
func (b *Blueprint) RootType() *NodeType { return b.root }

// NodeType returns the node type with that id, or nil.
func (b *Blueprint) NodeType(id string) *NodeType { return b.nodeByID[id] }

// LinkType returns the link type with that id, or nil. "child" has no LinkType.
func (b *Blueprint) LinkType(id string) *LinkType { return b.linkByID[id] }

// NodeType is one kind of node.
type NodeType struct {
	ID          string
	Label       string // the default name of a new node
	Description string

	allowed    []string
	allowedSet map[string]bool
	properties []*Property
	byID       map[string]*Property
}

// AllowedChildren lists the ids of the types that may stand under this one,
// in the order of the file.
func (t *NodeType) AllowedChildren() []string { return t.allowed }

// AllowsChild reports whether a node of type typeID may stand under this one.
func (t *NodeType) AllowsChild(typeID string) bool { return t.allowedSet[typeID] }

// Properties returns the properties in the order of the file; the name of a
// node is not among them.
func (t *NodeType) Properties() []*Property { return t.properties }

// Property returns the property with that id, or nil; nil for "name".
func (t *NodeType) Property(id string) *Property { return t.byID[id] }

// PropertyType is the kind of value that a property holds.
type PropertyType string

// The property types. Property.Canonical says what each accepts.
const (
	TypeText        PropertyType = "text"
	TypeNumber      PropertyType = "number"
	TypeInteger     PropertyType = "integer"
	TypeCurrency    PropertyType = "currency"
	TypeBoolean     PropertyType = "boolean"
	TypeDate        PropertyType = "date"
	TypeDatetime    PropertyType = "datetime"
	TypeSelect      PropertyType = "select"
	TypeMultiselect PropertyType = "multiselect"
	TypeURL         PropertyType = "url"
	TypeJSON        PropertyType = "json"
	TypeReference   PropertyType = "reference"
)

// Property is one typed field of a node type.
type Property struct {
	ID          string
	Label       string
	Description string
	Type        PropertyType
	Required    bool            // shows in Validate; a set value cannot be deleted
	Default     json.RawMessage // canonical; nil when there is none
	Options     []Option        // select and multiselect only; at least one
	Min, Max    json.RawMessage // canonical; nil when unbounded; number, integer, currency, date, datetime
	Pattern     string          // RE2, matches the whole value; "" when there is none; text and url
	MaxLength   int             // characters (code points); 0 when there is none; text and url

	pattern  *regexp.Regexp
	min, max decimal
	optionAt map[string]int // index into Options by id and by name
}

// Option is one choice of a select or multiselect property. Values name it by
// id or by name and are stored as the id.
type Option struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Color  string `json:"color,omitempty"`
	Bullet string `json:"bullet,omitempty"`
}

// LinkType is a kind of link besides the containment tree, and its rules. A
// link is known by (type, parent, child): the same one cannot exist twice.
type LinkType struct {
	ID          string
	Label       string
	Description string
	ParentTypes []string // node type ids; empty: any
	ChildTypes  []string // node type ids; empty: any
	MaxParents  int      // parents that one child may have; 0: any number
	Acyclic     bool     // no way along links of this type leads back; excludes a link to itself
	Ordered     bool     // the children of a parent have an order that clients choose
	Unique      bool     // two nodes have at most one link of this type, whatever its direction: b to a is refused (DUPLICATE) while a to b exists
}

// AllowsParent reports whether a node of type typeID may be the parent.
func (l *LinkType) AllowsParent(typeID string) bool { return allows(l.ParentTypes, typeID) }

// AllowsChild reports whether a node of type typeID may be the child.
func (l *LinkType) AllowsChild(typeID string) bool { return allows(l.ChildTypes, typeID) }

func allows(types []string, id string) bool {
	if len(types) == 0 {
		return true
	}
	for _, t := range types {
		if t == id {
			return true
		}
	}
	return false
}
