package app

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ended reports whether the other end of a pipe was closed.
func ended(t *testing.T, c net.Conn) bool {
	t.Helper()
	return errors.Is(c.SetDeadline(time.Time{}), io.ErrClosedPipe)
}

// SPEC O-20: a stop closes the connections on which nothing was ever sent, also
// one that was accepted a moment before, and no other.
func TestUnusedConns(t *testing.T) {
	var u unusedConns
	pipe := func(states ...http.ConnState) net.Conn {
		server, client := net.Pipe()
		t.Cleanup(func() { _ = server.Close(); _ = client.Close() })
		for _, state := range states {
			u.note(server, state)
		}
		return client
	}
	fresh, used, idle := pipe(http.StateNew), pipe(http.StateNew, http.StateActive), pipe(http.StateNew, http.StateActive, http.StateIdle)
	if ended(t, fresh) {
		t.Error("closed too early")
	}
	u.close()
	late, busy := pipe(http.StateNew), pipe(http.StateNew, http.StateActive)
	for name, tc := range map[string]struct {
		conn net.Conn
		want bool
	}{"new": {fresh, true}, "used": {used, false}, "idle": {idle, false}, "late": {late, true}, "late and used": {busy, true}} {
		if got := ended(t, tc.conn); got != tc.want {
			t.Errorf("%s: closed is %v", name, got)
		}
	}
}

// SPEC O-20: a client that has connected and says nothing does not hold a stop
// up: net/http would wait five seconds for it, which is past this timeout.
func TestStopWithUnusedConn(t *testing.T) {
	o, logs := options(t)
	o.ShutdownTimeout = 4 * time.Second
	a := start(t, o)
	silent, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if code, _ := get(t, a.URL()+"/healthz"); code != 200 { // the listener has taken silent before
		t.Fatal(code)
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(logs.String(), "connections were cut") {
		t.Error(logs)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

// The options of the sessions and streams reach what they are for.
func TestSessionOptions(t *testing.T) {
	o, _ := options(t)
	o.HistoryLimit, o.KeepEntries, o.SnapshotEntries, o.FeedBytes, o.IdleAfter, o.MaxStreams = 1, 2, 10, 4096, time.Millisecond, 1
	a := start(t, o)
	_, project := post(t, a.URL()+"/api/v1/projects", `{"template_id":"outline","project_name":"P"}`)
	session := field(project, "session_id")
	first := ""
	for n := range 3 {
		code, text := post(t, a.URL()+"/api/v1/commands/execute", create(session, n))
		if code != 200 {
			t.Fatalf("%d %s", code, text)
		}
		if n == 0 {
			first = text
		}
	}
	if _, text := post(t, a.URL()+"/api/v1/commands/execute", create(session, 0)); text == first {
		t.Error("KeepEntries: the third newest command is remembered")
	}
	for n, want := range []int{200, 400} {
		if code, text := post(t, a.URL()+"/api/v1/sessions/"+session+"/undo", ""); code != want {
			t.Errorf("HistoryLimit: undo %d: %d %s", n, code, text)
		}
	}
	<-follow(t, a, session, "")
	if code, _ := send(t, "GET", a.URL()+"/api/v1/sessions/"+session+"/events", "", map[string]string{"Accept": "text/event-stream"}); code != 429 {
		t.Errorf("MaxStreams: %d", code)
	}
	_, other := post(t, a.URL()+"/api/v1/sessions", "")
	for deadline := time.Now().Add(20 * time.Second); a.sessions.Loaded() != 1; time.Sleep(time.Millisecond) { // the followed one
		if time.Now().After(deadline) {
			t.Fatalf("IdleAfter: %d sessions in memory, one of them %s", a.sessions.Loaded(), other)
		}
	}
}
