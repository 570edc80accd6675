package server

import (
	"fmt"
	"strings"
	"testing"
)

// badWorld is what the bad requests refer to: a restomod project with a phase,
// a job in it and a task in that.
type badWorld struct {
	room
	phase, job, task string
}

func (r *rig) badWorld() badWorld {
	w := badWorld{room: r.open("restomod")}
	add := func(parent, kind string) string {
		v := r.execute(w.room, "CreateNode", fmt.Sprintf(`{"blueprint_type_id":%q,"parent_id":%q}`, kind, parent))
		return v["result"].(map[string]any)["node_id"].(string)
	}
	w.phase = add(w.root, "phase")
	w.job = add(w.phase, "job")
	w.task = add(w.job, "task")
	return w
}

// badRequest is one row: a request that must be refused with a status and code.
type badRequest struct {
	name    string
	method  string
	path    string
	body    string
	headers []string
	status  int
	code    string
	command bool // command:executing and command:failed are published
}

func (w badWorld) command(name, commandType, data string, status int, code string) badRequest {
	return badRequest{
		name: name, method: "POST", path: "/api/v1/commands/execute", status: status, code: code, command: true,
		body: fmt.Sprintf(`{"session_id":%q,"command_type":%q,"data":%s}`, w.session, commandType, data),
	}
}

func (w badWorld) requests() []badRequest {
	const execute = "/api/v1/commands/execute"
	wrap := func(data string) string {
		return fmt.Sprintf(`{"session_id":%q,"command_type":"CreateNode","data":%s}`, w.session, data)
	}
	good := wrap(fmt.Sprintf(`{"blueprint_type_id":"phase","parent_id":%q}`, w.root))
	deep := strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101)
	unknown := "00000000-0000-4000-8000-00000000dead"
	post := func(name, path, body string, status int, code string, headers ...string) badRequest {
		return badRequest{name: name, method: "POST", path: path, body: body, headers: headers, status: status, code: code}
	}
	get := func(name, path string, status int, code string) badRequest {
		return badRequest{name: name, method: "GET", path: path, status: status, code: code}
	}
	project := "/api/v1/projects/" + w.project
	return []badRequest{
		// bodies
		post("empty body", execute, "", 400, "INVALID_REQUEST"),
		post("blank body", execute, "  ", 400, "INVALID_REQUEST"),
		post("cut off", execute, good[:len(good)-1], 400, "INVALID_REQUEST"),
		post("text after it", execute, good+"x", 400, "INVALID_REQUEST"),
		post("two values", execute, good+good, 400, "INVALID_REQUEST"),
		post("not an object", execute, `[1]`, 400, "INVALID_REQUEST"),
		post("null", execute, `null`, 400, "INVALID_REQUEST"),
		post("deeply nested", execute, wrap(deep), 400, "INVALID_REQUEST"),
		post("deeply nested, not closed", execute, strings.Repeat("[", 100_000), 400, "INVALID_REQUEST"),
		post("oversized", execute, wrap(`{"name":"`+strings.Repeat("x", 1<<20)+`"}`), 413, "TOO_LARGE"),
		post("invalid UTF-8", execute, "{\"session_id\":\"\xff\"}", 400, "INVALID_REQUEST"),
		post("duplicate key", execute, `{"session_id":"a","session_id":"a"}`, 400, "INVALID_REQUEST"),
		post("duplicate key below", execute, wrap(`{"name":"a","na\u006de":"b"}`), 400, "INVALID_REQUEST"),
		post("text/plain", execute, good, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type: text/plain"),
		post("a form", execute, good, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type: application/x-www-form-urlencoded"),
		post("no content type", execute, good, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type: "),
		post("another charset", execute, good, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type: application/json; charset=latin1"),
		post("compressed", execute, good, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding: gzip"),
		// fields
		post("unknown field", execute, strings.Replace(good, "{", `{"seession_id":1,`, 1), 400, "INVALID_REQUEST"),
		post("field in other case", execute, strings.Replace(good, "session_id", "Session_ID", 1), 400, "INVALID_REQUEST"),
		post("session_id a number", execute, `{"session_id":1,"command_type":"X","data":{}}`, 400, "INVALID_REQUEST"),
		post("no session_id", execute, `{"command_type":"DeleteNode","data":{}}`, 400, "INVALID_REQUEST"),
		post("no command_type", execute, fmt.Sprintf(`{"session_id":%q,"data":{}}`, w.session), 400, "INVALID_REQUEST"),
		post("no data", execute, fmt.Sprintf(`{"session_id":%q,"command_type":"DeleteNode"}`, w.session), 400, "INVALID_REQUEST"),
		post("two sessions", execute, good, 400, "INVALID_REQUEST", "X-Session-ID: other"),
		post("command_id no UUID", execute, strings.Replace(good, "{", `{"command_id":"1",`, 1), 400, "INVALID_REQUEST"),
		post("expected_seq text", execute, strings.Replace(good, "{", `{"expected_seq":"1",`, 1), 400, "INVALID_REQUEST"),
		post("include what", execute+"?include=all", good, 400, "INVALID_REQUEST"),
		post("actor with a control", execute, good, 400, "INVALID_REQUEST", "X-Actor: a\tb"),
		post("actor too long", execute, good, 400, "INVALID_REQUEST", "X-Actor: "+strings.Repeat("a", 200)),
		// what does not exist
		post("unknown session", execute, strings.Replace(good, w.session, "nobody", 1), 404, "INVALID_SESSION"),
		post("session id with other characters", execute, strings.Replace(good, w.session, "a b/ü", 1), 404, "INVALID_SESSION"),
		get("unknown session's graph", "/api/v1/graph?session_id=nobody", 404, "INVALID_SESSION"),
		get("unknown session's info", "/api/v1/sessions/nobody/info", 404, "INVALID_SESSION"),
		get("unknown session's history", "/api/v1/sessions/nobody/history", 404, "INVALID_SESSION"),
		get("unknown session's events", "/api/v1/sessions/nobody/events", 404, "INVALID_SESSION"),
		get("unknown session's tree", "/api/v1/sessions/nobody/graph/tree", 404, "INVALID_SESSION"),
		{name: "delete an unknown session", method: "DELETE", path: "/api/v1/sessions/nobody", status: 404, code: "INVALID_SESSION"},
		post("undo in an unknown session", "/api/v1/sessions/nobody/undo", "", 404, "INVALID_SESSION"),
		post("project in an unknown session", "/api/v1/projects", `{"template_id":"outline","project_name":"x","session_id":"nobody"}`, 404, "INVALID_SESSION"),
		post("unknown template", "/api/v1/projects", `{"template_id":"nope","project_name":"x"}`, 404, "TEMPLATE_NOT_FOUND"),
		get("unknown template's schema", "/api/v1/templates/nope/schema", 404, "TEMPLATE_NOT_FOUND"),
		{name: "unknown project", method: "POST", path: execute, body: strings.Replace(good, "{", `{"project_id":"`+unknown+`",`, 1),
			status: 404, code: "PROJECT_NOT_FOUND", command: true},
		get("unknown saved project", "/api/v1/projects/"+unknown, 404, "PROJECT_NOT_FOUND"),
		get("project never saved", project, 404, "PROJECT_NOT_FOUND"),
		{name: "delete an unknown project", method: "DELETE", path: "/api/v1/projects/" + unknown, status: 404, code: "PROJECT_NOT_FOUND"},
		post("load an unknown project", "/api/v1/projects/"+unknown+"/load", fmt.Sprintf(`{"session_id":%q}`, w.session), 404, "PROJECT_NOT_FOUND"),
		post("save a project that is not open", "/api/v1/projects/"+unknown+"/save", fmt.Sprintf(`{"session_id":%q}`, w.session), 404, "PROJECT_NOT_FOUND"),
		get("unknown node", project+"/graph/nodes/"+unknown+"?session_id="+w.session, 404, "NODE_NOT_FOUND"),
		get("node id no UUID", project+"/graph/nodes/1?session_id="+w.session, 400, "INVALID_REQUEST"),
		get("tree under an unknown node", "/api/v1/sessions/"+w.session+"/graph/tree?root="+unknown, 404, "NODE_NOT_FOUND"),
		get("tree with an unknown field", "/api/v1/sessions/"+w.session+"/graph/tree?fields=nope", 400, "INVALID_REQUEST"),
		get("depth no number", "/api/v1/sessions/"+w.session+"/graph/tree?depth=x", 400, "INVALID_REQUEST"),
		get("limit too large", "/api/v1/sessions?limit=100000", 400, "INVALID_REQUEST"),
		get("events past the head", "/api/v1/sessions/"+w.session+"/events?after=9999", 409, "CONFLICT"),
		get("nothing there", "/api/v1/nope", 404, "NOT_FOUND"),
		{name: "another method", method: "PATCH", path: "/api/v1/graph", status: 405, code: "METHOD_NOT_ALLOWED"},
		// making things
		post("no template_id", "/api/v1/projects", `{"project_name":"x"}`, 400, "INVALID_REQUEST"),
		post("no project_name", "/api/v1/projects", `{"template_id":"outline"}`, 400, "INVALID_REQUEST"),
		post("project name too long", "/api/v1/projects", `{"template_id":"outline","project_name":"`+strings.Repeat("x", 1001)+`"}`, 400, "INVALID_REQUEST"),
		post("a malformed session id", "/api/v1/sessions", `{"session_id":"a b"}`, 400, "INVALID_REQUEST"),
		post("a session that exists", "/api/v1/sessions", fmt.Sprintf(`{"session_id":%q}`, w.session), 409, "CONFLICT"),
		post("undo with unknown scope", "/api/v1/sessions/"+w.session+"/undo", `{"scope":"world"}`, 400, "INVALID_REQUEST"),
		post("nothing to redo", "/api/v1/sessions/"+w.session+"/redo", "", 400, "NOTHING_TO_REDO"),
		// commands
		w.command("expected_seq is old", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"name","value":"x"},"expected_seq":1`, w.task), 412, "PRECONDITION_FAILED"),
		w.command("unknown command", "Explode", `{}`, 400, "INVALID_COMMAND"),
		w.command("data no object", "DeleteNode", `[]`, 400, "INVALID_COMMAND"),
		w.command("unknown field of the command", "DeleteNode", fmt.Sprintf(`{"node_id":%q,"force":true}`, w.task), 400, "INVALID_COMMAND"),
		w.command("field of the wrong type", "DeleteNode", `{"node_id":7}`, 400, "INVALID_COMMAND"),
		w.command("node that does not exist", "DeleteNode", fmt.Sprintf(`{"node_id":%q}`, unknown), 404, "NODE_NOT_FOUND"),
		w.command("unknown blueprint type", "CreateNode", fmt.Sprintf(`{"blueprint_type_id":"rocket","parent_id":%q}`, w.root), 400, "INVALID_COMMAND"),
		w.command("child the blueprint forbids", "CreateNode", fmt.Sprintf(`{"blueprint_type_id":"part","parent_id":%q}`, w.root), 400, "INVALID_COMMAND"),
		w.command("unknown property", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"wings","value":2}`, w.task), 404, "PROPERTY_NOT_FOUND"),
		w.command("property of the wrong type", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"impact","value":"high"}`, w.task), 400, "INVALID_COMMAND"),
		w.command("unknown option", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"status","value":"Sleeping"}`, w.task), 400, "INVALID_COMMAND"),
		w.command("null value", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"impact","value":null}`, w.task), 400, "INVALID_COMMAND"),
		w.command("property that is not set", "DeleteProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"impact"}`, w.task), 404, "PROPERTY_NOT_FOUND"),
		w.command("name too long", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"name","value":%q}`, w.task, strings.Repeat("x", 1001)), 400, "INVALID_COMMAND"),
		w.command("text too long", "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"notes","value":%q}`, w.task, strings.Repeat("x", 64<<10+1)), 400, "INVALID_COMMAND"),
		w.command("batch too long", "Batch", `{"commands":[`+strings.Repeat(fmt.Sprintf(`{"command_type":"DeleteNode","data":{"node_id":%q}},`, unknown), 1000)+
			fmt.Sprintf(`{"command_type":"DeleteNode","data":{"node_id":%q}}]}`, unknown), 400, "INVALID_COMMAND"),
		w.command("batch whose second fails", "Batch", fmt.Sprintf(`{"commands":[{"command_type":"DeleteNode","data":{"node_id":%q}},{"command_type":"DeleteNode","data":{"node_id":%q}}]}`,
			w.task, unknown), 404, "NODE_NOT_FOUND"),
		w.command("cycle", "MoveNode", fmt.Sprintf(`{"node_id":%q,"parent_id":%q}`, w.phase, w.task), 409, "CYCLE"),
		w.command("cycle of links", "LinkNode", fmt.Sprintf(`{"link_type":"blocks","parent_id":%q,"child_id":%q}`, w.job, w.job), 409, "CYCLE"),
		w.command("second parent", "LinkNode", fmt.Sprintf(`{"parent_id":%q,"child_id":%q}`, w.root, w.phase), 200, ""),
		w.command("second parent elsewhere", "LinkNode", fmt.Sprintf(`{"parent_id":%q,"child_id":%q}`, w.phase, w.task), 409, "HAS_PARENT"),
		w.command("link that is absent", "UnlinkNode", fmt.Sprintf(`{"parent_id":%q,"child_id":%q}`, w.root, w.task), 404, "LINK_NOT_FOUND"),
		w.command("unknown link type", "LinkNode", fmt.Sprintf(`{"link_type":"likes","parent_id":%q,"child_id":%q}`, w.job, w.task), 400, "INVALID_COMMAND"),
		w.command("node id in use", "CreateNode", fmt.Sprintf(`{"blueprint_type_id":"phase","parent_id":%q,"node_id":%q}`, w.root, w.task), 409, "DUPLICATE"),
	}
}

// SPEC: every kind of bad input is refused with its code in the
// one shape, changes nothing, is told as command:failed where it was a
// command, and leaves the server healthy.
func TestBadInput(t *testing.T) {
	for _, realtime := range []bool{true, false} {
		t.Run(fmt.Sprintf("realtime=%v", realtime), func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Realtime = realtime })
			w := r.badWorld()
			var watcher *client
			if realtime {
				watcher = r.join("/graph", w.session)
				watcher.events(1)
			}
			before := r.graph(w.room)
			failed := 0
			for _, row := range w.requests() {
				a := r.do(row.method, row.path, row.body, append(row.headers, "X-Request-ID: row-1")...)
				if row.status == 200 { // not wrong after all: the link is there already
					if a.Status != 200 {
						t.Errorf("%s: %d %s", row.name, a.Status, a.Body)
					}
					continue
				}
				if a.Status != row.status || a.code() != row.code {
					t.Errorf("%s: %d %.300s, want %d %s", row.name, a.Status, a.Body, row.status, row.code)
					continue
				}
				e, _ := a.JSON(t)["error"].(map[string]any)
				if e["message"] == "" || e["request_id"] != "row-1" || a.Header.Get("X-Request-Id") != "row-1" ||
					a.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: shape: %v %s", row.name, a.Header, a.Body)
				}
				if row.command {
					failed++
				}
			}
			if after := r.graph(w.room); after != before {
				t.Errorf("the graph changed:\n%s\n%s", before, after)
			}
			if h := r.ok("GET", "/api/v1/health", ""); h["status"] != "ok" {
				t.Errorf("health: %v", h)
			}
			if watcher == nil {
				return
			}
			r.execute(w.room, "DeleteNode", fmt.Sprintf(`{"node_id":%q}`, w.task)) // still works, and ends the stream
			count := map[string]int{}
			for _, g := range watcher.until("graph:node-deleted", 1) {
				count[g.Name]++
			}
			if count["command:failed"] != failed || count["command:executing"] != failed+2 {
				t.Errorf("%v, want %d command:failed", count, failed)
			}
		})
	}
}
