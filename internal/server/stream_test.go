package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/session"
)

// follower reads one event stream as a browser's EventSource would.
type follower struct {
	t      *testing.T
	resp   *http.Response
	mu     sync.Mutex
	cond   *sync.Cond
	got    []told
	lastID string
	keeps  int // comments
	ended  bool
}

type told struct {
	ID, Name string
	Data     map[string]any
}

// follow opens a stream of the session and reads it until its end.
func (r *rig) follow(sessionID, query string, headers ...string) *follower {
	r.t.Helper()
	req, err := http.NewRequest("GET", r.http.URL+"/api/v1/sessions/"+sessionID+"/events"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := r.http.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	f := &follower{t: r.t, resp: resp}
	f.cond = sync.NewCond(&f.mu)
	go f.read(resp.Body)
	r.t.Cleanup(f.close)
	f.wait("the stream says where it stands", func() bool { return f.lastID != "" })
	return f
}

func (f *follower) close() { f.resp.Body.Close() }

// read parses as the HTML standard says.
func (f *follower) read(body io.Reader) {
	in := bufio.NewReaderSize(body, 1<<20)
	var e told
	var data []string
	id, hasID := "", false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		f.mu.Lock()
		switch {
		case line == "":
			if hasID {
				f.lastID, e.ID = id, id
			}
			if len(data) > 0 {
				if err := json.Unmarshal([]byte(strings.Join(data, "\n")), &e.Data); err != nil {
					f.t.Errorf("data of %s: %v", e.Name, err)
				}
				f.got = append(f.got, e)
			}
			e, data, hasID = told{}, nil, false
		case strings.HasPrefix(line, ":"):
			f.keeps++
		case name == "id":
			id, hasID = value, true
		case name == "event":
			e.Name = value
		case name == "data":
			data = append(data, value)
		case name != "retry":
			f.t.Errorf("line %q", line)
		}
		f.cond.Broadcast()
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.cond.Broadcast()
}

func (f *follower) wait(what string, cond func() bool) {
	f.t.Helper()
	deadline := time.Now().Add(patience)
	timer := time.AfterFunc(patience, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cond.Broadcast()
	})
	defer timer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !cond() {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited in vain until %s; ended: %v; %d events", what, f.ended, len(f.got))
		}
		f.cond.Wait()
	}
}

// through waits for the event of that seq and returns all that came.
func (f *follower) through(seq uint64) []told {
	f.t.Helper()
	f.wait(fmt.Sprintf("seq %d has come", seq), func() bool { return len(f.got) > 0 && f.got[len(f.got)-1].seq() >= seq })
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *follower) end() []told {
	f.t.Helper()
	f.wait("the stream has ended", func() bool { return f.ended })
	return f.got
}

func (e told) seq() uint64 {
	n, _ := e.Data["seq"].(float64)
	return uint64(n)
}

func seqs(list []told) []uint64 {
	out := []uint64{}
	for _, e := range list {
		if e.seq() > 0 {
			out = append(out, e.seq())
		}
	}
	return out
}

// upTo is first, first+1 … last.
func upTo(first, last uint64) []uint64 {
	out := []uint64{}
	for ; first <= last; first++ {
		out = append(out, first)
	}
	return out
}

func (r *rig) epoch(m room) string {
	r.t.Helper()
	return r.ok("GET", "/api/v1/sessions/"+m.session+"/info", "")["epoch"].(string)
}

// SPEC: a stream gives what happens from now on: numbered events
// with an id, hints and failures without one; the same events as the JSON page.
func TestStream(t *testing.T) {
	for _, realtime := range []bool{true, false} {
		r := newRig(t, func(c *Config) { c.Realtime = realtime })
		m := r.open("outline")
		f := r.follow(m.session, "")
		if h := f.resp.Header; h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" ||
			!slices.Contains(h.Values("Vary"), "Accept") || h.Get("X-Request-ID") == "" {
			t.Errorf("headers: %v", h)
		}
		epoch := r.epoch(m)
		if f.lastID != epoch+".1" {
			t.Errorf("it stands at %s", f.lastID)
		}
		r.create(m, m.root, "A")
		if got := r.do("POST", "/api/v1/commands/execute", fmt.Sprintf(`{"session_id":%q,"command_type":"DeleteNode","data":{"node_id":%q}}`,
			m.session, "00000000-0000-4000-8000-000000000000")); got.code() != "NODE_NOT_FOUND" {
			t.Fatalf("%v", got)
		}
		r.ok("POST", "/api/v1/sessions/"+m.session+"/undo", "")
		list := f.through(5)
		var what []string
		for _, e := range list {
			id := ""
			if e.ID != "" {
				id = " " + strings.TrimPrefix(e.ID, epoch+".")
			}
			what = append(what, e.Name+id)
		}
		if diff := cmp.Diff([]string{"command:executing", "graph:node-created 2", "command:executed 3", "command:executing", "command:failed",
			"graph:node-deleted 4", "command:undo 5"}, what); diff != "" {
			t.Error(diff)
		}
		var fromStream, fromPage []any
		for _, e := range list {
			if e.seq() > 0 {
				fromStream = append(fromStream, e.Data)
			}
		}
		for _, e := range r.ok("GET", "/api/v1/sessions/"+m.session+"/events?after=1&epoch="+epoch, "")["events"].([]any) {
			fromPage = append(fromPage, e.(map[string]any)["data"])
		}
		if diff := cmp.Diff(fromPage, fromStream); diff != "" {
			t.Error(diff)
		}
		if h := r.ok("GET", "/api/v1/health", ""); h["streams"] != 1.0 {
			t.Errorf("health: %v", h)
		}
	}
}

// SPEC R-19: a page is JSON unless the stream is asked for; a refusal is JSON always.
func TestStreamIsAskedFor(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	path := "/api/v1/sessions/" + m.session + "/events"
	for _, accept := range []string{"", "*/*", "application/json", "text/event-stream;q=0", "text/event-stream;q=0.5, application/json"} {
		if got := r.do("GET", path, "", "Accept: "+accept); got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("Accept %q: %v", accept, got)
		}
	}
	for accept, want := range map[string]bool{"text/event-stream": true, "text/html, Text/Event-Stream;q=0.9": true,
		"application/json;q=0.5, text/event-stream;q=0.5": true, "text/event-stream;q=x": false, ";": false} {
		if got := wantsStream(accept); got != want {
			t.Errorf("Accept %q: %v", accept, got)
		}
	}
	const sse = "Accept: text/event-stream"
	for path, code := range map[string]string{
		"/api/v1/sessions/none/events": "INVALID_SESSION", path + "?after=x": "INVALID_REQUEST", path + "?snapshot=7": "INVALID_REQUEST",
	} {
		if got := r.do("GET", path, "", sse); got.code() != code || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := r.do("HEAD", path, "", sse); got.Status != 200 || got.Header.Get("Content-Type") != "text/event-stream" || got.Body != "" {
		t.Errorf("HEAD: %v", got)
	}
	if got := r.do("GET", path+"?epoch=other", ""); got.code() != "CONFLICT" {
		t.Errorf("a page of another epoch: %v", got)
	}
}

// SPEC R-21: Last-Event-ID, or after with epoch, brings exactly what was
// missed; where that is not possible, or on request, the state comes first.
func TestStreamResumes(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	epoch := r.epoch(m)
	for i := range 5 {
		r.create(m, m.root, fmt.Sprint(i)) // 2 to 11
	}
	for name, tc := range map[string]struct {
		query   string
		headers []string
		first   uint64 // of the replay; 0: the state
	}{
		"last event id":          {"", []string{"Last-Event-ID: " + eventID(epoch, 4)}, 5},
		"of the head":            {"", []string{"Last-Event-ID: " + eventID(epoch, 11)}, 12},
		"after and epoch":        {"?after=3&epoch=" + epoch, nil, 4},
		"after":                  {"?after=9", nil, 10},
		"from the start":         {"?after=0&snapshot=true", nil, 1},
		"header before query":    {"?after=1", []string{"Last-Event-ID: " + eventID(epoch, 8)}, 9},
		"another epoch":          {"", []string{"Last-Event-ID: " + eventID("other", 4)}, 0},
		"another epoch in query": {"?after=4&epoch=other", nil, 0},
		"past the head":          {"", []string{"Last-Event-ID: " + eventID(epoch, 12)}, 0},
		"past the head in query": {"?after=12", nil, 0},
		"no id of ours":          {"", []string{"Last-Event-ID: 7"}, 0},
		"no number":              {"", []string{"Last-Event-ID: " + epoch + ".x"}, 0},
		"snapshot":               {"?snapshot=true", nil, 0},
	} {
		f := r.follow(m.session, tc.query, tc.headers...)
		if tc.first == 0 {
			f.wait("the state has come", func() bool { return len(f.got) == 1 })
			if e := f.got[0]; e.Name != "project:loaded" || e.ID != "" || e.seq() != 0 || e.Data["head_seq"] != 11.0 || e.Data["graph"] == nil || f.lastID != eventID(epoch, 11) {
				t.Errorf("%s: %v, then %s", name, e, f.lastID)
			}
		} else if tc.first <= 11 {
			if diff := cmp.Diff(upTo(tc.first, 11), seqs(f.through(11))); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		defer func() { // all go on alike
			if got := seqs(f.through(13)); got[len(got)-1] != 13 || got[len(got)-2] != 12 {
				t.Errorf("%s goes on with %v", name, got)
			}
		}()
	}
	r.create(m, m.root, "last")
}

// SPEC R-21: what is no longer kept is replaced by the state.
func TestStreamAfterTrim(t *testing.T) {
	r := newRigOver(t, session.Config{KeepEntries: 5, SnapshotEntries: 5, SnapshotMinBytes: 1})
	m := r.open("outline")
	info := func() map[string]any { return r.ok("GET", "/api/v1/sessions/"+m.session+"/info", "") }
	for info()["first_seq"].(float64) < 4 {
		r.create(m, m.root, "x")
	}
	head := uint64(info()["seq"].(float64))
	f := r.follow(m.session, "?after=1")
	f.wait("the state has come", func() bool { return len(f.got) == 1 })
	if e := f.got[0]; e.Name != "project:loaded" || e.Data["head_seq"] != float64(head) {
		t.Errorf("%v", e)
	}
	if got := r.do("GET", "/api/v1/sessions/"+m.session+"/events?after=1", ""); got.code() != "CONFLICT" {
		t.Errorf("the page: %v", got)
	}
}

// SPEC R-20: followers that come while four write get every event after their
// place once, in order, and nothing of another session.
func TestStreamJoinsExactly(t *testing.T) {
	r := newRig(t)
	m, other := r.open("outline"), r.open("outline")
	const writers, each = 4, 25
	last := uint64(1 + 2*writers*each)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				r.create(m, m.root, fmt.Sprint(i))
			}
		})
	}
	wg.Go(func() { r.create(other, other.root, "elsewhere") })
	var all []*follower
	for i := range 8 {
		all = append(all, r.follow(m.session, []string{"", "?after=0", "?snapshot=true"}[i%3]))
	}
	wg.Wait()
	for i, f := range all {
		list := f.through(last)
		got := seqs(list)
		if diff := cmp.Diff(upTo(got[0], last), got); diff != "" || (i%3 == 1 && got[0] != 1) {
			t.Errorf("follower %d: %s", i, diff)
		}
		if i%3 == 2 && list[0].Data["head_seq"] != float64(got[0]-1) {
			t.Errorf("the state of %v is followed by %d", list[0].Data["head_seq"], got[0])
		}
		for _, e := range list {
			if e.Data["session_id"] != m.session {
				t.Fatalf("%v", e)
			}
		}
	}
}

// gate is an answer that takes nothing until it is opened.
type gate struct {
	*httptest.ResponseRecorder
	mu      sync.Mutex
	open    chan struct{}
	reached chan struct{} // closed by the first write
	once    sync.Once
}

func newGate() *gate {
	return &gate{ResponseRecorder: httptest.NewRecorder(), open: make(chan struct{}), reached: make(chan struct{})}
}

func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ResponseRecorder.Write(p)
}

func (g *gate) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.Body.String()
}

// SPEC R-22: what left memory before a slow reader came to it is read from the
// journal; nothing numbered is lost, and it holds nobody up.
func TestStreamSlowReader(t *testing.T) {
	r := newRigOver(t, session.Config{FeedBytes: 4096})
	m := r.open("outline")
	g := newGate()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/api/v1/sessions/"+m.session+"/events", nil)
	req.Header.Set("Accept", "text/event-stream")
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.srv.ServeHTTP(g, req)
	}()
	<-g.reached
	big := strings.Repeat("x", 60_000)
	node := r.create(m, m.root, "n")
	for range 4 {
		r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":%q}`, node, big))
		r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"small"}`, node))
	}
	for range 100 {
		r.create(m, m.root, "more")
	}
	head := uint64(1 + 2*(1+8+100))
	close(g.open)
	quick := r.follow(m.session, "?after=0")
	quick.through(head)
	r.create(m, m.root, "live again")
	f := &follower{t: t}
	f.cond = sync.NewCond(&f.mu)
	poll(t, "the slow reader has all", func() bool {
		return strings.Contains(g.text(), fmt.Sprintf("\nevent: command:executed\ndata: {\"session_id\":%q,", m.session)) && strings.Contains(g.text(), fmt.Sprintf(".%d\n", head+2))
	})
	cancel()
	<-done
	f.read(strings.NewReader(g.text()))
	if diff := cmp.Diff(upTo(2, head+2), seqs(f.got)); diff != "" {
		t.Error(diff)
	}
}

// poll waits for a condition that nothing announces.
func poll(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// SPEC R-20: events that are in the journal and were never published (an append
// whose outcome was unknown) are sent before what comes behind them.
func TestStreamFillsGaps(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	r.create(m, m.root, "A")
	sess, err := r.sessions.Get(t.Context(), m.session)
	if err != nil {
		t.Fatal(err)
	}
	feed, release, joined, err := follow(t.Context(), sess, session.JoinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	rec := httptest.NewRecorder()
	st := &stream{sess: sess, feed: feed, epoch: joined.Epoch, at: position{cursor: joined.Cursor, seq: 1}, out: newEventWriter(rec),
		stopping: t.Context(), keepAlive: patience}
	r.create(m, m.root, "B")
	if caughtUp, err := st.fill(t.Context()); err != nil || !caughtUp || st.out.flush() != nil {
		t.Fatal(caughtUp, err)
	}
	f := &follower{t: t}
	f.cond = sync.NewCond(&f.mu)
	f.read(rec.Body)
	if diff := cmp.Diff([]uint64{2, 3, 4, 5}, seqs(f.got)); diff != "" {
		t.Error(diff)
	}
	st.at.seq = 1
	if err := st.replay(t.Context(), 7); err == nil {
		t.Error("a journal that ends too early went unnoticed")
	}
}

// SPEC R-20: silence is broken by comments.
func TestStreamKeepAlive(t *testing.T) {
	r := newRig(t, func(c *Config) { c.KeepAlive = time.Millisecond })
	m := r.open("outline")
	f := r.follow(m.session, "")
	f.wait("three signs of life", func() bool { return f.keeps >= 3 })
	r.create(m, m.root, "A")
	f.through(3)
}

// SPEC R-23: the streams of a deleted session end with session:disconnected.
func TestStreamOfDeletedSession(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	f, c := r.follow(m.session, "", "X-Request-ID: follower-1"), r.join("/graph", m.session)
	r.create(m, m.root, "A")
	r.ok("DELETE", "/api/v1/sessions/"+m.session, "")
	c.wait("the socket is told", func() bool { return c.ended })
	list := f.end()
	last := list[len(list)-1]
	if last.Name != "session:disconnected" || last.Data["reason"] != "session-deleted" || last.Data["client_id"] != "follower-1" ||
		last.Data["head_seq"] != 3.0 || last.ID != "" {
		t.Errorf("%v", last)
	}
	if diff := cmp.Diff([]uint64{2, 3}, seqs(list)); diff != "" {
		t.Error(diff)
	}
	if got := r.do("GET", "/api/v1/sessions/"+m.session+"/events", "", "Accept: text/event-stream"); got.code() != "INVALID_SESSION" {
		t.Errorf("%v", got)
	}
	r.ok("POST", "/api/v1/sessions", fmt.Sprintf(`{"session_id":%q}`, m.session))
	again := r.follow(m.session, "", "Last-Event-ID: "+f.lastID)
	if again.lastID == f.lastID {
		t.Error("the new session has the epoch of the old one")
	}
}

// SPEC O-20, R-23: a stop sends what was published and ends the streams; one
// whose client does not read does not hold it up.
func TestStreamsDrain(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	node := r.create(m, m.root, "A")
	f := r.follow(m.session, "?after=0")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /api/v1/sessions/%s/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", m.session); err != nil {
		t.Fatal(err)
	}
	poll(t, "both streams are open", func() bool { return r.srv.streams.count() == 2 })
	big := strings.Repeat("x", 60_000)
	last := 0.0
	for i := range 60 { // more than the system's buffers take for it
		last = r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"%d%s"}`, node, i, big))["seq"].(float64)
	}
	f.through(uint64(last)) // its reader may be slow with so much: the drain below has a bound
	last = r.execute(m, "UpdateProperty", fmt.Sprintf(`{"node_id":%q,"property_id":"note","value":"last"}`, node))["seq"].(float64)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	list := f.end()
	if diff := cmp.Diff(upTo(1, uint64(last)), seqs(list)); diff != "" {
		t.Error(diff)
	}
	if list[len(list)-1].Name != "command:executed" {
		t.Errorf("the last event is %v", list[len(list)-1].Name)
	}
	if n := r.srv.streams.count(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
	if got := r.do("GET", "/api/v1/sessions/"+m.session+"/events", "", "Accept: text/event-stream"); got.code() != "UNAVAILABLE" {
		t.Errorf("%v", got)
	}
}

// SPEC R-22: the number of streams is bounded, and one that ended does not count.
func TestStreamsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxStreams = 1 })
	m := r.open("outline")
	f := r.follow(m.session, "")
	if got := r.do("GET", "/api/v1/sessions/"+m.session+"/events", "", "Accept: text/event-stream"); got.code() != "RATE_LIMITED" || got.Header.Get("Retry-After") == "" {
		t.Errorf("%v", got)
	}
	f.close()
	poll(t, "the stream is over", func() bool { return r.srv.streams.count() == 0 })
	r.follow(m.session, "")
}

// SPEC R-19: a payload cannot break out of its event, whatever its size.
func TestEventWriter(t *testing.T) {
	rec := httptest.NewRecorder()
	e := newEventWriter(rec)
	long := `{"a":"` + strings.Repeat("y", 3*ssePiece) + `"}`
	for _, payload := range []string{"{\"a\":\r\n1,\n\"b\":\r2}", long, `{}`} {
		if err := e.event(&session.Item{Name: "x", Payload: json.RawMessage(payload)}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.flush(); err != nil || e.flush() != nil {
		t.Fatal(err)
	}
	want := "event: x\ndata: {\"a\": \ndata: 1,\ndata: \"b\": 2}\n\nevent: x\ndata: " + long + "\n\nevent: x\ndata: {}\n\n"
	if !bytes.Equal(rec.Body.Bytes(), []byte(want)) {
		t.Errorf("%.300q", rec.Body.String())
	}
	failing := newEventWriter(&brokenWriter{ResponseRecorder: httptest.NewRecorder()})
	if err := failing.event(&session.Item{Name: "x", Payload: json.RawMessage(long)}, ""); err == nil {
		t.Error("a write that failed went unnoticed")
	}
}

// SPEC R-22: every piece has a deadline of its own, and after a stop there is
// but one more.
func TestEventWriterDeadlines(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	e := newEventWriter(w)
	item := &session.Item{Name: "x", Payload: json.RawMessage(`"` + strings.Repeat("y", 3*ssePiece) + `"`)}
	if err := e.event(item, "1"); err != nil || e.flush() != nil {
		t.Fatal(err)
	}
	if len(w.set) < 5 || time.Until(w.set[0]) > stallTimeout || time.Until(w.set[0]) < stallTimeout-patience {
		t.Errorf("deadlines: %v", w.set)
	}
	e.hurry()
	n := len(w.set)
	if err := e.event(item, ""); err != nil || len(w.set) != n || time.Until(w.set[n-1]) > hurryTimeout {
		t.Errorf("after the stop: %v %v", w.set[n-1:], err)
	}
}

type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

type brokenWriter struct{ *httptest.ResponseRecorder }

func (*brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
