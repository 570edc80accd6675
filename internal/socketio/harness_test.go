package socketio_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphroom/graphroom/internal/engineio/enginetest"
	"github.com/graphroom/graphroom/internal/socketio"
)

// recorder is a namespace that notes what happens.
type recorder struct {
	mu      sync.Mutex
	sockets []*socketio.Socket
	log     []string
}

func (r *recorder) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, what)
}

func (r *recorder) notes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.log...)
}

// socket returns the i-th socket that connected.
func (r *recorder) socket(i int) *socketio.Socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sockets[i]
}

// handler records everything; tests replace what they need.
func (r *recorder) handler() socketio.Handler {
	return socketio.Handler{
		Connect: func(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Accept, error) {
			s.Set(string(auth))
			return socketio.Accept{}, nil
		},
		Connected: func(s *socketio.Socket) {
			r.note("connected " + s.Namespace() + " " + s.Get().(string))
			r.mu.Lock()
			r.sockets = append(r.sockets, s)
			r.mu.Unlock()
		},
		Event: func(_ *socketio.Socket, e socketio.Event) {
			var args []string
			for _, a := range e.Args {
				args = append(args, string(a))
			}
			r.note("event " + e.Name + " " + strings.Join(args, " "))
			if e.Ack != nil {
				e.Ack(json.RawMessage(`"got"`), len(e.Args))
				e.Ack("again")
			}
		},
		Disconnect: func(s *socketio.Socket, reason string) {
			r.note("disconnect " + s.Namespace() + " " + reason)
		},
	}
}

// fixture is a server with a client.
type fixture struct {
	*testing.T
	*recorder
	srv    *socketio.Server
	client *enginetest.Client
	ctx    context.Context
	bubble bool
}

// setup gives a server its namespaces; nil for `/` and `/graph` that record.
type setup func(*socketio.Server, *recorder)

func record(s *socketio.Server, r *recorder) {
	s.Namespace("/", r.handler())
	s.Namespace("/graph", r.handler())
}

func newFixture(t *testing.T, cfg socketio.Config, prepare setup) *fixture {
	if prepare == nil {
		prepare = record
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	f := &fixture{T: t, recorder: &recorder{}, srv: socketio.New(cfg), ctx: ctx}
	prepare(f.srv, f.recorder)
	return f
}

// bubble runs f in virtual time over in-memory connections.
func bubble(t *testing.T, cfg socketio.Config, prepare setup, f func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mem := enginetest.NewMemory()
		fx := newFixture(t, cfg, prepare)
		fx.bubble = true
		server := &http.Server{Handler: fx.srv}
		done := make(chan error, 1)
		go func() { done <- server.Serve(mem) }()
		fx.client = enginetest.New("/socket.io/", mem.Dial)
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
func network(t *testing.T, cfg socketio.Config, prepare setup, f func(*fixture)) {
	t.Helper()
	before := runtime.NumGoroutine()
	fx := newFixture(t, cfg, prepare)
	server := httptest.NewServer(fx.srv)
	fx.client = enginetest.NewTCP("/socket.io/", server.Listener.Addr().String())
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
func both(t *testing.T, cfg socketio.Config, prepare setup, f func(*fixture)) {
	t.Run("memory", func(t *testing.T) { bubble(t, cfg, prepare, f) })
	t.Run("tcp", func(t *testing.T) { network(t, cfg, prepare, f) })
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

// settle waits, in a bubble, until nothing moves.
func (f *fixture) settle() {
	if f.bubble {
		synctest.Wait()
	}
}

func (f *fixture) waitNotes(n int) []string {
	f.Helper()
	f.wait("the notes", func() bool { return len(f.notes()) >= n })
	return f.notes()
}

// peer is a raw client on WebSocket.
type peer struct {
	f  *fixture
	ws *enginetest.WebSocket
}

// open opens a connection and reads its open packet.
func (f *fixture) open() *peer {
	f.Helper()
	ws, err := f.client.OpenWebSocket(f.ctx, "", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = ws.Close() })
	p := &peer{f, ws}
	if got := p.read(); !strings.HasPrefix(got, "0{") {
		f.Fatalf("read %q", got)
	}
	return p
}

// join opens a connection and joins namespaces.
func (f *fixture) join(namespaces ...string) *peer {
	f.Helper()
	p := f.open()
	for _, ns := range namespaces {
		p.connect(ns, "")
	}
	return p
}

// connect joins a namespace and waits until its handler knows.
func (p *peer) connect(ns, auth string) {
	p.f.Helper()
	n := len(p.f.notes())
	prefix := ""
	if ns != "/" {
		prefix = ns + ","
	}
	p.write("40" + prefix + auth)
	if got := p.read(); !strings.HasPrefix(got, "40"+prefix+`{"sid":"`) {
		p.f.Fatalf("read %q", got)
	}
	p.f.waitNotes(n + 1)
}

// read returns the next message; pings are answered on the way.
func (p *peer) read() string {
	p.f.Helper()
	for {
		text, err := p.ws.Read()
		if err != nil {
			p.f.Fatalf("read: %v", err)
		}
		if text == "2" {
			p.write("3")
			continue
		}
		return text
	}
}

func (p *peer) expect(want string) {
	p.f.Helper()
	if got := p.read(); got != want {
		p.f.Fatalf("read %q, want %q", got, want)
	}
}

func (p *peer) write(text string) {
	p.f.Helper()
	if err := p.ws.Write(text); err != nil {
		p.f.Fatalf("write %q: %v", text, err)
	}
}

func (p *peer) writeBinary(data string) {
	p.f.Helper()
	if err := p.ws.WriteBinary([]byte(data)); err != nil {
		p.f.Fatalf("write: %v", err)
	}
}

// ended reads until the connection ends.
func (p *peer) ended() {
	p.f.Helper()
	for {
		frame, err := p.ws.ReadFrame()
		if err != nil {
			return
		}
		if frame.Opcode() == enginetest.OpClose {
			_ = p.ws.WriteFrame(frame) // it may be gone
		}
	}
}
