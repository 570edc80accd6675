package graph

import (
	"encoding/json"

	"github.com/graphroom/graphroom/internal/fault"
)

// updateProperty sets one property, or the name. where is the place of the
// value in the command.
func (p *planner) updateProperty(id ID, prop string, raw json.RawMessage, where string) error {
	n, err := p.node(id)
	if err != nil {
		return err
	}
	to, err := canonical(n.typ, prop, raw)
	if err != nil {
		return relocate(err, prop, where)
	}
	from := n.cell(prop)
	if string(from.Raw) == string(to) {
		return nil
	}
	p.do(&setting{ID: id, Prop: prop, From: from, To: cell{Raw: to, By: p.env.Writer}})
	return nil
}

// canonical checks a value for a property of a type, or for the name.
func canonical(typ *NodeType, prop string, raw json.RawMessage) (json.RawMessage, error) {
	if prop == NameProperty {
		name, err := CanonicalNameValue(raw)
		if err != nil {
			return nil, err
		}
		return appendString(nil, name), nil
	}
	property := typ.Property(prop)
	if property == nil {
		return nil, noProperty(typ, prop)
	}
	return property.Canonical(raw)
}

func (p *planner) setProperties(c SetProperties) error {
	for _, v := range c.Properties {
		if err := p.updateProperty(c.NodeID, v.ID, v.Value, "data.properties."+v.ID); err != nil {
			return err
		}
	}
	if len(c.Properties) == 0 {
		return fault.New(fault.InvalidCommand, "SetProperties needs at least one property")
	}
	return nil
}

// deleteProperty unsets one property. A required one stays set once it is.
func (p *planner) deleteProperty(c DeleteProperty) error {
	n, err := p.node(c.NodeID)
	if err != nil {
		return err
	}
	if c.PropertyID == NameProperty {
		return fault.New(fault.InvalidCommand, "a node always has a name")
	}
	prop := n.typ.Property(c.PropertyID)
	if prop == nil {
		return noProperty(n.typ, c.PropertyID)
	}
	from := n.cell(c.PropertyID)
	if from.Raw == nil {
		return fault.New(fault.PropertyNotFound, "property %s of node %s is not set", prop.ID, n.id)
	}
	if prop.Required {
		return fault.New(fault.InvalidCommand, "property %s is required and cannot be deleted", prop.ID)
	}
	p.do(&setting{ID: n.id, Prop: prop.ID, From: from, To: cell{By: p.env.Writer}})
	return nil
}
