package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// SPEC R-26: expected_seq and If-Match refuse a command when a node that it
// touches has changed since; a deletion touches the whole subtree.
func TestPrecondition(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	top := r.create(m, m.root, "top")
	under := r.create(m, top, "under")
	beside := r.create(m, m.root, "beside")
	read := func() (tag string, seq float64) {
		a := r.do("GET", "/api/v1/graph?session_id="+m.session, "")
		return a.Header.Get("ETag"), a.JSON(t)["seq"].(float64)
	}
	body := func(commandType, data, more string) string {
		return fmt.Sprintf(`{"session_id":%q,"command_type":%q,"data":%s%s}`, m.session, commandType, data, more)
	}
	del := fmt.Sprintf(`{"node_id":%q}`, top)
	write := func(node, value string) {
		r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":%q}`, node, value))
	}
	known, seq := read()
	write(under, "changed")
	now, head := read()
	for name, a := range map[string]reply{
		"expected_seq":          r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, fmt.Sprintf(`,"expected_seq":%v`, seq))),
		"If-Match":              r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+known),
		"both":                  r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, fmt.Sprintf(`,"expected_seq":%v`, seq)), "If-Match: "+known),
		"with project_id":       r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, fmt.Sprintf(`,"project_id":%q`, m.project)), "If-Match: W/"+known),
		"the node itself":       r.do("POST", "/api/v1/commands/execute", body("UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"mine"}`, under), ""), "If-Match: "+known),
		"another epoch":         r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+strings.Replace(now, now[1:9], "00000000", 1)),
		"another project":       r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+strings.Replace(now, m.project, top, 1)),
		"a seq past the head":   r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+strings.Replace(now, fmt.Sprintf(".%v\"", head), ".99\"", 1)),
		"no tag of this server": r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), `If-Match: "abc", xyz, "`),
	} {
		want := fmt.Sprintf(`"details":[{"location":"current_seq","message":"%v"}]`, head)
		if a.Status != 412 || a.code() != "PRECONDITION_FAILED" || !strings.Contains(a.Body, want) || a.Header.Get("ETag") != now {
			t.Errorf("%s: %d %s, ETag %s, not %s", name, a.Status, a.Body, a.Header.Get("ETag"), now)
		}
	}
	if a := r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, `,"expected_seq":1`), "If-Match: "+now); a.code() != "INVALID_REQUEST" {
		t.Errorf("two different ones: %v", a)
	}
	if a := r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, `,"project_id":"none"`), "If-Match: "+now); a.code() != "PROJECT_NOT_FOUND" {
		t.Errorf("an unknown project: %v", a)
	}
	write(beside, "elsewhere") // not touched by the deletion
	for _, list := range []bool{false, true} {
		header := "*"
		if now, _ = read(); list {
			header = `"other.x.1", ` + known + ", " + now
		}
		if a := r.do("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+header); a.Status != 200 {
			t.Errorf("%s: %v", header, a)
		}
		r.ok("POST", "/api/v1/sessions/"+m.session+"/undo", "")
	}
	now, _ = read()
	const key = "Idempotency-Key: once"
	first := r.ok("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+now, key)
	again := r.ok("POST", "/api/v1/commands/execute", body("DeleteNode", del, ""), "If-Match: "+now, key)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("sent again: %s", diff)
	}
}

// SPEC R-25: cleanup deletes what nobody needs, and says what.
func TestCleanup(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"empty-1", "empty-2", "visited"} {
		r.ok("POST", "/api/v1/sessions", fmt.Sprintf(`{"session_id":%q}`, id))
	}
	r.join("/graph", "visited").events(1)
	unsaved, saved := r.open("outline"), r.open("outline")
	r.ok("POST", "/api/v1/projects/"+saved.project+"/save", fmt.Sprintf(`{"session_id":%q}`, saved.session))
	for _, body := range []string{"", "{}", `{"idle_seconds":86400}`, `{"idle_seconds":null}`} {
		if v := r.ok("POST", "/api/v1/sessions/cleanup", body); len(v["removed"].([]any)) != 0 {
			t.Errorf("%s: %v", body, v)
		}
	}
	for _, body := range []string{`{"idle_seconds":-1}`, `{"idle_seconds":"1"}`, `{"idle_seconds":1e30}`, `{"idle_seconds":18446744073709551615}`, `{"idle":0}`, `[]`} {
		if a := r.do("POST", "/api/v1/sessions/cleanup", body); a.code() != "INVALID_REQUEST" {
			t.Errorf("%s: %v", body, a)
		}
	}
	removed := map[any]bool{}
	for _, id := range r.ok("POST", "/api/v1/sessions/cleanup", `{"idle_seconds":0}`)["removed"].([]any) {
		removed[id] = true
	}
	if diff := cmp.Diff(map[any]bool{"empty-1": true, "empty-2": true, saved.session: true}, removed); diff != "" {
		t.Error(diff)
	}
	r.graph(unsaved)
	if a := r.do("GET", "/api/v1/sessions/"+saved.session+"/info", ""); a.code() != "INVALID_SESSION" {
		t.Errorf("%v", a)
	}
	if v := r.ok("GET", "/api/v1/projects/"+saved.project, ""); v["revision"] != 1.0 {
		t.Errorf("the saved project: %v", v)
	}
	if again := r.ok("POST", "/api/v1/sessions/cleanup", `{"idle_seconds":0}`)["removed"]; len(again.([]any)) != 0 {
		t.Errorf("again: %v", again)
	}
}
