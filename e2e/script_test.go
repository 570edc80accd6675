package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// line is what client.mjs and client.py print.
type line struct {
	Client    string
	Type      string
	Transport string
	SID       string
	Recovered bool
	Name      string
	Args      []json.RawMessage
	Ack       *int
	Reason    string
	Message   string
	Data      json.RawMessage
}

// script is one process that holds any number of official clients.
type script struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	// ordered says whether the library hands events over in the order of their
	// arrival. python3-socketio starts a thread for each and does not.
	ordered bool

	mu      sync.Mutex
	clients map[string]*official
	pongs   int
	change  chan struct{} // closed and made anew with every line
	ended   bool
}

// official is one client in a script.
type official struct {
	script *script
	name   string
	lines  []line // guarded by script.mu
}

// startScript runs client.mjs or client.py for one test.
func startScript(t *testing.T, file string) *script {
	t.Helper()
	argv := []string{"node", file}
	if strings.HasSuffix(file, ".py") {
		argv[0] = "/usr/bin/python3"
	}
	needs(t, file)
	s := &script{cmd: exec.Command(argv[0], argv[1:]...), clients: map[string]*official{}, change: make(chan struct{}), ordered: argv[0] == "node"}
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in = in
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.listen(out)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		timer := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
		defer timer.Stop()
		<-done
		_ = s.cmd.Wait()
	})
	return s
}

// needs skips the test where the script's library is not installed, and fails
// it under CI.
func needs(t *testing.T, file string) {
	t.Helper()
	complain := t.Skipf
	if os.Getenv("CI") != "" {
		complain = t.Fatalf
	}
	if strings.HasSuffix(file, ".py") {
		if err := exec.Command("/usr/bin/python3", "-c", "import socketio, requests, websocket").Run(); err != nil {
			complain("python3-socketio is not installed (see CONTRIBUTING.md)")
		}
		return
	}
	if _, err := os.Stat("node_modules/socket.io-client/package.json"); err != nil {
		complain("socket.io-client is not installed: run npm ci in e2e")
	}
}

func (s *script) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			l = line{Type: "unreadable", Message: lines.Text()}
		}
		s.mu.Lock()
		if c := s.clients[l.Client]; c != nil {
			c.lines = append(c.lines, l)
		} else if l.Type == "pong" {
			s.pongs++
		}
		close(s.change)
		s.change = make(chan struct{})
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.ended = true
	close(s.change)
	s.change = make(chan struct{})
	s.mu.Unlock()
}

func (s *script) tell(t *testing.T, command object) {
	t.Helper()
	if _, err := s.in.Write([]byte(jsonText(command) + "\n")); err != nil {
		t.Fatal(err)
	}
}

// open starts a client; transports nil means the library's default.
func (s *script) open(t *testing.T, name, url, namespace string, transports []string, auth object) *official {
	t.Helper()
	c := &official{script: s, name: name}
	s.mu.Lock()
	s.clients[name] = c
	s.mu.Unlock()
	options := object{}
	if transports != nil {
		options["transports"] = transports
	}
	s.tell(t, object{"do": "open", "client": name, "url": url, "namespace": namespace, "auth": auth, "options": options})
	return c
}

// do gives a client a command without arguments: close, reopen, drop.
func (c *official) do(t *testing.T, what string) {
	t.Helper()
	c.script.tell(t, object{"do": what, "client": c.name})
}

// call emits an event and returns the arguments of its ack.
func (c *official) call(t *testing.T, event string, arg any, ack int) []json.RawMessage {
	t.Helper()
	c.script.tell(t, object{"do": "emit", "client": c.name, "name": event, "args": []any{arg}, "ack": ack})
	return c.await(t, "the ack of "+event, 1, func(l line) bool { return l.Type == "ack" && l.Ack != nil && *l.Ack == ack }).Args
}

// await blocks until the client has printed so many lines that match, and
// returns the last of them.
func (c *official) await(t *testing.T, what string, times int, match func(line) bool) line {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for seen := 0; ; {
		c.script.mu.Lock()
		fresh, ended, change := c.lines[seen:], c.script.ended, c.script.change
		c.script.mu.Unlock()
		seen += len(fresh)
		for _, l := range fresh {
			if !match(l) {
				continue
			}
			if times--; times == 0 {
				return l
			}
		}
		if ended {
			t.Fatalf("%s: the script ended while waiting for %s", c.name, what)
		}
		select {
		case <-change:
		case <-timeout.C:
			t.Fatalf("%s: no %s; it printed %d lines, the last: %s", c.name, what, seen, c.last(5))
		}
	}
}

func (c *official) last(n int) string {
	var b strings.Builder
	lines := c.all()
	for _, l := range lines[max(0, len(lines)-n):] {
		_, _ = fmt.Fprintf(&b, "\n  %s %s %s %s %.300s", l.Type, l.Name, l.Reason, l.Message, jsonText(l.Args))
	}
	return b.String()
}

func (c *official) all() []line {
	c.script.mu.Lock()
	defer c.script.mu.Unlock()
	return slices.Clone(c.lines)
}

// events are the events that the client has received so far.
func (c *official) events() []line {
	return slices.DeleteFunc(c.all(), func(l line) bool { return l.Type != "event" })
}

// awaitJoined blocks until the client has joined so many times, and has had
// the session:connected of its own last join. It returns the socket's id.
func (c *official) awaitJoined(t *testing.T, times int) string {
	t.Helper()
	sid := c.await(t, fmt.Sprintf("join number %d", times), times, func(l line) bool { return l.Type == "connect" }).SID
	c.awaitEvent(t, "session:connected", "client_id", sid)
	return sid
}

// awaitEvent blocks until an event of the name came whose field has the value.
func (c *official) awaitEvent(t *testing.T, name, key string, value any) line {
	t.Helper()
	return c.await(t, fmt.Sprintf("%s with %s=%v", name, key, value), 1, func(l line) bool {
		return l.Type == "event" && l.Name == name && field(l, key) == value
	})
}

// payload is an event's one argument.
func payload(l line) object {
	var out object
	if len(l.Args) == 0 || json.Unmarshal(l.Args[0], &out) != nil {
		return nil
	}
	return out
}

func field(l line, key string) any { return payload(l)[key] }

// numbered are the events that carry a seq.
func numbered(lines []line) []recorded {
	var out []recorded
	for _, l := range lines {
		if l.Type != "event" || len(l.Args) == 0 {
			continue
		}
		var head struct{ Seq uint64 }
		if json.Unmarshal(l.Args[0], &head) == nil && head.Seq > 0 {
			out = append(out, recorded{Event: l.Name, Seq: head.Seq, Data: l.Args[0]})
		}
	}
	return out
}
