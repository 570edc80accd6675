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
	"sync"
	"syscall"
	"time"

	"github.com/graphroom/graphroom/bench/load"
)

// program is the whole server, as people start it, with one project open.
type program struct {
	addr    string // host:port
	cmd     *exec.Cmd
	gone    chan struct{}
	stop    sync.Once
	web     *http.Client
	session string
	node    string // the id of the project's root node
}

var programURL = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// startProgram starts graphroom on a free port with its data in a new folder
// in dir.
func startProgram(ctx context.Context, dir, binary string, args ...string) (*program, error) {
	data, err := os.MkdirTemp(dir, "data-")
	if err != nil {
		return nil, err
	}
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(data, "db"), "--log-level", "error"}, args...)
	p := &program{cmd: exec.CommandContext(ctx, binary, args...), gone: make(chan struct{}), session: "bench"}
	p.web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}, Timeout: time.Minute}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go func() {
		defer close(p.gone)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := programURL.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
	}()
	select {
	case p.addr = <-found:
	case <-p.gone:
		err = errors.New("it ended at once")
	case <-time.After(30 * time.Second):
		err = errors.New("it printed no address")
	}
	if err == nil {
		err = p.openProject(ctx)
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start graphroom: %w", err)
	}
	return p, nil
}

// Stop ends the server, gracefully if it can within three seconds.
func (p *program) Stop() {
	p.stop.Do(func() {
		p.web.CloseIdleConnections()
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer timer.Stop()
		<-p.gone
		_ = p.cmd.Wait()
	})
}

// post sends one request to the API and returns its answer, which must be a
// success.
func (p *program) post(ctx context.Context, path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := p.web.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	out, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("POST %s: %s: %s", path, answer.Status, out)
	}
	return out, err
}

func (p *program) openProject(ctx context.Context) error {
	if _, err := p.post(ctx, "/sessions", map[string]string{"session_id": p.session}); err != nil {
		return err
	}
	text, err := p.post(ctx, "/projects", map[string]string{"template_id": "outline", "project_name": "bench", "session_id": p.session})
	if err != nil {
		return err
	}
	var made struct {
		Graph struct{ Roots []struct{ ID string } }
	}
	if err := json.Unmarshal(text, &made); err != nil || len(made.Graph.Roots) != 1 {
		return fmt.Errorf("unexpected project: %s", text)
	}
	p.node = made.Graph.Roots[0].ID
	return nil
}

// command renames the project's root node to a stamp, which is what a client
// then finds in graph:property-changed.
func (p *program) command(ctx context.Context, stamp int64) error {
	_, err := p.post(ctx, "/commands/execute", map[string]any{
		"session_id": p.session, "command_type": "UpdateProperty",
		"data": map[string]any{"node_id": p.node, "property_id": "name", "value": fmt.Sprintf("t=%d", stamp)},
	})
	return err
}

// programKey is the text before the stamp that command makes.
const programKey = `"new_value":"t=`

// join adds so many clients of the program's session to the pool.
func (p *program) join(ctx context.Context, pool *load.Pool, clients int) error {
	for range clients {
		conn, err := load.Dial(ctx, load.Options{Address: p.addr, Namespace: "/graph", Auth: map[string]string{"session_id": p.session}})
		if err != nil {
			return err
		}
		if _, err := pool.Add(conn, false); err != nil {
			return err
		}
	}
	return nil
}
