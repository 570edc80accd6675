package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SPEC D-30, D-31: a real disk that is really full. It needs the right to
// mount a small file system, and is skipped without it; internal/app tests the
// same on a disk that pretends.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts a file system")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	mount := func(options string) error {
		out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := mount("size=6m"); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	binary, err := build(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	d := disk{t: t, ctx: ctx, binary: binary, data: filepath.Join(dir, "data"), address: address}
	life := d.start()
	d.want("/sessions", `{"session_id":"s"}`)
	d.want("/projects", `{"session_id":"s","template_id":"outline","project_name":"P"}`)
	acked := 0
	for ; ; acked++ {
		status, text, err := d.post("/commands/execute", d.command(acked))
		if status == http.StatusOK {
			continue
		}
		// Either it was answered, or the server was gone before it could be asked.
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(text, "UNAVAILABLE")) {
			t.Errorf("%d %s", status, text)
		}
		break
	}
	select {
	case <-life.ended:
	case <-ctx.Done():
		t.Fatal("the server goes on with a full disk")
	}
	var exit *exec.ExitError
	if !errors.As(life.err, &exit) || exit.ExitCode() != 1 || !strings.Contains(life.output.String(), "no space left") {
		t.Errorf("%v\n%s", life.err, life.output)
	}
	t.Logf("%s\n%d commands were acknowledged before the disk was full", life.output, acked)
	if err := mount("remount,size=64m"); err != nil {
		t.Fatal(err)
	}
	life = d.start()
	defer life.kill()
	if n := d.nodes(); n < acked+1 || n > acked+2 {
		t.Errorf("%d were acknowledged, %d nodes are there", acked, n-1)
	}
	d.want("/commands/execute", d.command(acked)) // the one whose outcome was open
	if n := d.nodes(); n != acked+2 {
		t.Errorf("settled: %d nodes, want %d", n, acked+2)
	}
}

type disk struct {
	t                     *testing.T
	ctx                   context.Context
	binary, data, address string
}

func (d disk) start() *server {
	d.t.Helper()
	s, err := launch(d.binary, d.data, d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := s.await(d.ctx); err != nil {
		s.kill()
		d.t.Fatal(err)
	}
	return s
}

func (d disk) command(n int) string {
	return fmt.Sprintf(`{"session_id":"s","command_id":"00000000-0000-4000-8000-%012x","command_type":"CreateNode","data":{"blueprint_type_id":"item","properties":{"note":%q}}}`,
		n, strings.Repeat("text ", 2000))
}

func (d disk) post(path, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, "http://"+d.address+"/api/v1"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	return d.do(req)
}

func (d disk) do(req *http.Request) (int, string, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func (d disk) want(path, body string) {
	d.t.Helper()
	if status, text, err := d.post(path, body); err != nil || status >= 300 {
		d.t.Fatalf("%s: %d %s %v", path, status, text, err)
	}
}

func (d disk) nodes() int {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.ctx, http.MethodGet, "http://"+d.address+"/api/v1/sessions/s/info", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	_, text, err := d.do(req)
	var info struct {
		NodeCount int `json:"node_count"`
	}
	if err != nil || json.Unmarshal([]byte(text), &info) != nil {
		d.t.Fatal(text, err)
	}
	return info.NodeCount
}
