package graph

import "testing"

// reasons are the reasons of what was skipped, in order.
func reasons(inv Inverted) (list []string) {
	for _, o := range inv.Skipped.List {
		list = append(list, o.Reason)
	}
	return list
}

// SPEC G-40: a node that was restored and deleted again carries the second
// deleter; the first cannot bring it back, unless forced.
func TestUndoOfADeleteThatWasRepeated(t *testing.T) {
	d := family(t)
	first := d.do(DeleteNode{testID(4)})
	d.undo(first, false)
	second := d.do(DeleteNode{testID(4)})
	if inv := d.undo(first, false); len(inv.Changes) != 0 || inv.Skipped.Count() != 1 || inv.Skipped.List[0].Reason != ReasonChangedSince {
		t.Errorf("%+v", inv)
	}
	if inv := d.undo(first, true); len(reasons(inv)) != 0 || !d.g.Has(testID(4)) {
		t.Errorf("%+v", inv)
	}
	if inv := d.undo(second, true); inv.Skipped.Count() != 1 || inv.Skipped.List[0].Reason != ReasonExists {
		t.Errorf("%+v", inv)
	}
}

// SPEC G-44: of very many outcomes the first are listed and the rest counted.
func TestManyOutcomes(t *testing.T) {
	d := newDesk(t)
	d.add("item", 1, 0)
	const more = 7
	for i := range MaxOutcomes + more {
		d.add("item", i+2, 1)
	}
	gone := d.do(DeleteNode{testID(1)})
	inv := d.undo(gone, false)
	if len(inv.Applied.List) != MaxOutcomes || inv.Applied.More != more+1 || inv.Applied.Count() != len(gone) || inv.Skipped.Count() != 0 {
		t.Errorf("%d listed, %d more, %d skipped", len(inv.Applied.List), inv.Applied.More, inv.Skipped.Count())
	}
	if first := inv.Applied.List[0]; first.NodeID != testID(1) || first.Event != EventNodeCreated {
		t.Errorf("the first is %+v", first)
	}
	both := Outcomes{List: []Outcome{{Event: "x"}}}
	both.Join(inv.Applied)
	both.Join(Outcomes{List: []Outcome{{}, {}}, More: 3})
	if len(both.List) != MaxOutcomes || both.Count() != 1+len(gone)+5 || both.List[0].Event != "x" || both.List[1] != inv.Applied.List[0] {
		t.Errorf("joined: %d listed, %d in all", len(both.List), both.Count())
	}
}

// The links of a restored node keep their order though their keys are from
// before their list was rebalanced.
func TestRestoreLinksOfAnotherGeneration(t *testing.T) {
	d := newDesk(t)
	for i := 1; i <= 6; i++ {
		d.add("item", i, 0)
	}
	wire := func(to int, at At) {
		d.do(LinkNode{LinkType: "wire", ParentID: testID(1), ChildID: testID(to), At: at})
	}
	for i := 2; i <= 4; i++ {
		wire(i, At{})
	}
	wire(5, At{Index: ptr(1)})
	before := d.json()
	first := d.do(DeleteNode{testID(1)})
	d.undo(first, false)
	d.g.longKey = 1
	wire(6, At{Index: ptr(1)})
	if d.g.gens[listKey{"wire", testID(1)}] == 0 {
		t.Fatal("no keys were made anew")
	}
	d.do(DeleteNode{testID(1)})
	if inv := d.undo(first, true); inv.Skipped.Count() != 0 {
		t.Errorf("%+v", inv)
	}
	if got := d.json(); got != before {
		t.Errorf("%s\nis not\n%s", short(got), short(before))
	}
	if err := d.g.Check(); err != nil {
		t.Error(err)
	}
}

// A former place that another has taken: right before that one.
func TestUndoToATakenKey(t *testing.T) {
	for _, back := range []int{0, 3} { // where the node waits meanwhile
		d := newDesk(t)
		for i := 1; i <= 3; i++ {
			d.add("item", i, 0)
		}
		d.do(CreateNode{BlueprintTypeID: "item", NodeID: testID(4), At: At{Index: ptr(1)}})
		moved := d.do(MoveNode{NodeID: testID(4), At: At{Index: ptr(back)}})
		d.do(CreateNode{BlueprintTypeID: "item", NodeID: testID(5), At: At{After: testID(1)}})
		if a, b := d.g.nodes[testID(5)].key, moved[0].body.(*placing).From.Key; a != b {
			t.Fatalf("the key is free: %s %s", a, b)
		}
		d.undo(moved, false)
		var order []ID
		for _, s := range d.g.roots.all() {
			order = append(order, s.node.id)
		}
		want := []ID{testID(1), testID(4), testID(5), testID(2), testID(3)}
		for i := range want {
			if order[i] != want[i] {
				t.Fatalf("waiting at %d: %v", back, order)
			}
		}
	}
}
