package e2e

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRESTIsTheSameWithAndWithoutTheSocketLayer(t *testing.T) {
	bothServers(t, func(t *testing.T, s *server) {
		r := newRoom(t, s, "rest", "restomod")
		health := r.want(t, http.StatusOK, "GET", "/health", nil)
		if health["status"] != "ok" || health["realtime"] != (s == shared.live) {
			t.Errorf("health = %v", health)
		}
		phase := r.create(t, object{"blueprint_type_id": "phase", "parent_id": r.root, "name": "Engine"})
		saved := r.want(t, http.StatusOK, "POST", "/projects/"+r.project+"/save", object{"session_id": "rest"})
		kept := r.graph(t)
		r.execute(t, "DeleteNode", object{"node_id": phase})
		r.want(t, http.StatusConflict, "POST", "/projects/"+r.project+"/load", object{"session_id": "rest"})
		r.want(t, http.StatusOK, "POST", "/projects/"+r.project+"/load", object{"session_id": "rest", "force": true})
		if got := r.graph(t); got != kept {
			t.Errorf("loaded graph:\n got %s\nwant %s", got, kept)
		}
		if saved["revision"] == nil {
			t.Errorf("save answered %v", saved)
		}
		for path, member := range map[string]string{
			"/templates": "templates", "/templates/restomod/schema": "node_types", "/projects": "projects", "/sessions": "sessions",
			"/projects/" + r.project: "project_id", "/sessions/rest/history": "entries", "/sessions/rest/info": "epoch",
			"/sessions/rest/graph/tree": "roots",
			"/projects/" + r.project + "/graph/nodes/" + phase + "?session_id=rest": "id",
			"/projects/" + r.project + "/validate?session_id=rest":                  "issues",
		} {
			if answer := r.want(t, http.StatusOK, "GET", path, nil); answer[member] == nil {
				t.Errorf("GET %s has no %q: %.300s", path, member, jsonText(answer))
			}
		}
		r.want(t, http.StatusNoContent, "DELETE", "/sessions/rest", nil)
		r.want(t, http.StatusNotFound, "GET", "/sessions/rest/info", nil)
	})
}

func TestBadInputIsRefusedWithItsCodeAndChangesNothing(t *testing.T) {
	bothServers(t, func(t *testing.T, s *server) {
		r := newRoom(t, s, "bad", "restomod")
		phase := r.create(t, object{"blueprint_type_id": "phase", "parent_id": r.root})
		job := r.create(t, object{"blueprint_type_id": "job", "parent_id": phase})
		before, head := r.graph(t), r.want(t, http.StatusOK, "GET", "/sessions/bad/info", nil)["seq"]
		const nobody = "11111111-2222-4333-8444-555555555555"
		command := func(kind string, data any) string {
			return jsonText(object{"session_id": "bad", "command_type": kind, "data": data})
		}
		cases := []struct {
			name, path, body string
			status           int
			code             string
		}{
			{"no body", "/commands/execute", "", 400, "INVALID_REQUEST"},
			{"no JSON", "/commands/execute", "{", 400, "INVALID_REQUEST"},
			{"two values", "/commands/execute", "{}{}", 400, "INVALID_REQUEST"},
			{"no object", "/commands/execute", "[]", 400, "INVALID_REQUEST"},
			{"deep", "/commands/execute", `{"data":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, 400, "INVALID_REQUEST"},
			{"too large", "/commands/execute", `"` + strings.Repeat("x", 1<<20) + `"`, 413, "TOO_LARGE"},
			{"unknown field", "/commands/execute", `{"session_id":"bad","command_type":"CreateNode","data":{},"nope":1}`, 400, "INVALID_REQUEST"},
			{"unknown session", "/commands/execute", `{"session_id":"nobody","command_type":"DeleteNode","data":{"node_id":"` + nobody + `"}}`, 404, "INVALID_SESSION"},
			{"malformed session", "/commands/execute", `{"session_id":"a/b","command_type":"DeleteNode","data":{}}`, 404, "INVALID_SESSION"},
			{"unknown command", "/commands/execute", command("Explode", object{}), 400, "INVALID_COMMAND"},
			{"unknown field of a command", "/commands/execute", command("DeleteNode", object{"node_id": job, "x": 1}), 400, "INVALID_COMMAND"},
			{"wrongly typed field", "/commands/execute", command("DeleteNode", object{"node_id": 7}), 400, "INVALID_COMMAND"},
			{"unknown type", "/commands/execute", command("CreateNode", object{"blueprint_type_id": "ufo", "parent_id": r.root}), 400, "INVALID_COMMAND"},
			{"forbidden child", "/commands/execute", command("CreateNode", object{"blueprint_type_id": "part", "parent_id": r.root}), 400, "INVALID_COMMAND"},
			{"unknown parent", "/commands/execute", command("CreateNode", object{"blueprint_type_id": "phase", "parent_id": nobody}), 404, "NODE_NOT_FOUND"},
			{"id in use", "/commands/execute", command("CreateNode", object{"blueprint_type_id": "phase", "parent_id": r.root, "node_id": job}), 409, "DUPLICATE"},
			{"unknown node", "/commands/execute", command("DeleteNode", object{"node_id": nobody}), 404, "NODE_NOT_FOUND"},
			{"unknown property", "/commands/execute", command("UpdateProperty", object{"node_id": job, "property_id": "nope", "value": 1}), 404, "PROPERTY_NOT_FOUND"},
			{"wrong type of value", "/commands/execute", command("UpdateProperty", object{"node_id": phase, "property_id": "budget", "value": "much"}), 400, "INVALID_COMMAND"},
			{"unknown option", "/commands/execute", command("UpdateProperty", object{"node_id": phase, "property_id": "status", "value": "Later"}), 400, "INVALID_COMMAND"},
			{"unset property", "/commands/execute", command("DeleteProperty", object{"node_id": phase, "property_id": "budget"}), 404, "PROPERTY_NOT_FOUND"},
			{"long name", "/commands/execute", command("UpdateProperty", object{"node_id": phase, "property_id": "name", "value": strings.Repeat("n", 1001)}), 400, "INVALID_COMMAND"},
			{"a cycle of blocks", "/commands/execute", command("LinkNode", object{"parent_id": job, "child_id": job, "link_type": "blocks"}), 409, "CYCLE"},
			{"a second parent", "/commands/execute", command("LinkNode", object{"parent_id": r.root, "child_id": phase}), 200, ""}, // already there
			{"absent link", "/commands/execute", command("UnlinkNode", object{"parent_id": job, "child_id": job, "link_type": "blocks"}), 404, "LINK_NOT_FOUND"},
			{"a batch with one bad part", "/commands/execute", command("Batch", object{"commands": []object{
				{"command_type": "DeleteNode", "data": object{"node_id": job}}, {"command_type": "DeleteNode", "data": object{"node_id": nobody}}}}), 404, "NODE_NOT_FOUND"},
			{"unknown template", "/projects", `{"template_id":"nope","project_name":"x","session_id":"bad"}`, 404, "TEMPLATE_NOT_FOUND"},
			{"unknown project", "/projects/" + nobody + "/save", `{"session_id":"bad"}`, 404, "PROJECT_NOT_FOUND"},
			{"nothing to redo", "/sessions/bad/redo", `{}`, 400, "NOTHING_TO_REDO"},
			{"unknown scope", "/sessions/bad/undo", `{"scope":"world"}`, 400, "INVALID_REQUEST"},
			{"unknown route", "/nowhere", `{}`, 404, "NOT_FOUND"},
			{"unknown method", "/health", `{}`, 405, "METHOD_NOT_ALLOWED"},
		}
		for _, c := range cases {
			status, answer := r.raw(t, c.path, "application/json", c.body)
			if c.code == "" {
				continue
			}
			e, _ := answer["error"].(object)
			if status != c.status || e["code"] != c.code || e["message"] == "" || e["request_id"] == nil {
				t.Errorf("%s: %d %.300s, want %d %s", c.name, status, jsonText(answer), c.status, c.code)
			}
		}
		if status, answer := r.raw(t, "/commands/execute", "text/plain", command("DeleteNode", object{"node_id": job})); status != http.StatusUnsupportedMediaType {
			t.Errorf("another content type: %d %v", status, answer)
		}
		if got := r.graph(t); got != before {
			t.Errorf("the graph changed:\n got %s\nwant %s", got, before)
		}
		after := r.want(t, http.StatusOK, "GET", "/sessions/bad/info", nil)["seq"].(float64)
		if after != head.(float64)+1 { // the link that was already there
			t.Errorf("seq went from %v to %v", head, after)
		}
	})
}

// raw posts a body as it is.
func (r rest) raw(t *testing.T, path, contentType, body string) (int, object) {
	t.Helper()
	answer, err := r.client.Post(r.base+path, contentType, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, payload(line{Args: append(line{}.Args, text)})
}

func TestWithoutTheSocketLayerThereIsNone(t *testing.T) {
	status, text, err := rest{base: shared.quiet.url, client: http.DefaultClient}.send("GET", "/socket.io/?EIO=4&transport=polling", nil)
	if err != nil || status != http.StatusNotFound {
		t.Errorf("GET /socket.io/ answered %d %s %v", status, text, err)
	}
}

func TestForeignWebPagesAreRefused(t *testing.T) {
	for _, path := range []string{"/api/v1/health", "/socket.io/?EIO=4&transport=polling"} {
		for header, value := range map[string]string{"Origin": "https://evil.example", "Host": "evil.example"} {
			request, err := http.NewRequest("GET", shared.live.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(header, value)
			if header == "Host" {
				request.Host = value
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode < 400 {
				t.Errorf("GET %s with %s %s answered %s", path, header, value, answer.Status)
			}
		}
	}
}
