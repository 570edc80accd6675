package server

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC R-6: what counts as strict JSON.
func TestCheckJSON(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tc := range []struct {
		in string
		ok bool
	}{
		{`{}`, true}, {`1`, true}, {` "a" `, true}, {`null`, true}, {`{"a":{"a":[{"a":1},{"a":2}]},"b":"}{\"a"}`, true},
		{nest(100), true}, {nest(101), false}, {`"` + strings.Repeat("[", 500) + `"`, true},
		{`{"a":1,"a":2}`, false}, {`{"a":1,"\u0061":2}`, false}, {`[{"x":1},{"y":{"b":1, "b" :2}}]`, false}, {`{"a":"a","b":"a"}`, true},
		{``, false}, {`{`, false}, {`{}}`, false}, {`{}{}`, false}, {`{"a"}`, false}, {`nul`, false}, {"\"\xff\"", false}, {`]]`, false}, {`"\`, false},
		{`["a","a",{"a":"a"}]`, true},
	} {
		if err := checkJSON([]byte(tc.in)); (err == nil) != tc.ok {
			t.Errorf("%.60s: %v", tc.in, err)
		} else if err != nil && !fault.Is(err, fault.InvalidRequest) {
			t.Errorf("%.60s: %v is not INVALID_REQUEST", tc.in, err)
		}
	}
	err := fault.From(checkJSON([]byte(`{"a":{"b":[{"c":1,"c":2}]}}`)))
	if len(err.Details) != 1 || err.Details[0].Location != "a.b.c" {
		t.Errorf("details: %v", err.Details)
	}
}

// SPEC R-7: fields match exactly, and a wrong one is named.
func TestDecodeStrict(t *testing.T) {
	for _, tc := range []struct{ in, location string }{
		{`{"command_type":1}`, "command_type"}, {`{"Command_type":"x"}`, "Command_type"}, {`{"x":1,"b":2}`, "b"}, {`{"expected_seq":-1}`, "expected_seq"},
		{`{"expected_seq":1.5}`, "expected_seq"},
	} {
		var b executeBody
		err := fault.From(decodeStrict([]byte(tc.in), &b, false))
		if err == nil || len(err.Details) == 0 || err.Details[0].Location != tc.location {
			t.Errorf("%s: %v %+v", tc.in, err, err.Details)
		}
	}
	var b executeBody
	if err := decodeStrict([]byte(`{"command_type":"X","data":{"a":1},"expected_seq":null,"session_id":null}`), &b, false); err != nil || b.ExpectedSeq != nil || string(b.Data) != `{"a":1}` {
		t.Errorf("%v %+v", err, b)
	}
	var lenient authPayload
	if err := decodeStrict([]byte(`{"session_id":"s","more":1}`), &lenient, true); err != nil || lenient.SessionID != "s" {
		t.Errorf("%v %+v", err, lenient)
	}
}

// FuzzCheckJSON: never panics, and agrees with a slow reader about duplicate
// keys and depth.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":1,"a":2}`, `{"a":{"b":[1,"x"]}}`, `[[[]]]`, `{"\u0061":1,"a":1}`, `"\"{"`, `{"a":1}x`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := checkJSON(data)
		if want := slowCheck(data); (err == nil) != want {
			t.Errorf("%q: %v, want %v", data, err, want)
		}
		if err == nil {
			var b executeBody
			_ = decodeStrict(data, &b, false)
		}
	})
}

// slowCheck reads tokens one by one.
func slowCheck(data []byte) bool {
	if !json.Valid(data) || bytes.ToValidUTF8(data, nil) == nil || !bytes.Equal(bytes.ToValidUTF8(data, []byte("?")), data) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value func(depth int) bool
	value = func(depth int) bool {
		tok, err := dec.Token()
		if err != nil {
			return false
		}
		d, ok := tok.(json.Delim)
		if !ok {
			return true
		}
		if depth+1 > maxNesting {
			return false
		}
		keys := map[string]bool{}
		for dec.More() {
			if d == '{' {
				k, err := dec.Token()
				if err != nil || keys[k.(string)] {
					return false
				}
				keys[k.(string)] = true
			}
			if !value(depth + 1) {
				return false
			}
		}
		_, err = dec.Token()
		return err == nil
	}
	if !value(0) {
		return false
	}
	_, err := dec.Token()
	return err == io.EOF
}
