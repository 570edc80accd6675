package graph

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// CommandTypes lists every command type that Decode knows, in the order of
// the documentation.
func CommandTypes() []string {
	return []string{
		"CreateNode", "DeleteNode", "LinkNode", "UnlinkNode", "MoveNode",
		"UpdateProperty", "DeleteProperty", "SetProperties", "DuplicateNode", "Batch",
	}
}

// Decode reads the data of a command. It is strict: unknown fields, a field
// twice, wrong types, malformed ids and everything over a limit are refused
// with INVALID_COMMAND, all of them listed with places like
// "data.commands[3].data.node_id"; data over MaxCommandBytes is TOO_LARGE. An
// optional field may be null, which is the same as leaving it out. It takes
// time linear in the size of data, whatever is in it.
//
// The command shares memory with data, which nobody may change afterwards.
func Decode(commandType string, data json.RawMessage) (Command, error) {
	if !slices.Contains(CommandTypes(), commandType) {
		return nil, fault.New(fault.InvalidCommand, "%s", "command_type "+unknownCommand(commandType)).
			With(fault.Detail{Location: "command_type", Message: unknownCommand(commandType)})
	}
	if len(data) > MaxCommandBytes {
		return nil, fault.New(fault.TooLarge, "%s: data is larger than %d bytes", commandType, MaxCommandBytes).
			With(fault.Detail{Location: "data", Message: "is larger than " + strconv.Itoa(MaxCommandBytes) + " bytes"})
	}
	r := newJSONReader(data, "data")
	cmd := r.command(commandType, true)
	r.end()
	if err := r.err(fault.InvalidCommand, commandType+": "); err != nil {
		return nil, err
	}
	return cmd, nil
}

func unknownCommand(name string) string {
	return quote(name) + " is unknown: use one of " + strings.Join(CommandTypes(), ", ")
}

// command reads the data of a command of a known type. What it returns is
// meaningless when a fault was noted.
func (r *jsonReader) command(commandType string, batch bool) Command {
	switch commandType {
	case "CreateNode":
		return r.createNode()
	case "DeleteNode":
		var c DeleteNode
		r.fields(required("node_id", r.id(&c.NodeID)))
		return c
	case "LinkNode":
		return r.linkNode()
	case "UnlinkNode":
		c := UnlinkNode{LinkType: ChildLink}
		r.fields(
			required("parent_id", r.id(&c.ParentID)),
			required("child_id", r.id(&c.ChildID)),
			optional("link_type", r.token(&c.LinkType)),
		)
		return c
	case "MoveNode":
		return r.moveNode()
	case "UpdateProperty":
		return r.updateProperty()
	case "DeleteProperty":
		var c DeleteProperty
		r.fields(
			required("node_id", r.id(&c.NodeID)),
			required("property_id", r.token(&c.PropertyID)),
		)
		return c
	case "SetProperties":
		return r.setProperties()
	case "DuplicateNode":
		return r.duplicateNode()
	case "Batch":
		if batch {
			return r.batch()
		}
		r.note("must not be a Batch inside a Batch")
		r.skip()
	}
	return nil
}

func (r *jsonReader) createNode() Command {
	var c CreateNode
	r.fields(append(r.at(&c.At),
		required("blueprint_type_id", r.token(&c.BlueprintTypeID)),
		optional("parent_id", r.id(&c.ParentID)),
		optional("name", r.name(&c.Name)),
		optional("node_id", r.id(&c.NodeID)),
		optional("properties", r.properties(&c.Properties)),
	)...)
	r.checkAt(c.At)
	return c
}

func (r *jsonReader) linkNode() Command {
	c := LinkNode{LinkType: ChildLink}
	r.fields(append(r.at(&c.At),
		required("parent_id", r.id(&c.ParentID)),
		required("child_id", r.id(&c.ChildID)),
		optional("link_type", r.token(&c.LinkType)),
		optional("move", r.flag(&c.Move)),
	)...)
	r.checkAt(c.At)
	if c.Move && c.LinkType != ChildLink {
		r.noteAt("move", "goes with the link type "+ChildLink+" only")
	}
	return c
}

func (r *jsonReader) moveNode() Command {
	var c MoveNode
	r.fields(append(r.at(&c.At),
		required("node_id", r.id(&c.NodeID)),
		required("parent_id", r.nullable(r.id(&c.ParentID))),
	)...)
	r.checkAt(c.At)
	return c
}

func (r *jsonReader) updateProperty() Command {
	var c UpdateProperty
	r.fields(
		required("node_id", r.id(&c.NodeID)),
		required("property_id", r.token(&c.PropertyID)),
		required("value", func() { c.Value = r.value() }),
		optional("coalesce", r.token(&c.Coalesce)),
	)
	return c
}

func (r *jsonReader) setProperties() Command {
	var c SetProperties
	r.fields(
		required("node_id", r.id(&c.NodeID)),
		required("properties", func() {
			r.properties(&c.Properties)()
			if c.Properties != nil && len(c.Properties) == 0 {
				r.note("must hold at least one property")
			}
		}),
	)
	return c
}

func (r *jsonReader) duplicateNode() Command {
	var c DuplicateNode
	var parent ID
	given := func(read func()) func() {
		return func() {
			c.ParentID = &parent
			read()
		}
	}
	f := optional("parent_id", given(r.nullable(r.id(&parent))))
	f.readsNull = true // null is a root, absent is the same parent
	r.fields(append(r.at(&c.At),
		required("node_id", r.id(&c.NodeID)),
		f,
		optional("name", r.name(&c.Name)),
	)...)
	r.checkAt(c.At)
	return c
}

func (r *jsonReader) batch() Command {
	var c Batch
	r.fields(
		required("commands", func() {
			if !r.want(kindArray) {
				return
			}
			r.array(func(i int) {
				if i < MaxBatch {
					c.Commands = append(c.Commands, r.subCommand())
					return
				}
				if i == MaxBatch {
					r.note("is one too many: a Batch has at most " + strconv.Itoa(MaxBatch) + " commands")
				}
				r.pass()
			})
			if len(c.Commands) == 0 {
				r.note("must hold at least one command")
			}
		}),
		optional("label", r.line(&c.Label, MaxToken)),
	)
	return c
}

// subCommand reads one {command_type, data} of a Batch. The data may come
// first, so it is passed over and then read by what command_type says.
func (r *jsonReader) subCommand() Command {
	var commandType string
	data := -1
	r.fields(
		required("command_type", r.text(&commandType)),
		required("data", func() {
			r.kind()
			data = r.pos
			r.pass()
		}),
	)
	if r.broken || commandType == "" {
		return nil
	}
	if !slices.Contains(CommandTypes(), commandType) {
		r.noteAt("command_type", unknownCommand(commandType))
		return nil
	}
	if data < 0 {
		return nil
	}
	end, depth, key := r.pos, r.depth, "data"
	r.path = append(r.path, jsonStep{key: &key})
	r.pos, r.depth = data, depth+1
	c := r.command(commandType, false)
	r.pos, r.depth = end, depth
	r.path = r.path[:len(r.path)-1]
	return c
}
