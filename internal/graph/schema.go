package graph

import "encoding/json"

// Schema is a blueprint as clients see it: the JSON of
// GET /templates/{id}/schema. All ids are there, so that a client can draw
// forms and offer only what the server will accept.
type Schema struct {
	TemplateID  string       `json:"template_id"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Version     string       `json:"version"`
	NodeTypes   []NodeSchema `json:"node_types"`
	LinkTypes   []LinkSchema `json:"link_types"`
}

// NodeSchema is a node type in a Schema.
type NodeSchema struct {
	ID              string           `json:"id"`
	Name            string           `json:"name"`
	Description     string           `json:"description,omitempty"`
	AllowedChildren []string         `json:"allowed_children"`
	Root            bool             `json:"root"`
	Properties      []PropertySchema `json:"properties"`
}

// PropertySchema is a property in a Schema. Default, Min and Max are canonical
// values.
type PropertySchema struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Type        PropertyType    `json:"type"`
	Required    bool            `json:"required"`
	Default     json.RawMessage `json:"default,omitempty"`
	Options     []Option        `json:"options,omitempty"`
	Min         json.RawMessage `json:"min,omitempty"`
	Max         json.RawMessage `json:"max,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	MaxLength   int             `json:"max_length,omitempty"`
}

// LinkSchema is a link type in a Schema. Empty type lists mean any type, a
// MaxParents of 0 means any number.
type LinkSchema struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	ParentTypes []string `json:"parent_types"`
	ChildTypes  []string `json:"child_types"`
	MaxParents  int      `json:"max_parents"`
	Acyclic     bool     `json:"acyclic"`
	Ordered     bool     `json:"ordered"`
	Unique      bool     `json:"unique"`
}

// Schema describes the blueprint for clients. The lists in it are never nil;
// those that the blueprint owns must not be changed.
func (b *Blueprint) Schema() Schema {
	s := Schema{
		TemplateID: b.id, Name: b.name, Description: b.description, Version: b.version,
		NodeTypes: []NodeSchema{}, LinkTypes: []LinkSchema{},
	}
	for _, t := range b.nodeTypes {
		n := NodeSchema{
			ID: t.ID, Name: t.Label, Description: t.Description,
			AllowedChildren: notNil(t.allowed), Root: t == b.root, Properties: []PropertySchema{},
		}
		for _, p := range t.properties {
			n.Properties = append(n.Properties, PropertySchema{
				ID: p.ID, Name: p.Label, Description: p.Description, Type: p.Type, Required: p.Required,
				Default: p.Default, Options: p.Options, Min: p.Min, Max: p.Max,
				Pattern: p.Pattern, MaxLength: p.MaxLength,
			})
		}
		s.NodeTypes = append(s.NodeTypes, n)
	}
	for _, l := range b.linkTypes {
		s.LinkTypes = append(s.LinkTypes, LinkSchema{
			ID: l.ID, Name: l.Label, Description: l.Description,
			ParentTypes: notNil(l.ParentTypes), ChildTypes: notNil(l.ChildTypes),
			MaxParents: l.MaxParents, Acyclic: l.Acyclic, Ordered: l.Ordered, Unique: l.Unique,
		})
	}
	return s
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
