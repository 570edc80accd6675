package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// The drivers that durable scenarios compare.
const (
	onDisk   = "pebble"
	inMemory = "memory"
)

// durable is one scenario of commands that are on disk before they are
// acknowledged: so many clients, each with one command under way, spread over
// so many sessions.
type durable struct {
	name, about       string
	socket            bool
	clients, sessions int
}

func durableScenarios() []durable {
	return []durable{
		{"durable-rest-1", "commands over REST: 1 client", false, 1, 1},
		{"durable-rest-64in1", "commands over REST: 64 clients in one session", false, 64, 1},
		{"durable-rest-64in64", "commands over REST: 64 clients in 64 sessions", false, 64, 64},
		{"durable-socket-1", "commands over the socket: 1 client", true, 1, 1},
		{"durable-socket-64in1", "commands over the socket: 64 clients in one session", true, 64, 1},
		{durableGoal, "commands over the socket: 64 clients in 64 sessions", true, 64, 64},
	}
}

// durableSample is one round of a durable scenario on one driver.
type durableSample struct {
	Scenario string  `json:"scenario"`
	Driver   string  `json:"driver"`
	Round    int     `json:"round"`
	Clients  int     `json:"clients"`
	Sessions int     `json:"sessions"`
	Nodes    int     `json:"nodes,omitempty"` // in each project, where that is what varies
	Commands uint64  `json:"commands"`
	Rate     float64 `json:"commands_per_second"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	CPU      float64 `json:"server_cpu_us_per_command"`
	RSS      int64   `json:"rss_bytes"`
	StartMS  float64 `json:"start_ms,omitempty"`    // restart: until it listens
	ColdMS   float64 `json:"cold_ms,omitempty"`     // restart: first command of a cold session, median
	ColdMax  float64 `json:"cold_max_ms,omitempty"` // the worst of them
	Entries  uint64  `json:"journal_entries,omitempty"`
	Problem  string  `json:"problem,omitempty"`
}

// served is a real graphroom server of its own.
type served struct {
	process
	data string
	base string // of REST
}

var servedURL = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// startServed runs the program on a data folder and returns when it listens,
// with how long that took.
func startServed(ctx context.Context, binary, data, driver string, args ...string) (*served, time.Duration, error) {
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--journal", driver, "--log-level", "error"}, args...)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	s := &served{process: process{cmd: cmd, gone: make(chan struct{})}, data: data}
	address := make(chan string, 1)
	go func() {
		defer close(s.gone)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if found := servedURL.FindStringSubmatch(lines.Text()); found != nil && len(address) == 0 && s.base == "" {
				address <- found[1]
			}
		}
	}()
	timer := time.NewTimer(2 * time.Minute)
	defer timer.Stop()
	select {
	case a := <-address:
		took := time.Since(began)
		_, port, _ := cutLast(a, ':')
		s.port, err = strconv.Atoi(port)
		s.base = "http://" + a + "/api/v1"
		return s, took, err
	case <-s.gone:
		return nil, 0, fmt.Errorf("%s serve ended while it started: %w", binary, cmd.Wait())
	case <-timer.C:
		s.kill()
		return nil, 0, errors.New("the server does not listen")
	}
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// kill ends the server without a farewell.
func (s *served) kill() {
	_ = s.cmd.Process.Kill()
	<-s.gone
	_ = s.cmd.Wait()
}

// post does one REST request that has to succeed and decodes its answer.
func (s *served) post(ctx context.Context, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %d %.300s", path, resp.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// place is where a client works: a node of its own.
type place struct{ session, node string }

// rooms makes sessions with one project each and a node for every client;
// client i works in session i modulo sessions.
func (s *served) rooms(ctx context.Context, prefix string, clients, sessions int) ([]place, error) {
	places := make([]place, clients)
	for i := range sessions {
		id := prefix + strconv.Itoa(i)
		if err := s.post(ctx, "/sessions", []byte(`{"session_id":"`+id+`"}`), nil); err != nil {
			return nil, err
		}
		if err := s.post(ctx, "/projects", []byte(`{"session_id":"`+id+`","template_id":"outline","project_name":"bench"}`), nil); err != nil {
			return nil, err
		}
		for c := i; c < clients; c += sessions {
			node, err := s.node(ctx, id)
			if err != nil {
				return nil, err
			}
			places[c] = place{id, node}
		}
	}
	return places, nil
}

func (s *served) node(ctx context.Context, session string) (string, error) {
	var made struct {
		Result struct {
			NodeID string `json:"node_id"`
		}
	}
	err := s.post(ctx, "/commands/execute",
		[]byte(`{"session_id":"`+session+`","command_type":"CreateNode","data":{"blueprint_type_id":"item"}}`), &made)
	return made.Result.NodeID, err
}

// update appends the command of the n-th call at a place.
func (p place) update(dst []byte, rest bool, n uint64) []byte {
	dst = append(dst, '{')
	if rest {
		dst = append(append(append(dst, `"session_id":"`...), p.session...), `",`...)
	}
	dst = append(append(append(dst, `"command_type":"UpdateProperty","data":{"node_id":"`...), p.node...), `","property_id":"note","value":"this is note number `...)
	return append(strconv.AppendUint(dst, n, 10), `"}}`...)
}

// callers connects the clients.
func (s *served) callers(ctx context.Context, places []place, socket bool) (*load.Calls, error) {
	clock, err := load.NewClock()
	if err != nil {
		return nil, err
	}
	body := func(i int, n uint64, dst []byte) []byte { return places[i].update(dst, !socket, n) }
	if !socket {
		return load.NewHTTPCalls(ctx, clock, s.address(), "/api/v1/commands/execute", len(places), body)
	}
	conns := make([]*load.Conn, 0, len(places))
	for _, p := range places {
		conn, err := load.Dial(ctx, load.Options{Address: s.address(), Auth: map[string]string{"session_id": p.session}})
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
	}
	return load.NewSocketCalls(clock, conns, "command:execute", body)
}

// measure runs calls for a while after a warm-up and fills a sample.
func (s *served) measure(ctx context.Context, calls *load.Calls, warm, span time.Duration, out *durableSample) error {
	if _, err := calls.Run(ctx, 0, warm); err != nil {
		return err
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	got, err := calls.Run(ctx, 0, span)
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	out.take(got, after-before)
	out.RSS, _, err = s.memory()
	return err
}

func (d *durableSample) take(got load.CallStats, cpu float64) {
	d.Commands = got.Done
	d.Rate = float64(got.Done) / got.Elapsed.Seconds()
	d.P50, d.P99 = float64(got.Latency.Quantile(0.5))/1e6, float64(got.Latency.Quantile(0.99))/1e6
	if got.Done > 0 {
		d.CPU = cpu * 1e6 / float64(got.Done)
	}
	if got.Refused > 0 {
		d.Problem = fmt.Sprintf("%d refused: %s", got.Refused, got.Refusal)
	}
}

// run measures one round of a scenario on one driver.
func (d durable) run(ctx context.Context, binary, dir, driver string, round int, quick bool) (durableSample, error) {
	out := durableSample{Scenario: d.name, Driver: driver, Round: round, Clients: d.clients, Sessions: d.sessions}
	warm, span := time.Second, 4*time.Second
	if quick {
		warm, span = 300*time.Millisecond, time.Second
	}
	data := filepath.Join(dir, fmt.Sprintf("%s-%s-%d", d.name, driver, round))
	defer func() { _ = os.RemoveAll(data) }()
	s, _, err := startServed(ctx, binary, data, driver)
	if err != nil {
		return out, err
	}
	defer s.kill()
	places, err := s.rooms(ctx, "bench-", d.clients, d.sessions)
	if err != nil {
		return out, err
	}
	calls, err := s.callers(ctx, places, d.socket)
	if err != nil {
		return out, err
	}
	defer calls.Close()
	return out, s.measure(ctx, calls, warm, span, &out)
}
