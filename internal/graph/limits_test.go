package graph

import (
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC G-6: 200 levels, by create, move, duplicate, import and undo.
func TestDepth(t *testing.T) {
	d := newDesk(t)
	d.add("item", 1, 0)
	for i := 2; i <= MaxDepth; i++ {
		d.add("item", i, i-1)
	}
	refuse := func(c Command) {
		t.Helper()
		if _, err := d.try(c); !fault.Is(err, fault.InvalidCommand) {
			t.Errorf("%T: %v", c, err)
		}
	}
	refuse(CreateNode{BlueprintTypeID: "item", ParentID: testID(MaxDepth)})
	d.add("item", 500, 0)
	d.add("item", 501, 500)
	refuse(MoveNode{NodeID: testID(500), ParentID: testID(MaxDepth - 1)})
	refuse(LinkNode{LinkType: ChildLink, ParentID: testID(MaxDepth), ChildID: testID(500)})
	refuse(DuplicateNode{NodeID: testID(2), ParentID: ptr(testID(2))})
	d.do(MoveNode{NodeID: testID(500), ParentID: testID(MaxDepth - 2)})
	if err := d.g.Check(); err != nil {
		t.Fatal(err)
	}

	text := d.json()
	if g, err := Import(d.g.bp, []byte(text)); err != nil || string(g.AppendJSON(nil, "p")) != text {
		t.Error("a graph of 200 levels cannot be imported:", err)
	}
	deepest := `"children":[]`
	at := strings.Index(text, deepest)
	text = text[:at] + `"children":[{"id":"` + testID(900).String() + `","name":"x","blueprint_type_id":"item"},{}]` + text[at+len(deepest):]
	if _, err := Import(d.g.bp, []byte(text)); !fault.Is(err, fault.InvalidRequest) || !strings.Contains(err.Error(), "deeper than 200 levels") {
		t.Error("201 levels:", err)
	}
}

// SPEC G-47: what comes back must fit into the depth too.
func TestUndoDepth(t *testing.T) {
	d := newDesk(t)
	d.add("item", 1, 0)
	d.add("item", 2, 1)
	d.add("item", 3, 2)
	gone := d.do(DeleteNode{testID(3)})
	d.add("item", 4, 2)
	moved := d.do(MoveNode{NodeID: testID(4)})
	d.add("item", 5, 4)
	top := 0
	for i := 10; i < 10+MaxDepth-2; i++ {
		d.add("item", i, top)
		top = i
	}
	d.do(MoveNode{NodeID: testID(1), ParentID: testID(top)})
	for _, entry := range [][]Change{gone, moved} {
		inv := d.undo(entry, true)
		if inv.Applied.Count() != 0 || inv.Skipped.Count() != 1 || inv.Skipped.List[0].Reason != ReasonDepth {
			t.Errorf("%+v", inv)
		}
	}
}

func TestUndoOfTheUndone(t *testing.T) {
	d := newDesk(t)
	made := d.add("item", 1, 0)
	gone := d.do(DeleteNode{testID(1)})
	d.undo(gone, false)
	if inv := d.undo(gone, true); inv.Skipped.Count() != 1 || inv.Skipped.List[0].Reason != ReasonExists {
		t.Errorf("%+v", inv)
	}
	d.undo(made, false)
	fresh := newDesk(t)
	if inv := fresh.undo(gone, true); inv.Skipped.Count() != 1 || inv.Skipped.List[0].Reason != ReasonMissing {
		t.Errorf("%+v", inv)
	}
	set := d.add("item", 2, 0)
	set = append(set, d.do(UpdateProperty{NodeID: testID(2), PropertyID: "text", Value: raw(`"x"`)})...)
	d.do(DeleteNode{testID(2)})
	for _, o := range d.undo(set, true).Skipped.List {
		if o.Reason != ReasonMissing {
			t.Errorf("%+v", o)
		}
	}
	if inv := d.g.Invert([]Change{{}}, true); inv.Changes != nil || inv.Applied.Count() != 0 || inv.Skipped.Count() != 0 {
		t.Errorf("%+v", inv)
	}
}

// SPEC G-3: the server's ids are free ones.
func TestNewIDs(t *testing.T) {
	d := newDesk(t)
	d.add("item", 1, 0)
	d.add("item", 2, 0)
	d.do(DeleteNode{testID(2)})
	ids := []ID{testID(1), {}, testID(2), testID(3)}
	env := Env{Writer: d.seq + 1, NewID: func() ID { id := ids[0]; ids = ids[1:]; return id }}
	p, err := d.g.Plan(CreateNode{BlueprintTypeID: "item"}, env)
	if err != nil || p.Result != (NodeResult{testID(3)}) {
		t.Errorf("%+v %v", p, err)
	}
	env.NewID = func() ID { return testID(1) }
	for _, c := range []Command{CreateNode{BlueprintTypeID: "item"}, DuplicateNode{NodeID: testID(1)}} {
		if _, err := d.g.Plan(c, env); !fault.Is(err, fault.Internal) {
			t.Error(err)
		}
	}
}

// SPEC G-1: what Decode refuses is refused by Plan too, where it would break the graph.
func TestPlanRefusesWhatDecodeWould(t *testing.T) {
	d := family(t)
	long := strings.Repeat("x", MaxName+1)
	before := state(d.g)
	for name, c := range map[string]Command{
		"no command":                  nil,
		"a long name":                 CreateNode{BlueprintTypeID: "item", Name: &long},
		"a long name of a copy":       DuplicateNode{NodeID: testID(2), Name: &long},
		"a property twice":            CreateNode{BlueprintTypeID: "item", Properties: []PropertyValue{{"text", raw(`"a"`)}, {"text", raw(`"b"`)}}},
		"nothing to set":              SetProperties{NodeID: testID(2)},
		"a negative index":            MoveNode{NodeID: testID(2), ParentID: testID(1), At: At{Index: ptr(-1)}},
		"a negative index of a link":  LinkNode{LinkType: "wire", ParentID: testID(1), ChildID: testID(4), At: At{Index: ptr(-1)}},
		"a negative index of a copy":  DuplicateNode{NodeID: testID(2), At: At{Index: ptr(-1)}},
		"a negative index of a child": CreateNode{BlueprintTypeID: "item", At: At{Index: ptr(-1)}},
		"an empty batch":              Batch{},
		"a large batch":               Batch{Commands: make([]Command, MaxBatch+1)},
		"a nested batch":              Batch{Commands: []Command{Batch{}}},
	} {
		if _, err := d.g.Plan(c, d.env()); !fault.Is(err, fault.InvalidCommand) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.try(DuplicateNode{NodeID: testID(2), ParentID: ptr(testID(99))}); !fault.Is(err, fault.NodeNotFound) {
		t.Error(err)
	}
	if state(d.g) != before {
		t.Error("a refusal changed the graph")
	}
}

// SPEC G-15: the refusal names the command and the place inside it.
func TestBatchRefusalPlace(t *testing.T) {
	d := family(t)
	_, err := d.try(Batch{Commands: []Command{
		DeleteNode{testID(3)},
		CreateNode{BlueprintTypeID: "item", Properties: []PropertyValue{{"count", raw(`"x"`)}}},
	}})
	e := fault.From(err)
	if e == nil || e.Code != fault.InvalidCommand || !strings.Contains(e.Message, "command 1 of the batch") ||
		len(e.Details) != 1 || e.Details[0].Location != "commands[1].data.properties.count" {
		t.Errorf("%+v", e)
	}
	_, err = d.try(UpdateProperty{NodeID: testID(2), PropertyID: "count", Value: raw(`"x"`)})
	if e := fault.From(err); len(e.Details) != 1 || e.Details[0].Location != "data.value" {
		t.Errorf("%+v", e)
	}
	_, err = d.try(SetProperties{testID(2), []PropertyValue{{"count", raw(`"x"`)}}})
	if e := fault.From(err); len(e.Details) != 1 || e.Details[0].Location != "data.properties.count" {
		t.Errorf("%+v", e)
	}
}
