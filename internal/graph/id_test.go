package graph

import (
	"encoding/json"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC C-4
func TestParseID(t *testing.T) {
	const want = "3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e20"
	for _, s := range []string{want, "3F2C8A52-6B0E-4C7E-9B77-0D6A5D3F1E20"} {
		id, err := ParseID(s)
		if err != nil || id.String() != want {
			t.Errorf("ParseID(%q) = %v, %v", s, id, err)
		}
	}
	for _, s := range []string{
		"", "x", "{3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e20}", "urn:uuid:3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e20",
		"3f2c8a526b0e4c7e9b770d6a5d3f1e20", "3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e2g", "3f2c8a52-6b0e-4c7e-9b770d6a5d3f1e20-",
		"00000000-0000-0000-0000-000000000000", "3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e20 ",
	} {
		if id, err := ParseID(s); !fault.Is(err, fault.InvalidRequest) || !id.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v", s, id, err)
		}
	}
}

func TestIDText(t *testing.T) {
	type box struct {
		A ID  `json:"a"`
		B ID  `json:"b,omitzero"`
		C *ID `json:"c"`
	}
	in := box{A: testID(7)}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"` + testID(7).String() + `","c":null}`; string(text) != want {
		t.Errorf("marshalled %s, want %s", text, want)
	}
	var out box
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("read back %v, %v", out, err)
	}
	if err := out.A.UnmarshalText(nil); err != nil || !out.A.IsZero() || out.A.String() != "" {
		t.Errorf("empty text gave %q, %v", out.A, err)
	}
	if err := out.A.UnmarshalText([]byte("zz")); !fault.Is(err, fault.InvalidRequest) {
		t.Errorf("bad text gave %v", err)
	}
}
