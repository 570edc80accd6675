package graph

import (
	"encoding/json"
	"testing"
)

// SPEC B-16: lists are lists, never null.
func TestSchemaHasNoNull(t *testing.T) {
	bp, err := ParseBlueprint("f", []byte("id: x\nversion: 1\nname: X\nnode_types: [{id: t}]\nlink_types: [{id: l}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(bp.Schema())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"template_id":"x","name":"X","description":"","version":"1",` +
		`"node_types":[{"id":"t","name":"T","allowed_children":[],"root":true,"properties":[]}],` +
		`"link_types":[{"id":"l","name":"L","parent_types":[],"child_types":[],"max_parents":0,"acyclic":false,"ordered":false,"unique":false}]}`
	if string(got) != want {
		t.Errorf("%s", got)
	}
}
