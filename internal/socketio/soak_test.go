//go:build linux

package socketio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/engineio/enginetest"
	"github.com/graphroom/graphroom/internal/socketio"
)

const (
	soakServer  = "GRAPHROOM_SOAK_SERVER"   // set: this process is the server
	soakEnabled = "GRAPHROOM_SOAK"          // set: the soak runs
	soakCount   = "GRAPHROOM_SOAK_CONNECTS" // how many connects, 50,000 when unset

	soakWarmUp   = 25_000 // connects before the first look: until as many are about as ever will be
	soakNode     = 2_000  // of them by npm socket.io-client
	soakWorkers  = 64
	soakPatience = 20 * time.Second // after which a CONNECT is lost
)

func TestMain(m *testing.M) {
	if os.Getenv(soakServer) != "" {
		if err := serveSoak(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// soakStats is what the server says about itself.
type soakStats struct {
	Goroutines, Conns, Sockets, Rooms int
	RSS                               int64 // bytes, after a collection
}

// serveSoak is the server under test: sockets join rooms in which there is
// always something going on, and are answered. It ends when its input does.
func serveSoak() error {
	srv := socketio.New(socketio.Config{PingInterval: time.Second, PingTimeout: 2 * time.Second})
	handler := socketio.Handler{
		Connected: func(s *socketio.Socket) {
			srv.Room("room" + strconv.Itoa(rand.IntN(50))).Add(s)
			_ = s.Emit("hello") // it may be gone
		},
		Event: func(_ *socketio.Socket, e socketio.Event) {
			if e.Ack != nil {
				e.Ack(len(e.Args))
			}
		},
		Lagging: func(s *socketio.Socket, _ uint64) { s.Disconnect(true) },
	}
	srv.Namespace("/", handler)
	srv.Namespace("/graph", handler)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC()
		debug.FreeOSMemory()
		s := srv.Stats()
		_ = json.NewEncoder(w).Encode(soakStats{
			Goroutines: runtime.NumGoroutine(), Conns: s.Polling + s.WebSocket + s.Closing, Sockets: s.Sockets, Rooms: s.Rooms, RSS: residentBytes(),
		})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Second}
	go func() {
		for i := 0; ; i++ {
			time.Sleep(time.Millisecond)
			srv.Room("room" + strconv.Itoa(i%50)).Broadcast(socketio.NewMessage("tick", json.RawMessage(strconv.Itoa(i)), uint64(i), ""))
		}
	}()
	go func() { _ = server.Serve(listener) }()
	fmt.Println(listener.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Close(ctx)
}

func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// TestSoakConnects: 50,000 clients come by polling, by WebSocket and by an
// upgrade, npm socket.io-client among them, join, ask something, and go
// politely or not. Every CONNECT is
// answered, and the server is afterwards as it was before.
func TestSoakConnects(t *testing.T) {
	if os.Getenv(soakEnabled) == "" {
		t.Skip(soakEnabled + " is not set")
	}
	count := 50_000
	if s := os.Getenv(soakCount); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	}
	address := startSoakServer(t)
	var lost, unanswered atomic.Int64
	run := func(n int) {
		var jobs sync.WaitGroup
		next := make(chan int)
		for w := range soakWorkers {
			jobs.Go(func() {
				c := soakClient(address, w)
				defer c.Close()
				for i := range next {
					ctx, cancel := context.WithTimeout(context.Background(), soakPatience)
					v := visitor{client: c, ctx: ctx, polite: i%5 < 3}
					if err := v.visit(i % 3); err != nil {
						t.Logf("visitor %d: %v", i, err)
						if v.connected {
							unanswered.Add(1)
						} else {
							lost.Add(1)
						}
					}
					cancel()
				}
			})
		}
		jobs.Go(func() {
			l, u := nodeVisits(t, address, soakNode)
			lost.Add(l)
			unanswered.Add(u)
		})
		for i := range n - soakNode {
			next <- i
		}
		close(next)
		jobs.Wait()
	}
	run(soakWarmUp)
	before := soakSettled(t, address)
	start := time.Now()
	run(count)
	took := time.Since(start)
	after := soakSettled(t, address)
	t.Logf("%d connects in %v; before %+v, after %+v", count, took.Round(time.Second), before, after)
	if lost.Load() > 0 || unanswered.Load() > 0 {
		t.Errorf("FAIL %d CONNECTs lost, %d later answers", lost.Load(), unanswered.Load())
	}
	if after.Conns+after.Sockets+after.Rooms > 0 {
		t.Errorf("FAIL %d connections, %d sockets, %d rooms left", after.Conns, after.Sockets, after.Rooms)
	}
	if float64(after.Goroutines) > 1.1*float64(before.Goroutines)+2 {
		t.Errorf("FAIL %d goroutines, %d before", after.Goroutines, before.Goroutines)
	}
	if float64(after.RSS) > 1.1*float64(before.RSS) {
		t.Errorf("FAIL %d KiB resident, %d before", after.RSS>>10, before.RSS>>10)
	}
	if !t.Failed() {
		t.Logf("PASS no CONNECT lost, no sid leaked, goroutines %d -> %d, RSS %d -> %d KiB",
			before.Goroutines, after.Goroutines, before.RSS>>10, after.RSS>>10)
	}
}

// nodeVisits runs visits of the official client.
func nodeVisits(t *testing.T, address string, count int) (lost, unanswered int64) {
	cmd := exec.Command("node", "churn.mjs", "http://"+address, strconv.Itoa(count))
	cmd.Dir = filepath.Join("..", "..", "e2e")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var got struct{ Lost, Unanswered int64 }
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		t.Errorf("FAIL socket.io-client: %v", err)
	}
	return got.Lost, got.Unanswered
}

func startSoakServer(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), soakServer+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// soakClient comes from an address of its own: one has not enough ports.
func soakClient(address string, worker int) *enginetest.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+worker%32))}}
	c := enginetest.New("/socket.io/", func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	})
	c.Host = address
	return c
}

// soakSettled waits until the server has noticed that everybody is gone.
func soakSettled(t *testing.T, address string) soakStats {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last soakStats
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		res, err := http.Get("http://" + address + "/stats")
		if err != nil {
			t.Fatal(err)
		}
		s := soakStats{}
		err = json.NewDecoder(res.Body).Decode(&s)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if s.Conns+s.Sockets+s.Rooms == 0 && s.Goroutines == last.Goroutines {
			return s
		}
		last = s
	}
	return last
}

// visitor is one client.
type visitor struct {
	client    *enginetest.Client
	ctx       context.Context
	polite    bool
	connected bool

	polling *enginetest.Polling
	ws      *enginetest.WebSocket
	queue   []string // polled and not yet looked at
}

// visit comes by polling (0), WebSocket (1) or with an upgrade in the middle of
// CONNECT (2).
func (v *visitor) visit(kind int) (err error) {
	defer func() {
		if v.ws != nil {
			_ = v.ws.Close()
		}
	}()
	if kind == 1 {
		v.ws, err = v.client.OpenWebSocket(v.ctx, "", nil)
	} else {
		v.polling, err = v.client.OpenPolling(v.ctx)
	}
	if err != nil {
		return err
	}
	if err := v.send("40/graph,"); err != nil {
		return err
	}
	if kind == 2 {
		if err := v.upgrade(); err != nil {
			return err
		}
	}
	if err := v.await(`40/graph,{"sid":"`); err != nil {
		return err
	}
	v.connected = true
	if err := v.await(`42/graph,["hello"]`); err != nil {
		return err
	}
	if err := v.send(`42/graph,1["ask",2]`); err != nil {
		return err
	}
	if err := v.await(`43/graph,1[1]`); err != nil {
		return err
	}
	if !v.polite {
		return nil // the heartbeat will notice
	}
	if err := v.send("41/graph,"); err != nil {
		return err
	}
	return v.send("1")
}

func (v *visitor) upgrade() (err error) {
	v.ws, err = v.client.OpenWebSocket(v.ctx, v.polling.Handshake.SID, nil)
	if err != nil {
		return err
	}
	if err := v.ws.Write("2probe"); err != nil {
		return err
	}
	packets, err := v.polling.Poll(v.ctx) // ends the polling, as clients do
	if err != nil {
		return err
	}
	v.queue = append(v.queue, packets...)
	if deadline, ok := v.ctx.Deadline(); ok {
		_ = v.ws.Conn.SetDeadline(deadline)
	}
	if got, err := v.ws.Read(); err != nil || got != "3probe" {
		return fmt.Errorf("probe answered %q: %w", got, err)
	}
	return v.ws.Write("5")
}

func (v *visitor) send(packet string) error {
	if v.ws != nil {
		return v.ws.Write(packet)
	}
	res, err := v.polling.Post(v.ctx, packet)
	if err == nil && res.Status != http.StatusOK {
		err = fmt.Errorf("post answered %d %s", res.Status, res.Body)
	}
	return err
}

// await reads until a packet begins like that.
func (v *visitor) await(prefix string) error {
	for {
		for len(v.queue) > 0 {
			packet := v.queue[0]
			v.queue = v.queue[1:]
			switch {
			case strings.HasPrefix(packet, prefix):
				return nil
			case packet == "2":
				if err := v.send("3"); err != nil {
					return err
				}
			case packet == "1" || strings.HasPrefix(packet, "44"):
				return fmt.Errorf("waiting for %q: got %q", prefix, packet)
			}
		}
		if v.ws == nil {
			packets, err := v.polling.Poll(v.ctx)
			if err != nil {
				return err
			}
			v.queue = packets
			continue
		}
		if deadline, ok := v.ctx.Deadline(); ok {
			_ = v.ws.Conn.SetDeadline(deadline)
		}
		packet, err := v.ws.Read()
		if err != nil {
			return fmt.Errorf("waiting for %q: %w", prefix, err)
		}
		v.queue = []string{packet}
	}
}
