package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/graphroom/graphroom/internal/socketio"
)

// SPEC S-1, S-2, E-4: nothing is lost however early CONNECT comes.
func TestConnect(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		for packet, prefix := range map[string]string{
			"40": "40", `40{"a":1}`: "40", "40/graph": "40/graph,", "40/graph,": "40/graph,", `40/graph,{"a":1}`: "40/graph,",
		} {
			p := f.open()
			n := len(f.notes())
			p.write(packet)
			got := p.read()
			var reply map[string]string
			if err := json.Unmarshal([]byte(strings.TrimPrefix(got, prefix)), &reply); err != nil || len(reply) != 1 || len(reply["sid"]) != 20 {
				f.Errorf("%s answered %q: %v", packet, got, err)
			}
			notes := f.waitNotes(n + 1)
			if want := strings.Contains(packet, "a"+`"`); strings.HasSuffix(notes[n], `{"a":1}`) != want || (!want && !strings.HasSuffix(notes[n], " {}")) {
				f.Errorf("%s: %q", packet, notes[n])
			}
		}
		p := f.join("/", "/graph")
		s := f.socket(len(f.notes()) - 1)
		if s.Namespace() != "/graph" || s.Transport() != "websocket" || s.Request().URL.Path != "/socket.io/" || s.Context().Err() != nil {
			f.Errorf("socket of %s", s.Namespace())
		}
		p.write(`42/graph,["x"]`)
		f.waitNotes(8)
		if st := f.srv.Stats(); st.Sockets != 7 || st.Connects != 7 || st.WebSocket != 6 {
			f.Errorf("stats %+v", st)
		}
	})
}

// SPEC S-2
func TestConnectWithPID(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, _ *recorder) {
		s.Namespace("/", socketio.Handler{Connect: func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Accept, error) {
			return socketio.Accept{PID: `p"1`}, nil
		}})
	}, func(f *fixture) {
		p := f.open()
		p.write("40")
		var reply map[string]string
		if err := json.Unmarshal([]byte(p.read()[2:]), &reply); err != nil || len(reply) != 2 || reply["pid"] != `p"1` {
			f.Errorf("%v %v", reply, err)
		}
		p.write(`42["ignored"]`) // no handler for events, none for the end
	})
}

// SPEC S-3, S-4
func TestConnectErrors(t *testing.T) {
	both(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		s.Namespace("/", r.handler())
		for name, err := range map[string]error{
			"/plain":   &socketio.ConnectError{Message: "no <way>"},
			"/data":    &socketio.ConnectError{Message: "no", Data: map[string]string{"code": "UNAUTHORIZED"}},
			"/foreign": errors.New("secret"),
			"/broken":  &socketio.ConnectError{Message: "no", Data: func() {}},
		} {
			h := r.handler()
			h.Connect = func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Accept, error) {
				return socketio.Accept{}, err
			}
			s.Namespace(name, h)
		}
		h := r.handler()
		h.Connect = func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Accept, error) { panic("secret") }
		s.Namespace("/panic", h)
	}, func(f *fixture) {
		p := f.open()
		for _, c := range [][2]string{
			{"40/unknown", `44/unknown,{"message":"Invalid namespace"}`},
			{"40/plain,", `44/plain,{"message":"no <way>"}`},
			{"40/plain,", `44/plain,{"message":"no <way>"}`},
			{"40/data,", `44/data,{"message":"no","data":{"code":"UNAUTHORIZED"}}`},
			{"40/foreign,", `44/foreign,{"message":"Internal error"}`},
			{"40/broken,", `44/broken,{"message":"Internal error"}`},
			{"40/panic,", `44/panic,{"message":"Internal error"}`},
		} {
			p.write(c[0])
			p.expect(c[1])
			f.settle()
		}
		p.connect("/", "")
		if got := f.notes(); len(got) != 1 {
			f.Errorf("handlers were told %q", got)
		}
		if st := f.srv.Stats(); st.Sockets != 1 || st.ConnectsRefused != 6 {
			f.Errorf("stats %+v", st)
		}
	})
}

// SPEC S-5, S-13, S-14, S-15, S-12, E-13
func TestPacketsThatClose(t *testing.T) {
	both(t, socketio.Config{}, nil, func(f *fixture) {
		for _, packets := range [][]string{
			{"4"}, {"4abc"}, {"47"}, {"48[]"}, {"40"}, {"40/,"}, {"40[]"}, {"40/graph,[]"}, {`40/graph,"x"`}, {"40/graph,{"},
			{"42"}, {"42{}"}, {"42[]"}, {"42[null]"}, {"42[[]]"}, {`42["x"`}, {`42"x"`}, {`42abc["x"]`}, {`421234567890123456["x"]`},
			{`42["connect"]`}, {`42["connect_error"]`}, {`42["disconnect"]`}, {`42["disconnecting"]`}, {`42["newListener"]`}, {`42["removeListener"]`},
			{`42["discon\u006eect"]`},
			{"43[]"}, {"431{}"}, {"431"}, {"41{}"}, {`44{"message":"x"}`}, {`44"x"`}, {`44`},
			{`42/graph,["x"]`}, {"431/graph,[]"}, {"41/graph,"}, {`42/unknown,["x"]`},
			{`45["x"]`}, {`45-["x"]`}, {`4511-["x"]`}, {`45-1-["x"]`}, {`45x-["x"]`}, {`451-["x",{"_placeholder":true,"num":0}]`, "4"},
			{`451-["x",{"_placeholder":true,"num":1}]`, "b1"}, {`451-["x",{"_placeholder":true,"num":-1}]`, "b1"},
			{`451-["x",{"_placeholder":true,"num":"0"}]`, "b1"}, {`451-["x",{"_placeholder":true}]`, "b1"}, {"b1"},
			{`461-[]`, "b1"}, {`450-["connect"]`},
		} {
			p := f.join("/")
			n := len(f.notes())
			for _, packet := range packets {
				if data, ok := strings.CutPrefix(packet, "b"); ok {
					p.writeBinary(data)
					continue
				}
				p.write(packet)
			}
			p.ended()
			notes := f.waitNotes(n + 1)
			if diff := cmp.Diff([]string{"disconnect / parse error"}, notes[n:]); diff != "" {
				f.Errorf("%q: %s", packets, diff)
			}
		}
	})
}

// SPEC S-5: also while the first CONNECT is still being decided.
func TestConnectTwice(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Connect = func(ctx context.Context, s *socketio.Socket, _ json.RawMessage) (socketio.Accept, error) {
			<-ctx.Done()
			r.note("gave up")
			return socketio.Accept{}, ctx.Err()
		}
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.open()
		p.write("40")
		f.settle()
		p.write("40")
		p.ended()
		f.settle()
		if diff := cmp.Diff([]string{"gave up"}, f.notes()); diff != "" {
			f.Error(diff)
		}
	})
}

// SPEC S-6
func TestTooManyNamespaces(t *testing.T) {
	bubble(t, socketio.Config{Limits: socketio.Limits{Namespaces: 1}}, nil, func(f *fixture) {
		p := f.join("/")
		p.write("40/graph,")
		p.expect(`44/graph,{"message":"Too many namespaces"}`)
		p.write("41")
		f.waitNotes(2)
		p.connect("/graph", "")
	})
}

// SPEC S-7
func TestConnectTimeout(t *testing.T) {
	bubble(t, socketio.Config{}, nil, func(f *fixture) {
		start := time.Now()
		p := f.open()
		p.write("40/unknown,")
		p.expect(`44/unknown,{"message":"Invalid namespace"}`)
		go func() {
			for {
				time.Sleep(5 * time.Second)
				if p.ws.Write("3") != nil {
					return
				}
			}
		}()
		p.ended()
		if d := time.Since(start).Round(time.Second); d != 45*time.Second {
			f.Errorf("closed after %v", d)
		}
		q := f.join("/")
		start = time.Now()
		q.write("41")
		go func() {
			for {
				time.Sleep(5 * time.Second)
				if q.ws.Write("3") != nil {
					return
				}
			}
		}()
		q.ended()
		if d := time.Since(start).Round(time.Second); d != 45*time.Second {
			f.Errorf("without a namespace closed after %v", d)
		}
		r := f.join("/")
		deadline := time.Now().Add(2 * time.Minute)
		go func() {
			time.Sleep(time.Until(deadline))
			_ = f.socket(1).Emit("still here")
		}()
		r.expect(`42["still here"]`)
	})
}

// SPEC S-8, S-4: events before the answer wait for it.
func TestEventsBeforeConnected(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Connect = func(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Accept, error) {
			time.Sleep(time.Second)
			s.Set("")
			if string(auth) != "{}" {
				return socketio.Accept{}, &socketio.ConnectError{Message: "no"}
			}
			return socketio.Accept{}, nil
		}
		s.Namespace("/", h)
	}, func(f *fixture) {
		p := f.open()
		p.write("40")
		p.write(`42["a"]`)
		p.write(`42["b"]`)
		if got := p.read(); !strings.HasPrefix(got, "40{") {
			f.Fatalf("read %q", got)
		}
		f.settle()
		if diff := cmp.Diff([]string{"connected / ", "event a ", "event b "}, f.notes()); diff != "" {
			f.Error(diff)
		}
		q := f.open()
		q.write(`40{"x":1}`)
		q.write(`42["c"]`)
		q.expect(`44{"message":"no"}`)
		f.settle()
		if n := len(f.notes()); n != 3 {
			f.Errorf("%q", f.notes())
		}
	})
}

// SPEC S-23: a client that goes while it is being let in.
func TestGoneWhileConnecting(t *testing.T) {
	bubble(t, socketio.Config{}, func(s *socketio.Server, r *recorder) {
		h := r.handler()
		h.Connect = func(_ context.Context, s *socketio.Socket, _ json.RawMessage) (socketio.Accept, error) {
			time.Sleep(time.Second)
			s.Set("late")
			return socketio.Accept{}, nil
		}
		h.Connected = func(s *socketio.Socket) {
			f := s.Emit("x")
			r.note("connected " + f.Error())
		}
		s.Namespace("/", h)
		s.Namespace("/graph", r.handler())
	}, func(f *fixture) {
		p := f.open()
		p.write("40")
		f.settle()
		_ = p.ws.Close()
		time.Sleep(2 * time.Second)
		want := []string{"connected engineio: conn is closed", "disconnect / transport close"}
		if diff := cmp.Diff(want, f.notes()); diff != "" {
			f.Error(diff)
		}
		q := f.open()
		q.write("40")
		f.settle()
		q.write("41")
		time.Sleep(2 * time.Second)
		want = append(want, "connected engineio: conn is closed", "disconnect / client namespace disconnect")
		if diff := cmp.Diff(want, f.notes()); diff != "" {
			f.Error(diff)
		}
		q.connect("/graph", "")
		if st := f.srv.Stats(); st.Sockets != 1 {
			f.Errorf("stats %+v", st)
		}
	})
}

// SPEC S-26
func TestPath(t *testing.T) {
	bubble(t, socketio.Config{Path: "/live/"}, nil, func(f *fixture) {
		for path, want := range map[string]int{"/live/": 200, "/live": 200, "/socket.io/": 404, "/live/x": 404} {
			f.client.Path = path
			res, err := f.client.Do(f.ctx, "GET", "EIO=4&transport=polling", nil, nil)
			if err != nil || res.Status != want {
				f.Errorf("%s: %d %v", path, res.Status, err)
			}
		}
	})
}
