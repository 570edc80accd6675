package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clockTicks is the unit of the times in /proc/PID/stat on every Linux there
// is (USER_HZ).
const clockTicks = 100

// process is a server under measurement: a child of ours that takes commands
// on stdin and answers some of them on stdout, one JSON line each.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan answer
	port    int
	gone    chan struct{}
	stop    sync.Once
}

// answer is a line that a server printed.
type answer struct {
	Listening int
	Done      string
	Emitted   uint64
	Clients   int
}

// startProcess starts a server and waits for its port. Its stderr is ours.
func startProcess(ctx context.Context, dir string, env []string, argv ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: in, answers: make(chan answer, 16), gone: make(chan struct{})}
	go p.listen(out)
	first, err := p.await(ctx, 30*time.Second)
	if err == nil && first.Listening == 0 {
		err = errors.New("the first line names no port")
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	p.port = first.Listening
	return p, nil
}

func (p *process) listen(out io.Reader) {
	defer close(p.gone)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var a answer
		if json.Unmarshal(lines.Bytes(), &a) == nil {
			p.answers <- a
		}
	}
}

// tell sends a command that has no answer.
func (p *process) tell(format string, args ...any) error {
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	return err
}

// ask sends a command and waits for its answer.
func (p *process) ask(ctx context.Context, wait time.Duration, format string, args ...any) (answer, error) {
	if err := p.tell(format, args...); err != nil {
		return answer{}, err
	}
	return p.await(ctx, wait)
}

func (p *process) await(ctx context.Context, wait time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case a := <-p.answers:
		return a, nil
	case <-p.gone:
		return answer{}, errors.New("the server has ended")
	case <-ctx.Done():
		return answer{}, fmt.Errorf("no answer from the server: %w", ctx.Err())
	}
}

func (p *process) address() string { return "127.0.0.1:" + strconv.Itoa(p.port) }

// Stop closes the server's stdin, which ends it, and kills it when it does
// not end within three seconds.
func (p *process) Stop() {
	p.stop.Do(func() {
		_ = p.in.Close()
		timer := time.AfterFunc(3*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer timer.Stop()
		for done := false; !done; {
			select {
			case <-p.answers:
			case <-p.gone:
				done = true
			}
		}
		_ = p.cmd.Wait()
	})
}

// cpu returns the seconds of processor time, user and system, that the
// process has used, in steps of 10 ms.
func (p *process) cpu() (float64, error) { return cpuOf(p.cmd.Process.Pid) }

func cpuOf(pid int) (float64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name in parentheses may hold spaces
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, fmt.Errorf("unreadable /proc/%d/stat", pid)
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	return float64(user+system) / clockTicks, err
}

// memory returns the process's resident bytes: now, and at their highest.
func (p *process) memory() (now, peak int64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kib << 10
		case "VmHWM:":
			peak = kib << 10
		}
	}
	return now, peak, nil
}
