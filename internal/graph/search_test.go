package graph

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
)

// sameIndex compares an index that changes kept up to date with a fresh one.
func sameIndex(a, b *index) bool {
	return len(a.slots) == len(b.slots) && sameList(&a.all, &b.all) && sameLists(a.grams, b.grams) && sameLists(a.lists, b.lists)
}

func sameLists[K comparable](a, b map[K]*siblings) bool {
	for name, list := range b {
		if !sameList(a[name], list) {
			return false
		}
	}
	return len(a) == len(b)
}

func sameList(a, b *siblings) bool {
	if a == nil || a.len() != b.len() {
		return false
	}
	for i, x := range b.all() {
		if a.at(i).key != x.key {
			return false
		}
	}
	return true
}

// names searches and gives the names of all hits, a "|" between pages.
func names(t *testing.T, g *Graph, q Query) string {
	t.Helper()
	var found []string
	for {
		page, err := g.Search(q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		for _, h := range page.Hits {
			found = append(found, h.Name)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return strings.Join(found, " ")
		}
		found = append(found, "|")
	}
}

// SPEC G-72: what a search finds, and in which order.
func TestSearch(t *testing.T) {
	d := newDesk(t)
	create := func(typ string, n, parent int, name string, values ...PropertyValue) {
		c := CreateNode{BlueprintTypeID: typ, NodeID: testID(n), Name: &name, Properties: values}
		if parent > 0 {
			c.ParentID = testID(parent)
		}
		d.do(c)
	}
	text := func(s string) PropertyValue { return PropertyValue{"text", appendString(nil, s)} }
	create("folder", 9, 0, "Brakes")
	create("item", 5, 9, "Brake-pads", text("front"))
	create("item", 7, 9, "ÄRMEL", text("front"), PropertyValue{"count", raw("3")})
	create("note", 3, 7, "brak", text(strings.Repeat("long ", 100)))
	create("item", 4, 0, "Tyre", PropertyValue{"data", raw(`{"b":1, "a":2}`)})
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "Brakes Brake-pads ÄRMEL brak Tyre"},
		{Query{Limit: 2}, "Brakes Brake-pads | ÄRMEL brak | Tyre"},
		{Query{Limit: 5}, "Brakes Brake-pads ÄRMEL brak Tyre"},
		{Query{Text: "BRAKE"}, "Brakes Brake-pads"},
		{Query{Text: "ake-p"}, "Brake-pads"},
		{Query{Text: "ärm"}, "ÄRMEL"},
		{Query{Text: "r"}, "Brakes Brake-pads ÄRMEL brak Tyre"},
		{Query{Text: "zzz"}, ""},
		{Query{Text: "brakes brakes"}, ""},
		{Query{TypeID: "note"}, "brak"},
		{Query{Text: "bra", TypeID: "folder"}, "Brakes"},
		{Query{PropertyID: "text"}, "Brake-pads ÄRMEL brak"},
		{Query{PropertyID: "text", Value: raw(`"front"`)}, "Brake-pads ÄRMEL"},
		{Query{PropertyID: "text", Value: raw(`"back"`)}, ""},
		{Query{PropertyID: "text", Value: appendString(nil, strings.Repeat("long ", 100))}, "brak"},
		{Query{PropertyID: "text", TypeID: "note"}, "brak"},
		{Query{PropertyID: "count", Value: raw("3.0")}, "ÄRMEL"},
		{Query{PropertyID: "data", Value: raw(`{"a":2,"b":1e0}`)}, "Tyre"},
		{Query{PropertyID: NameProperty, Value: raw(`"Tyre"`)}, "Tyre"},
		{Query{PropertyID: NameProperty}, "Brakes Brake-pads ÄRMEL brak Tyre"},
		{Query{Under: testID(9)}, "Brakes Brake-pads ÄRMEL brak"},
		{Query{Under: testID(7)}, "ÄRMEL brak"},
		{Query{Under: testID(7), Text: "brak"}, "brak"},
		{Query{Under: testID(9), PropertyID: "text", Limit: 1}, "Brake-pads | ÄRMEL | brak"},
	} {
		if got := names(t, d.g, c.q); got != c.want {
			t.Errorf("%+v finds %q, not %q", c.q, got, c.want)
		}
	}
	page, err := d.g.Search(Query{TypeID: "note"})
	want := Page{Hits: []Hit{{testID(3), "brak", "note", ptr(testID(7))}}}
	if diff := cmp.Diff(want, page); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestSearchRefuses(t *testing.T) {
	d := family(t)
	for _, c := range []struct {
		q    Query
		code fault.Code
	}{
		{Query{Limit: -1}, fault.InvalidRequest},
		{Query{Limit: MaxPage + 1}, fault.InvalidRequest},
		{Query{Text: strings.Repeat("x", MaxName+1)}, fault.InvalidRequest},
		{Query{TypeID: "ship"}, fault.InvalidRequest},
		{Query{PropertyID: "colour"}, fault.InvalidRequest},
		{Query{PropertyID: "title", TypeID: "note"}, fault.InvalidRequest},
		{Query{PropertyID: "count", Value: raw(`"x"`)}, fault.InvalidRequest},
		{Query{Value: raw(`1`)}, fault.InvalidRequest},
		{Query{Cursor: "?"}, fault.InvalidRequest},
		{Query{Cursor: "aaaa"}, fault.InvalidRequest},
		{Query{Under: testID(99)}, fault.NodeNotFound},
	} {
		if _, err := d.g.Search(c.q); !fault.Is(err, c.code) {
			t.Errorf("%+v: %v", c.q, err)
		}
	}
}

// SPEC G-73: a cursor stays good while the graph changes.
func TestSearchCursorSurvivesChanges(t *testing.T) {
	d := newDesk(t)
	for i := 1; i <= 10; i++ {
		d.do(CreateNode{BlueprintTypeID: "item", NodeID: testID(i), Name: ptr(fmt.Sprint(i))})
	}
	page, err := d.g.Search(Query{Limit: 4})
	if err != nil || len(page.Hits) != 4 || page.Next == "" {
		t.Fatal(page, err)
	}
	d.do(DeleteNode{testID(4)})
	d.do(MoveNode{NodeID: testID(6), At: At{Index: ptr(0)}})
	d.do(UpdateProperty{NodeID: testID(7), PropertyID: NameProperty, Value: raw(`"seven"`)})
	d.do(CreateNode{BlueprintTypeID: "item", NodeID: testID(11), Name: ptr("11")})
	if got := names(t, d.g, Query{Cursor: page.Next}); got != "5 6 seven 8 9 10 11" {
		t.Error(got)
	}
	if key, _ := base64.RawURLEncoding.DecodeString(page.Next); len(key) != indexKeyLen {
		t.Error("a cursor holds more than a place")
	}
}

// A large entry drops the index; the next search builds it.
func TestSearchAfterALargeEntry(t *testing.T) {
	d := newDesk(t)
	d.add("item", 1, 0)
	if got := names(t, d.g, Query{}); got != "Item" {
		t.Fatal(got)
	}
	var changes []Change
	for i := range maxKept + 1 {
		changes = append(changes, d.do(UpdateProperty{NodeID: testID(1), PropertyID: NameProperty, Value: raw(fmt.Sprintf(`"n%d"`, i))})...)
	}
	if d.g.index == nil || !sameIndex(d.g.index, buildIndex(d.g)) {
		t.Error("small entries do not keep the index")
	}
	d.undo(changes, false)
	if d.g.index != nil {
		t.Error("a large entry keeps the index")
	}
	if got := names(t, d.g, Query{Text: "item"}); got != "Item" {
		t.Error(got)
	}
}
