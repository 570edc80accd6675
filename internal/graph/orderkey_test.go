package graph

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// SPEC G-23: between any two keys there is another, and all keys differ.
func TestKeyBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := []string{keyBetween("", "")}
		for range rapid.IntRange(1, 200).Draw(t, "inserts") {
			i := rapid.IntRange(0, len(keys)).Draw(t, "index")
			low, high := "", ""
			if i > 0 {
				low = keys[i-1]
			}
			if i < len(keys) {
				high = keys[i]
			}
			key := keyBetween(low, high)
			if !validKey(key) || key <= low || high != "" && key >= high {
				t.Fatalf("between %q and %q comes %q", low, high, key)
			}
			keys = slices.Insert(keys, i, key)
		}
	})
}

func TestKeyBetweenAtTheEdges(t *testing.T) {
	last := "z" + strings.Repeat("z", 26)
	first := "A" + strings.Repeat("0", 25) + "1"
	for _, pair := range [][2]string{
		{"", "a0"}, {"a0", ""}, {"Zz", "a0"}, {"az", "b00"}, {"a0", "a0V"}, {"a0", "a01"}, {"a0V", "a1"},
		{last, ""}, {last + "V", ""}, {"", first}, {"", keySmallest + "V"}, {keySmallest + "V", first}, {"a0", last}, {"", last},
		{"a0z", "a1"}, {"a0zz", "a1"}, {"a0zzzV", "a1"}, {"Yzz", "Z0"}, {"a1", "a102"},
	} {
		key := keyBetween(pair[0], pair[1])
		if !validKey(key) || key <= pair[0] || pair[1] != "" && key >= pair[1] {
			t.Errorf("between %q and %q comes %q", pair[0], pair[1], key)
		}
	}
}

// Appending and prepending cost a counter, not length.
func TestKeysStayShortAtBothEnds(t *testing.T) {
	up, down := "", ""
	for range 100_000 {
		up, down = keyBetween(up, ""), keyBetween("", down)
	}
	if len(up) > 5 || len(down) > 5 {
		t.Errorf("after 100,000 steps the keys are %q and %q", up, down)
	}
}

func TestKeysBetween(t *testing.T) {
	for _, pair := range [][2]string{{"", ""}, {"a0", ""}, {"", "a0"}, {"a0", "a1"}, {"a0V", "a0W"}} {
		for _, n := range []int{0, 1, 2, 7, 1000} {
			keys := keysBetween(pair[0], pair[1], n)
			if len(keys) != n || !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != n {
				t.Fatalf("%d keys between %q and %q: %q", n, pair[0], pair[1], keys)
			}
			if n > 0 && (keys[0] <= pair[0] || pair[1] != "" && keys[n-1] >= pair[1]) {
				t.Fatalf("keys leave %q to %q: %q", pair[0], pair[1], keys)
			}
			for _, key := range keys {
				if len(key) > 7 {
					t.Fatalf("one of %d keys between %q and %q is %q", n, pair[0], pair[1], key)
				}
			}
		}
	}
}

func TestValidKey(t *testing.T) {
	for _, key := range []string{"", "a", "a-", "00", "a00", "a0V0", keySmallest, "b0", "[0", "a0" + strings.Repeat("V", 200)} {
		if validKey(key) {
			t.Errorf("%q counts as a key", key)
		}
	}
}

// SPEC G-23: keys are made anew in the entry that would make one longer than
// 64 bytes; no position changes and no event tells of it.
func TestRebalance(t *testing.T) {
	d := newDesk(t)
	c := newClient()
	do := func(cmd Command) []Change {
		changes := d.do(cmd)
		c.watch(t, d.g, changes)
		return changes
	}
	do(CreateNode{BlueprintTypeID: "folder", NodeID: testID(1)})
	anew := 0
	for i := range 1500 { // always between the first two
		changes := do(CreateNode{BlueprintTypeID: "item", NodeID: testID(10 + i), ParentID: testID(1), At: At{Index: ptr(min(i, 1))}})
		for _, change := range changes {
			if r, ok := change.body.(*rekeying); ok {
				anew++
				if len(change.Events()) != 0 {
					t.Fatal("new keys have events")
				}
				if len(r.Items) > 700 {
					t.Errorf("%d keys were made anew at once", len(r.Items))
				}
			}
		}
	}
	if anew == 0 || anew > 10 {
		t.Errorf("keys were made anew %d times", anew)
	}
	for _, s := range d.g.nodes[testID(1)].children.all() {
		if len(s.key) > maxKey {
			t.Fatalf("key %q is too long", s.key)
		}
	}
	if err := d.g.Check(); err != nil {
		t.Fatal(err)
	}
}

// SPEC G-50: when keys were made anew meanwhile, a restored node stands beside
// a former neighbour.
func TestRestoreAfterRebalance(t *testing.T) {
	for _, gone := range [][]int{{}, {2}, {4}, {2, 4}, {1, 2}, {4, 5}} {
		d := newDesk(t)
		for i := 1; i <= 5; i++ {
			d.add("item", i, 0)
		}
		entry := d.do(DeleteNode{testID(3)})
		for _, i := range gone {
			d.do(DeleteNode{testID(i)})
		}
		d.g.longKey = 1
		d.do(CreateNode{BlueprintTypeID: "item", NodeID: testID(9), At: At{Index: ptr(1)}})
		if len(d.g.gens) == 0 {
			t.Fatal("no keys were made anew")
		}
		if inv := d.undo(entry, false); inv.Skipped.Count() > 0 {
			t.Fatalf("%+v", inv)
		}
		var order []int
		for _, s := range d.g.roots.all() {
			for i := range 10 {
				if s.node.id == testID(i) && i != 9 {
					order = append(order, i)
				}
			}
		}
		has2 := d.g.Has(testID(2))
		if has2 || d.g.Has(testID(4)) {
			if !slices.IsSorted(order) {
				t.Errorf("without %v the order is %v", gone, order)
			}
		}
		if err := d.g.Check(); err != nil {
			t.Fatal(err)
		}
	}
}
