package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests. It only ends a test that has
// failed already.
const patience = 60 * time.Second

// fixtures are what all tests of the package share. TestMain makes them.
type fixtures struct {
	dir    string
	binary string
	live   *server // with the socket layer
	quiet  *server // --realtime=false
}

// shared is set once by TestMain, before any test runs.
var shared fixtures

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "graphroom-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shared.dir = dir
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	code := m.Run()
	for _, s := range []*server{shared.live, shared.quiet} {
		if err := s.stop(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: FAIL: the server of %s: %v\n%s\n", s.data, err, s.log.String())
			code = 1
		}
	}
	return code
}

// setUp builds the program and starts the two shared servers.
func setUp() error {
	shared.binary = filepath.Join(shared.dir, "graphroom")
	args := []string{"build", "-o", shared.binary}
	if raceDetector {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "../cmd/graphroom")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	var err error
	if shared.live, err = startServer(filepath.Join(shared.dir, "live")); err != nil {
		return err
	}
	shared.quiet, err = startServer(filepath.Join(shared.dir, "quiet"), "--realtime=false")
	return err
}

// server is a running graphroom.
type server struct {
	url  string // http://127.0.0.1:PORT
	addr string // 127.0.0.1:PORT
	data string
	cmd  *exec.Cmd
	log  *logBuffer
	end  chan error
	web  *http.Client // for its REST API
}

var urlLine = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// startServer starts a server on a free port and returns when it has printed
// its address.
func startServer(data string, args ...string) (*server, error) {
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "warn"}, args...)
	s := &server{data: data, cmd: exec.Command(shared.binary, args...), log: &logBuffer{}, end: make(chan error, 1)}
	s.web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: patience}
	s.cmd.Stderr = s.log
	s.cmd.Env = append(os.Environ(), "GORACE=exitcode=66")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, s.log))
		for lines.Scan() {
			if found := urlLine.FindStringSubmatch(lines.Text()); found != nil {
				select {
				case address <- found[1]:
				default:
				}
			}
		}
		s.end <- s.cmd.Wait()
	}()
	select {
	case s.addr = <-address:
		s.url = "http://" + s.addr
		return s, nil
	case err := <-s.end:
		return nil, fmt.Errorf("the server ended: %w\n%s", err, s.log.String())
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		return nil, fmt.Errorf("the server printed no address:\n%s", s.log.String())
	}
}

// stop ends the server with SIGTERM. It must exit 0 and have seen no race and
// no panic.
func (s *server) stop() error {
	s.web.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.end:
		if err != nil {
			return err
		}
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		return errors.New("did not end after SIGTERM")
	}
	for _, word := range []string{"DATA RACE", "panic"} {
		if strings.Contains(s.log.String(), word) {
			return fmt.Errorf("its log holds %q", word)
		}
	}
	return nil
}

// kill ends the server as a power cut would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.end
}

// ownServer starts a server for one test alone.
func ownServer(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s, err := startServer(data, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState != nil {
			return
		}
		if err := s.stop(); err != nil {
			t.Errorf("%v\n%s", err, s.log.String())
		}
	})
	return s
}

// logBuffer keeps what a server prints.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// bounded is the test's context with patience.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
