package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// SPEC S-1, S-9, S-12
func TestDecodePacket(t *testing.T) {
	for text, want := range map[string]Packet{
		`0`:                        {Type: PacketConnect, Namespace: "/"},
		`0/a`:                      {Type: PacketConnect, Namespace: "/a"},
		`0/a?token=1,{"b":2}`:      {Type: PacketConnect, Namespace: "/a?token=1", Data: []byte(`{"b":2}`)},
		`1/a,`:                     {Type: PacketDisconnect, Namespace: "/a"},
		`2["x"]`:                   {Type: PacketEvent, Namespace: "/", Data: []byte(`["x"]`)},
		`2/a,12["x",1]`:            {Type: PacketEvent, Namespace: "/a", ID: 12, HasID: true, Data: []byte(`["x",1]`)},
		`3999999999999999[]`:       {Type: PacketAck, Namespace: "/", ID: 999999999999999, HasID: true, Data: []byte(`[]`)},
		`4{"message":"no"}`:        {Type: PacketConnectError, Namespace: "/", Data: []byte(`{"message":"no"}`)},
		`52-/a,0["x"]`:             {Type: PacketBinaryEvent, Namespace: "/a", Attachments: 2, HasID: true, Data: []byte(`["x"]`)},
		`61-7[{"_placeholder":1}]`: {Type: PacketBinaryAck, Namespace: "/", Attachments: 1, ID: 7, HasID: true, Data: []byte(`[{"_placeholder":1}]`)},
	} {
		got, err := DecodePacket([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// splitArray agrees with encoding/json on every array.
func TestSplitArray(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return rapid.String().Draw(t, "s")
		case 1:
			return rapid.Float64().Draw(t, "f")
		case 2:
			return map[string]any{rapid.String().Draw(t, "k"): []any{rapid.String().Draw(t, "v"), nil, true}}
		case 3:
			return []any{map[string]any{"]": "["}, []any{}, "\\\"]"}
		case 4:
			return nil
		}
		return rapid.Bool().Draw(t, "b")
	})
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(value).Draw(t, "values")
		raw, err := json.Marshal(values)
		if values == nil {
			raw, err = []byte("[]"), nil
		}
		if err == nil && rapid.Bool().Draw(t, "indent") {
			var b bytes.Buffer
			err = json.Indent(&b, raw, " ", "\t")
			raw = b.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		var want []json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got := splitArray(raw)
		if len(got) != len(want) {
			t.Fatalf("%s: %d elements", raw, len(got))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%s: element %d is %s", raw, i, got[i])
			}
		}
	})
	if got := splitArray([]byte(`{"a":1}`)); got != nil {
		t.Errorf("%s", got)
	}
}

// FuzzPacket: what is accepted is written back as it was, up to the comma of a
// namespace and leading zeros of numbers.
func FuzzPacket(f *testing.F) {
	for _, text := range []string{`0/a,{"b":2}`, `2/a,12["x",1]`, `52-/a,0["x",{"_placeholder":true,"num":0}]`, `1`, `31[]`, `4{"message":"x"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := DecodePacket(text)
		if err != nil {
			if !errors.Is(err, ErrParse) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := DecodePacket(AppendPacket(nil, p))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		if p.Type == PacketEvent || p.Type == PacketBinaryEvent {
			items := splitArray(p.Data)
			if _, ok := eventName(items[0]); !ok {
				t.Errorf("%q has no name", text)
			}
			for _, item := range items {
				if !json.Valid(item) {
					t.Errorf("%q: element %q", text, item)
				}
			}
		}
	})
}

// FuzzValues: what is decoded with attachments is encoded with the same ones.
func FuzzValues(f *testing.F) {
	f.Add([]byte(`{"a":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := [][]byte{[]byte("zero"), []byte("one")}
		v, err := decodeValue(raw, in)
		if err != nil {
			return
		}
		body, out, err := encodeArgs(nil, []any{v})
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		again, err := decodeValue(body[1:len(body)-1], out)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Errorf("%q: %s", raw, diff)
		}
	})
}
