package graph

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// valueBlueprint has one property of every type and rule.
const valueBlueprint = `
id: values
version: 1
name: Values
node_types:
  - id: thing
    properties:
      - {id: text, type: text}
      - {id: short, type: text, max_length: 3}
      - {id: sku, type: text, pattern: "[A-Z]{2}-[0-9]+|x"}
      - {id: number, type: number}
      - {id: ratio, type: number, min: -0.5, max: 1}
      - {id: integer, type: integer}
      - {id: money, type: currency, min: 0}
      - {id: flag, type: boolean}
      - {id: date, type: date}
      - {id: soon, type: date, min: 2026-01-01, max: "2026-12-31"}
      - {id: moment, type: datetime}
      - {id: later, type: datetime, min: "2026-01-01T00:00:00Z", max: "2026-01-01T00:00:01.5Z"}
      - id: status
        type: select
        options: [Open, {name: In Progress, id: wip}, {name: Done, color: "#0a0", bullet: "*"}]
      - {id: tags, type: multiselect, options: [{name: Red, id: r}, {name: Green, id: g}, {name: Blue, id: b}]}
      - {id: url, type: url}
      - {id: json, type: json}
      - {id: ref, type: reference}
`

func thing(t testing.TB) *NodeType {
	t.Helper()
	bp, err := ParseBlueprint("values.yaml", []byte(valueBlueprint))
	if err != nil {
		t.Fatal(Problems(err))
	}
	return bp.RootType()
}

// SPEC B-20 to B-33
func TestCanonical(t *testing.T) {
	openID := optionID("thing", "status", "Open")
	for _, c := range []struct{ prop, in, want string }{
		{"text", `"plain"`, `"plain"`},
		{"text", ` "" `, `""`},
		{"text", `"\u0061\/\t\u0001\b\f\r\n\"\\"`, `"a/\t\u0001\b\f\r\n\"\\"`},
		{"text", `"<a href='x'>&"`, `"\u003ca href='x'\u003e\u0026"`},
		{"text", `"é\u2028\u2029😀\ud83d\ude00` + "\u2028" + `"`, `"é\u2028\u2029😀😀\u2028"`},
		{"short", `"äöü"`, `"äöü"`},
		{"sku", `"AB-12"`, `"AB-12"`},
		{"number", `0`, `0`},
		{"number", `-0`, `0`},
		{"number", `-0.0e99999999999999999999`, `0`},
		{"number", `1.50`, `1.5`},
		{"number", `-12.0`, `-12`},
		{"number", `1e3`, `1000`},
		{"number", `100E-2`, `1`},
		{"number", `0.001`, `0.001`},
		{"number", `1e-6`, `0.000001`},
		{"number", `0.0000001`, `1e-7`},
		{"number", `0.000000125`, `1.25e-7`},
		{"number", `123456789012345678901`, `123456789012345678901`},
		{"number", `1e20`, `100000000000000000000`},
		{"number", `1e21`, `1e+21`},
		{"number", `-1234567890123456789012345`, `-1.234567890123456789012345e+24`},
		{"number", `0.1000000000000000055511151231257827`, `0.1000000000000000055511151231257827`},
		{"number", `12.5e+0001`, `125`},
		{"number", `1e300`, `1e+300`},
		{"number", `1e-300`, `1e-300`},
		{"ratio", `-0.5`, `-0.5`},
		{"ratio", `1.000`, `1`},
		{"integer", `2.0`, `2`},
		{"integer", `9007199254740993`, `9007199254740993`},
		{"integer", `1.5e1`, `15`},
		{"money", `1499.9900`, `1499.99`},
		{"money", `0.0001`, `0.0001`},
		{"flag", `true`, `true`},
		{"flag", ` false`, `false`},
		{"date", `"2024-02-29"`, `"2024-02-29"`},
		{"soon", `"2026-12-31"`, `"2026-12-31"`},
		{"moment", `"2026-01-31T09:30:00+02:00"`, `"2026-01-31T07:30:00Z"`},
		{"moment", `"2026-01-31t09:30:00.1200z"`, `"2026-01-31T09:30:00.12Z"`},
		{"moment", `"2025-12-31T23:30:00-01:00"`, `"2026-01-01T00:30:00Z"`},
		{"later", `"2026-01-01T00:00:01.5Z"`, `"2026-01-01T00:00:01.5Z"`},
		{"later", `"2026-01-01T01:00:00+01:00"`, `"2026-01-01T00:00:00Z"`},
		{"status", `"Open"`, `"` + openID + `"`},
		{"status", `"` + openID + `"`, `"` + openID + `"`},
		{"status", `"In Progress"`, `"wip"`},
		{"tags", `[]`, `[]`},
		{"tags", `["Blue", "r", "b"]`, `["r","b"]`},
		{"url", `"HTTPS://User:Pw@Example.COM:80/A?B=%20#C"`, `"https://User:Pw@example.com:80/A?B=%20#C"`},
		{"url", `"http://Example.com"`, `"http://example.com"`},
		{"url", `"Mailto:A@b.example?subject=Hi"`, `"mailto:A@b.example?subject=Hi"`},
		{"json", `{"b": [1.0, null, true, {"z":1, "a":"<"}], "a": {}, "A":[]}`, `{"A":[],"a":{},"b":[1,null,true,{"a":"\u003c","z":1}]}`},
		{"json", `"x"`, `"x"`},
		{"json", ` 10e1 `, `100`},
		{"ref", `"3F2C8A52-6B0E-4C7E-9B77-0D6A5D3F1E20"`, `"3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e20"`},
	} {
		p := thing(t).Property(c.prop)
		got, err := p.Canonical(raw(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s gives %s, %v, want %s", c.prop, c.in, got, err, c.want)
			continue
		}
		again, err := p.Canonical(got)
		if err != nil || string(again) != c.want {
			t.Errorf("%s: the canonical %s gives %s, %v", c.prop, got, again, err)
		}
		// No later encoding may change the bytes.
		if enc, err := json.Marshal(got); err != nil || string(enc) != c.want {
			t.Errorf("%s: encoding/json turns %s into %s, %v", c.prop, got, enc, err)
		}
	}
}

// SPEC B-20 to B-33
func TestCanonicalRefuses(t *testing.T) {
	for _, c := range []struct{ prop, in, message string }{
		{"text", `null`, "must not be null: DeleteProperty removes a value"},
		{"text", `5`, "must be a string, not a number"},
		{"text", `"a`, "not valid JSON"},
		{"text", `"a" 1`, "something follows the value"},
		{"text", "\"a\"\x00", "something follows the value"},
		{"text", ``, "not valid JSON: it ends"},
		{"text", "\"\xff\"", "not valid UTF-8"},
		{"text", `"\ud83d"`, "surrogate"},
		{"text", `"` + strings.Repeat("x", MaxText+1) + `"`, "longer than 65536 bytes"},
		{"text", `"` + strings.Repeat(`\u0001`, MaxText-1) + `"`, "larger than 262144 bytes"},
		{"short", `"abcd"`, "longer than 3 characters"},
		{"sku", `"AB-12\n"`, "does not match the pattern"},
		{"sku", `"xx"`, "does not match the pattern"},
		{"number", `"5"`, "must be a number, not a string"},
		{"number", `1e301`, "out of range"},
		{"number", `1e-301`, "out of range"},
		{"number", `1e99999999999999999999`, "out of range"},
		{"number", `1.` + strings.Repeat("12", 40), "more than 64 significant digits"},
		{"number", `01`, "something follows"},
		{"number", `1.`, "a digit is expected"},
		{"number", `-`, "ends where a digit"},
		{"number", `NaN`, "a value is expected"},
		{"ratio", `-0.50001`, "must be at least -0.5"},
		{"ratio", `-1`, "must be at least -0.5"},
		{"ratio", `1.1`, "must be at most 1"},
		{"ratio", `10`, "must be at most 1"},
		{"integer", `2.5`, "whole number"},
		{"money", `0.00001`, "at most 4 decimals"},
		{"money", `-1`, "must be at least 0"},
		{"flag", `"true"`, "must be a boolean, not a string"},
		{"flag", `tru`, "a value is expected"},
		{"flag", `falsy`, "a value is expected"},
		{"date", `"2023-02-29"`, "must be a date"},
		{"date", `"0000-01-01"`, "must be a date"},
		{"date", `"2023-2-9"`, "must be a date"},
		{"date", `20230209`, "must be a string"},
		{"soon", `"2025-12-31"`, "must not be before 2026-01-01"},
		{"soon", `"2027-01-01"`, "must not be after 2026-12-31"},
		{"moment", `"2026-01-31"`, "date and time"},
		{"moment", `"2026-01-31T09:30:00"`, "date and time"},
		{"moment", `"2026-01-31T09:30:00,5Z"`, "date and time"},
		{"moment", `"2026-01-31T09:30:60Z"`, "date and time"},
		{"moment", `"2026-01-31T09:30:00.1234567891Z"`, "date and time"},
		{"moment", `"2026-01-31T09:30:00.12345678912345+00:00"`, "nanosecond at most"},
		{"moment", `"9999-12-31T23:30:00-01:00"`, "years 1 to 9999"},
		{"later", `"2026-01-01T00:00:01.500000001Z"`, "must not be after 2026-01-01T00:00:01.5Z"},
		{"later", `"2025-12-31T23:59:59.999Z"`, "must not be before"},
		{"status", `"open"`, `must be one of "Open", "In Progress", "Done", not "open"`},
		{"status", `["Open"]`, "must be a string, not an array"},
		{"tags", `"Red"`, "must be an array"},
		{"tags", `["Red", 5]`, "must be a string"},
		{"tags", `["Red", "Pink"]`, "must be one of"},
		{"tags", `["Red"`, "a comma or ]"},
		{"tags", `["Red`, "end of a string"},
		{"url", `"javascript:alert(1)"`, "must be a URL"},
		{"url", `"ftp://x"`, "must be a URL"},
		{"url", `"//x"`, "must be a URL"},
		{"url", `"http:x"`, "with a host"},
		{"url", `"http:///x"`, "with a host"},
		{"url", `"http://a b"`, "without spaces"},
		{"url", `"http://a\\@b"`, "backslashes"},
		{"url", `"http://[::1"`, "must be a URL"},
		{"url", `"mailto:"`, "with an address"},
		{"url", `"http://` + strings.Repeat("x", MaxURL) + `"`, "longer than 8192"},
		{"json", `null`, "must not be null"},
		{"json", `{"a":1,"\u0061":2}`, "json.a is there twice"},
		{"json", `{"a":[1,{"x y":1e999}]}`, `json.a[1]["x y"] is out of range`},
		{"json", `{"a"}`, "a colon"},
		{"json", `{a:1}`, "a key"},
		{"json", `[1,]`, "a value"},
		{"json", `{"a":"\x"}`, "known escape"},
		{"json", `"\`, "an escape"},
		{"json", `"\u12"`, "four hexadecimal digits"},
		{"json", `"\u00zz"`, "four hexadecimal digits"},
		{"json", "\"\\n\n\"", "control character"},
		{"json", "\"\n\"", "control character"},
		{"json", "\"\\n\xff\"", "UTF-8"},
		{"json", `"\n`, "end of a string"},
		{"json", `"\ud83d\u0041"`, "surrogate"},
		{"json", strings.Repeat("[", 101) + strings.Repeat("]", 101), "nested deeper than 100"},
		{"json", `["` + strings.Repeat("x", MaxValue) + `"]`, "larger than 262144"},
		{"json", `"` + strings.Repeat("x", MaxCommandBytes) + `"`, "larger than any command"},
		{"ref", `"x"`, "must be the id of a node"},
		{"ref", `"00000000-0000-0000-0000-000000000000"`, "must be the id of a node"},
	} {
		got, err := thing(t).Property(c.prop).Canonical(raw(c.in))
		if got != nil || !fault.Is(err, fault.InvalidCommand) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %.80s gives %.80s, %v, want %q", c.prop, c.in, got, err, c.message)
			continue
		}
		for _, d := range fault.From(err).Details {
			if !strings.HasPrefix(d.Location, c.prop) {
				t.Errorf("%s: a fault at %s", c.prop, d.Location)
			}
		}
	}
}

// SPEC B-31: the limit of nesting is reachable, and sorting does not depend on
// the order in which keys came.
func TestCanonicalJSON(t *testing.T) {
	p := thing(t).Property("json")
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	if got, err := p.Canonical(raw(deep)); err != nil || string(got) != deep {
		t.Errorf("100 levels: %.20s, %v", got, err)
	}
	var keys []string
	for i := range 30 {
		keys = append(keys, `"k`+string(rune('a'+i%26))+strings.Repeat("x", i)+`":`+"1")
	}
	forward, err := p.Canonical(raw("{" + strings.Join(keys, ",") + "}"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys[:15] {
		keys[i], keys[29-i] = keys[29-i], keys[i]
	}
	backward, err := p.Canonical(raw("{" + strings.Join(keys, " , ") + "}"))
	if err != nil || string(forward) != string(backward) {
		t.Errorf("%s and %s, %v", forward, backward, err)
	}
	if _, err := p.Canonical(raw("{" + strings.Join(append(keys, keys[0]), ",") + "}")); err == nil {
		t.Error("31 keys with one twice are accepted")
	}
}

// SPEC B-34
func TestCanonicalName(t *testing.T) {
	long := strings.Repeat("ä", MaxName)
	for _, s := range []string{"", " x ", "Ünï 😀 <b>", long} {
		if got, err := CanonicalName(s); got != s || err != nil {
			t.Errorf("CanonicalName(%.20q) = %.20q, %v", s, got, err)
		}
		text, _ := json.Marshal(s)
		if got, err := CanonicalNameValue(text); got != s || err != nil {
			t.Errorf("CanonicalNameValue(%.20s) = %.20q, %v", text, got, err)
		}
	}
	for _, s := range []string{long + "x", "a\nb", "a\x00", "a\xff", "\u0085"} {
		if _, err := CanonicalName(s); !fault.Is(err, fault.InvalidCommand) {
			t.Errorf("CanonicalName(%.20q): %v", s, err)
		}
	}
	for _, s := range []string{`"a\nb"`, `5`, `null`, `"a"x`, `"` + long + `x"`} {
		if _, err := CanonicalNameValue(raw(s)); !fault.Is(err, fault.InvalidCommand) {
			t.Errorf("CanonicalNameValue(%.20s): %v", s, err)
		}
	}
}

func TestRelocate(t *testing.T) {
	_, err := thing(t).Property("json").Canonical(raw(`{"a":1e999}`))
	moved := relocate(err, "json", "data.value")
	if at := fault.From(moved).Details[0].Location; at != "data.value.a" {
		t.Errorf("moved to %s", at)
	}
	if at := fault.From(err).Details[0].Location; at != "json.a" {
		t.Errorf("the original changed to %s", at)
	}
	plain := fault.New(fault.Conflict, "x")
	if relocate(plain, "a", "b").Error() != plain.Error() || relocate(nil, "a", "b") != nil {
		t.Error("an error without details changed")
	}
}

func TestDecimalCompare(t *testing.T) {
	order := []string{"-1e30", "-20", "-3", "-2.5", "-2", "-0.1", "0", "1e-9", "0.2", "0.25", "1", "1.5", "2", "19", "1e5"}
	for i, a := range order {
		for j, b := range order {
			x, _ := parseDecimal(a)
			y, _ := parseDecimal(b)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := x.compare(y); got != want {
				t.Errorf("%s compared with %s is %d", a, b, got)
			}
		}
	}
}
