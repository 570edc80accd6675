package app

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// send sends one request and returns its answer whole.
func send(t *testing.T, method, url, body string, headers map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// SPEC R-24, O-21: a key is remembered across a restart: each request sent
// again gets the first answer and changes nothing.
func TestIdempotencyAfterRestart(t *testing.T) {
	o, _ := options(t)
	o.Journal = "pebble"
	a := start(t, o)
	_, project := send(t, "POST", a.URL()+"/api/v1/projects", `{"template_id":"outline","project_name":"P"}`, map[string]string{"Idempotency-Key": "project"})
	session, id := field(project, "session_id"), field(project, "project_id")
	type call struct{ path, body, key string }
	calls := []call{
		{"/commands/execute", `{"session_id":"` + session + `","command_type":"CreateNode","data":{"blueprint_type_id":"item"}}`, "first"},
		{"/projects/" + id + "/save", `{"session_id":"` + session + `"}`, "save"},
		{"/sessions/" + session + "/undo", "", "undo"},
		{"/sessions/" + session + "/redo", "", "redo"},
	}
	all := func(a *App) []string {
		answers := make([]string, 0, len(calls))
		for _, c := range calls {
			status, text := send(t, "POST", a.URL()+"/api/v1"+c.path, c.body, map[string]string{"Idempotency-Key": c.key})
			if status != http.StatusOK {
				t.Fatalf("%s: %d %s", c.path, status, text)
			}
			answers = append(answers, text)
		}
		return answers
	}
	before := all(a)
	_, graph := get(t, a.URL()+"/api/v1/graph?session_id="+session)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	b := start(t, o)
	if diff := cmp.Diff(before, all(b)); diff != "" {
		t.Error(diff)
	}
	if _, now := get(t, b.URL()+"/api/v1/graph?session_id="+session); now != graph {
		t.Errorf("before %s\nafter  %s", graph, now)
	}
	_, again := send(t, "POST", b.URL()+"/api/v1/projects", `{"template_id":"outline","project_name":"P"}`, map[string]string{"Idempotency-Key": "project"})
	if field(again, "project_id") != id || field(again, "session_id") != session {
		t.Errorf("the project was made again: %s", again)
	}
}

// field is the string value of a key in flat JSON text.
func field(text, key string) string {
	_, rest, _ := strings.Cut(text, `"`+key+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// SPEC, O-20: a stream ends when the server stops, and goes on in
// the next one behind its last id, with nothing lost or twice.
func TestStreamAcrossRestart(t *testing.T) {
	o, _ := options(t)
	o.Journal, o.Realtime = "pebble", false
	a := start(t, o)
	_, project := post(t, a.URL()+"/api/v1/projects", `{"template_id":"outline","project_name":"P"}`)
	session := field(project, "session_id")
	node := `{"session_id":"` + session + `","command_type":"CreateNode","data":{"blueprint_type_id":"item"}}`

	ids := follow(t, a, session, "")
	place := <-ids
	var got []string
	write := func(a *App) {
		if status, text := post(t, a.URL()+"/api/v1/commands/execute", node); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	write(a)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	for id := range ids {
		got, place = append(got, id), id
	}
	b := start(t, o)
	write(b)
	back := follow(t, b, session, place)
	if first := <-back; first != place {
		t.Errorf("it stands at %s, not %s", first, place)
	}
	write(b)
	for range 4 {
		got = append(got, <-back)
	}
	epoch, _, _ := strings.Cut(place, ".")
	if diff := cmp.Diff([]string{epoch + ".2", epoch + ".3", epoch + ".4", epoch + ".5", epoch + ".6", epoch + ".7"}, got); diff != "" {
		t.Error(diff)
	}
}

// follow gives the ids of a session's stream; the channel is closed with it.
func follow(t *testing.T, a *App, session, last string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL()+"/api/v1/sessions/"+session+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				out <- id
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		resp.Body.Close()
		<-done
	})
	return out
}
