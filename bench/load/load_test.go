package load

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogramQuantiles(t *testing.T) {
	var h, other Histogram
	for i := 1; i <= 500; i++ {
		h.Add(time.Duration(i) * time.Millisecond)
		other.Add(time.Duration(i+500) * time.Millisecond)
	}
	h.Merge(&other)
	if h.Count() != 1000 {
		t.Fatalf("count = %d", h.Count())
	}
	for _, q := range []float64{0.01, 0.5, 0.99, 1} {
		want := q * 1000
		got := float64(h.Quantile(q)) / 1e6
		if got < want*0.97-1 || got > want*1.01 {
			t.Errorf("quantile %v = %v ms, want about %v", q, got, want)
		}
	}
	if (&Histogram{}).Quantile(0.5) != 0 {
		t.Error("an empty histogram has a quantile")
	}
}

func TestHistogramBucketsHoldTheirValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "d"))
		low := lowerBound(bucketOf(d))
		if low > d || float64(d-low) > float64(d)/60 {
			t.Fatalf("%d is in the bucket that starts at %d", d, low)
		}
	})
}

func TestFramesSurviveParsing(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		frame := appendFrame(nil, opText, strings.Repeat("x", size))
		frame[1] &^= 0x80 // what a server would send
		for cut := range min(len(frame), 10) {
			if h, ok, err := parseHeader(frame[:cut]); err != nil || ok && h.size > cut {
				t.Fatalf("size %d cut at %d: %+v %v %v", size, cut, h, ok, err)
			}
		}
		h, ok, err := parseHeader(frame)
		if err != nil || !ok || h.payload != size || h.opcode != opText || !h.fin {
			t.Fatalf("size %d: %+v %v %v", size, h, ok, err)
		}
	}
	if _, _, err := parseHeader([]byte{0x81, 0x80}); !errors.Is(err, errMasked) {
		t.Errorf("a masked frame gave %v", err)
	}
}

func TestPoolCountsOrderAndLatency(t *testing.T) {
	clock, err := NewClock()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := NewPool(clock, StampKey)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	server := newScript(t)
	conn, err := Dial(t.Context(), Options{Address: server.address, Namespace: "/graph", Auth: map[string]string{"session_id": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	if conn.SID() != "s1" {
		t.Errorf("sid = %q", conn.SID())
	}
	if _, err := pool.Add(conn, false); err != nil {
		t.Fatal(err)
	}
	event := func(n int) string {
		return fmt.Sprintf(`42/graph,["e",{"t":%d,"n":%d,"x":"%s"}]`, clock.Now(), n, strings.Repeat("y", 300))
	}
	both := serverFrame(event(1)) + serverFrame(event(2))
	server.send(t, both[:40])
	server.send(t, both[40:]+serverFrame("2"))
	server.send(t, serverFrame(event(4))+serverFrame(`43/graph,1[{"ok":true}]`))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := pool.AwaitAll(ctx, 3); err != nil {
		t.Fatal(err)
	}
	if got := server.next(t); got != "3" {
		t.Errorf("the ping was answered with %q", got)
	}
	stats := pool.Stats()
	if stats.Deliveries != 3 || stats.Disordered != 1 || stats.Unreadable != 0 || stats.Latency.Count() != 3 || pool.Fewest() != 3 {
		t.Errorf("stats: %d deliveries, %d out of order, %d unreadable, %d timed", stats.Deliveries, stats.Disordered, stats.Unreadable, stats.Latency.Count())
	}
	if err := pool.Publish(0, "publish", `{"t":1}`); err != nil {
		t.Fatal(err)
	}
	if got, want := server.next(t), `42/graph,["publish",{"t":1}]`; got != want {
		t.Errorf("published %q, want %q", got, want)
	}
	_ = server.conn.Close()
	if err := pool.AwaitAll(ctx, 4); err == nil {
		t.Error("a connection that the server closed was awaited without an error")
	}
}

func TestConnReadsEventsAndRefusals(t *testing.T) {
	server := newScript(t)
	conn, err := Dial(t.Context(), Options{Address: server.address, Namespace: "/graph", Auth: map[string]string{"session_id": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	server.send(t, serverFrame("2")+serverFrame(`42/graph,["e",{"a":1},"7"]`))
	event, payload, err := conn.Read()
	if err != nil || event != "e" || string(payload) != `{"a":1}` {
		t.Errorf("read %q %s %v", event, payload, err)
	}
	if err := conn.Emit("x", nil); err != nil {
		t.Fatal(err)
	}
	if a, b := server.next(t), server.next(t); a != "3" || b != `42/graph,["x",null]` {
		t.Errorf("the server got %q and %q", a, b)
	}
	_, err = Dial(t.Context(), Options{Address: newScript(t).address, Namespace: "/refused"})
	var refused *ConnectError
	if !errors.As(err, &refused) || string(refused.Payload) != `{"message":"no"}` {
		t.Errorf("a refusal gave %v", err)
	}
}

func TestDialToldOfALostConnect(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, Options{Address: newScript(t).address, Namespace: "/silent"}); !errors.Is(err, ErrConnectLost) {
		t.Errorf("a silent server gave %v", err)
	}
}

// script is a server of one connection that a test plays by hand.
type script struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	ready   chan struct{}
}

func newScript(t *testing.T) *script {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: listener.Addr().String(), ready: make(chan struct{})}
	t.Cleanup(func() {
		_ = listener.Close()
		<-s.ready
		if s.conn != nil {
			_ = s.conn.Close()
		}
	})
	go func() {
		defer close(s.ready)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		s.conn, s.in = conn, bufio.NewReader(conn)
		s.greet()
	}()
	return s
}

func (s *script) greet() {
	request, err := http.ReadRequest(s.in)
	if err != nil {
		return
	}
	sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + websocketGUID))
	open, _ := json.Marshal(map[string]any{"sid": "e1", "upgrades": []string{}, "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1e6})
	_, _ = fmt.Fprintf(s.conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n%s",
		base64.StdEncoding.EncodeToString(sum[:]), serverFrame("0"+string(open)))
	answer := map[string]string{
		`40/graph,{"session_id":"a"}`: `40/graph,{"sid":"s1"}`,
		`40/refused,`:                 `44/refused,{"message":"no"}`,
	}[s.read()]
	if answer != "" {
		_, _ = s.conn.Write([]byte(serverFrame(answer)))
	}
}

func (s *script) send(t *testing.T, bytes string) {
	t.Helper()
	<-s.ready
	if _, err := s.conn.Write([]byte(bytes)); err != nil {
		t.Fatal(err)
	}
}

func (s *script) next(t *testing.T) string {
	t.Helper()
	<-s.ready
	return s.read()
}

// read takes one client frame of less than 64 KiB; its mask is known to be zero.
func (s *script) read() string {
	var head [4]byte
	if _, err := s.in.Read(head[:2]); err != nil {
		return err.Error()
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		_, _ = s.in.Read(head[2:4])
		size = int(head[2])<<8 | int(head[3])
	}
	body := make([]byte, 4+size)
	for got := 0; got < len(body); {
		n, err := s.in.Read(body[got:])
		if err != nil {
			return err.Error()
		}
		got += n
	}
	return string(body[4:])
}

func serverFrame(packet string) string {
	frame := appendFrame(nil, opText, packet)
	cut := len(frame) - len(packet)
	frame[1] &^= 0x80
	return string(frame[:cut-4]) + packet
}
