package engineio_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

// SPEC E-1, E-3
func TestPollingHandshake(t *testing.T) {
	both(t, engineio.Config{MaxPayload: 1234}, nil, func(f *fixture) {
		res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", nil, nil)
		if err != nil {
			f.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(res.Body[1:]), &members); err != nil || res.Body[0] != '0' {
			f.Fatalf("body %q: %v", res.Body, err)
		}
		sid, _ := members["sid"].(string)
		delete(members, "sid")
		want := map[string]any{"upgrades": []any{"websocket"}, "pingInterval": 25000.0, "pingTimeout": 20000.0, "maxPayload": 1234.0}
		if diff := cmp.Diff(want, members); diff != "" {
			f.Error(diff)
		}
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`).MatchString(sid) {
			f.Errorf("sid %q", sid)
		}
		if got := res.Header.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
			f.Errorf("content type %q", got)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			f.Errorf("cache control %q", got)
		}
	})
}

// SPEC E-2, E-4: the owner is told before the peer.
func TestWebSocketHandshake(t *testing.T) {
	both(t, engineio.Config{}, func(r *recorder) {
		r.onOpen = func(c *engineio.Conn) { _ = c.Send(engineio.TextFrame([]byte("first"))) }
	}, func(f *fixture) {
		ws, h := f.websocket()
		if len(h.Upgrades) != 0 || h.SID == "" {
			f.Errorf("handshake %+v", h)
		}
		if got := f.read(ws); got != "4first" {
			f.Errorf("after the open packet: %q", got)
		}
		if got := f.conn(0).Transport(); got != "websocket" {
			f.Errorf("transport %q", got)
		}
	})
}

// SPEC E-4
func TestRefusedRequests(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		sid := f.polling().Handshake.SID
		_, onWebSocket := f.websocket()
		for _, c := range []struct{ method, query, body string }{
			{"GET", "transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
			{"GET", "EIO=3&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
			{"GET", "EIO=abc&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
			{"GET", "EIO=4", `{"code":0,"message":"Transport unknown"}`},
			{"GET", "EIO=4&transport=abc", `{"code":0,"message":"Transport unknown"}`},
			{"POST", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
			{"PUT", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
			{"PUT", "EIO=4&transport=polling&sid=" + sid, `{"code":3,"message":"Bad request"}`},
			{"GET", "EIO=4&transport=websocket", `{"code":3,"message":"Bad request"}`},
			{"GET", "EIO=4&transport=websocket&sid=" + sid, `{"code":3,"message":"Bad request"}`},
			{"GET", "EIO=4&transport=polling&sid=nobody", `{"code":1,"message":"Session ID unknown"}`},
			{"POST", "EIO=4&transport=polling&sid=nobody", `{"code":1,"message":"Session ID unknown"}`},
			{"GET", "EIO=4&transport=polling&sid=" + onWebSocket.SID, `{"code":3,"message":"Bad request"}`},
			{"POST", "EIO=4&transport=polling&sid=" + onWebSocket.SID, `{"code":3,"message":"Bad request"}`},
			{"GET", "EIO=4&transport=polling&x=" + strings.Repeat("y", 9000), `{"code":3,"message":"Bad request"}`},
		} {
			res, err := f.client.Do(f.ctx, c.method, c.query, nil, nil)
			if err != nil {
				f.Fatal(err)
			}
			if res.Status != 400 || res.Body != c.body || res.Header.Get("Content-Type") != "application/json" {
				f.Errorf("%s %.60s: %d %s %s", c.method, c.query, res.Status, res.Header.Get("Content-Type"), res.Body)
			}
		}
		_, err := f.client.OpenWebSocket(f.ctx, "nobody", nil)
		var refused *enginetest.StatusError
		if !errors.As(err, &refused) || refused.Response.Status != 400 {
			f.Errorf("websocket with an unknown sid: %v", err)
		}
	})
}

// SPEC E-4, E-14
func TestOrigins(t *testing.T) {
	cfg := engineio.Config{CheckOrigin: func(r *http.Request) bool {
		o := r.Header.Get("Origin")
		return o == "" || o == "http://good.test"
	}}
	both(t, cfg, nil, func(f *fixture) {
		good, bad := http.Header{"Origin": {"http://good.test"}}, http.Header{"Origin": {"http://bad.test"}}
		res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", bad, nil)
		if err != nil || res.Status != 403 || res.Body != `{"code":4,"message":"Forbidden"}` || res.Header.Get("Access-Control-Allow-Origin") != "" {
			f.Errorf("bad origin: %+v %v", res, err)
		}
		res, err = f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", good, nil)
		if err != nil || res.Status != 200 || res.Header.Get("Access-Control-Allow-Origin") != "http://good.test" ||
			res.Header.Get("Access-Control-Allow-Credentials") != "true" || res.Header.Get("Vary") != "Origin" {
			f.Errorf("good origin: %+v %v", res, err)
		}
		good.Set("Access-Control-Request-Headers", "x-token")
		res, err = f.client.Do(f.ctx, "OPTIONS", "EIO=4&transport=polling", good, nil)
		if err != nil || res.Status != 204 || res.Header.Get("Access-Control-Allow-Headers") != "x-token" ||
			res.Header.Get("Access-Control-Allow-Methods") != "GET, POST, OPTIONS" {
			f.Errorf("preflight: %+v %v", res, err)
		}
		_, err = f.client.OpenWebSocket(f.ctx, "", bad)
		var refused *enginetest.StatusError
		if !errors.As(err, &refused) || refused.Response.Status != 403 {
			f.Errorf("websocket of a bad origin: %v", err)
		}
	})
}

// The default admits requests without Origin and those of the same host.
func TestDefaultOrigin(t *testing.T) {
	bubble(t, engineio.Config{}, nil, func(f *fixture) {
		for origin, want := range map[string]int{"http://server.test": 200, "http://other.test": 403, "null": 403, "::": 403} {
			res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", http.Header{"Origin": {origin}}, nil)
			if err != nil || res.Status != want {
				f.Errorf("%s: %d %v, want %d", origin, res.Status, err, want)
			}
		}
	})
}

// SPEC E-6, E-7
func TestPollingMessages(t *testing.T) {
	both(t, engineio.Config{}, echo, func(f *fixture) {
		p := f.polling()
		for _, packets := range [][]string{
			{"4hello"}, {"4a", "4b", "4c"}, {"4hello", "bAQIDBA=="}, {"4"}, {"4é\u2028😀"}, {"4" + strings.Repeat("x", 70_000), "4y"},
		} {
			res := f.post(p, packets...)
			f.expect(res, 200, "ok")
			if got := res.Header.Get("Content-Type"); got != "text/html" {
				f.Errorf("content type %q", got)
			}
			f.expect(f.get(p), 200, strings.Join(packets, "\x1e"))
		}
	})
}

// SPEC E-6: a poll waits for the first packet.
func TestPollWaits(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		got := make(chan []string)
		go func() {
			packets, _ := p.Poll(f.ctx)
			got <- packets
		}()
		if f.bubble {
			f.wait("the poll", func() bool { return true })
		}
		if err := f.conn(0).Send(engineio.TextFrame([]byte("late"))); err != nil {
			f.Fatal(err)
		}
		if packets := <-got; len(packets) != 1 || packets[0] != "4late" {
			f.Errorf("polled %q", packets)
		}
	})
}

// SPEC E-8, E-11, E-13, E-15
func TestPostsThatEndTheConn(t *testing.T) {
	both(t, engineio.Config{MaxPayload: 100}, echo, func(f *fixture) {
		for _, c := range []struct {
			name, body, kind string
			chunked          bool
			status           int
			reason           string
		}{
			{"octets", "4x", "application/octet-stream", false, 400, engineio.ReasonTransportError},
			{"too large", "4" + strings.Repeat("x", 100), "", false, 413, engineio.ReasonTransportError},
			{"too large in chunks", "4" + strings.Repeat("x", 100), "", true, 413, engineio.ReasonTransportError},
			{"unknown type", "abc", "", false, 400, engineio.ReasonParseError},
			{"type 7", "7", "", false, 400, engineio.ReasonParseError},
			{"empty", "", "", false, 400, engineio.ReasonParseError},
			{"empty packet", "4a\x1e", "", false, 400, engineio.ReasonParseError},
			{"base64", "b!!", "", false, 400, engineio.ReasonParseError},
			{"not UTF-8", "4\xff", "", false, 400, engineio.ReasonParseError},
			{"ping", "2", "", false, 400, engineio.ReasonTransportError},
		} {
			p := f.polling()
			n := len(f.reasons())
			var body io.Reader = strings.NewReader(c.body)
			if c.chunked {
				body = io.MultiReader(body)
			}
			res, err := f.client.Do(f.ctx, "POST", p.Query, http.Header{"Content-Type": {c.kind}}, body)
			if err != nil || res.Status != c.status {
				f.Errorf("%s: %d %v, want %d", c.name, res.Status, err, c.status)
			}
			if got := f.reasons()[n:]; len(got) != 1 || got[0] != c.reason {
				f.Errorf("%s: closed %q, want %q", c.name, got, c.reason)
			}
			f.expect(f.get(p), 400, `{"code":1,"message":"Session ID unknown"}`)
		}
	})
}

// SPEC E-15: packets that mean nothing are ignored; E-11: the bound itself fits.
func TestIgnoredPackets(t *testing.T) {
	both(t, engineio.Config{MaxPayload: 100}, echo, func(f *fixture) {
		p := f.polling()
		f.expect(f.post(p, "0", "3", "5", "6", "4x"), 200, "ok")
		f.expect(f.post(p, "4"+strings.Repeat("x", 99)), 200, "ok")
		ws, _ := f.websocket()
		for _, packet := range []string{"0", "3", "5", "6", "4" + strings.Repeat("x", 99)} {
			f.write(ws, packet)
		}
		if got := f.read(ws); len(got) != 100 {
			f.Errorf("echo of %d bytes", len(got))
		}
	})
}

// SPEC E-9
func TestOverlappingPolls(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		results := make(chan enginetest.Response, 2)
		for range 2 {
			go func() {
				res, _ := p.Get(f.ctx)
				results <- res
			}()
		}
		a, b := <-results, <-results
		if a.Status != 200 {
			a, b = b, a
		}
		f.expect(a, 200, "1")
		f.expect(b, 400, "")
		f.expect(f.get(p), 400, "")
		if diff := cmp.Diff([]string{engineio.ReasonTransportError}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-10
func TestOverlappingPosts(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	network(t, engineio.Config{}, func(r *recorder) {
		r.onText = func(*engineio.Conn, string) { close(entered); <-leave }
	}, func(f *fixture) {
		p := f.polling()
		first := make(chan enginetest.Response)
		go func() {
			res, _ := p.Post(f.ctx, "4slow")
			first <- res
		}()
		<-entered
		f.expect(f.post(p, "4fast"), 400, "")
		close(leave)
		<-first
		if diff := cmp.Diff([]string{engineio.ReasonTransportError}, f.reasons()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-17
func TestClientCloses(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		f.expect(f.post(p, "4x", "1", "4y"), 200, "ok")
		f.expect(f.get(p), 200, "6")
		f.expect(f.get(p), 400, "")
		ws, _ := f.websocket()
		f.write(ws, "1")
		if code := f.ended(ws); code != 1000 {
			f.Errorf("close code %d", code)
		}
		f.wait("both ends", func() bool { return len(f.reasons()) == 2 })
		if diff := cmp.Diff([]string{engineio.ReasonTransportClose, engineio.ReasonTransportClose}, f.reasons()); diff != "" {
			f.Error(diff)
		}
		if diff := cmp.Diff([]string{"x"}, f.got()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC E-18
func TestServerCloses(t *testing.T) {
	both(t, engineio.Config{}, nil, func(f *fixture) {
		p := f.polling()
		_ = f.conn(0).Send(engineio.TextFrame([]byte("bye")))
		f.conn(0).Close("because")
		f.conn(0).Close("again")
		if err := f.conn(0).Send(engineio.TextFrame([]byte("more"))); !errors.Is(err, engineio.ErrClosed) {
			f.Errorf("Send after Close: %v", err)
		}
		f.expect(f.get(p), 200, "4bye\x1e1")
		f.expect(f.get(p), 400, "")
		ws, _ := f.websocket()
		_ = f.conn(1).Send(engineio.TextFrame([]byte("bye")))
		f.conn(1).Close("because")
		if got := f.read(ws); got != "4bye" {
			f.Errorf("read %q", got)
		}
		if code := f.ended(ws); code != 1000 {
			f.Errorf("close code %d", code)
		}
		<-f.conn(0).Done()
		<-f.conn(1).Done()
		if diff := cmp.Diff([]string{"because", "because"}, f.reasons()); diff != "" {
			f.Error(diff)
		}
		if s := f.srv.Stats(); s.Closed["because"] != 2 || s.Polling+s.WebSocket != 0 || s.Handshakes != 2 {
			f.Errorf("stats %+v", s)
		}
	})
}

// SPEC E-13, E-15, E-24
func TestWebSocketsThatEnd(t *testing.T) {
	both(t, engineio.Config{MaxPayload: 1000}, echo, func(f *fixture) {
		for _, c := range []struct {
			name   string
			frame  enginetest.Frame
			code   int
			reason string
		}{
			{"unknown type", enginetest.Frame{First: 0x81, Payload: []byte("abc")}, 1000, engineio.ReasonParseError},
			{"empty", enginetest.Frame{First: 0x81}, 1000, engineio.ReasonParseError},
			{"ping packet", enginetest.Frame{First: 0x81, Payload: []byte("2")}, 1000, engineio.ReasonTransportError},
			{"too large", enginetest.Frame{First: 0x81, Payload: make([]byte, 1001)}, 1009, engineio.ReasonTransportError},
			{"reserved bit", enginetest.Frame{First: 0xc1, Payload: []byte("4x")}, 1002, engineio.ReasonTransportError},
			{"reserved opcode", enginetest.Frame{First: 0x8b}, 1002, engineio.ReasonTransportError},
			{"continuation of nothing", enginetest.Frame{First: 0x80, Payload: []byte("4x")}, 1002, engineio.ReasonTransportError},
			{"not UTF-8", enginetest.Frame{First: 0x81, Payload: []byte("4\xff")}, 1007, engineio.ReasonTransportError},
			{"close frame", enginetest.Frame{First: 0x88, Payload: []byte{3, 232}}, 1000, engineio.ReasonTransportClose},
		} {
			ws, _ := f.websocket()
			n := len(f.reasons())
			if err := ws.WriteFrame(c.frame); err != nil {
				f.Fatal(err)
			}
			if code := f.ended(ws); code != c.code {
				f.Errorf("%s: close code %d, want %d", c.name, code, c.code)
			}
			_ = ws.Close()
			f.wait("the end", func() bool { return len(f.reasons()) > n })
			if got := f.reasons()[n:]; len(got) != 1 || got[0] != c.reason {
				f.Errorf("%s: closed %q, want %q", c.name, got, c.reason)
			}
		}
		ws, _ := f.websocket()
		n := len(f.reasons())
		_ = ws.Close()
		f.wait("the end", func() bool { return len(f.reasons()) > n })
		if got := f.reasons()[n]; got != engineio.ReasonTransportClose {
			f.Errorf("closed %q", got)
		}
	})
}

// SPEC E-24: a length that overflows an int makes the reader panic; nothing else
// happens.
func TestMalformedLength(t *testing.T) {
	both(t, engineio.Config{}, echo, func(f *fixture) {
		other, _ := f.websocket()
		ws, _ := f.websocket()
		if _, err := ws.Conn.Write([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}); err != nil {
			f.Fatal(err)
		}
		f.ended(ws)
		_ = ws.Close()
		f.wait("the end", func() bool { return len(f.reasons()) == 1 })
		f.write(other, "4x")
		if got := f.read(other); got != "4x" {
			f.Errorf("read %q", got)
		}
	})
}

// SPEC E-24: fragments, control frames between them, and pings.
func TestFragmentsAndPings(t *testing.T) {
	both(t, engineio.Config{}, echo, func(f *fixture) {
		ws, _ := f.websocket()
		for _, frame := range []enginetest.Frame{
			{First: 0x01, Payload: []byte("4he")},
			{First: 0x89, Payload: []byte("are you there")},
			{First: 0x00, Payload: []byte("ll")},
			{First: 0x8a, Payload: nil},
			{First: 0x80, Payload: []byte("o")},
		} {
			if err := ws.WriteFrame(frame); err != nil {
				f.Fatal(err)
			}
		}
		pong, err := ws.ReadFrame()
		if err != nil || pong.Opcode() != enginetest.OpPong || string(pong.Payload) != "are you there" {
			f.Errorf("pong %+v %v", pong, err)
		}
		if got := f.read(ws); got != "4hello" {
			f.Errorf("read %q", got)
		}
		if err := ws.WriteBinary([]byte{1, 2, 3}); err != nil {
			f.Fatal(err)
		}
		if got := f.read(ws); got != "b\x01\x02\x03" {
			f.Errorf("read %q", got)
		}
	})
}

// SPEC E-32
func TestKeptRequest(t *testing.T) {
	both(t, engineio.Config{Limits: engineio.Limits{HeaderBytes: 200}}, nil, func(f *fixture) {
		h := http.Header{"Authorization": {"Bearer x"}, "X-Junk": {"y"}, "User-Agent": {strings.Repeat("z", 300)}}
		if _, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling&session_id=s", h, nil); err != nil {
			f.Fatal(err)
		}
		r := f.conn(0).Request()
		if diff := cmp.Diff(http.Header{"Authorization": {"Bearer x"}}, r.Header); diff != "" {
			f.Error(diff)
		}
		if r.URL.Query().Get("session_id") != "s" || r.RemoteAddr == "" || r.Host == "" {
			f.Errorf("request %+v", r)
		}
	})
}

// Frames that come with the handshake are not lost.
func TestEarlyFrames(t *testing.T) {
	both(t, engineio.Config{}, echo, func(f *fixture) {
		conn, err := f.client.Dial(f.ctx)
		if err != nil {
			f.Fatal(err)
		}
		defer conn.Close()
		go func() { // a pipe takes nothing before it is read
			_, _ = conn.Write([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: server.test\r\nConnection: keep-alive, Upgrade\r\n" +
				"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
				"\x81\x82\x00\x00\x00\x004x\x81\x82\x00\x00\x00\x004y"))
		}()
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != 101 {
			f.Fatalf("%v %v", res, err)
		}
		f.wait("the messages", func() bool { return len(f.got()) == 2 })
	})
}

// SPEC E-32
func TestLongHost(t *testing.T) {
	bubble(t, engineio.Config{}, nil, func(f *fixture) {
		f.client.Host = strings.Repeat("x", 9000)
		res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", nil, nil)
		if err != nil || res.Status != 400 {
			f.Errorf("%+v %v", res, err)
		}
	})
}

// E-4: a conn that its owner closes at once is closed in order and leaves
// nothing.
func TestClosedInOpen(t *testing.T) {
	both(t, engineio.Config{}, func(r *recorder) {
		r.onOpen = func(c *engineio.Conn) { c.Close("not you") }
	}, func(f *fixture) {
		res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", nil, nil)
		if err != nil || !strings.HasPrefix(res.Body, "0{") || !strings.HasSuffix(res.Body, "\x1e1") {
			f.Errorf("%+v %v", res, err)
		}
		ws := f.rawWebSocket("", nil)
		if got := f.read(ws); !strings.HasPrefix(got, "0{") {
			f.Errorf("read %q", got)
		}
		f.ended(ws)
		_ = ws.Close()
		f.wait("the ends", func() bool {
			s := f.srv.Stats()
			return s.Polling+s.WebSocket+s.Closing == 0 && s.Closed["not you"] == 2
		})
	})
}
