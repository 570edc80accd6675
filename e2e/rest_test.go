package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"testing"
)

// object is any JSON object.
type object = map[string]any

// rest drives one server's REST API.
type rest struct {
	base   string
	client *http.Client
}

func (s *server) rest() rest { return rest{base: s.url + "/api/v1", client: s.web} }

// send does a request and returns the status and the body. A nil body sends
// none.
func (r rest) send(method, path string, body any) (int, []byte, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, r.base+path, reader)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// want does a request that has to be answered with the status, and returns
// the answer's object.
func (r rest) want(t *testing.T, status int, method, path string, body any) object {
	t.Helper()
	got, text, err := r.send(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Fatalf("%s %s answered %d, want %d: %s", method, path, got, status, text)
	}
	var out object
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return out
}

// room is a session with one project in it.
type room struct {
	rest
	session string
	project string
	root    string // the id of the project's root node
}

// newRoom opens the session with a project of the template.
func newRoom(t *testing.T, s *server, session, template string) room {
	t.Helper()
	r := s.rest()
	if status, text, err := r.send("POST", "/sessions", object{"session_id": session}); err != nil || status != http.StatusCreated && status != http.StatusConflict {
		t.Fatalf("POST /sessions: %d %s %v", status, text, err)
	}
	made := r.want(t, http.StatusCreated, "POST", "/projects", object{"template_id": template, "project_name": "P", "session_id": session})
	graph := made["graph"].(object)
	return room{rest: r, session: session, project: made["project_id"].(string), root: graph["roots"].([]any)[0].(object)["id"].(string)}
}

// execute runs a command that has to succeed and returns its receipt.
func (r room) execute(t *testing.T, command string, data object) object {
	t.Helper()
	return r.want(t, http.StatusOK, "POST", "/commands/execute", object{"session_id": r.session, "command_type": command, "data": data})
}

// create makes a node and returns its id.
func (r room) create(t *testing.T, data object) string {
	t.Helper()
	return r.execute(t, "CreateNode", data)["result"].(object)["node_id"].(string)
}

var seqOfGraph = regexp.MustCompile(`"seq":\d+,?`)

// graph is GET /graph byte for byte, less the seq, which every command raises.
func (r room) graph(t *testing.T) string {
	t.Helper()
	status, text, err := r.send("GET", "/graph?session_id="+r.session, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET /graph: %d %s %v", status, text, err)
	}
	return seqOfGraph.ReplaceAllString(string(text), "")
}

// recorded is one numbered event as the journal or a client has it.
type recorded struct {
	Event string          `json:"event"`
	Seq   uint64          `json:"seq"`
	Data  json.RawMessage `json:"data"`
}

// journal reads all numbered events of a session, page by page.
func (r rest) journal(t *testing.T, session string) []recorded {
	t.Helper()
	var all []recorded
	for {
		after := uint64(0)
		if len(all) > 0 {
			after = all[len(all)-1].Seq
		}
		status, text, err := r.send("GET", "/sessions/"+session+"/events?limit=1000&after="+jsonText(after), nil)
		if err != nil || status != http.StatusOK {
			t.Fatalf("GET events: %d %s %v", status, text, err)
		}
		var page struct{ Events []recorded }
		if err := json.Unmarshal(text, &page); err != nil {
			t.Fatalf("GET events: %v", err)
		}
		if len(page.Events) == 0 {
			return all
		}
		all = append(all, page.Events...)
	}
}

// jsonText is v as compact JSON with sorted keys, so that equal values are
// equal texts.
func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// canonical gives equal texts for equal JSON.
func canonical(raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err.Error()
	}
	return jsonText(v)
}
