package graph

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/graphroom/graphroom/internal/fault"
)

// FuzzDecode: no input panics; what is accepted is valid JSON within the
// limits; what is refused is refused with a code and a place; a value in an
// accepted command has a canonical form that is its own. SPEC C-1, C-20, B-20
func FuzzDecode(f *testing.F) {
	for _, seed := range []struct{ name, data string }{
		{"CreateNode", `{"blueprint_type_id":"task","parent_id":null,"name":"x","properties":{"a":1},"index":3}`},
		{"LinkNode", `{"parent_id":"$1","child_id":"$2","move":true,"before":"$3"}`},
		{"MoveNode", `{"node_id":"$1","parent_id":null}`},
		{"UpdateProperty", `{"node_id":"$1","property_id":"json","value":{"b":[1e5,"\ud83d\ude00"],"a":null}}`},
		{"UpdateProperty", `{"node_id":"$1","property_id":"number","value":-1.50e-3,"coalesce":"k"}`},
		{"UpdateProperty", `{"node_id":"$1","property_id":"moment","value":"2026-01-31T09:30:00.10+02:00"}`},
		{"UpdateProperty", `{"node_id":"$1","property_id":"url","value":"HTTP://u@Ex.com:1/?q#f"}`},
		{"SetProperties", `{"node_id":"$1","properties":{"text":"<\u2028>","tags":["Red","b"],"ref":"$2"}}`},
		{"DuplicateNode", `{"node_id":"$1","parent_id":null}`},
		{"Batch", `{"commands":[{"data":{"node_id":"$1"},"command_type":"DeleteNode"}],"label":"l"}`},
		{"Batch", `{"commands":[{"command_type":"Batch","data":{}}]`},
		{"Nothing", `null`},
	} {
		f.Add(seed.name, []byte(fill(seed.data)))
	}
	typ := thing(f)
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		before := bytes.Clone(data)
		cmd, err := Decode(name, data)
		if !bytes.Equal(before, data) {
			t.Fatal("Decode changed its input")
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if cmd.Type() != name || !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%s accepts %q", name, data)
		}
		Label(cmd)
		for _, v := range valuesOf(cmd) {
			if !json.Valid(v.Value) {
				t.Fatalf("a value %q", v.Value)
			}
			for _, p := range typ.Properties() {
				checkIdempotent(t, p, v.Value)
			}
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	e := fault.From(err)
	if e.Code != fault.InvalidCommand && e.Code != fault.TooLarge || len(e.Details) == 0 || len(e.Details) > maxFaults+1 {
		t.Fatalf("refused with %v, %v", err, e.Details)
	}
	for _, d := range e.Details {
		if d.Location == "" || d.Message == "" || len(d.Location) > 1000 || len(d.Message) > 1000 ||
			!utf8.ValidString(d.Location) || !utf8.ValidString(d.Message) {
			t.Fatalf("detail %q", d)
		}
	}
}

// valuesOf collects every property value in a command.
func valuesOf(cmd Command) []PropertyValue {
	switch c := cmd.(type) {
	case CreateNode:
		return c.Properties
	case SetProperties:
		return c.Properties
	case UpdateProperty:
		return []PropertyValue{{c.PropertyID, c.Value}}
	case Batch:
		var all []PropertyValue
		for _, sub := range c.Commands {
			all = append(all, valuesOf(sub)...)
		}
		return all
	default:
		return nil
	}
}

// checkIdempotent holds that a canonical value is valid, is its own canonical
// form, survives encoding/json and means what was given.
func checkIdempotent(t *testing.T, p *Property, value json.RawMessage) {
	first, err := p.Canonical(value)
	if err != nil {
		checkRefusal(t, err)
		return
	}
	again, err := p.Canonical(first)
	if err != nil || !bytes.Equal(first, again) {
		t.Fatalf("%s: %q becomes %q and then %q, %v", p.ID, value, first, again, err)
	}
	if enc, err := json.Marshal(first); err != nil || !bytes.Equal(enc, first) {
		t.Fatalf("%s: encoding/json turns %q into %q, %v", p.ID, first, enc, err)
	}
	if p.Type == TypeJSON || p.Type == TypeNumber || p.Type == TypeText {
		if a, b := meaning(t, value), meaning(t, first); a != b {
			t.Fatalf("%q means %s, %q means %s", value, a, first, b)
		}
	}
}

// meaning is a value as encoding/json understands it.
func meaning(t *testing.T, value []byte) string {
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), "-0", "0")
}

// FuzzCanonical goes through every property type with any text. SPEC B-20
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`"x"`, `1.5e3`, `-0`, `true`, `null`, `"2026-01-31"`, `"2026-01-31T23:59:59.9-23:59"`, `["Red"]`, `"http://İ/"`,
		`"mailto:a@b"`, `{"a":[1,{"b":"\u0000"}],"":0}`, `123456789012345678901234567890e-5`, `"Open"`, `"x-1"`,
	} {
		f.Add([]byte(seed))
	}
	typ := thing(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, p := range typ.Properties() {
			checkIdempotent(t, p, value)
		}
		if name, err := CanonicalNameValue(value); err == nil {
			if _, err := CanonicalName(name); err != nil {
				t.Fatal(err)
			}
		}
	})
}
