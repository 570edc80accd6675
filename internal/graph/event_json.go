package graph

import "strconv"

// Every followed command publishes some of these, and a large one tens of
// thousands: what encoding/json makes of each is written without its detour.

// AppendJSON appends the JSON object to dst.
func (e NodeCreated) AppendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `{"node_id":`...), e.NodeID)
	dst = appendString(append(dst, `,"name":`...), e.Name)
	dst = appendString(append(dst, `,"blueprint_type_id":`...), e.BlueprintTypeID)
	dst = appendIDOrNull(append(dst, `,"parent_id":`...), e.ParentID)
	dst = strconv.AppendInt(append(dst, `,"position":`...), int64(e.Position), 10)
	dst = append(append(dst, `,"properties":`...), e.Properties...)
	return append(dst, '}')
}

// AppendJSON appends the JSON object to dst.
func (e NodeDeleted) AppendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `{"node_id":`...), e.NodeID)
	return append(appendIDOrNull(append(dst, `,"parent_id":`...), e.ParentID), '}')
}

// AppendJSON appends the JSON object to dst.
func (e NodeLinked) AppendJSON(dst []byte) []byte {
	dst = appendIDOrNull(append(dst, `{"parent_id":`...), e.ParentID)
	dst = appendID(append(dst, `,"child_id":`...), e.ChildID)
	dst = appendString(append(dst, `,"link_type":`...), e.LinkType)
	dst = strconv.AppendInt(append(dst, `,"position":`...), int64(e.Position), 10)
	return append(dst, '}')
}

// AppendJSON appends the JSON object to dst.
func (e NodeUnlinked) AppendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `{"parent_id":`...), e.ParentID)
	dst = appendID(append(dst, `,"child_id":`...), e.ChildID)
	dst = appendString(append(dst, `,"link_type":`...), e.LinkType)
	if e.Position != nil {
		dst = strconv.AppendInt(append(dst, `,"position":`...), int64(*e.Position), 10)
	}
	return append(dst, '}')
}

// AppendJSON appends the JSON object to dst.
func (e PropertyChanged) AppendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `{"node_id":`...), e.NodeID)
	dst = appendString(append(dst, `,"property_id":`...), e.PropertyID)
	dst = appendRaw(append(dst, `,"old_value":`...), e.OldValue)
	return append(appendRaw(append(dst, `,"new_value":`...), e.NewValue), '}')
}

// AppendJSON appends the JSON object to dst.
func (e PropertyDeleted) AppendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `{"node_id":`...), e.NodeID)
	dst = appendString(append(dst, `,"property_id":`...), e.PropertyID)
	return append(appendRaw(append(dst, `,"old_value":`...), e.OldValue), '}')
}

func appendIDOrNull(dst []byte, id *ID) []byte {
	if id == nil {
		return append(dst, "null"...)
	}
	return appendID(dst, *id)
}

// appendRaw writes a value; null when there is none.
func appendRaw(dst, raw []byte) []byte {
	if raw == nil {
		return append(dst, "null"...)
	}
	return append(dst, raw...)
}
