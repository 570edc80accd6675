package graph

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/graphroom/graphroom/internal/fault"
)

// FuzzParseBlueprint: no file panics or hangs; a refused file has a place for
// every fault; an accepted one is whole: its names lead somewhere, its
// defaults and bounds are canonical, and its source makes it again. SPEC B-1
func FuzzParseBlueprint(f *testing.F) {
	f.Add([]byte(valueBlueprint))
	f.Add([]byte(richBlueprint))
	for _, id := range []string{"restomod", "pipeline", "outline"} {
		data, err := builtinFiles.ReadFile("blueprints/" + id + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("id: &a [*a]\n<<: *a\n? x\n: !!int y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bp, err := ParseBlueprint("f.yaml", data)
		if err != nil {
			if bp != nil || !fault.Is(err, fault.InvalidRequest) || len(Problems(err)) == 0 {
				t.Fatal(bp, err)
			}
			for _, d := range Problems(err) {
				if !strings.HasPrefix(d.Location, "f.yaml") || d.Message == "" || !utf8.ValidString(d.Message) {
					t.Fatalf("detail %q", d)
				}
			}
			return
		}
		checkWhole(t, bp)
		again, err := ParseBlueprint("again", bp.Source())
		if err != nil {
			t.Fatal(err)
		}
		one, err := json.Marshal(bp.Schema())
		if err != nil {
			t.Fatal(err)
		}
		if two, _ := json.Marshal(again.Schema()); string(one) != string(two) {
			t.Fatalf("%s and %s", one, two)
		}
	})
}

func checkWhole(t *testing.T, bp *Blueprint) {
	if !isIdentifier(bp.ID()) || bp.RootType() == nil || bp.NodeType(bp.RootType().ID) != bp.RootType() {
		t.Fatalf("%v", bp)
	}
	for _, typ := range bp.NodeTypes() {
		for _, id := range typ.AllowedChildren() {
			if bp.NodeType(id) == nil {
				t.Fatalf("%s allows %s", typ.ID, id)
			}
		}
		for _, p := range typ.Properties() {
			for _, v := range []json.RawMessage{p.Default, p.Min, p.Max} {
				if v == nil {
					continue
				}
				checkIdempotent(t, p, v)
				if _, err := p.Canonical(v); err != nil {
					t.Fatalf("%s.%s refuses its own %s: %v", typ.ID, p.ID, v, err)
				}
			}
			for _, o := range p.Options {
				if p.Type == TypeSelect {
					if _, err := p.Canonical(appendString(nil, o.Name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for _, l := range bp.LinkTypes() {
		for _, id := range append(append([]string(nil), l.ParentTypes...), l.ChildTypes...) {
			if bp.NodeType(id) == nil {
				t.Fatalf("%s names %s", l.ID, id)
			}
		}
	}
}
