package session

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/graphroom/graphroom/internal/graph"
)

// What is written by hand is what encoding/json would write.
func TestWrittenByHand(t *testing.T) {
	bp, err := graph.ParseBlueprint("test.yaml", []byte(testBlueprint))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9-]{0,40}`), rapid.Just("<&>\u2028\x7f\\\""))
		head := rapid.Uint64().Draw(t, "head")
		env := envelope{
			SessionID: text.Draw(t, "s"), ProjectID: text.Draw(t, "p"), Timestamp: text.Draw(t, "t"),
			Seq: rapid.Uint64Range(0, 3).Draw(t, "seq"), CommandID: text.Draw(t, "c"), Actor: text.Draw(t, "a"),
		}
		if rapid.Bool().Draw(t, "hint") {
			env.HeadSeq = &head
		}
		if got, want := env.appendJSON(nil), mustJSON(t, env); !bytes.Equal(got, want) {
			t.Fatalf("envelope\n%s\n%s", got, want)
		}
		if got := payload(env, struct{}{}); !bytes.Equal(got, mustJSON(t, env)) {
			t.Fatalf("empty body %s", got)
		}
		e := &entry{
			Format: entryFormat, Kind: kindCommand, ProjectID: text.Draw(t, "project"), CommandID: text.Draw(t, "id"),
			CommandType: text.Draw(t, "type"), Actor: text.Draw(t, "actor"), Time: rapid.Int64().Draw(t, "time"),
			Digest: text.Draw(t, "digest"), Label: text.Draw(t, "label"), Coalesce: text.Draw(t, "coalesce"),
			Joined: rapid.Bool().Draw(t, "joined"), Scope: text.Draw(t, "scope"), Target: text.Draw(t, "target"),
		}
		if rapid.Bool().Draw(t, "changes") {
			g := graph.New(bp)
			id := graph.ID{6: 0x40, 8: 0x80, 15: 1}
			for range rapid.IntRange(1, 3).Draw(t, "n") {
				id[15]++
				made, err := g.Plan(graph.CreateNode{BlueprintTypeID: "item", NodeID: id}, graph.Env{Writer: 1})
				if err != nil {
					t.Fatal(err)
				}
				g.Apply(made.Changes, 1)
				e.Changes = append(e.Changes, made.Changes...)
				e.Result = mustJSON(t, made.Result)
			}
		}
		if rapid.Bool().Draw(t, "turned") {
			e.Steps = []step{{Ref: 1, Count: 1}}
			e.turned = turned{
				Applied: []graph.Outcome{{Event: "graph:node-created"}}, AppliedMore: rapid.IntRange(0, 2).Draw(t, "applied"),
				SkippedMore: rapid.IntRange(0, 2).Draw(t, "skipped"),
			}
		}
		if rapid.Bool().Draw(t, "loaded") {
			graph := mustJSON(t, strings.Repeat(text.Draw(t, "graph"), rapid.SampledFrom([]int{1, 3000}).Draw(t, "times")))
			e.Loaded = &loaded{TemplateID: e.ProjectID, Name: e.Label, Revision: head, Blueprint: graph, Graph: graph}
			e.Saved = &savedMark{Name: e.Label, Revision: 3}
		}
		k := kept{
			CommandID: e.CommandID, Digest: e.Digest, Kind: e.Kind, ProjectID: e.ProjectID, Type: e.CommandType, Target: e.Target,
			Result: e.Result, First: 7, Last: 9, Time: e.Time, Undo: e.Joined, Redo: !e.Joined, Revision: env.Seq,
		}
		k.turned = e.turned
		h := histImage{
			Ref: head, ID: e.CommandID, Actor: e.Actor, Type: e.CommandType, Label: e.Label, Time: e.Time, Coalesce: e.Coalesce,
			UndoneBy: e.Actor, UndoneScope: e.Scope, Changes: append([]graph.Change{}, e.Changes...),
		}
		for _, img := range []coreImage{
			{Format: 1, Head: head, Active: e.ProjectID, Projects: []projectImage{}, Receipts: []kept{k, k}},
			{Format: 1, Projects: []projectImage{{ID: e.ProjectID, Graph: []byte("x")}, {Name: e.Label, Done: []histImage{h, h}, Undone: []histImage{h}}}, Receipts: []kept{}},
		} {
			if got := written(t, img.write); !bytes.Equal(got, mustJSON(t, img)) {
				t.Fatalf("snapshot\n%s\n%s", got, mustJSON(t, img))
			}
		}
		if got, want := written(t, e.write), mustJSON(t, e); !bytes.Equal(got, want) {
			t.Fatalf("entry\n%s\n%s", got, want)
		}
	})
}

// written is what write gave to a packer.
func written(t *rapid.T, write func(*packer) error) []byte {
	p := newPacker(0, nil)
	if err := write(p); err != nil {
		t.Fatal(err)
	}
	data, size, err := p.done()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := unpack(data)
	if err != nil || len(plain) != size {
		t.Fatalf("%d bytes, %d said: %v", len(plain), size, err)
	}
	return plain
}

func mustJSON(t *rapid.T, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
