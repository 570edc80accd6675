package graph

import "testing"

// SPEC C-21
func TestLabel(t *testing.T) {
	create := CreateNode{BlueprintTypeID: "project_root"}
	set := UpdateProperty{PropertyID: "start-date"}
	for _, x := range []struct {
		cmd  Command
		want string
	}{
		{create, "Create project root"},
		{DeleteNode{}, "Delete node"},
		{LinkNode{LinkType: ChildLink}, "Link node"},
		{LinkNode{LinkType: ChildLink, Move: true}, "Move node"},
		{LinkNode{LinkType: "blocks"}, "Link as blocks"},
		{UnlinkNode{LinkType: ChildLink}, "Unlink node"},
		{UnlinkNode{LinkType: "blocks"}, "Unlink as blocks"},
		{MoveNode{}, "Move node"},
		{set, "Set start date"},
		{UpdateProperty{PropertyID: NameProperty}, "Rename node"},
		{DeleteProperty{PropertyID: "vin"}, "Clear vin"},
		{SetProperties{Properties: []PropertyValue{{ID: "a"}}}, "Set a"},
		{SetProperties{Properties: []PropertyValue{{ID: "a"}, {ID: "b"}}}, "Set 2 properties"},
		{DuplicateNode{}, "Duplicate node"},
		{Batch{Label: "Mine"}, "Mine"},
		{Batch{Commands: []Command{set}}, "Set start date"},
		{Batch{Commands: []Command{set, set}}, "Set start date (2 commands)"},
		{Batch{Commands: []Command{set, create, set}}, "3 commands"},
		{unknown{}, "Unknown"},
	} {
		if got := Label(x.cmd); got != x.want {
			t.Errorf("Label(%#v) = %q, want %q", x.cmd, got, x.want)
		}
	}
	if got := titleWords("start_date"); got != "Start date" {
		t.Error(got)
	}
	if got := titleWords("__"); got != "__" {
		t.Error(got)
	}
}

type unknown struct{}

func (unknown) Type() string { return "Unknown" }
