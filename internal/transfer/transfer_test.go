package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/project/memory"
	"github.com/graphroom/graphroom/internal/transfer"
)

const limit = 1 << 20

func templates(t testing.TB) func(string) *graph.Blueprint {
	t.Helper()
	all, err := graph.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return func(id string) *graph.Blueprint {
		for _, bp := range all {
			if bp.ID() == id {
				return bp
			}
		}
		return nil
	}
}

// sample is a project with a name that JSON has to escape.
func sample(t testing.TB, nodes int) transfer.File {
	t.Helper()
	bp := templates(t)("outline")
	g := graph.New(bp)
	next := byte(0)
	var parent graph.ID
	for range nodes {
		made, err := g.Plan(graph.CreateNode{BlueprintTypeID: "item", ParentID: parent}, graph.Env{NewID: func() (id graph.ID) {
			next++
			id[15], id[6], id[8] = next, 0x40, 0x80
			parent = id
			return id
		}})
		if err != nil {
			t.Fatal(err)
		}
		g.Apply(made.Changes, 0)
	}
	return transfer.File{
		ProjectID: "project-1", TemplateID: "outline", Name: "A \"name\" <b> \u2028 é",
		Graph: g.AppendJSON(nil, "project-1"),
	}
}

func encode(t testing.TB, f transfer.File) []byte {
	t.Helper()
	data, err := transfer.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// SPEC D-2: export, import and export again give the same bytes, also when
// somebody has reformatted the file in between.
func TestRoundTrip(t *testing.T) {
	for _, nodes := range []int{0, 1, 50} {
		file := encode(t, sample(t, nodes))
		var spread bytes.Buffer
		if err := json.Indent(&spread, file, "", "\t"); err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{file, spread.Bytes()} {
			f, err := transfer.Decode(data, limit, templates(t))
			if err != nil {
				t.Fatal(err)
			}
			if again := encode(t, f); !bytes.Equal(again, file) {
				t.Errorf("%d nodes:\n%s\nbecame\n%s", nodes, file, again)
			}
		}
	}
}

// SPEC D-3: a file with faults is refused whole, with every fault's place.
func TestFaults(t *testing.T) {
	good := string(encode(t, sample(t, 2)))
	replace := func(pairs ...string) string {
		out := strings.NewReplacer(pairs...).Replace(good)
		if out == good {
			t.Fatalf("%q changes nothing", pairs)
		}
		return out
	}
	for name, c := range map[string]struct {
		file   string
		places []string
	}{
		"empty":                   {"", []string{"file"}},
		"no json":                 {"{]", []string{"file"}},
		"two values":              {good + good, []string{"file"}},
		"not utf-8":               {"{\"a\":\"\xff\"}", []string{"file"}},
		"too deep":                {strings.Repeat("[", 1000), []string{"file"}},
		"an array":                {"[]", []string{"file"}},
		"nothing in it":           {"{}", []string{"format", "version", "project", "graph"}},
		"another format":          {replace(transfer.Format, "other"), []string{"format"}},
		"format a number":         {replace(`"`+transfer.Format+`"`, "7"), []string{"format"}},
		"newer":                   {replace(`"version":1`, `"version":2`), []string{"version"}},
		"version no int":          {replace(`"version":1`, `"version":1.5`), []string{"version"}},
		"unknown and twice":       {replace(`"version":1`, `"version":1,"version":1,"x":0`), []string{"version", "x"}},
		"project no object":       {replace(`"project":{`, `"project":7,"was":{`), []string{"project", "was"}},
		"bad id":                  {replace(`"project":{"project_id":"project-1"`, `"project":{"project_id":"a b"`), []string{"project.project_id"}},
		"id no string":            {replace(`"project":{"project_id":"project-1"`, `"project":{"project_id":null`), []string{"project.project_id"}},
		"other id in graph":       {replace(`"graph":{"project_id":"project-1"`, `"graph":{"project_id":"project-2"`), []string{"graph.project_id"}},
		"empty template":          {replace(`"template_id":"outline","name"`, `"template_id":"","name"`), []string{"project.template_id"}},
		"other template in graph": {replace(`"template_id":"outline","roots"`, `"template_id":"pipeline","roots"`), []string{"graph.template_id"}},
		"name control":            {replace(`"name":"A `, `"name":"A\n `), []string{"project.name"}},
		"name surrogate":          {replace(`"name":"A `, `"name":"A \ud800 `), []string{"project.name"}},
		"faults everywhere": {replace(`"version":1`, `"version":0`, `"position":0`, `"position":3`, `"done":false`, `"done":"no"`),
			[]string{"version", "graph.roots[0].properties.done", "graph.roots[0].position", "graph.roots[0].children[0].position"}},
	} {
		_, err := transfer.Decode([]byte(c.file), limit, templates(t))
		if !fault.Is(err, fault.InvalidRequest) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, d := range fault.From(err).Details {
			got = append(got, d.Location)
		}
		for _, want := range c.places {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no fault at %s: %v", name, want, err)
			}
		}
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	var b strings.Builder
	b.WriteString("{")
	for i := range 3 * transfer.MaxFaults {
		b.WriteString(`"k` + strings.Repeat("k", i) + `":0,`)
	}
	b.WriteString(`"z":0}`)
	_, err := transfer.Decode([]byte(b.String()), limit, templates(t))
	if e := fault.From(err); len(e.Details) != transfer.MaxFaults+1 || !strings.Contains(e.Details[transfer.MaxFaults].Message, "more faults") {
		t.Errorf("%d details", len(e.Details))
	}
}

// SPEC D-4: over the limit and an unknown template have codes of their own.
func TestCodes(t *testing.T) {
	f := sample(t, 1)
	data := encode(t, f)
	_, err := transfer.Decode(data, int64(len(data))-1, templates(t))
	if !fault.Is(err, fault.TooLarge) {
		t.Errorf("too large: %v", err)
	}
	_, err = transfer.Decode(data, int64(len(data)), func(string) *graph.Blueprint { return nil })
	if !fault.Is(err, fault.TemplateNotFound) {
		t.Errorf("unknown template: %v", err)
	}
	_, err = transfer.Decode(bytes.Replace(data, []byte(`"version":1`), []byte(`"version":9`), 1), limit, func(string) *graph.Blueprint { return nil })
	if !fault.Is(err, fault.InvalidRequest) {
		t.Errorf("faults before the template: %v", err)
	}
}

// SPEC D-5: an id in use is a conflict; replace makes the next revision, with
// revision only over that one.
func TestStore(t *testing.T) {
	ctx := t.Context()
	store := memory.New()
	f := sample(t, 1)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	put := func(want uint64, how transfer.Put) {
		t.Helper()
		how.SavedAt = at
		got, err := transfer.Store(ctx, store, f, how)
		if err != nil || got.Revision != want || got.ProjectID != f.ProjectID || !got.SavedAt.Equal(at) || got.GraphBytes != int64(len(f.Graph)) {
			t.Fatalf("%+v: %+v, %v", how, got, err)
		}
	}
	refused := func(how transfer.Put) {
		t.Helper()
		_, err := transfer.Store(ctx, store, f, how)
		var stale *project.RevisionError
		if !fault.Is(err, fault.Conflict) || !errors.As(err, &stale) || len(fault.From(err).Details) != 2 {
			t.Fatalf("%+v: %v", how, err)
		}
	}
	put(1, transfer.Put{})
	refused(transfer.Put{})
	put(2, transfer.Put{Replace: true})
	refused(transfer.Put{Replace: true, Revision: 1})
	put(3, transfer.Put{Replace: true, Revision: 2})
	saved, err := store.Get(ctx, f.ProjectID)
	if err != nil || !bytes.Equal(saved.Graph, f.Graph) {
		t.Fatalf("%s, %v", saved.Graph, err)
	}
	data, err := transfer.Saved(saved)
	if err != nil || !bytes.Equal(data, encode(t, f)) {
		t.Fatalf("%s, %v", data, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := transfer.Store(ended, store, f, transfer.Put{Replace: true}); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
}

// Whatever is done to a file, reading it ends with a coded error or with a
// file that is written as it was read.
func TestDamagedFiles(t *testing.T) {
	good := encode(t, sample(t, 3))
	find := templates(t)
	rapid.Check(t, func(t *rapid.T) {
		data := slices.Clone(good)
		for range rapid.IntRange(1, 3).Draw(t, "cuts") {
			at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				data[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				data = slices.Delete(data, at, min(at+rapid.IntRange(1, 30).Draw(t, "n"), len(data)))
			default:
				data = slices.Insert(data, at, data[:min(at, 20)]...)
			}
			if len(data) == 0 {
				return
			}
		}
		f, err := transfer.Decode(data, limit, find)
		if err != nil {
			if e := fault.From(err); e.Class == fault.ClassInternal || len(e.Details) == 0 {
				t.Fatalf("%s: %v", data, err)
			}
			return
		}
		again, err := transfer.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if f2, err := transfer.Decode(again, limit, find); err != nil || !bytes.Equal(f2.Graph, f.Graph) || f2.Name != f.Name {
			t.Fatalf("%s is read as %+v, %v", again, f2, err)
		}
	})
}
