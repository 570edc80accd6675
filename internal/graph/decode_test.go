package graph

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
)

// fill replaces $1, $2, $3 by the ids of a test.
func fill(s string) string {
	for n := range 4 {
		s = strings.ReplaceAll(s, "$"+strconv.Itoa(n), testID(n).String())
	}
	return s
}

// SPEC C-1 to C-19
func TestDecode(t *testing.T) {
	a, b, c := testID(1), testID(2), testID(3)
	for _, x := range []struct {
		name, in string
		want     Command
	}{
		{"CreateNode", `{"blueprint_type_id":"task"}`, CreateNode{BlueprintTypeID: "task"}},
		{
			"CreateNode", `{"properties":{"b":[1],"a":"x"},"name":"N","node_id":"$2","parent_id":"$1","blueprint_type_id":"task","index":3}`,
			CreateNode{
				BlueprintTypeID: "task", ParentID: a, NodeID: b, Name: ptr("N"), At: At{Index: ptr(3)},
				Properties: []PropertyValue{{"a", raw(`"x"`)}, {"b", raw(`[1]`)}},
			},
		},
		{
			"CreateNode", ` {"blueprint_type_id":"t","parent_id":null,"name":null,"node_id":null,"properties":null,"index":null,"before":null,"after":"$3"} `,
			CreateNode{BlueprintTypeID: "t", At: At{After: c}},
		},
		{"CreateNode", `{"blueprint_type_id":"t","name":"","properties":{}}`, CreateNode{BlueprintTypeID: "t", Name: ptr(""), Properties: []PropertyValue{}}},
		{"CreateNode", `{"blueprint_type_id":"t","index":1e99}`, CreateNode{BlueprintTypeID: "t", At: At{Index: ptr(math.MaxInt32)}}},
		{"CreateNode", `{"blueprint_type_id":"t","index":99999999999999999999}`, CreateNode{BlueprintTypeID: "t", At: At{Index: ptr(math.MaxInt32)}}},
		{"CreateNode", `{"blueprint_type_id":"t","index":2.0}`, CreateNode{BlueprintTypeID: "t", At: At{Index: ptr(2)}}},
		{"DeleteNode", `{"node_id":"$1"}`, DeleteNode{NodeID: a}},
		{"LinkNode", `{"parent_id":"$1","child_id":"$2"}`, LinkNode{LinkType: "child", ParentID: a, ChildID: b}},
		{"LinkNode", `{"parent_id":"$1","child_id":"$2","move":true,"before":"$3"}`, LinkNode{LinkType: "child", ParentID: a, ChildID: b, Move: true, At: At{Before: c}}},
		{"LinkNode", `{"parent_id":"$1","child_id":"$2","link_type":"wire","move":false}`, LinkNode{LinkType: "wire", ParentID: a, ChildID: b}},
		{"UnlinkNode", `{"parent_id":"$1","child_id":"$2"}`, UnlinkNode{LinkType: "child", ParentID: a, ChildID: b}},
		{"UnlinkNode", `{"parent_id":"$1","child_id":"$2","link_type":"wire"}`, UnlinkNode{LinkType: "wire", ParentID: a, ChildID: b}},
		{"MoveNode", `{"node_id":"$1","parent_id":null,"index":0}`, MoveNode{NodeID: a, At: At{Index: ptr(0)}}},
		{"MoveNode", `{"node_id":"$1","parent_id":"$2"}`, MoveNode{NodeID: a, ParentID: b}},
		{"UpdateProperty", `{"node_id":"$1","property_id":"p","value": {"a" : 1} }`, UpdateProperty{NodeID: a, PropertyID: "p", Value: raw(`{"a" : 1}`)}},
		{"UpdateProperty", `{"node_id":"$1","property_id":"p","value":5,"coalesce":"k"}`, UpdateProperty{NodeID: a, PropertyID: "p", Value: raw(`5`), Coalesce: "k"}},
		{"DeleteProperty", `{"node_id":"$1","property_id":"p"}`, DeleteProperty{NodeID: a, PropertyID: "p"}},
		{"SetProperties", `{"node_id":"$1","properties":{"p":1}}`, SetProperties{NodeID: a, Properties: []PropertyValue{{"p", raw(`1`)}}}},
		{"DuplicateNode", `{"node_id":"$1"}`, DuplicateNode{NodeID: a}},
		{"DuplicateNode", `{"node_id":"$1","parent_id":null,"name":"x"}`, DuplicateNode{NodeID: a, ParentID: &ID{}, Name: ptr("x")}},
		{"DuplicateNode", `{"node_id":"$1","parent_id":"$2","after":"$3"}`, DuplicateNode{NodeID: a, ParentID: ptr(b), At: At{After: c}}},
		{
			"Batch", `{"commands":[{"command_type":"DeleteNode","data":{"node_id":"$1"}},{"data":{"node_id":"$2","parent_id":null},"command_type":"MoveNode"}],"label":"Tidy up"}`,
			Batch{Label: "Tidy up", Commands: []Command{DeleteNode{NodeID: a}, MoveNode{NodeID: b}}},
		},
	} {
		got, err := Decode(x.name, raw(fill(x.in)))
		if err != nil {
			t.Errorf("%s %s: %v", x.name, x.in, err)
			continue
		}
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Errorf("%s %s: %s", x.name, x.in, diff)
		}
		if got.Type() != x.name {
			t.Errorf("%s says that it is a %s", x.name, got.Type())
		}
	}
}

// SPEC C-2, C-5 to C-19
func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxToken+1)
	for _, x := range []struct{ name, in, at, message string }{
		{"Explode", `{}`, "command_type", `"Explode" is unknown: use one of CreateNode`},
		{"", `{}`, "command_type", `"" is unknown`},
		{"DeleteNode", ``, "data", "ends where a value"},
		{"DeleteNode", `null`, "data", "must be an object, not null"},
		{"DeleteNode", `[]`, "data", "must be an object, not an array"},
		{"DeleteNode", `{}`, "data.node_id", "is required"},
		{"DeleteNode", `{"node_id":null}`, "data.node_id", "must be a string, not null"},
		{"DeleteNode", `{"node_id":7}`, "data.node_id", "must be a string, not a number"},
		{"DeleteNode", `{"node_id":"7"}`, "data.node_id", `must be a node id, not "7"`},
		{"DeleteNode", `{"node_id":"` + strings.Repeat("é", 500) + `"}`, "data.node_id", `é...`},
		{"DeleteNode", `{"node_id":"$1","x":1}`, "data.x", "is unknown: the fields are node_id"},
		{"DeleteNode", `{"node_id":"$1","node_id":"$1"}`, "data.node_id", "is there twice"},
		{"DeleteNode", `{"node_id":"$1"} {}`, "data", "something follows"},
		{"DeleteNode", `{"node_id":"$1"`, "data", "a comma or }"},
		{"CreateNode", `{"blueprint_type_id":""}`, "data.blueprint_type_id", "must not be empty"},
		{"CreateNode", `{"blueprint_type_id":"` + long + `"}`, "data.blueprint_type_id", "longer than 200"},
		{"CreateNode", `{"blueprint_type_id":"a\nb"}`, "data.blueprint_type_id", "control characters"},
		{"CreateNode", `{"blueprint_type_id":"t","name":5}`, "data.name", "must be a string"},
		{"CreateNode", `{"blueprint_type_id":"t","name":"` + strings.Repeat("x", MaxName+1) + `"}`, "data.name", "longer than 1000 characters"},
		{"CreateNode", `{"blueprint_type_id":"t","properties":[]}`, "data.properties", "must be an object"},
		{"CreateNode", `{"blueprint_type_id":"t","properties":{"a":null}}`, "data.properties.a", "must not be null"},
		{"CreateNode", `{"blueprint_type_id":"t","properties":{"a":1,"a":1}}`, "data.properties.a", "is there twice"},
		{"CreateNode", `{"blueprint_type_id":"t","properties":{"":1}}`, `data.properties[""]`, "1 to 200 characters"},
		{"CreateNode", `{"blueprint_type_id":"t","index":-1}`, "data.index", "must be 0 or more"},
		{"CreateNode", `{"blueprint_type_id":"t","index":0.5}`, "data.index", "whole number"},
		{"CreateNode", `{"blueprint_type_id":"t","index":1e999}`, "data.index", "out of range"},
		{"CreateNode", `{"blueprint_type_id":"t","index":1x}`, "data", "a comma or }"},
		{"CreateNode", `{"blueprint_type_id":"t","index":-}`, "data.index", "a digit"},
		{"CreateNode", `{"blueprint_type_id":"t","index":"1"}`, "data.index", "must be a number"},
		{"CreateNode", `{"blueprint_type_id":"t","index":1,"before":"$1"}`, "data", "only one of index, before and after"},
		{"LinkNode", `{"parent_id":null,"child_id":"$1"}`, "data.parent_id", "must be a string, not null"},
		{"LinkNode", `{"parent_id":"$2","child_id":"$1","move":"yes"}`, "data.move", "must be a boolean"},
		{"LinkNode", `{"parent_id":"$2","child_id":"$1","move":true,"link_type":"wire"}`, "data.move", "child only"},
		{"MoveNode", `{"node_id":"$1"}`, "data.parent_id", "is required"},
		{"MoveNode", `{"node_id":"$1","parent_id":"$2","after":"$1","before":"$2"}`, "data", "only one of"},
		{"UpdateProperty", `{"node_id":"$1","property_id":"p"}`, "data.value", "is required"},
		{"UpdateProperty", `{"node_id":"$1","property_id":"p","value":null}`, "data.value", "DeleteProperty"},
		{"UpdateProperty", `{"node_id":"$1","property_id":"p","value":{"a":{"b":1,"b":2}}}`, "data.value.a.b", "is there twice"},
		{"UpdateProperty", `{"node_id":"$1","property_id":"p","value":1,"coalesce":""}`, "data.coalesce", "must not be empty"},
		{"SetProperties", `{"node_id":"$1","properties":{}}`, "data.properties", "at least one"},
		{"SetProperties", `{"node_id":"$1","properties":7}`, "data.properties", "must be an object"},
		{"Batch", `{"commands":[]}`, "data.commands", "at least one command"},
		{"Batch", `{"commands":{}}`, "data.commands", "must be an array"},
		{"Batch", `{"commands":[7]}`, "data.commands[0]", "must be an object"},
		{"Batch", `{"commands":[{"command_type":"X","data":{}}]}`, "data.commands[0].command_type", `"X" is unknown`},
		{"Batch", `{"commands":[{"command_type":"Batch","data":{"commands":[]}}]}`, "data.commands[0].data", "Batch inside a Batch"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode"}]}`, "data.commands[0].data", "is required"},
		{"Batch", `{"commands":[{"data":{}}]}`, "data.commands[0].command_type", "is required"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode","data":null}]}`, "data.commands[0].data", "must be an object, not null"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode","data":{"node_id":"$1"}},{"data":{"node_id":5,"z":{"a":1,"a":2}},"command_type":"DeleteNode"}]}`, "data.commands[1].data.node_id", "must be a string"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode","data":{"node_id":"$1"},"command_id":"x"}]}`, "data.commands[0].command_id", "is unknown"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode","data":{"node_id":"$1"]}]}`, "data.commands[0].data", "a comma or }"},
		{"Batch", `{"commands":[` + strings.Repeat(`{"command_type":"DeleteNode","data":{"node_id":"$1"}},`, 1000) + `7,8]}`, "data.commands[1000]", "one too many"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode","data":{"node_id":"$1"}}],"label":"` + long + `"}`, "data.label", "longer than 200"},
		{"Batch", `{"commands":[{"command_type":"DeleteNode","data":{"node_id":"$1"}}],"label":7}`, "data.label", "must be a string"},
	} {
		cmd, err := Decode(x.name, raw(fill(x.in)))
		f := fault.From(err)
		if cmd != nil || f == nil || f.Code != fault.InvalidCommand || len(f.Details) == 0 {
			t.Errorf("%s %.80s: %v, %v", x.name, x.in, cmd, err)
			continue
		}
		if d := f.Details[0]; d.Location != x.at || !strings.Contains(d.Message, x.message) {
			t.Errorf("%s %.80s: at %s: %s; want %s: %s", x.name, x.in, d.Location, d.Message, x.at, x.message)
		}
	}
}

// SPEC C-3: all faults are listed, and their number is bounded.
func TestDecodeListsFaults(t *testing.T) {
	_, err := Decode("CreateNode", raw(`{"blueprint_type_id":5,"parent_id":"x","colour":1,"properties":{"a":null},"node_id":{"a":1,"a":2}}`))
	want := []fault.Detail{
		{Location: "data.blueprint_type_id", Message: "must be a string, not a number"},
		{Location: "data.parent_id", Message: `must be a node id, not "x": ` + idHint},
		{Location: "data.colour", Message: "is unknown: the fields are after, before, blueprint_type_id, index, name, node_id, parent_id, properties"},
		{Location: "data.properties.a", Message: "must not be null: DeleteProperty removes a value"},
		{Location: "data.node_id", Message: "must be a string, not an object"},
		{Location: "data.node_id.a", Message: "is there twice"},
	}
	if diff := cmp.Diff(want, fault.From(err).Details); diff != "" {
		t.Error(diff)
	}
	if m := fault.From(err).Message; m != "CreateNode: data.blueprint_type_id must be a string, not a number (and 5 more)" {
		t.Error(m)
	}
	many := `{"node_id":"$1"`
	for i := range 500 {
		many += `,"` + strings.Repeat("k", 200) + strconv.Itoa(i) + `":0`
	}
	_, err = Decode("DeleteNode", raw(fill(many+"}")))
	d := fault.From(err).Details
	if len(d) != maxFaults+1 || d[maxFaults].Message != "has 450 more faults" {
		t.Errorf("%d details, the last is %v", len(d), d[len(d)-1])
	}
	for _, d := range d {
		if len(d.Location) > 100 {
			t.Errorf("a location of %d bytes", len(d.Location))
		}
	}
}

// SPEC C-3: a place deep inside is cut.
func TestDecodeLongLocation(t *testing.T) {
	deep := strings.Repeat(`{"abcdefghijklmnopqrst":`, 80) + `{"a":1,"a":1}` + strings.Repeat("}", 80)
	_, err := Decode("UpdateProperty", raw(`{"value":`+deep+`}`))
	at := fault.From(err).Details[0].Location
	if len(at) > 400 || !strings.HasSuffix(at, "...") {
		t.Errorf("location %q", at)
	}
}

// SPEC C-17
func TestDecodeNesting(t *testing.T) {
	value := func(levels int) json.RawMessage {
		return raw(fill(`{"node_id":"$1","property_id":"p","value":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`))
	}
	if _, err := Decode("UpdateProperty", value(MaxNesting-1)); err != nil {
		t.Errorf("%d levels: %v", MaxNesting, err)
	}
	_, err := Decode("UpdateProperty", value(MaxNesting))
	if !fault.Is(err, fault.InvalidCommand) || !strings.Contains(err.Error(), "nested deeper than 100 levels") {
		t.Errorf("%d levels: %v", MaxNesting+1, err)
	}
	// Data that comes before its command_type counts alike.
	batch := func(levels int) json.RawMessage {
		return raw(`{"commands":[{"data":` + string(value(levels)) + `,"command_type":"UpdateProperty"}]}`)
	}
	if _, err := Decode("Batch", batch(MaxNesting-4)); err != nil {
		t.Error(err)
	}
	if _, err := Decode("Batch", batch(MaxNesting-3)); !fault.Is(err, fault.InvalidCommand) {
		t.Error(err)
	}
}

// SPEC C-18
func TestDecodeTooLarge(t *testing.T) {
	_, err := Decode("DeleteNode", raw(`"`+strings.Repeat("x", MaxCommandBytes)+`"`))
	if !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	// A Batch of the largest size is accepted.
	one := fill(`{"command_type":"DeleteNode","data":{"node_id":"$1"}}`)
	cmd, err := Decode("Batch", raw(`{"commands":[`+one+strings.Repeat(","+one, MaxBatch-1)+`]}`))
	if err != nil || len(cmd.(Batch).Commands) != MaxBatch {
		t.Error(err)
	}
}

// SPEC C-20: reading never costs more than a few steps for each byte, so four
// times the input is nowhere near sixteen times the allocations.
func TestDecodeIsLinear(t *testing.T) {
	for _, unit := range []string{"[", "{\"a\":", "\"\\u0041", "[],", "{},", "{\"a\":[", "1,", "\"a\",", "\\\\", "9", "\"a\":0,", "{\"command_type\":\"DeleteNode\",\"data\":{}},"} {
		for _, prefix := range []string{"", "[", "{\"value\":[", "{\"properties\":{", "{\"commands\":[", "{\"value\":\""} {
			run := func(n int) float64 {
				data := raw(prefix + strings.Repeat(unit, n/len(unit)))
				return testing.AllocsPerRun(1, func() {
					for _, name := range []string{"UpdateProperty", "CreateNode", "Batch"} {
						if _, err := Decode(name, data); err == nil {
							t.Errorf("%s accepts %s%s...", name, prefix, unit)
						}
					}
				})
			}
			if small, large := run(16<<10), run(64<<10); large > 6*small+10_000 {
				t.Errorf("%s%s...: %v allocations for 16 KiB, %v for 64 KiB", prefix, unit, small, large)
			}
		}
	}
}

func TestCommandTypes(t *testing.T) {
	for _, name := range CommandTypes() {
		r := newJSONReader(raw(`{}`), "data")
		if c := r.command(name, true); c == nil || c.Type() != name {
			t.Errorf("%s decodes to %v", name, c)
		}
	}
}
