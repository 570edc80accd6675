package graph

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// id writes #n as an id.
func withIDs(s string) string { return strings.ReplaceAll(s, "#", testID(0).String()[:35]) }

// SPEC G-80: everything that is wrong is named with its place, and nothing is
// imported.
func TestImportFaults(t *testing.T) {
	node := func(rest string) string {
		return `{"template_id":"test","roots":[{"id":"#1","name":"n","blueprint_type_id":"item"` + rest + `}]}`
	}
	links := func(links string) string {
		return `{"template_id":"test","roots":[{"id":"#1","name":"n","blueprint_type_id":"item"},{"id":"#2","name":"n","blueprint_type_id":"folder"}],"links":[` + links + `]}`
	}
	for _, c := range []struct{ text, location, message string }{
		{``, "graph", "is not valid JSON"},
		{`[]`, "graph", "must be an object"},
		{`{}`, "graph.template_id", "is required"},
		{`{}`, "graph.roots", "is required"},
		{`{"template_id":"other","roots":[]}`, "graph.template_id", `is "other", but the blueprint is "test"`},
		{`{"template_id":7,"roots":[]}`, "graph.template_id", "must be a string"},
		{`{"template_id":"test","roots":[],"colour":1}`, "graph.colour", "is unknown"},
		{`{"template_id":"test","roots":{}}`, "graph.roots", "must be an array"},
		{`{"template_id":"test","roots":[7]}`, "graph.roots[0]", "must be an object"},
		{`{"template_id":"test","roots":[{}]}`, "graph.roots[0].id", "is required"},
		{node(`,"name":"m"`), "graph.roots[0].name", "is there twice"},
		{node(`,"position":1`), "graph.roots[0].position", "must be 0"},
		{node(`,"position":"x"`), "graph.roots[0].position", "must be a number"},
		{node(`,"properties":{"count":"x"}`), "graph.roots[0].properties.count", "must be a number"},
		{node(`,"properties":{"colour":"x"}`), "graph.roots[0].properties.colour", "is no property of item"},
		{node(`,"children":[{"id":"#1","name":"n","blueprint_type_id":"item"}]`), "graph.roots[0].id", "is the id of another node too"},
		{node(`,"children":[{"id":"#3","name":"n","blueprint_type_id":"folder"}]`), "graph.roots[0].children[0]", "does not allow folder under item"},
		{node(`,"children":[{"id":"#3","name":"n","blueprint_type_id":"ship"}]`), "graph.roots[0].children[0].blueprint_type_id", `no node type of the blueprint: "ship"`},
		{node(`,"children":[{"id":"x","name":"n","blueprint_type_id":"item"}]`), "graph.roots[0].children[0].id", "must be a node id"},
		{node(`,"children":[{"id":"#3","name":"a\nb","blueprint_type_id":"item"}]`), "graph.roots[0].children[0].name", "control characters"},
		{node(`,"properties":{"data":` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + `}`), "graph.roots[0].properties.data…", "nested deeper than 100"},
		{links(`{"link_type":"rope","parent_id":"#1","child_id":"#2"}`), "graph.links[0].link_type", "is no link type"},
		{links(`{"link_type":"wire","parent_id":"#7","child_id":"#2"}`), "graph.links[0].parent_id", "is no node"},
		{links(`{"link_type":"wire","parent_id":"#1","child_id":"#7"}`), "graph.links[0].child_id", "is no node"},
		{links(`{"link_type":"wire","parent_id":"#1","child_id":"#2","position":1}`), "graph.links[0].position", "must be 0"},
		{links(`{"link_type":"owner","parent_id":"#1","child_id":"#2"}`), "graph.links[0]", "does not allow a link of type owner"},
		{links(`{"link_type":"see","parent_id":"#1","child_id":"#2"},{"link_type":"see","parent_id":"#1","child_id":"#2"}`), "graph.links[1]", "is there twice"},
		{links(`{"link_type":"wire","parent_id":"#1","child_id":"#2"},{"link_type":"wire","parent_id":"#2","child_id":"#1"}`), "graph.links[1]", "lead back"},
		{links(`7`), "graph.links[0]", "must be an object"},
		{`{"template_id":"test","roots":[],"links":7}`, "graph.links", "must be an array"},
		{`{"template_id":"test","roots":[]} x`, "graph", "something follows"},
	} {
		g, err := Import(testBlueprint(), []byte(withIDs(c.text)))
		e := fault.From(err)
		if g != nil || e == nil || e.Code != fault.InvalidRequest {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		found := false
		for _, d := range e.Details {
			prefix, cut := strings.CutSuffix(c.location, "…")
			found = found || (short(d.Location) == c.location || cut && strings.HasPrefix(short(d.Location), prefix)) && strings.Contains(short(d.Message), c.message)
		}
		if !found {
			t.Errorf("%.200s\n%+v\nnot %s: %s", c.text, e.Details, c.location, c.message)
		}
	}
}

func TestImportNamesManyFaults(t *testing.T) {
	text := `{"template_id":"test","roots":[` + strings.TrimSuffix(strings.Repeat(`{"id":"#1","name":"n","blueprint_type_id":"item","properties":{"count":"x","text":1}},`, 100), ",") + `]}`
	_, err := Import(testBlueprint(), []byte(withIDs(text)))
	e := fault.From(err)
	if e == nil || len(e.Details) != maxFaults+1 || !strings.Contains(e.Details[maxFaults].Message, "more faults") {
		t.Errorf("%+v", e)
	}
}

// SPEC G-81: fields in any order, what is left out, what GET /graph adds.
func TestImportIsGenerous(t *testing.T) {
	text := `{"epoch":"e","seq":7,"links":[{"child_id":"#1","parent_id":"#2","link_type":"see"}],
		"roots":[{"children":[{"name":"b","blueprint_type_id":"item","id":"#2","properties":{"count":2.0}}],"id":"#1","blueprint_type_id":"folder","name":"a"}],"template_id":"test","project_id":null}`
	g, err := Import(testBlueprint(), []byte(withIDs(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"project_id":"","template_id":"test","roots":[{"id":"#1","name":"a","blueprint_type_id":"folder","position":0,"properties":{},` +
		`"children":[{"id":"#2","name":"b","blueprint_type_id":"item","position":0,"properties":{"count":2},"children":[]}]}],` +
		`"links":[{"link_type":"see","parent_id":"#2","child_id":"#1","position":0}]}`
	if got := short(string(g.AppendJSON(nil, ""))); got != want {
		t.Error(got)
	}
	if err := g.Check(); err != nil {
		t.Error(err)
	}
}

// A journal or snapshot from elsewhere is refused with a reason, not believed.
func TestReplayRefusesWhatDoesNotFit(t *testing.T) {
	d := family(t)
	d.do(UpdateProperty{NodeID: testID(2), PropertyID: "text", Value: raw(`"x"`)})
	for _, c := range []struct{ change, reason string }{
		{`{"create":{"id":"#2","node":{"t":"item","n":"n","at":{"k":"a9"}}}}`, "lives already"},
		{`{"create":{"id":"#9","node":{"t":"ship","n":"n","at":{"k":"a9"}}}}`, "unknown type"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9","p":"#8"}}}}`, "no living parent"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a0"}}}}`, "is taken"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"?"}}}}`, "not an order key"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"}},"grave":{"w":3}}}`, "deleted differently"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"},"l":[{"t":"see","p":"#9","c":"#1","at":{"k":"a0"}},{"t":"rope","p":"#9","c":"#1","at":{"k":"a0"}}]}}}`, "no link type"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"},"l":[{"t":"see","p":"#9","c":"#8","at":{"k":"a0"}}]}}}`, "does not live"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"},"l":[{"t":"wire","p":"#4","c":"#9","at":{"k":"a0"}}]}}}`, "is taken"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"},"v":[{"p":"colour","v":1}]}}}`, "bad property"},
		{`{"create":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"},"v":[{"p":"text","v":"b"},{"p":"data","v":1}]}}}`, "bad property"},
		{`{"delete":{"id":"#9","node":{"t":"item","n":"n","at":{"k":"a9"}},"grave":{}}}`, "does not live"},
		{`{"delete":{"id":"#1","node":{"t":"item","n":"n","at":{"k":"a0"}},"grave":{}}}`, "still has children"},
		{`{"delete":{"id":"#3","node":{"t":"item","n":"n","at":{"k":"a9"}},"grave":{}}}`, "stands elsewhere"},
		{`{"delete":{"id":"#3","node":{"t":"item","n":"n","at":{"k":"a0","p":"#2"}},"grave":{}}}`, "other links"},
		{`{"delete":{"id":"#3","node":{"t":"item","n":"n","at":{"k":"a0","p":"#2"},"l":[{"t":"see","p":"#1","c":"#3","at":{"k":"a0"}},{"t":"see","p":"#2","c":"#3","at":{"k":"a0"}}]},"grave":{}}}`, "has no link"},
		{`{"place":{"id":"#9","f":{"k":"a0"},"t":{"k":"a1"}}}`, "does not live"},
		{`{"place":{"id":"#3","f":{"k":"a0"},"t":{"k":"a1"}}}`, "stands elsewhere"},
		{`{"place":{"id":"#1","f":{"k":"a0","w":1},"t":{"k":"a1","p":"#9"}}}`, "no living parent"},
		{`{"place":{"id":"#1","f":{"k":"a0","w":1},"t":{"k":"a1","p":"#3"}}}`, "under itself"},
		{`{"place":{"id":"#1","f":{"k":"a0","w":1},"t":{"k":""}}}`, "not an order key"},
		{`{"link":{"l":"see","p":"#1","c":"#4","f":{"k":"a0"},"t":{}}}`, "not as it was"},
		{`{"link":{"l":"see","p":"#1","c":"#9","f":{},"t":{"k":"a0"}}}`, "does not live"},
		{`{"link":{"l":"wire","p":"#4","c":"#3","f":{"k":"a0","w":9},"t":{"k":"Zz"}}}`, "is taken"},
		{`{"set":{"id":"#9","p":"text","f":{},"t":{"v":1}}}`, "does not live"},
		{`{"set":{"id":"#2","p":"text","f":{},"t":{"v":1}}}`, "not as it was"},
		{`{"set":{"id":"#2","p":"colour","f":{},"t":{"v":1}}}`, "no property colour"},
		{`{"set":{"id":"#2","p":"name","f":{"v":"Item","w":3},"t":{}}}`, "is no name"},
		{`{"keys":{"l":"child","g":3,"items":[{"id":"#1","f":"a0","t":"a1"}]}}`, "made anew differently"},
		{`{"keys":{"l":"child","items":[]}}`, "made anew differently"},
		{`{"keys":{"l":"child","p":"#9","items":[{"id":"#1","f":"a0","t":"a1"}]}}`, "does not fit"},
		{`{"keys":{"l":"wire","p":"#9","items":[{"id":"#1","f":"a0","t":"a1"}]}}`, "does not fit"},
		{`{"keys":{"l":"child","p":"#1","items":[{"id":"#4","f":"a1","t":"a0"},{"id":"#2","f":"a0","t":"a1"}]}}`, "does not follow"},
		{`{"keys":{"l":"child","p":"#1","items":[{"id":"#2","f":"a0","t":"a5"}]}}`, "between their neighbours"},
	} {
		var change Change
		if err := json.Unmarshal([]byte(withIDs(c.change)), &change); err != nil {
			t.Fatalf("%s: %v", c.change, err)
		}
		before := state(d.g)
		err := d.g.Replay([]Change{change}, 100)
		if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), "seq 100") {
			t.Errorf("%s: %v", c.change, err)
		}
		if state(d.g) != before {
			t.Fatalf("%s changed the graph", c.change)
		}
	}
	if err := d.g.Replay([]Change{{}}, 1); !fault.Is(err, fault.Internal) {
		t.Error(err)
	}
	if (Change{}).Events() != nil || (Change{}).String() != "no change" || d.g.ChangedSince([]Change{{}}, 0) {
		t.Error("the zero Change is a change")
	}
	if _, err := json.Marshal(Change{}); err == nil {
		t.Error("the zero Change can be written")
	}
}

func TestApplyPanicsOnForeignChanges(t *testing.T) {
	d := family(t)
	other := newDesk(t).add("item", 9, 0)
	mustPanic(t, func() { d.g.Revert(other) })
	mustPanic(t, func() { d.g.Apply(other, 0) })
	mustPanic(t, func() { must(fault.New(fault.Internal, "x")) })
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

func TestChangeJSONIsStrict(t *testing.T) {
	for _, text := range []string{
		`7`, `{}`, `null`, `{"create":null}`, `{"colour":{}}`, `{"set":{"id":"x","p":"a","f":{},"t":{}}}`,
		`{"set":{"id":"","p":"a","f":{},"t":{}},"keys":{"l":"child","items":[]}}`, `{"set":{"colour":1}}`,
	} {
		var c Change
		if err := json.Unmarshal([]byte(text), &c); err == nil {
			t.Errorf("%s is taken for a change", text)
		}
	}
}
