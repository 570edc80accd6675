package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// SPEC X-20: the fifteen events with the names and types of their fields.
// UPDATE_GOLDEN=1 writes the file anew; a change of it is a change of the wire.
func TestEventCatalogue(t *testing.T) {
	r := newRig(t)
	m := r.open("restomod")
	w := r.join("/graph", m.session)
	guest := r.join("/", m.session, `,"client":{"id":"g","name":"G","color":"#fff"}`)
	id := func(v map[string]any) string { return v["result"].(map[string]any)["node_id"].(string) }
	create := func(parent, kind string) string {
		return id(r.execute(m, "CreateNode", fmt.Sprintf(`{"blueprint_type_id":%q%s}`, kind, parent)))
	}
	under := func(p string) string { return fmt.Sprintf(`,"parent_id":%q`, p) }
	phase := create(under(m.root), "phase")
	job, second := create(under(phase), "job"), create(under(phase), "job")
	create("", "task") // a root
	r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"priority","value":"High"}`, job))
	r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"priority","value":"Low"}`, job))
	r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"name","value":"Engine"}`, job))
	r.execute(m, "DeleteProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"priority"}`, job))
	r.execute(m, "LinkNode", fmt.Sprintf(`{"link_type":"blocks","parent_id":%q,"child_id":%q}`, job, second))
	r.execute(m, "UnlinkNode", fmt.Sprintf(`{"link_type":"blocks","parent_id":%q,"child_id":%q}`, job, second))
	r.execute(m, "MoveNode", fmt.Sprintf(`{"node_id":%q,"parent_id":null}`, second))
	r.execute(m, "MoveNode", fmt.Sprintf(`{"node_id":%q,"parent_id":%q,"index":0}`, second, phase))
	r.execute(m, "DeleteNode", fmt.Sprintf(`{"node_id":%q}`, phase))
	session := "/api/v1/sessions/" + m.session
	r.ok("POST", session+"/undo", `{}`)
	r.ok("POST", session+"/redo", `{}`)
	r.do("POST", "/api/v1/commands/execute", fmt.Sprintf(`{"session_id":%q,"command_type":"Nope","data":{}}`, m.session))
	r.ok("POST", "/api/v1/projects/"+m.project+"/save", fmt.Sprintf(`{"session_id":%q}`, m.session))
	r.ok("POST", "/api/v1/projects/"+m.project+"/load", fmt.Sprintf(`{"session_id":%q}`, m.session))
	guest.close()
	events := w.until("session:disconnected", 1)

	seen := map[string]int{}
	fields := map[string]map[string][]string{} // event -> field -> types
	count := map[string]map[string]int{}
	for _, g := range events {
		if fields[g.Name] == nil {
			fields[g.Name], count[g.Name] = map[string][]string{}, map[string]int{}
		}
		seen[g.Name]++
		for name, v := range g.Payload {
			count[g.Name][name]++
			if k := kindOf(v); !slices.Contains(fields[g.Name][name], k) {
				fields[g.Name][name] = append(fields[g.Name][name], k)
			}
		}
	}
	var out strings.Builder
	for _, event := range sorted(fields) {
		fmt.Fprintf(&out, "%s\n", event)
		for _, name := range sorted(fields[event]) {
			types := fields[event][name]
			slices.Sort(types)
			optional := ""
			if count[event][name] < seen[event] {
				optional = "?"
			}
			fmt.Fprintf(&out, "  %s%s %s\n", name, optional, strings.Join(types, "|"))
		}
	}
	if len(fields) != 15 {
		t.Errorf("%d events, want fifteen: %v", len(fields), sorted(fields))
	}
	const file = "testdata/events.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the event catalogue changed (-file +now):\n%s", diff)
	}
	checkTimestamps(t, events)
}

// checkTimestamps: RFC 3339, UTC, milliseconds, in every payload.
func checkTimestamps(t *testing.T, events []got) {
	t.Helper()
	for _, g := range events {
		s, _ := g.Payload["timestamp"].(string)
		if len(s) != len("2006-01-02T15:04:05.000Z") || s[10] != 'T' || s[19] != '.' || s[23] != 'Z' {
			t.Errorf("%s: timestamp %q", g.Name, s)
		}
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case []any:
		return "list"
	default:
		return "object"
	}
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
