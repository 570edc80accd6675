package graph

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC B-17: the built-ins are what the documentation says.
func TestBuiltin(t *testing.T) {
	all, err := Builtin()
	if err != nil {
		t.Fatal(Problems(err))
	}
	var got strings.Builder
	for _, bp := range all {
		got.WriteString(outlineOf(bp))
	}
	want := `restomod root=project_root
  project_root > phase: vehicle text required, vin text, budget currency
  phase > job: status select Planned/In Progress/Completed, start_date date, budget currency
  job > task: priority select Low/Medium/High/Critical, description text
  task > part: status select Not Started/In Progress/Blocked/Done, cost currency, impact number, effort number, estimated_hours number, notes text
  part > : sku text, supplier text, status select Need to Order/Ordered/Shipped/Received/Installed, cost currency, quantity number default 1, link url
  link blocks job/task > job/task acyclic
pipeline root=pipeline
  pipeline > source/filter/merge/sink: description text
  source > : url url, format select CSV/JSON/Parquet default ` + string(optionJSON("source", "format", "JSON")) + `, settings json, canvas json
  filter > : expression text required, negate boolean default false, canvas json
  merge > : strategy select Concatenate/Interleave/Join default ` + string(optionJSON("merge", "strategy", "Concatenate")) + `, join_keys text, canvas json
  sink > : url url, format select CSV/JSON/Parquet default ` + string(optionJSON("sink", "format", "JSON")) + `, batch_size integer default 1000, canvas json
  link wire source/filter/merge > filter/merge/sink acyclic
outline root=item
  item > item: note text, done boolean default false
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func optionJSON(typ, prop, name string) []byte {
	return appendString(nil, optionID(typ, prop, name))
}

// outlineOf writes a blueprint in a few lines.
func outlineOf(bp *Blueprint) string {
	var b strings.Builder
	b.WriteString(bp.ID() + " root=" + bp.RootType().ID + "\n")
	for _, t := range bp.NodeTypes() {
		var props []string
		for _, p := range t.Properties() {
			s := p.ID + " " + string(p.Type)
			var names []string
			for _, o := range p.Options {
				names = append(names, o.Name)
			}
			if names != nil {
				s += " " + strings.Join(names, "/")
			}
			if p.Required {
				s += " required"
			}
			if p.Default != nil {
				s += " default " + string(p.Default)
			}
			props = append(props, s)
		}
		b.WriteString("  " + t.ID + " > " + strings.Join(t.AllowedChildren(), "/") + ": " + strings.Join(props, ", ") + "\n")
	}
	for _, l := range bp.LinkTypes() {
		b.WriteString("  link " + l.ID + " " + strings.Join(l.ParentTypes, "/") + " > " + strings.Join(l.ChildTypes, "/"))
		if l.Acyclic {
			b.WriteString(" acyclic")
		}
		b.WriteString("\n")
	}
	return b.String()
}

const richBlueprint = `# comment
id: rich
version: 2.10
name: Rich
description: |
  Two
  lines
node_types:
  - id: leaf_item
    properties:
      - {id: n, type: number, min: 1, max: 16, default: 2.50}
      - {id: when, label: When, type: datetime, default: "2026-01-01T00:00:00+01:00"}
      - {id: day, type: date, default: 2026-01-31, required: true, description: A day}
      - {id: data, type: json, default: {b: [1, true, null, x], a: 2026-01-01}}
      - {id: tags, type: multiselect, options: [A, {name: B, id: bee, color: "#fff", bullet: "*"}], default: [B, A]}
      - {id: code, type: text, pattern: '(?i)a|b\Qc', max_length: 5, default: A}
      - {id: ref, type: reference}
  - id: top
    label: Top
    description: The top
    root: true
    allowed_children: [top, leaf_item]
link_types:
  - id: wire
    label: Wire
    description: A wire
    parent_types: [top]
    child_types: [leaf_item]
    max_parents: 3
    acyclic: true
    ordered: true
    unique: true
  - id: any
`

// SPEC B-1 to B-12, B-16
func TestParseBlueprint(t *testing.T) {
	bp, err := ParseBlueprint("rich.yaml", []byte(richBlueprint))
	if err != nil {
		t.Fatal(Problems(err))
	}
	if bp.ID() != "rich" || bp.Version() != "2.10" || bp.Name() != "Rich" || bp.Description() != "Two\nlines\n" {
		t.Errorf("%q %q %q %q", bp.ID(), bp.Version(), bp.Name(), bp.Description())
	}
	leaf, top := bp.NodeType("leaf_item"), bp.NodeType("top")
	if bp.RootType() != top || bp.NodeType("x") != nil || leaf.Label != "Leaf item" || top.Label != "Top" {
		t.Errorf("root %v, leaf %v", bp.RootType(), leaf)
	}
	if !top.AllowsChild("top") || !top.AllowsChild("leaf_item") || leaf.AllowsChild("top") {
		t.Error("allowed children")
	}
	if leaf.Property("n") == nil || leaf.Property(NameProperty) != nil {
		t.Error("properties by id")
	}
	wire, anyLink := bp.LinkType("wire"), bp.LinkType("any")
	if !wire.AllowsParent("top") || wire.AllowsParent("leaf_item") || !wire.AllowsChild("leaf_item") || wire.AllowsChild("top") ||
		!anyLink.AllowsParent("top") || !anyLink.AllowsChild("top") || bp.LinkType(ChildLink) != nil {
		t.Error("types of links")
	}
	again, err := ParseBlueprint("again", bp.Source())
	if err != nil {
		t.Fatal(err)
	}
	one, _ := json.MarshalIndent(bp.Schema(), "", "  ")
	two, _ := json.MarshalIndent(again.Schema(), "", "  ")
	if string(one) != string(two) {
		t.Error("the source gives another blueprint")
	}
	golden, err := os.ReadFile("testdata/rich.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(golden)), string(one)); diff != "" {
		t.Error(diff)
	}
}

// SPEC B-9: derived option ids are stored data and may never change.
func TestOptionID(t *testing.T) {
	if got := optionID("task", "status", "In Progress"); got != "aa417b95-736d-87d2-868f-0fc922f5c42e" {
		t.Error(got)
	}
}

// at gives "line:column" of the mark in a text that has one.
func at(t *testing.T, text string) (place, clean string) {
	t.Helper()
	i := strings.Index(text, "^")
	if i < 0 {
		return "1:1", text
	}
	head := text[:i]
	line := strings.Count(head, "\n") + 1
	column := i - strings.LastIndexByte(head, '\n')
	return strconv.Itoa(line) + ":" + strconv.Itoa(column), head + text[i+1:]
}

// Each text is a fault at the place of its ^. SPEC B-1 to B-13
func TestParseBlueprintRefuses(t *testing.T) {
	const head = "id: x\nversion: 1\nname: X\n"
	typ := func(s string) string { return head + "node_types:\n  - id: t\n    " + s + "\n" }
	prop := func(s string) string { return typ("properties:\n      - " + s) }
	link := func(s string) string { return head + "node_types: [{id: t}]\nlink_types:\n  - " + s + "\n" }
	for _, c := range []struct{ text, message string }{
		{"", "the file is empty"},
		{"# nothing\n", "the file is empty"},
		{"^null", "must be a mapping, not empty"},
		{"^[]", "must be a mapping, not a list"},
		{"^text", "must be a mapping, not text"},
		{"a: [\n", "not valid YAML"},
		{"a: b: c", "not valid YAML"},
		{"a: *nothing", "not valid YAML: unknown anchor"},
		{typ("label: T") + "^---\na: b", "a second YAML document begins"},
		{typ("label: T") + "---\na: b: c", "not valid YAML"},
		{"^version: 1\nname: X\nnode_types: [{id: t}]", "needs the key id"},
		{"^id: x\nname: X\nnode_types: [{id: t}]", "needs the key version"},
		{"^id: x\nversion: 1\nnode_types: [{id: t}]", "needs the key name"},
		{"^id: x\nversion: 1\nname: X\n", "needs the key node_types"},
		{head + "node_types: ^[]\n", "at least one element"},
		{head + "node_types: ^{a: b}\n", "node_types must be a list, not a mapping"},
		{head + "node_types: [{id: t}]\n^colour: red", `has no key "colour": the keys are id, version, name`},
		{head + "node_types: [{id: t}]\n^[a]: red", `has no key ""`},
		{head + "node_types: [{id: t}]\n^id: y", "the key id is there twice"},
		{"id: ^a b\nversion: 1\nname: X\nnode_types: [{id: t}]", "must be a letter and then"},
		{"id: ^1\nversion: 1\nname: X\nnode_types: [{id: t}]", "must be text, not a number: write it in quotes"},
		{"id: ^" + strings.Repeat("x", 65) + "\nversion: 1\nname: X\nnode_types: [{id: t}]", "at most 64"},
		{"id: ^_x\nversion: 1\nname: X\nnode_types: [{id: t}]", "must be a letter"},
		{"id: x\nversion: ^[]\nname: X\nnode_types: [{id: t}]", "the version must be text, not a list"},
		{"id: x\nversion: 1\nname: ^\" \"\nnode_types: [{id: t}]", "must not be blank"},
		{"id: x\nversion: 1\nname: ^\"a\\nb\"\nnode_types: [{id: t}]", "control characters"},
		{"id: x\nversion: 1\nname: X\ndescription: ^" + strings.Repeat("x", maxProse+1) + "\nnode_types: [{id: t}]", "longer than 4000"},
		{head + "node_types: [^5]", "a node type must be a mapping"},
		{head + "node_types: [^{}]", "a node type needs the key id"},
		{head + "node_types: [{id: t}, {id: ^t}]", "the node type t is there twice"},
		{head + "node_types: [{id: t, root: true}, {id: u, root: ^true}]", "only one node type can be the root"},
		{typ("root: ^yes"), "root must be true or false, not text"},
		{typ("label: ^2026-01-31"), "must be text, not a date: write it in quotes"},
		{typ("label: ^!x y"), "must be text, not tagged !x"},
		{typ("allowed_children: [t, ^u]"), `allowed_children names the node type "u", which does not exist`},
		{typ("allowed_children: [t, ^t]"), "names t twice"},
		{typ("allowed_children: ^t"), "must be a list, not text"},
		{typ("^allowed: [t]"), `has no key "allowed"`},
		{typ("^<<: {label: T}"), `has no key "<<"`},
		{prop("^x"), "a property must be a mapping"},
		{prop("^{type: text}"), "a property needs the key id"},
		{prop("^{id: a}"), "a property needs the key type"},
		{prop("{id: ^name, type: text}"), "every node has a name already"},
		{prop("{id: a, type: text}\n      - {id: ^a, type: text}"), "the property a is there twice"},
		{prop("{id: a, type: ^string}"), `the type "string" is unknown: use one of text, number`},
		{prop("{id: a, type: ^5}"), "must be text"},
		{prop("{id: a, type: text, required: ^1}"), "must be true or false, not a number"},
		{prop("{id: a, type: text, min: ^1}"), "min does not go with the type text"},
		{prop("{id: a, type: boolean, max: ^1}"), "max does not go with the type boolean"},
		{prop("{id: a, type: number, pattern: ^x}"), "pattern does not go with the type number"},
		{prop("{id: a, type: json, max_length: ^1}"), "max_length does not go with the type json"},
		{prop("{id: a, type: text, options: ^[x]}"), "options does not go with the type text"},
		{prop("^{id: a, type: select}"), "a select property needs the key options"},
		{prop("{id: a, type: select, options: ^[]}"), "at least one element"},
		{prop("{id: a, type: select, options: [^5]}"), "an option must be text, not a number"},
		{prop("{id: a, type: select, options: [^{id: x}]}"), "an option needs the key name"},
		{prop("{id: a, type: select, options: [{name: x, color: #fff\n        ^}]}"), "is empty (a value that begins with # needs quotes)"},
		{prop("{id: a, type: select, options: [x, ^x]}"), `the option "x" clashes with the option "x"`},
		{prop("{id: a, type: select, options: [{name: x, id: y}, ^y]}"), `clashes with the option "x"`},
		{prop("{id: a, type: select, options: [{name: x, id: y}, ^{name: z, id: y}]}"), "every id and name must be its own"},
		{prop("{id: a, type: select, options: [x], default: ^y}"), `default must be one of "x", not "y"`},
		{prop("{id: a, type: multiselect, options: [x], default: ^x}"), "default must be an array, not a string"},
		{prop("{id: a, type: number, min: ^x}"), "min must be a number, not a string"},
		{prop("{id: a, type: number, min: ^}"), "min is empty"},
		{prop("{id: a, type: number, min: ^0x10}"), "not a number as JSON writes it"},
		{prop("{id: a, type: number, max: ^.inf}"), "not a number as JSON writes it"},
		{prop("{id: a, type: number, min: 2, max: ^1}"), "max must be at least 2"},
		{prop("{id: a, type: date, min: 2026-01-02, max: ^2026-01-01}"), "max must not be before 2026-01-02"},
		{prop("{id: a, type: number, max: 5, default: ^7}"), "default must be at most 5"},
		{prop("{id: a, type: integer, default: ^1.5}"), "whole number"},
		{prop("{id: a, type: text, default: ^5}"), "default must be a string, not a number"},
		{prop("{id: a, type: text, default: ^}"), "default is empty"},
		{prop("{id: a, type: json, default: ^{a: 1, a: 2}}"), "default.a is there twice"},
		{prop("{id: a, type: json, default: {^1: 2}}"), "a key must be text, not a number"},
		{prop("{id: a, type: json, default: [^!x y]}"), "must not be tagged !x"},
		{prop("{id: a, type: json, default: " + strings.Repeat("[", 100) + "[^0]" + strings.Repeat("]", 100) + "}"), "nested deeper"},
		{prop("{id: a, type: text, max_length: ^0}"), "a whole number from 1 to 65536"},
		{prop("{id: a, type: text, max_length: ^1.5}"), "a whole number from 1 to 65536"},
		{prop("{id: a, type: text, max_length: ^x}"), "must be a number, not text"},
		{prop("{id: a, type: text, max_length: 2, default: ^abc}"), "default is longer than 2"},
		{prop("{id: a, type: text, pattern: ^5}"), "the pattern must be text"},
		{prop("{id: a, type: text, pattern: ^'a)('}"), "not valid RE2: unexpected )"},
		{prop("{id: a, type: text, pattern: ^'(?=a)'}"), "not valid RE2"},
		{prop("{id: a, type: text, pattern: ^'(abcdefghij){1000}'}"), "the pattern repeats too much"},
		{prop("{id: a, type: text, pattern: ^'(a{1000}){1000}'}"), "not valid RE2"},
		{prop("{id: a, type: text, pattern: ^" + strings.Repeat("x", 501) + "}"), "longer than 500 bytes"},
		{prop("{id: a, type: text, pattern: a, default: ^b}"), "default does not match the pattern a"},
		{link("^5"), "a link type must be a mapping"},
		{link("^label: x"), "a link type needs the key id"},
		{link("id: ^child"), "the link type child is built in"},
		{link("id: a\n  - id: ^a"), "the link type a is there twice"},
		{link("{id: a, parent_types: [^u]}"), `parent_types names the node type "u"`},
		{link("{id: a, child_types: ^[]}"), "child_types is empty: leave it out"},
		{link("{id: a, child_types: [^1]}"), "must be text"},
		{link("{id: a, max_parents: ^0}"), "a whole number from 1 to 1000000"},
		{link("{id: a, acyclic: ^no}"), "acyclic must be true or false"},
	} {
		place, text := at(t, c.text)
		bp, err := ParseBlueprint("f.yaml", []byte(text))
		if bp != nil || !fault.Is(err, fault.InvalidRequest) {
			t.Errorf("%q: %v, %v", c.text, bp, err)
			continue
		}
		d := Problems(err)
		if len(d) != 1 || !strings.Contains(d[0].Message, c.message) ||
			d[0].Location != "f.yaml:"+place && strings.Contains(c.text, "^") {
			t.Errorf("%.200q: %v, want %s at %s", c.text, d, c.message, place)
		}
		if !regexp.MustCompile(`^f\.yaml:\d+:\d+$`).MatchString(d[0].Location) {
			t.Errorf("%.200q: a fault at %s", c.text, d[0].Location)
		}
	}
}

// SPEC B-1
func TestParseBlueprintListsAllFaults(t *testing.T) {
	text := `id: 7
name: X
node_types:
  - id: a
    allowed_children: [b, c]
    properties:
      - {id: p, type: text, colour: red, min: 1}
  - id: b
    label: ""
`
	_, err := ParseBlueprint("dir/f.yaml", []byte(text))
	var got []string
	for _, d := range Problems(err) {
		got = append(got, d.Location)
	}
	want := []string{
		"dir/f.yaml:1:1", "dir/f.yaml:1:5", "dir/f.yaml:5:27", "dir/f.yaml:7:29", "dir/f.yaml:7:47", "dir/f.yaml:9:12",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, Problems(err))
	}
	if m := fault.From(err).Message; m != "dir/f.yaml:1:1 is not a valid blueprint: the blueprint needs the key version (and 5 more)" {
		t.Error(m)
	}
	many := "id: x\n" + strings.Repeat("z: 1\n", 5000)
	_, err = ParseBlueprint("f", []byte(many))
	d := Problems(err)
	if len(d) != maxShown+1 || d[maxShown].Message != "4903 more faults" {
		t.Errorf("%d faults, last %v", len(d), d[len(d)-1])
	}
}

// SPEC B-3
func TestParseBlueprintBounds(t *testing.T) {
	bomb := "id: x\nversion: 1\nname: X\nnode_types:\n  - id: t\n    properties:\n      - id: a\n        type: json\n        default:\n          a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		from := "*a" + strconv.Itoa(i)
		bomb += "          a" + strconv.Itoa(i+1) + ": &a" + strconv.Itoa(i+1) + " [" + strings.Repeat(from+", ", 9) + from + "]\n"
	}
	long := "id: x\nversion: 1\nname: X\nnode_types:\n  - id: t\n    properties:\n      - id: a\n        type: json\n        default: [&a " +
		strings.Repeat("x", 10_000) + strings.Repeat(", *a", 10_000) + "]\n"
	self := "id: x\nversion: 1\nname: X\nnode_types:\n  - id: t\n    properties:\n      - {id: a, type: json, default: &a [*a]}\n"
	for _, c := range []struct{ text, message string }{
		{bomb, "its aliases multiply too much"},
		{long, "its aliases multiply too much"},
		{self, "nested deeper than 100"},
		{"version: 1\nname: X\nnode_types: [{id: t}]\nid: &a [*a]", "must be text"},
		{strings.Repeat("x", MaxBlueprintBytes+1), "larger than 1048576 bytes"},
		{"id: x\nversion: 1\nname: X\nnode_types: [" + strings.Repeat("{id: t},", 501) + "]", "at most 500 are allowed"},
		{strings.Repeat("[", 100_000), "not valid YAML"},
		{"id: x\nversion: 1\nname: X\nnode_types: [" + strings.Repeat("&a {id: t, label: *b},", 10) + "]", "unknown anchor"},
	} {
		_, err := ParseBlueprint("f", []byte(c.text))
		if !fault.Is(err, fault.InvalidRequest) || !strings.Contains(err.Error(), c.message) && !strings.Contains(Problems(err)[0].Message, c.message) {
			t.Errorf("%.100q: %v", c.text, err)
		}
	}
	// An alias is a way to say the same twice.
	_, err := ParseBlueprint("f", []byte("id: &x x\nversion: 1\nname: *x\nnode_types: [{id: *x}]\n"))
	if err != nil {
		t.Error(err)
	}
}

// SPEC B-15
func TestProblems(t *testing.T) {
	if Problems(nil) != nil {
		t.Error("no error has problems")
	}
	if d := Problems(os.ErrClosed); len(d) != 1 || d[0].Message != "internal error" {
		t.Error(d)
	}
	_, err := ParseBlueprint("f", []byte("id: x"))
	if d := Problems(fmt.Errorf("load: %w", err)); len(d) != 3 || d[0].Location != "f:1:1" {
		t.Error(d)
	}
}
