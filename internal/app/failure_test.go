package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/graphroom/graphroom/bench/load"
)

// failing is a disk that begins to fail when it is told to.
type failing struct {
	on    atomic.Bool
	match func(errorfs.Op) bool
	err   error
}

// MaybeError implements errorfs.Injector.
func (f *failing) MaybeError(op errorfs.Op) error {
	if f.on.Load() && f.match(op) {
		return f.err
	}
	return nil
}

// String implements errorfs.Injector.
func (f *failing) String() string { return "failing" }

func writes(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate, errorfs.OpMkdirAll:
		return true
	}
	return false
}

func syncs(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

// listener keeps the names of the events that one socket got.
type listener struct {
	conn *load.Conn
	mu   sync.Mutex
	got  []load.Packet
	done chan struct{}
}

func listen(t *testing.T, a *App, session string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := load.Dial(ctx, load.Options{Address: strings.TrimPrefix(a.URL(), "http://"), Auth: map[string]string{"session_id": session}})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for {
			p, err := conn.Next()
			if err != nil {
				_ = conn.Close() // the server waits for that
				return
			}
			l.mu.Lock()
			l.got = append(l.got, p)
			l.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-l.done })
	return l
}

// events are what the socket got for a command, hints excepted.
func (l *listener) events(commandID string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, p := range l.got {
		if p.Event != "command:executing" && strings.Contains(string(p.Payload), commandID) {
			out = append(out, p.Event)
		}
	}
	return out
}

// perSession is how many commands each session gets.
const perSession = 40

func commandID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

func create(session string, n int) string {
	return fmt.Sprintf(`{"session_id":%q,"command_id":%q,"command_type":"CreateNode","data":{"blueprint_type_id":"item","name":"node %d"}}`, session, commandID(n), n)
}

// SPEC D-30: when the store fails while the server works, nothing more is
// acknowledged: readiness is red, the waiting commands are answered
// UNAVAILABLE, nobody is told that they failed, and the server ends with an
// error. After a restart, with what a power cut would leave, every
// acknowledged command is there and each of the others can be settled by its
// command_id.
func TestStoreFailsWhileServing(t *testing.T) {
	for name, disk := range map[string]*failing{
		"full":        {match: writes, err: syscall.ENOSPC},
		"write fails": {match: func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite }, err: syscall.EIO},
		"fsync fails": {match: syncs, err: syscall.EIO},
		"all fails":   {match: func(errorfs.Op) bool { return true }, err: syscall.EIO},
		"read-only":   {match: writes, err: syscall.EROFS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewCrashableMem()
			o, _ := options(t)
			o.Journal, o.Data, o.fs = "pebble", "/data", errorfs.Wrap(mem, disk)
			a := start(t, o)
			const sessions = 3
			for s := range sessions {
				mustPost(t, a, "/sessions", fmt.Sprintf(`{"session_id":"s%d"}`, s), http.StatusCreated)
				mustPost(t, a, "/projects", fmt.Sprintf(`{"session_id":"s%d","template_id":"outline","project_name":"P"}`, s), http.StatusCreated)
			}
			ear := listen(t, a, "s0")
			acked := writeUntilRefused(t, a, disk, sessions)
			checkRefusing(t, a, ear)

			// What a crash at this moment leaves.
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, 2))})
			if err := a.Wait(t.Context()); err == nil {
				t.Error("the server would go on")
			}
			if err := a.Stop(); err == nil {
				t.Error("it stopped as if nothing had happened")
			}
			<-ear.done
			for n := range perSession * sessions {
				if got := strings.Join(ear.events(commandID(n)), " "); !acked[n] && got != "" {
					t.Errorf("command %d was not acknowledged and the socket got %s", n, got)
				}
			}
			o.fs = left
			again := start(t, o)
			settleAll(t, again, acked, sessions)
		})
	}
}

func mustPost(t *testing.T, a *App, path, body string, status int) string {
	t.Helper()
	got, text := post(t, a.URL()+"/api/v1"+path, body)
	if got != status {
		t.Fatalf("%s: %d %s", path, got, text)
	}
	return text
}

// writeUntilRefused sends commands to all sessions at once, breaks the disk in
// the middle and returns which commands were acknowledged. Every other answer
// must be UNAVAILABLE.
func writeUntilRefused(t *testing.T, a *App, disk *failing, sessions int) map[int]bool {
	t.Helper()
	acked := map[int]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			for i := range perSession {
				n := perSession*s + i
				if s == 0 && i == 20 {
					disk.on.Store(true)
				}
				status, text := post(t, a.URL()+"/api/v1/commands/execute", create(fmt.Sprintf("s%d", s), n))
				switch {
				case status == http.StatusOK:
					mu.Lock()
					acked[n] = true
					mu.Unlock()
				case status == http.StatusServiceUnavailable && strings.Contains(text, `"UNAVAILABLE"`):
					if s == 0 {
						return
					}
				default:
					t.Errorf("command %d: %d %s", n, status, text)
				}
			}
		})
	}
	wg.Wait()
	if len(acked) < 10 || len(acked) == perSession*sessions {
		t.Errorf("%d commands were acknowledged", len(acked))
	}
	return acked
}

// checkRefusing looks at a server whose store has failed.
func checkRefusing(t *testing.T, a *App, ear *listener) {
	t.Helper()
	if status, text := get(t, a.URL()+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d %s", status, text)
	}
	if status, _ := get(t, a.URL()+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	if _, text := get(t, a.URL()+"/metrics"); !strings.Contains(text, "graphroom_ready 0") {
		t.Error("the metrics say that it is ready")
	}
	for path, body := range map[string]string{
		"/sessions": `{}`, "/sessions/s1/undo": `{}`, "/commands/execute": create("s2", 999),
		"/projects": `{"template_id":"outline","project_name":"new"}`,
	} {
		if status, text := post(t, a.URL()+"/api/v1"+path, body); status != http.StatusServiceUnavailable || !strings.Contains(text, `"UNAVAILABLE"`) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	_ = ear.conn.Request(1, "command:execute", json.RawMessage(`{"command_type":"CreateNode","data":{"blueprint_type_id":"item"},"command_id":"`+commandID(998)+`"}`))
}

// settleAll asks every command again under its id: the acknowledged ones must
// have their receipt, and each of all must run exactly once.
func settleAll(t *testing.T, a *App, acked map[int]bool, sessions int) {
	t.Helper()
	for s := range sessions {
		before := nodeCount(t, a, s)
		for _, first := range []bool{true, false} {
			for n := perSession * s; n < perSession*(s+1); n++ {
				if acked[n] == first {
					mustPost(t, a, "/commands/execute", create(fmt.Sprintf("s%d", s), n), http.StatusOK)
				}
			}
			if now := nodeCount(t, a, s); first && now != before {
				t.Errorf("session s%d: acknowledged commands ran again: %d nodes became %d", s, before, now)
			} else if !first && now != perSession+1 {
				t.Errorf("session s%d has %d nodes", s, now)
			}
		}
	}
}

func nodeCount(t *testing.T, a *App, s int) int {
	t.Helper()
	_, text := get(t, fmt.Sprintf("%s/api/v1/sessions/s%d/info", a.URL(), s))
	var info struct {
		NodeCount int `json:"node_count"`
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		t.Fatal(err)
	}
	return info.NodeCount
}

// SPEC D-31: Run ends with an error when the store fails, so that the process
// exits with a status other than 0.
func TestRunEndsWithTheStore(t *testing.T) {
	disk := &failing{match: syncs, err: syscall.EIO}
	o, logs := options(t)
	o.Journal, o.Data, o.fs = "pebble", "/data", errorfs.Wrap(vfs.NewMem(), disk)
	ended := make(chan error, 1)
	ready := make(chan *App, 1)
	go func() { ended <- Run(context.Background(), o, func(a *App) { ready <- a }) }()
	a := <-ready
	mustPost(t, a, "/sessions", `{"session_id":"s"}`, http.StatusCreated)
	disk.on.Store(true)
	if status, text := post(t, a.URL()+"/api/v1/sessions", `{"session_id":"t"}`); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, text)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server goes on")
	}
	if !strings.Contains(logs.String(), "the journal can write no more") { // the store's own line may come a moment later
		t.Errorf("the log does not say why:\n%s", logs)
	}
}

// SPEC D-32: a data folder that cannot be written or used is told with its name
// and cause, and nothing is left running.
func TestUnusableFolder(t *testing.T) {
	for name, c := range map[string]struct {
		match func(errorfs.Op) bool
		err   error
		says  string
	}{
		"read-only": {writes, syscall.EROFS, "read-only file system"},
		"full":      {writes, syscall.ENOSPC, "no space left"},
		"forbidden": {func(op errorfs.Op) bool { return op.Kind != errorfs.OpStat }, os.ErrPermission, "permission"},
	} {
		disk := &failing{match: c.match, err: c.err}
		disk.on.Store(true)
		o, _ := options(t)
		o.Journal, o.Data, o.fs = "pebble", "/data", errorfs.Wrap(vfs.NewMem(), disk)
		a, err := Start(t.Context(), o)
		if err == nil {
			_ = a.Stop()
			t.Fatalf("%s: it started", name)
		}
		if !strings.Contains(err.Error(), "/data") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A file where the folder should be.
	o, _ := options(t)
	o.Journal = "pebble"
	if err := os.WriteFile(o.Data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.Data) {
		t.Errorf("%v", err)
		if err == nil {
			_ = a.Stop()
		}
	}
}

// SPEC D-13: a second process is refused and told who holds the folder; the
// first one does not notice.
func TestSecondServer(t *testing.T) {
	o, _ := options(t)
	o.Journal = "pebble"
	a := start(t, o)
	_, err := Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), o.Data) || !strings.Contains(err.Error(), fmt.Sprint("pid ", os.Getpid())) {
		t.Errorf("%v", err)
	}
	mustPost(t, a, "/sessions", `{"session_id":"s"}`, http.StatusCreated)
}

// walled is a data folder as kill -9 leaves it: everything in the log, nothing
// in tables. It returns the folder, its log and how many nodes there are.
func walled(t *testing.T) (o Options, log string) {
	t.Helper()
	o, _ = options(t)
	o.Journal = "pebble"
	a := start(t, o)
	mustPost(t, a, "/sessions", `{"session_id":"s0"}`, http.StatusCreated)
	mustPost(t, a, "/projects", `{"session_id":"s0","template_id":"outline","project_name":"P"}`, http.StatusCreated)
	for n := range 50 {
		mustPost(t, a, "/commands/execute", create("s0", n), http.StatusOK)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(o.Data)); err != nil { // the first goes on: its lock is not copied
		t.Fatal(err)
	}
	o.Data = copied
	logs, err := filepath.Glob(filepath.Join(copied, "store", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		if info, err := os.Stat(l); err == nil && info.Size() > 5000 {
			log = l
		}
	}
	if log == "" {
		t.Fatalf("no log in %v", logs)
	}
	return o, log
}

// used is the length of a log without the zeros that it was made with.
func used(data []byte) int {
	n := len(data)
	for n > 0 && data[n-1] == 0 {
		n--
	}
	return n
}

// SPEC D-33: a log that ends in a torn write is cut there: what was
// acknowledged is before it.
func TestTornTail(t *testing.T) {
	o, log := walled(t)
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	end := used(data)
	torn := append(append([]byte{}, data[:end]...), data[end-300:end-100]...) // the middle of some record
	if err := os.WriteFile(log, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, o)
	if n := nodeCount(t, a, 0); n != 51 {
		t.Errorf("%d nodes", n)
	}
	mustPost(t, a, "/commands/execute", create("s0", 50), http.StatusOK)
}

// SPEC D-34: damage in the middle is told and never skipped silently: the
// server does not start, or says so of the session.
func TestDamageInTheMiddle(t *testing.T) {
	o, log := walled(t)
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	data[used(data)/2] ^= 0xff
	if err := os.WriteFile(log, data, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Start(t.Context(), o)
	if err != nil {
		if !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%v", err)
		}
		return
	}
	defer func() { _ = a.Stop() }()
	if status, text := get(t, a.URL()+"/api/v1/sessions/s0/info"); status == http.StatusOK {
		t.Errorf("it serves what is left as if it were all: %s", text)
	}
}
