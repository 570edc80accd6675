package engineio_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/engineio/enginetest"
)

// recorder is a Handler that notes what it is told.
type recorder struct {
	mu       sync.Mutex
	conns    []*engineio.Conn
	messages []string
	closed   []string
	lags     []lagged
	onOpen   func(*engineio.Conn)
	onText   func(*engineio.Conn, string)
}

type lagged struct {
	sub  *engineio.Subscriber
	tag  uint64
	left int
}

func (r *recorder) Open(c *engineio.Conn) {
	r.mu.Lock()
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	if r.onOpen != nil {
		r.onOpen(c)
	}
}

func (r *recorder) Message(c *engineio.Conn, data []byte, binary bool) {
	text := string(data)
	if binary {
		text = "\x00" + text
	}
	if r.onText != nil {
		r.onText(c, text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, text)
}

func (r *recorder) Close(_ *engineio.Conn, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, reason)
}

func (r *recorder) Lagging(sub *engineio.Subscriber, tag uint64, left []*engineio.Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lags = append(r.lags, lagged{sub, tag, len(left)})
}

func (r *recorder) conn(i int) *engineio.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[i]
}

func (r *recorder) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.messages...)
}

func (r *recorder) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.closed...)
}

func (r *recorder) lagList() []lagged {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]lagged(nil), r.lags...)
}

// fixture is a server with a client.
type fixture struct {
	*testing.T
	*recorder
	srv    *engineio.Server
	client *enginetest.Client
	ctx    context.Context
	bubble bool
}

// echo makes the handler send back what it gets.
func echo(r *recorder) {
	r.onText = func(c *engineio.Conn, text string) {
		if data, ok := strings.CutPrefix(text, "\x00"); ok {
			_ = c.Send(engineio.BinaryFrame([]byte(data)))
			return
		}
		_ = c.Send(engineio.TextFrame([]byte(text)))
	}
}

// bubble runs f in virtual time over in-memory connections.
func bubble(t *testing.T, cfg engineio.Config, setup func(*recorder), f func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mem := enginetest.NewMemory()
		fx := newFixture(t, cfg, setup)
		fx.bubble = true
		server := &http.Server{Handler: fx.srv}
		done := make(chan error, 1)
		go func() { done <- server.Serve(mem) }()
		fx.client = enginetest.New("/engine.io/", mem.Dial)
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := fx.srv.Close(ctx); err != nil {
				t.Errorf("Close: %v", err)
			}
			fx.client.Close()
			_ = server.Close()
			<-done
			time.Sleep(time.Second) // virtual: http.Server lingers on connections that it refused
		}()
		f(fx)
	})
}

// network runs f over TCP and sees to it that no goroutine is left.
func network(t *testing.T, cfg engineio.Config, setup func(*recorder), f func(*fixture)) {
	t.Helper()
	before := runtime.NumGoroutine()
	fx := newFixture(t, cfg, setup)
	server := httptest.NewServer(fx.srv)
	fx.client = enginetest.NewTCP("/engine.io/", server.Listener.Addr().String())
	func() {
		defer func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // polls that nobody makes are not worth waiting for
			_ = fx.srv.Close(ctx)
			fx.client.Close()
			server.Close()
		}()
		f(fx)
	}()
	fx.wait("goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// both runs f in virtual time and over TCP.
func both(t *testing.T, cfg engineio.Config, setup func(*recorder), f func(*fixture)) {
	t.Run("memory", func(t *testing.T) { bubble(t, cfg, setup, f) })
	t.Run("tcp", func(t *testing.T) { network(t, cfg, setup, f) })
}

func newFixture(t *testing.T, cfg engineio.Config, setup func(*recorder)) *fixture {
	r := &recorder{}
	if setup != nil {
		setup(r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return &fixture{T: t, recorder: r, srv: engineio.NewServer(cfg, r), ctx: ctx}
}

// wait waits for a condition that must come.
func (f *fixture) wait(what string, cond func() bool) {
	f.Helper()
	if f.bubble {
		synctest.Wait()
		if !cond() {
			f.Fatalf("waited in vain for %s", what)
		}
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain for %s", what)
		}
	}
}

func (f *fixture) polling() *enginetest.Polling {
	f.Helper()
	p, err := f.client.OpenPolling(f.ctx)
	if err != nil {
		f.Fatalf("open polling: %v", err)
	}
	return p
}

// websocket opens a conn on WebSocket and reads its open packet.
func (f *fixture) websocket() (*enginetest.WebSocket, enginetest.Handshake) {
	f.Helper()
	ws := f.rawWebSocket("", nil)
	h, err := enginetest.ParseOpen(f.read(ws))
	if err != nil {
		f.Fatal(err)
	}
	return ws, h
}

func (f *fixture) rawWebSocket(sid string, header http.Header) *enginetest.WebSocket {
	f.Helper()
	ws, err := f.client.OpenWebSocket(f.ctx, sid, header)
	if err != nil {
		f.Fatalf("open websocket: %v", err)
	}
	f.Cleanup(func() { _ = ws.Close() })
	return ws
}

func (f *fixture) read(ws *enginetest.WebSocket) string {
	f.Helper()
	text, err := ws.Read()
	if err != nil {
		f.Fatalf("read: %v", err)
	}
	return text
}

func (f *fixture) write(ws *enginetest.WebSocket, text string) {
	f.Helper()
	if err := ws.Write(text); err != nil {
		f.Fatalf("write %q: %v", text, err)
	}
}

// ended reads until the WebSocket ends and returns the opcode and code of its
// close frame, 0 without one.
func (f *fixture) ended(ws *enginetest.WebSocket) int {
	f.Helper()
	code := 0
	for {
		frame, err := ws.ReadFrame()
		if err != nil {
			return code
		}
		if frame.Opcode() == enginetest.OpClose && len(frame.Payload) >= 2 {
			code = int(frame.Payload[0])<<8 | int(frame.Payload[1])
			_ = ws.WriteFrame(enginetest.Frame{First: 0x88, Payload: frame.Payload[:2]}) // it may be gone
		}
	}
}

func (f *fixture) get(p *enginetest.Polling) enginetest.Response {
	f.Helper()
	res, err := p.Get(f.ctx)
	if err != nil {
		f.Fatalf("poll: %v", err)
	}
	return res
}

func (f *fixture) post(p *enginetest.Polling, packets ...string) enginetest.Response {
	f.Helper()
	res, err := p.Post(f.ctx, packets...)
	if err != nil {
		f.Fatalf("post: %v", err)
	}
	return res
}

func (f *fixture) expect(res enginetest.Response, status int, body string) {
	f.Helper()
	if res.Status != status || (body != "" && res.Body != body) {
		f.Fatalf("got %d %q, want %d %q", res.Status, res.Body, status, body)
	}
}

// upgrade takes a polling conn to WebSocket.
func (f *fixture) upgrade(p *enginetest.Polling) *enginetest.WebSocket {
	f.Helper()
	ws := f.rawWebSocket(p.Handshake.SID, nil)
	f.write(ws, "2probe")
	if got := f.read(ws); got != "3probe" {
		f.Fatalf("probe answered %q", got)
	}
	f.write(ws, "5")
	f.wait("the upgrade", func() bool { return f.srv.Stats().Upgrades > 0 })
	return ws
}
