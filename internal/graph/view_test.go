package graph

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
)

// family is a small graph: folder 1 holds item 2 with item 3, and item 4.
func family(t testing.TB) *desk {
	d := newDesk(t)
	d.add("folder", 1, 0)
	d.add("item", 2, 1)
	d.add("item", 3, 2)
	d.add("item", 4, 1)
	d.do(LinkNode{LinkType: "wire", ParentID: testID(4), ChildID: testID(3)})
	d.do(LinkNode{LinkType: "wire", ParentID: testID(4), ChildID: testID(2), At: At{Index: ptr(0)}})
	d.do(LinkNode{LinkType: "see", ParentID: testID(2), ChildID: testID(3)})
	return d
}

// short shortens ids to their last digits.
func short(s string) string { return strings.ReplaceAll(s, testID(0).String()[:35], "#") }

// The graph shape of DESIGN section 6, and bytes that encoding/json keeps.
func TestAppendJSON(t *testing.T) {
	d := family(t)
	d.do(UpdateProperty{NodeID: testID(4), PropertyID: NameProperty, Value: raw(`"a<b>&\u2028"`)})
	got := d.json()
	want := `{"project_id":"p","template_id":"test","roots":[{"id":"#1","name":"Folder","blueprint_type_id":"folder","position":0,"properties":{},"children":[` +
		`{"id":"#2","name":"Item","blueprint_type_id":"item","position":0,"properties":{"count":1},"children":[` +
		`{"id":"#3","name":"Item","blueprint_type_id":"item","position":0,"properties":{"count":1},"children":[]}]},` +
		`{"id":"#4","name":"a\u003cb\u003e\u0026\u2028","blueprint_type_id":"item","position":1,"properties":{"count":1},"children":[]}]}],` +
		`"links":[{"link_type":"see","parent_id":"#2","child_id":"#3","position":0},` +
		`{"link_type":"wire","parent_id":"#4","child_id":"#2","position":0},{"link_type":"wire","parent_id":"#4","child_id":"#3","position":1}]}`
	if short(got) != want {
		t.Error(cmp.Diff(want, short(got)))
	}
	embedded, err := json.Marshal(map[string]any{"graph": json.RawMessage(got)})
	if err != nil || string(embedded) != `{"graph":`+got+`}` {
		t.Errorf("encoding/json makes other bytes of it: %s %v", embedded, err)
	}
	if empty := string(New(testBlueprint()).AppendJSON([]byte("x"), "")); empty != `x{"project_id":"","template_id":"test","roots":[],"links":[]}` {
		t.Error(empty)
	}
}

// SPEC G-71
func TestTree(t *testing.T) {
	d := family(t)
	for _, c := range []struct {
		name string
		o    TreeOptions
		want string
	}{
		{"everything", TreeOptions{Fields: []string{"name"}},
			`{"roots":[{"id":"#1","name":"Folder","children":[{"id":"#2","name":"Item","children":[{"id":"#3","name":"Item","children":[]}]},{"id":"#4","name":"Item","children":[]}]}],` +
				`"links":[{"link_type":"see","parent_id":"#2","child_id":"#3","position":0},{"link_type":"wire","parent_id":"#4","child_id":"#2","position":0},{"link_type":"wire","parent_id":"#4","child_id":"#3","position":1}]}`},
		{"one level", TreeOptions{Depth: 1, Fields: []string{"child_count", "position"}}, `{"roots":[{"id":"#1","position":0,"child_count":2}],"links":[]}`},
		{"two levels", TreeOptions{Depth: 2, Fields: []string{"blueprint_type_id"}},
			`{"roots":[{"id":"#1","blueprint_type_id":"folder","children":[{"id":"#2","blueprint_type_id":"item"},{"id":"#4","blueprint_type_id":"item"}]}],` +
				`"links":[{"link_type":"wire","parent_id":"#4","child_id":"#2","position":0}]}`},
		{"a subtree", TreeOptions{Root: testID(2)},
			`{"roots":[{"id":"#2","name":"Item","blueprint_type_id":"item","position":0,"properties":{"count":1},"children":[` +
				`{"id":"#3","name":"Item","blueprint_type_id":"item","position":0,"properties":{"count":1},"children":[]}]}],` +
				`"links":[{"link_type":"see","parent_id":"#2","child_id":"#3","position":0}]}`},
		{"the top of a subtree", TreeOptions{Root: testID(4), Depth: 1, Fields: []string{"properties", "position"}},
			`{"roots":[{"id":"#4","position":1,"properties":{"count":1}}],"links":[]}`},
	} {
		got, err := d.g.Tree(c.o)
		if err != nil || short(string(got)) != c.want || !json.Valid(got) {
			t.Errorf("%s: %v %s", c.name, err, cmp.Diff(c.want, short(string(got))))
		}
	}
	for _, c := range []struct {
		o    TreeOptions
		code fault.Code
	}{
		{TreeOptions{Depth: -1}, fault.InvalidRequest},
		{TreeOptions{Fields: []string{"colour"}}, fault.InvalidRequest},
		{TreeOptions{Root: testID(9)}, fault.NodeNotFound},
	} {
		if _, err := d.g.Tree(c.o); !fault.Is(err, c.code) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
}

func TestNode(t *testing.T) {
	d := family(t)
	d.do(LinkNode{LinkType: "see", ParentID: testID(3), ChildID: testID(3)})
	n, err := d.g.Node(testID(3))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(n)
	want := `{"id":"#3","name":"Item","blueprint_type_id":"item","parent_id":"#2","position":0,"properties":{"count":1},"child_count":0,` +
		`"ancestors":[{"id":"#1","name":"Folder","blueprint_type_id":"folder"},{"id":"#2","name":"Item","blueprint_type_id":"item"}],` +
		`"links":[{"link_type":"see","parent_id":"#2","child_id":"#3","position":0},{"link_type":"see","parent_id":"#3","child_id":"#3","position":0},` +
		`{"link_type":"wire","parent_id":"#4","child_id":"#3","position":1}]}`
	if err != nil || short(string(got)) != want {
		t.Error(err, cmp.Diff(want, short(string(got))))
	}
	if n.ChangedSeq != d.g.Changed(testID(3)) || n.ChangedSeq != d.seq {
		t.Errorf("changed at %d", n.ChangedSeq)
	}
	if n, err = d.g.Node(testID(1)); err != nil || n.ParentID != nil || n.ChildCount != 2 || n.Ancestors == nil || n.Links == nil {
		t.Errorf("%+v %v", n, err)
	}
	if _, err := d.g.Node(testID(9)); !fault.Is(err, fault.NodeNotFound) {
		t.Error(err)
	}
	if d.g.Changed(testID(9)) != 0 || d.g.Links() != 4 || d.g.Len() != 4 || d.g.Blueprint().ID() != "test" {
		t.Error("counts are wrong")
	}
}

// SPEC G-74
func TestValidate(t *testing.T) {
	d := family(t)
	d.do(UpdateProperty{NodeID: testID(2), PropertyID: "title", Value: raw(`"T"`)})
	d.do(UpdateProperty{NodeID: testID(2), PropertyID: "ref", Value: raw(`"` + testID(77).String() + `"`)})
	d.do(UpdateProperty{NodeID: testID(3), PropertyID: "ref", Value: raw(`"` + testID(1).String() + `"`)})
	var got []string
	for _, i := range d.g.Validate() {
		got = append(got, short(i.NodeID.String())+" "+i.PropertyID+" "+i.Code+": "+i.Message)
	}
	want := []string{
		`#2 ref dangling-reference: Ref of "Item" names a node that does not exist`,
		`#3 title required: "Item" has no Title`,
		`#4 title required: "Item" has no Title`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if issues := New(testBlueprint()).Validate(); issues == nil || len(issues) != 0 {
		t.Error("no issues must be an empty list")
	}
}

// SPEC G-70: what expected_seq looks at.
func TestChangedSince(t *testing.T) {
	value := func(n int) Command { return UpdateProperty{NodeID: testID(n), PropertyID: "text", Value: raw(`"v"`)} }
	create := func(n, parent int) Command {
		return CreateNode{BlueprintTypeID: "item", NodeID: testID(n), ParentID: testID(parent)}
	}
	wire := func(from, to int) Command {
		return LinkNode{LinkType: "wire", ParentID: testID(from), ChildID: testID(to)}
	}
	for _, c := range []struct {
		name        string
		first, then Command
		want        bool
	}{
		{"the same value", value(2), UpdateProperty{NodeID: testID(2), PropertyID: "text", Value: raw(`"w"`)}, true},
		{"another value of the node", value(2), UpdateProperty{NodeID: testID(2), PropertyID: "count", Value: raw(`2`)}, true},
		{"another node", value(2), value(3), false},
		{"a child does not change the parent's values", create(9, 2), value(2), false},
		{"a value does not change the children", value(2), create(9, 2), false},
		{"siblings", create(8, 2), create(9, 2), true},
		{"other parents", create(8, 3), create(9, 2), false},
		{"roots have no parent", MoveNode{NodeID: testID(4)}, CreateNode{BlueprintTypeID: "item", NodeID: testID(9)}, false},
		{"a move and a value of the node", MoveNode{NodeID: testID(4)}, value(4), true},
		{"a move into a changed list", create(9, 2), MoveNode{NodeID: testID(4), ParentID: testID(2)}, true},
		{"a move out of a changed list", create(9, 1), MoveNode{NodeID: testID(4), ParentID: testID(2)}, false},
		{"links of one end", wire(2, 3), wire(4, 1), false},
		{"links of the same end", wire(2, 3), wire(3, 1), true},
		{"a deleted node that changed", value(3), DeleteNode{testID(2)}, true},
		{"a deleted node whose parent changed", create(9, 1), DeleteNode{testID(2)}, false},
		{"a child went", DeleteNode{testID(4)}, create(9, 1), true},
		{"a link's other end went", DeleteNode{testID(4)}, wire(3, 1), true},
	} {
		d := family(t)
		before := d.seq
		d.do(c.first)
		p, err := d.g.Plan(c.then, d.env())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := d.g.ChangedSince(p.Changes, before); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if d.g.ChangedSince(p.Changes, d.seq) {
			t.Errorf("%s: changed since now", c.name)
		}
	}
}

// Merge makes one entry of two, for coalescing. SPEC G-48
func TestMerge(t *testing.T) {
	d := family(t)
	before := d.json()
	set := func(text string) []Change {
		return d.do(UpdateProperty{NodeID: testID(2), PropertyID: "text", Value: raw(text)})
	}
	first := set(`"a"`)
	second := set(`"b"`)
	third := set(`"c"`)
	joined := Merge(Merge(first, second), third)
	if len(joined) != 1 || len(first) != 1 || len(second) != 1 {
		t.Fatalf("%s", joined)
	}
	after := d.json()
	inv := d.undo(joined, false)
	if inv.Applied.Count() != 1 || d.json() != before {
		t.Errorf("undo of the joined entry: %+v %s", inv, d.json())
	}
	d.undo(inv.Changes, false)
	if d.json() != after {
		t.Error("redo of the joined entry")
	}
	other := d.do(UpdateProperty{NodeID: testID(3), PropertyID: "text", Value: raw(`"z"`)})
	moved := d.do(MoveNode{NodeID: testID(3)})
	if m := Merge(Merge(joined, other), moved); len(m) != 3 {
		t.Errorf("%s", m)
	}
	d.do(UpdateProperty{NodeID: testID(2), PropertyID: "text", Value: raw(`"x"`)})
	last := set(`"y"`)
	if m := Merge(joined, last); len(m) != 2 {
		t.Errorf("someone came between: %s", m)
	}
}
