package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startWait = 60 * time.Second
	stopWait  = 60 * time.Second
)

// build compiles the server into dir.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "graphroom")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/graphroom/graphroom/cmd/graphroom")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the server: %w", err)
	}
	return binary, nil
}

// freeAddress is an address that nobody listens on: the server keeps it over
// all its lives, so that clients find it again.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// server is one life of the server process.
type server struct {
	cmd    *exec.Cmd
	output *tailBuffer
	ready  chan struct{} // closed when it listens
	ended  chan struct{} // closed when the process is gone
	err    error         // of the process, once ended
}

// launch starts the process and does not wait for it to listen.
func launch(binary, data, address string) (*server, error) {
	cmd := exec.Command(binary, "serve", "--listen", address, "--data", data, "--log-level", "warn", "--log-format", "text")
	s := &server{cmd: cmd, output: &tailBuffer{}, ready: make(chan struct{}), ended: make(chan struct{})}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = s.output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, s.output))
		said := false
		for lines.Scan() {
			if !said && strings.Contains(lines.Text(), "http://"+address) {
				said = true
				close(s.ready)
			}
		}
		s.err = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// await blocks until the server listens.
func (s *server) await(ctx context.Context) error {
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case <-s.ready:
		return nil
	case <-s.ended:
		return fmt.Errorf("the server ended while it started: %w\n%s", s.err, s.output)
	case <-timer.C:
		return errors.New("the server does not listen\n" + s.output.String())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill ends the process at once, as the kernel would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// stop ends the process in order.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("the server did not stop in order: %w\n%s", s.err, s.output)
		}
		return nil
	case <-timer.C:
		s.kill()
		return errors.New("the server did not stop\n" + s.output.String())
	}
}

// tailBuffer keeps the end of what a server printed.
type tailBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *tailBuffer) Write(p []byte) (int, error) {
	const most = 16 << 10
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	if over := b.text.Len() - most; over > 0 {
		b.text.Next(over)
	}
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// checked is what `graphroom check --json` says.
type checked struct {
	Round     int      `json:"round"`
	Sound     bool     `json:"sound"`
	Sessions  int      `json:"sessions"`
	Entries   int      `json:"entries"`
	Snapshots int      `json:"snapshots"`
	Compared  int      `json:"snapshots_compared"`
	Found     []string `json:"found"`
	Error     string   `json:"error,omitempty"`
}

// check verifies the data folder of a server that does not run.
func check(ctx context.Context, binary, data string, round int) (checked, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "check", "--json", data)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	err := cmd.Run()
	c := checked{Round: round}
	if jerr := json.Unmarshal(out.Bytes(), &c); jerr != nil {
		return c, fmt.Errorf("graphroom check: %w: %s", errors.Join(err, jerr), out.String())
	}
	return c, nil
}
