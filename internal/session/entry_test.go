package session

import (
	"bytes"
	"encoding/json"
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
		}
		k := kept{
			CommandID: e.CommandID, Digest: e.Digest, Kind: e.Kind, ProjectID: e.ProjectID, Type: e.CommandType, Target: e.Target,
			Result: e.Result, First: 7, Last: 9, Time: e.Time, Undo: e.Joined, Redo: !e.Joined, Revision: env.Seq,
		}
		if len(e.Steps) > 0 {
			k.Applied = []graph.Outcome{{Event: "graph:node-created"}}
		}
		for _, img := range []coreImage{
			{Format: 1, Head: head, Active: e.ProjectID, Projects: []projectImage{}, Receipts: []kept{k, k}},
			{Format: 1, Projects: []projectImage{{ID: e.ProjectID, Graph: []byte("x")}}, Receipts: []kept{}},
		} {
			if got, err := img.encode(); err != nil || !bytes.Equal(got, mustJSON(t, img)) {
				t.Fatalf("snapshot\n%s\n%s\n%v", got, mustJSON(t, img), err)
			}
		}
		got, err := e.appendJSON(nil)
		if want := mustJSON(t, e); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("entry\n%s\n%s\n%v", got, want, err)
		}
	})
}

func mustJSON(t *rapid.T, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
