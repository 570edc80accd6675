package session

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
)

// SPEC N-20: a new project is one numbered project:loaded, has one root node
// named like it, becomes active and has no history.
func TestCreateProject(t *testing.T) {
	r := &room{rig: newRig(t, nil)}
	r.s = r.session("room")
	feed := r.tail()
	_, err := r.do("ann", "CreateNode", `{"blueprint_type_id":"item"}`)
	wantCode(t, err, fault.ProjectNotFound)
	feed.items()
	o, err := r.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "Plan", Actor: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	items := feed.items()
	if len(items) != 1 || items[0].Name != EventProjectLoaded || items[0].Seq != 1 || o.Seq != 1 {
		t.Fatalf("events %v", items)
	}
	m := body(t, items[0])
	g, _ := json.Marshal(m["graph"])
	if m["template_id"] != "test" || m["name"] != "Plan" || m["revision"] != 0.0 || !strings.Contains(string(g), `"name":"Plan"`) {
		t.Errorf("payload %s", items[0].Payload)
	}
	info, err := r.s.Info(t.Context())
	if err != nil || info.ActiveProject != o.ProjectID || info.NodeCount != 1 || info.UndoAvailable || !info.Projects[0].Dirty {
		t.Errorf("%+v, %v", info, err)
	}
	for name, req := range map[string]NewProject{
		"template": {TemplateID: "nope", Name: "x"},
		"name":     {TemplateID: "test", Name: strings.Repeat("x", 1001)},
		"id":       {TemplateID: "test", Name: "x", CommandID: "x"},
	} {
		if _, err := r.s.CreateProject(t.Context(), req); fault.From(err) == nil || fault.From(err).Class == fault.ClassInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// SPEC N-21: several projects are open at once; the last one opened is active.
func TestSeveralProjects(t *testing.T) {
	r := newRoom(t, func(c *Config) { c.MaxProjects = 2 })
	first := r.project
	second, err := r.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "Second"})
	if err != nil {
		t.Fatal(err)
	}
	if out := r.must("ann", "CreateNode", `{"blueprint_type_id":"item"}`); out.ProjectID != second.ProjectID {
		t.Errorf("the active project is %s", out.ProjectID)
	}
	out, err := r.s.Execute(t.Context(), Execute{
		ProjectID: first, Type: "CreateNode", Data: json.RawMessage(`{"blueprint_type_id":"item"}`),
	})
	if err != nil || out.ProjectID != first {
		t.Errorf("%+v, %v", out, err)
	}
	if u := r.undo(Step{ProjectID: first}); u.Undone != out.CommandID {
		t.Errorf("undid %s in the first project", u.Undone)
	}
	_, err = r.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "Third"})
	wantCode(t, err, fault.Conflict)
}

// SPEC N-22, N-23: save counts revisions; load replaces the copy, clears its
// history and refuses over unsaved changes without force.
func TestSaveAndLoad(t *testing.T) {
	r := newRoom(t, nil)
	n := r.create("ann", r.root)
	feed := r.tail()
	saved, err := r.s.Save(t.Context(), "", "", "ann", false)
	if err != nil || saved.Revision != 1 || saved.Name != "Plan" {
		t.Fatalf("%+v, %v", saved, err)
	}
	if items := feed.items(); len(items) != 1 || items[0].Name != EventProjectSaved || items[0].Seq != saved.Seq {
		t.Fatalf("events %v", items)
	}
	at := r.graph()
	r.set("ann", n, "note", "later")
	_, err = r.s.Load(t.Context(), r.project, "", "ann", false)
	wantCode(t, err, fault.Conflict)
	o, err := r.s.Load(t.Context(), r.project, "", "ann", true)
	if err != nil || string(o.Graph) != at || r.graph() != at || o.Revision != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	_, err = r.s.Undo(t.Context(), Step{})
	wantCode(t, err, fault.NothingToUndo)
	if _, err := r.s.Load(t.Context(), r.project, "", "ann", false); err != nil {
		t.Errorf("nothing is unsaved now: %v", err)
	}
	_, err = r.s.Load(t.Context(), "missing", "", "ann", false)
	wantCode(t, err, fault.ProjectNotFound)
	_, err = r.s.Save(t.Context(), "missing", "", "ann", false)
	wantCode(t, err, fault.ProjectNotFound)
}

// SPEC N-24: saving over a newer revision of another session is a conflict
// that names both, and force overrides it.
func TestSaveConflict(t *testing.T) {
	r := newRoom(t, nil)
	if _, err := r.s.Save(t.Context(), "", "", "ann", false); err != nil {
		t.Fatal(err)
	}
	other := r.session("other")
	if _, err := other.Load(t.Context(), r.project, "", "bob", false); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Execute(t.Context(), Execute{Type: "CreateNode", Data: json.RawMessage(`{"blueprint_type_id":"item"}`)}); err != nil {
		t.Fatal(err)
	}
	if s, err := other.Save(t.Context(), "", "", "bob", false); err != nil || s.Revision != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	r.create("ann", r.root)
	_, err := r.s.Save(t.Context(), "", "", "ann", false)
	wantCode(t, err, fault.Conflict)
	if d := fault.From(err).Details; len(d) != 2 {
		t.Errorf("details %v", d)
	}
	if s, err := r.s.Save(t.Context(), "", "", "ann", true); err != nil || s.Revision != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
}

// A crash between the store's put and the entry: the next save finds its own
// content there and counts it as done.
func TestSaveAfterCrashBetweenStoreAndJournal(t *testing.T) {
	r := newRoom(t, nil)
	if _, err := r.projects.Put(context.Background(), project.Saved{
		ProjectID: r.project, TemplateID: "test", Name: "Plan", Graph: json.RawMessage(r.graph()),
	}, 0); err != nil {
		t.Fatal(err)
	}
	s, err := r.s.Save(t.Context(), "", "", "ann", false)
	if err != nil || s.Revision != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
}

// SPEC N-5: save, load and create repeat by command id too.
func TestProjectCommandsRepeat(t *testing.T) {
	r := newRoom(t, nil)
	save, load, create := r.id().String(), r.id().String(), r.id().String()
	s1, err := r.s.Save(t.Context(), r.project, save, "ann", false)
	if err != nil {
		t.Fatal(err)
	}
	l1, err := r.s.Load(t.Context(), r.project, load, "ann", false)
	if err != nil {
		t.Fatal(err)
	}
	c1, err := r.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "B", CommandID: create})
	if err != nil {
		t.Fatal(err)
	}
	feed := r.tail()
	if s2, err := r.s.Save(t.Context(), r.project, save, "ann", false); err != nil || s2 != s1 {
		t.Errorf("%+v, %v", s2, err)
	}
	if l2, err := r.s.Load(t.Context(), r.project, load, "ann", false); err != nil || l2.Seq != l1.Seq {
		t.Errorf("%+v, %v", l2, err)
	}
	if c2, err := r.s.CreateProject(t.Context(), NewProject{TemplateID: "test", Name: "B", CommandID: create}); err != nil || c2.ProjectID != c1.ProjectID {
		t.Errorf("%+v, %v", c2, err)
	}
	_, err = r.s.Save(t.Context(), r.project, load, "ann", false)
	wantCode(t, err, fault.Conflict)
	if got := feed.names(); got != "" {
		t.Errorf("published %s", got)
	}
}
