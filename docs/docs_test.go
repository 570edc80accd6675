// Package docs_test runs what the documents print: every fenced sh block of
// the README and the guides is executed as it stands, against a server that
// the README's own command started; a js block that names its file is written
// first; a text block right after a sh block is what that block prints, where
// "…" stands for anything.
package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// address is the default listen address, which the documents print.
const address = "127.0.0.1:5000"

var documents = []string{
	"../README.md",
	"WEBSOCKET_GUIDE.md",
	"WEBSOCKET_CLIENT_EXAMPLE.md",
}

type block struct {
	kind, text string
	line       int
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(t *testing.T, file string) []block {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	for _, m := range fence.FindAllSubmatchIndex(data, -1) {
		out = append(out, block{
			kind: string(data[m[2]:m[3]]), text: string(data[m[4]:m[5]]),
			line: 1 + bytes.Count(data[:m[0]], []byte("\n")),
		})
	}
	if len(out) == 0 {
		t.Fatalf("%s has no fenced block", file)
	}
	return out
}

func TestDocuments(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server and installs npm packages")
	}
	for _, tool := range []string{"bash", "make", "curl", "node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed: %v", tool, err)
		}
	}
	startServer(t)
	for _, file := range documents {
		t.Run(filepath.Base(file), func(t *testing.T) { runDocument(t, file) })
	}
}

func runDocument(t *testing.T, file string) {
	dir := t.TempDir()
	all := blocks(t, file)
	for i, b := range all {
		switch {
		case b.kind == "js":
			name, ok := strings.CutPrefix(strings.SplitN(b.text, "\n", 2)[0], "// file: ")
			if !ok || name != filepath.Base(name) {
				t.Fatalf("%s:%d: a js block begins with // file: NAME", file, b.line)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.kind == "sh" && isMake(b.text):
			// the server is running already; make test is what runs this test
		case b.kind == "sh":
			out := runShell(t, dir, file, b)
			if i+1 < len(all) && all[i+1].kind == "text" {
				compare(t, fmt.Sprintf("%s:%d", file, all[i+1].line), out, all[i+1].text)
			}
		}
	}
}

func isMake(text string) bool {
	return strings.HasPrefix(text, "make ") || strings.HasPrefix(text, "git clone ")
}

func runShell(t *testing.T, dir, file string, b block) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", b.text)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s:%d: %v\n%s\nstdout:\n%s\nstderr:\n%s", file, b.line, err, b.text, out, stderr.String())
	}
	if strings.Contains(string(out), `"error":{`) {
		t.Errorf("%s:%d: the server refused:\n%s", file, b.line, out)
	}
	return string(out)
}

// compare holds what was printed against what the document says is printed.
func compare(t *testing.T, at, got, want string) {
	t.Helper()
	var pattern strings.Builder
	for i, part := range strings.Split(strings.TrimSpace(want), "…") {
		if i > 0 {
			pattern.WriteString("(?s:.*?)")
		}
		pattern.WriteString(regexp.QuoteMeta(part))
	}
	ok, err := regexp.MatchString("^"+pattern.String()+"$", strings.TrimSpace(got))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Errorf("%s: the document says\n%s\nbut it prints\n%s", at, want, got)
	}
}

// startServer runs the README's first command in the checkout, with a data
// directory of its own, and waits until the server answers.
func startServer(t *testing.T) {
	t.Helper()
	if l, err := net.Listen("tcp", address); err != nil {
		t.Fatalf("the documents need %s free: %v", address, err)
	} else {
		l.Close()
	}
	cmd := exec.Command("make", "run")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "DATA="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
			t.Errorf("stop: %v", err)
		}
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			t.Errorf("the server does not stop:\n%s", out.String())
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("make run ended: %v\n%s", err, out.String())
		case <-ctx.Done():
			t.Fatalf("the server did not come up:\n%s", out.String())
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond) // between two looks at a condition
	}
}
