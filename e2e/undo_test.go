package e2e

import (
	"net/http"
	"testing"
)

// bothServers runs a test against the server with the socket layer and the one
// without: REST must not show the difference.
func bothServers(t *testing.T, test func(t *testing.T, s *server)) {
	t.Run("realtime", func(t *testing.T) { test(t, shared.live) })
	t.Run("realtime=false", func(t *testing.T) { test(t, shared.quiet) })
}

// step is one command and what it does with ids made before it.
type step struct {
	name    string
	command string
	data    func(ids map[string]string) object
	as      string // keeps result.node_id under this name
}

// everyCommand is a history that holds every kind of command and every shape
// of change: creates at a place, moves, links of both kinds, a deep delete.
func everyCommand() []step {
	item := func(name, parent, as string, extra object) step {
		return step{"create " + name, "CreateNode", func(ids map[string]string) object {
			data := object{"blueprint_type_id": name, "parent_id": ids[parent]}
			for key, value := range extra {
				data[key] = value
			}
			return data
		}, as}
	}
	on := func(name, command, node string, extra object) step {
		return step{name, command, func(ids map[string]string) object {
			data := object{"node_id": ids[node]}
			for key, value := range extra {
				data[key] = value
			}
			return data
		}, ""}
	}
	link := func(name, command, parent, child string, extra object) step {
		return step{name, command, func(ids map[string]string) object {
			data := object{"parent_id": ids[parent], "child_id": ids[child]}
			for key, value := range extra {
				data[key] = value
			}
			return data
		}, ""}
	}
	return []step{
		item("phase", "root", "phase", object{"name": "Body"}),
		item("phase", "root", "second", object{"index": 0}),
		item("job", "phase", "job", object{"properties": object{"priority": "High", "description": "weld"}}),
		item("job", "phase", "other", nil),
		item("task", "job", "task", object{"properties": object{"cost": 12.5}}),
		item("part", "task", "part", nil),
		on("set a property", "UpdateProperty", "phase", object{"property_id": "status", "value": "Completed"}),
		on("rename", "UpdateProperty", "phase", object{"property_id": "name", "value": "Body work"}),
		on("unset a property", "DeleteProperty", "job", object{"property_id": "description"}),
		on("set several", "SetProperties", "task", object{"properties": object{"notes": "slow", "effort": 3}}),
		link("link", "LinkNode", "job", "other", object{"link_type": "blocks"}),
		link("reorder", "LinkNode", "phase", "other", object{"index": 0}),
		link("reparent", "LinkNode", "second", "other", object{"move": true}),
		link("unlink", "UnlinkNode", "job", "other", object{"link_type": "blocks"}),
		link("make a root", "UnlinkNode", "second", "other", nil),
		{"move", "MoveNode", func(ids map[string]string) object {
			return object{"node_id": ids["other"], "parent_id": ids["phase"], "before": ids["job"]}
		}, ""},
		link("link again", "LinkNode", "other", "task", object{"link_type": "blocks"}),
		{"duplicate", "DuplicateNode", func(ids map[string]string) object { return object{"node_id": ids["job"]} }, ""},
		{"batch", "Batch", func(ids map[string]string) object {
			return object{"label": "two", "commands": []object{
				{"command_type": "UpdateProperty", "data": object{"node_id": ids["part"], "property_id": "quantity", "value": 4}},
				{"command_type": "CreateNode", "data": object{"blueprint_type_id": "part", "parent_id": ids["task"], "index": 0}},
			}}
		}, ""},
		on("delete a subtree", "DeleteNode", "job", nil),
		on("delete the rest", "DeleteNode", "phase", nil),
	}
}

func TestUndoAndRedoOfEveryCommandGiveTheSameBytes(t *testing.T) {
	bothServers(t, func(t *testing.T, s *server) {
		r := newRoom(t, s, "undo", "restomod")
		ids := map[string]string{"root": r.root}
		states := []string{r.graph(t)}
		undo := func() object { return r.want(t, http.StatusOK, "POST", "/sessions/undo/undo", nil) }
		redo := func() object { return r.want(t, http.StatusOK, "POST", "/sessions/undo/redo", nil) }
		for _, step := range everyCommand() {
			receipt := r.execute(t, step.command, step.data(ids))
			if step.as != "" {
				ids[step.as] = receipt["result"].(object)["node_id"].(string)
			}
			before, after := states[len(states)-1], r.graph(t)
			if before == after {
				t.Fatalf("%s changed nothing", step.name)
			}
			undo()
			if got := r.graph(t); got != before {
				t.Fatalf("undo of %q:\n got %s\nwant %s", step.name, got, before)
			}
			redo()
			if got := r.graph(t); got != after {
				t.Fatalf("redo of %q:\n got %s\nwant %s", step.name, got, after)
			}
			states = append(states, after)
		}
		for i := len(states) - 2; i >= 0; i-- {
			undo()
			if got := r.graph(t); got != states[i] {
				t.Fatalf("after all, undo to state %d:\n got %s\nwant %s", i, got, states[i])
			}
		}
		r.want(t, http.StatusBadRequest, "POST", "/sessions/undo/undo", nil)
		for i := 1; i < len(states); i++ {
			redo()
			if got := r.graph(t); got != states[i] {
				t.Fatalf("after all, redo to state %d:\n got %s\nwant %s", i, got, states[i])
			}
		}
		r.want(t, http.StatusBadRequest, "POST", "/sessions/undo/redo", nil)
	})
}
