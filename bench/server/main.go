// Command server is the transport under measurement: package socketio with one
// room, commanded from stdin. bench/peer/server.mjs behaves the same on Node.
//
// Its first line on stdout is {"listening":PORT}. Every client that connects
// to / or /graph joins the room; a client's event "publish" is broadcast there.
// Commands, one a line:
//
//	pad BYTES            size of a filler in every event, 1 at first
//	grant TOTAL          emit at once until TOTAL events were made in all
//	paced RATE SECONDS   emit at a steady rate, then print {"done":"paced","emitted":N}
//	stats                print {"done":"stats","emitted":N,"clients":N}
//	gc                   give memory back, then print {"done":"gc"}
//
// It ends with its stdin. -profile FILE writes a CPU profile at the end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graphroom/graphroom/bench/load"
	"github.com/graphroom/graphroom/internal/socketio"
)

const (
	event    = "graph:property-changed"
	roomName = "session_bench"
)

func main() {
	profile := flag.String("profile", "", "write a CPU profile to this file")
	flag.Parse()
	if err := run(*profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench/server:", err)
		os.Exit(1)
	}
}

func run(profile string) error {
	clock, err := load.NewClock()
	if err != nil {
		return err
	}
	if profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := newSource(clock)
	web := &http.Server{Handler: s.io, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(listener) }()
	s.print("{\"listening\":%d}", listener.Addr().(*net.TCPAddr).Port)
	s.obey(bufio.NewScanner(os.Stdin))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = s.io.Close(ctx)
	return web.Close()
}

// source makes events for the room.
type source struct {
	io      *socketio.Server
	room    *socketio.Room
	clock   load.Clock
	pad     atomic.Pointer[string]
	emitted atomic.Uint64 // published ones among them
	granted atomic.Uint64
	wake    chan struct{}
	mu      sync.Mutex // one event after the other, and lines on stdout
}

func newSource(clock load.Clock) *source {
	s := &source{clock: clock, wake: make(chan struct{}, 1)}
	s.io = socketio.New(socketio.Config{Limits: socketio.Limits{HandshakesPerSecond: -1}})
	s.room = s.io.Room(roomName)
	one := "x"
	s.pad.Store(&one)
	handler := socketio.Handler{
		Connected: func(socket *socketio.Socket) { s.room.Add(socket) },
		Event:     s.receive,
	}
	s.io.Namespace("/", handler)
	s.io.Namespace("/graph", handler)
	go s.pump()
	return s
}

// receive broadcasts what a client publishes.
func (s *source) receive(_ *socketio.Socket, e socketio.Event) {
	if e.Name != "publish" || len(e.Args) != 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.emitted.Add(1)
	s.room.Broadcast(socketio.NewMessage(event, e.Args[0], n, ""))
}

// body is the payload of an event, like that of the real one.
type body struct {
	T          int64   `json:"t"` // when it was made, by the machine's monotonic clock
	N          uint64  `json:"n"`
	Seq        uint64  `json:"seq"`
	SessionID  string  `json:"session_id"`
	ProjectID  string  `json:"project_id"`
	Timestamp  string  `json:"timestamp"`
	CommandID  string  `json:"command_id"`
	Actor      string  `json:"actor"`
	NodeID     string  `json:"node_id"`
	PropertyID string  `json:"property_id"`
	OldValue   *string `json:"old_value"`
	NewValue   string  `json:"new_value"`
}

func (s *source) emit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.emitted.Add(1)
	payload, err := json.Marshal(body{
		T: s.clock.Now(), N: n, Seq: n,
		SessionID: "bench", ProjectID: "0b7e5a52-7c0e-4c0c-9d43-0f6b7a1c2d3e",
		Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		CommandID: "5f0f6f5e-52a3-4d1c-8a77-6a1f0d9b8c7d", Actor: "anonymous",
		NodeID: "c2a1b3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d", PropertyID: "notes", NewValue: *s.pad.Load(),
	})
	if err != nil {
		panic(err) // a struct of plain fields
	}
	s.room.Broadcast(socketio.NewMessage(event, payload, n, ""))
}

// pump makes what was granted.
func (s *source) pump() {
	for range s.wake {
		for s.emitted.Load() < s.granted.Load() {
			s.emit()
		}
	}
}

// paced makes events at a steady rate, catching up each millisecond.
func (s *source) paced(rate, seconds float64) {
	total, made, start := int(rate*seconds+0.5), 0, time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for made < total {
		<-tick.C
		for due := min(total, int(time.Since(start).Seconds()*rate)); made < due; made++ {
			s.emit()
		}
	}
	s.print("{\"done\":\"paced\",\"emitted\":%d}", s.emitted.Load())
}

func (s *source) print(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

// obey carries out commands until stdin ends.
func (s *source) obey(lines *bufio.Scanner) {
	for lines.Scan() {
		var name string
		var a, b float64
		_, _ = fmt.Sscan(lines.Text(), &name, &a, &b) // missing arguments stay zero
		switch name {
		case "pad":
			filler := strings.Repeat("x", int(a))
			s.pad.Store(&filler)
		case "grant":
			s.granted.Store(uint64(a))
			select {
			case s.wake <- struct{}{}:
			default:
			}
		case "paced":
			go s.paced(a, b)
		case "stats":
			s.print("{\"done\":\"stats\",\"emitted\":%d,\"clients\":%d}", s.emitted.Load(), s.room.Len())
		case "gc":
			debug.FreeOSMemory()
			s.print("{\"done\":\"gc\"}")
		}
	}
}
