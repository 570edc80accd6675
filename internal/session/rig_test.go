package session

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/journal"
	journalmemory "github.com/graphroom/graphroom/internal/journal/memory"
	"github.com/graphroom/graphroom/internal/project"
	projectmemory "github.com/graphroom/graphroom/internal/project/memory"
)

// testBlueprint nests items and wires them; enough for what sessions decide.
const testBlueprint = `
id: test
version: "1"
name: Test
description: For tests of the session.
node_types:
  - id: item
    label: Item
    allowed_children: [item]
    properties:
      - {id: note, type: text}
      - {id: size, type: integer}
link_types:
  - {id: wire, parent_types: [item], child_types: [item], acyclic: true, ordered: true}
`

// rig is a manager on memory drivers with ids that count up and a clock that
// stands still until it is moved.
type rig struct {
	t        testing.TB
	m        *Manager
	journal  journal.Journal
	projects project.Store
	now      atomic.Int64
	ids      atomic.Uint64
	cfg      Config
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	bp, err := graph.ParseBlueprint("test.yaml", []byte(testBlueprint))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, journal: journalmemory.New(), projects: projectmemory.New()}
	r.now.Store(time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC).UnixMilli())
	r.cfg = Config{
		Journal: r.journal, Projects: r.projects,
		Templates: func(id string) *graph.Blueprint {
			if id == "test" {
				return bp
			}
			return nil
		},
		Clock:  func() time.Time { return time.UnixMilli(r.now.Load()) },
		NewID:  r.id,
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&r.cfg)
	}
	r.start()
	return r
}

func (r *rig) start() {
	m := NewManager(r.cfg)
	r.m = m
	r.t.Cleanup(func() { r.close(m) })
}

func (r *rig) close(m *Manager) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

// restart is a new manager on the same journal.
func (r *rig) restart() {
	r.t.Helper()
	r.close(r.m)
	r.start()
}

func (r *rig) id() graph.ID {
	var id graph.ID
	binary.BigEndian.PutUint64(id[8:], r.ids.Add(1))
	id[6], id[8] = 0x40, 0x80
	return id
}

func (r *rig) session(id string) *Session {
	r.t.Helper()
	s, err := r.m.Open(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// room is a session with one open project.
type room struct {
	*rig
	s       *Session
	project string
	root    string
}

func newRoom(t testing.TB, change func(*Config)) *room {
	t.Helper()
	r := &room{rig: newRig(t, change)}
	r.s = r.session("room")
	o, err := r.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "Plan", Actor: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	r.project = o.ProjectID
	var g struct {
		Roots []struct{ ID string } `json:"roots"`
	}
	if err := json.Unmarshal(o.Graph, &g); err != nil || len(g.Roots) != 1 {
		t.Fatalf("new project: %s: %v", o.Graph, err)
	}
	r.root = g.Roots[0].ID
	return r
}

// do executes a command as actor; data is formatted JSON.
func (r *room) do(actor, typ, data string, args ...any) (Receipt, error) {
	return r.s.Execute(r.t.Context(), Execute{Actor: actor, Type: typ, Data: json.RawMessage(fmt.Sprintf(data, args...))})
}

func (r *room) must(actor, typ, data string, args ...any) Receipt {
	r.t.Helper()
	out, err := r.do(actor, typ, data, args...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", typ, fmt.Sprintf(data, args...), err)
	}
	return out
}

// create makes an item under parent and returns its id.
func (r *room) create(actor, parent string) string {
	r.t.Helper()
	out := r.must(actor, "CreateNode", `{"blueprint_type_id":"item","parent_id":%q}`, parent)
	var res struct {
		NodeID string `json:"node_id"`
	}
	if err := json.Unmarshal(out.Result, &res); err != nil || res.NodeID == "" {
		r.t.Fatalf("result %s: %v", out.Result, err)
	}
	return res.NodeID
}

func (r *room) set(actor, node, property string, value any) Receipt {
	r.t.Helper()
	v, err := json.Marshal(value)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.must(actor, "UpdateProperty", `{"node_id":%q,"property_id":%q,"value":%s}`, node, property, v)
}

func (r *room) undo(step Step) Receipt {
	r.t.Helper()
	out, err := r.s.Undo(r.t.Context(), step)
	if err != nil {
		r.t.Fatalf("undo %+v: %v", step, err)
	}
	return out
}

func (r *room) redo(step Step) Receipt {
	r.t.Helper()
	out, err := r.s.Redo(r.t.Context(), step)
	if err != nil {
		r.t.Fatalf("redo %+v: %v", step, err)
	}
	return out
}

func (r *room) graph() string {
	r.t.Helper()
	var out string
	if err := r.s.Read(r.t.Context(), "", func(v View) error {
		out = string(v.Graph.AppendJSON(nil, v.ProjectID))
		return v.Graph.Check()
	}); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// value is the property's JSON in the graph, "" when it has none.
func (r *room) value(node, property string) string {
	r.t.Helper()
	var g struct {
		Roots []jsonNode `json:"roots"`
	}
	if err := json.Unmarshal([]byte(r.graph()), &g); err != nil {
		r.t.Fatal(err)
	}
	if n := findNode(g.Roots, node); n != nil {
		if property == "name" {
			return n.Name
		}
		return string(n.Properties[property])
	}
	return "no such node"
}

type jsonNode struct {
	ID         string                     `json:"id"`
	Name       string                     `json:"name"`
	Properties map[string]json.RawMessage `json:"properties"`
	Children   []jsonNode                 `json:"children"`
}

func findNode(nodes []jsonNode, id string) *jsonNode {
	for i := range nodes {
		if nodes[i].ID == id {
			return &nodes[i]
		}
		if n := findNode(nodes[i].Children, id); n != nil {
			return n
		}
	}
	return nil
}

// tail reads everything that the feed got since it was made.
type tail struct {
	t      testing.TB
	feed   *Feed
	cursor uint64
}

func (r *room) tail() *tail {
	r.t.Helper()
	f, release, err := r.s.Follow()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(release)
	return &tail{t: r.t, feed: f, cursor: f.Next()}
}

func (t *tail) items() []*Item {
	t.t.Helper()
	items, next, ok := t.feed.Read(t.cursor, 1<<20)
	if !ok {
		t.t.Fatal("the feed overran the tail")
	}
	t.cursor = next
	return items
}

func (t *tail) names() string {
	t.t.Helper()
	var out []string
	for _, it := range t.items() {
		out = append(out, it.Name)
	}
	return strings.Join(out, " ")
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("error = %v, want %s", err, code)
	}
}

func body(t testing.TB, it *Item) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(it.Payload, &m); err != nil {
		t.Fatalf("%s: %v", it.Payload, err)
	}
	return m
}
