package cli

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/graphroom/graphroom/internal/app"
)

// TestMain lets the scripts run graphroom as a command of its own process.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"graphroom": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/*.txtar. Beside testscript's own commands they may
// use `seed DIR`, which makes a data folder with a session and a saved project
// and sets $SESSION, $PROJECT and $MID (a seq halfway), and `damage DIR`, which
// flips a byte in the middle of the newest file of each kind.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"seed": seed, "damage": damage, "serve": serve,
		},
	})
}

func start(ts *testscript.TestScript, dir string) *app.App {
	a, err := app.Start(context.Background(), app.Options{
		Version: "test", Logger: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0", Data: ts.MkAbs(dir), Realtime: true,
	})
	ts.Check(err)
	ts.Setenv("URL", a.URL())
	return a
}

func call(ts *testscript.TestScript, url, method, path, body string) string {
	req, err := http.NewRequest(method, url+"/api/v1"+path, strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 20 * time.Second}
	resp, err := client.Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode >= 300 {
		ts.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return string(text)
}

// field is the string value of a key in flat JSON text.
func field(text, key string) string {
	_, rest, _ := strings.Cut(text, `"`+key+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func number(text, key string) string {
	_, rest, _ := strings.Cut(text, `"`+key+`":`)
	return rest[:strings.IndexAny(rest, ",}")]
}

func seed(ts *testscript.TestScript, _ bool, args []string) {
	a := start(ts, args[0])
	made := call(ts, a.URL(), "POST", "/projects", `{"template_id":"outline","project_name":"Plan"}`)
	session, project := field(made, "session_id"), field(made, "project_id")
	node := func(name string) string {
		return call(ts, a.URL(), "POST", "/commands/execute",
			`{"session_id":"`+session+`","command_type":"CreateNode","data":{"blueprint_type_id":"item","name":"`+name+`"}}`)
	}
	for range 20 {
		node("early")
	}
	mid := number(node("halfway"), "seq")
	call(ts, a.URL(), "POST", "/projects/"+project+"/save", `{"session_id":"`+session+`"}`)
	for range 20 {
		node("afterwards")
	}
	ts.Check(a.Stop())
	ts.Setenv("SESSION", session)
	ts.Setenv("PROJECT", project)
	ts.Setenv("MID", mid)
}

func serve(ts *testscript.TestScript, _ bool, args []string) {
	a := start(ts, args[0])
	ts.Defer(func() { _ = a.Stop() })
	ts.Check(os.WriteFile(ts.MkAbs("url"), []byte(a.URL()), 0o600))
}

// damage flips one byte in the middle of every log and table of a data folder.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	for _, kind := range []string{"*.log", "*.sst"} {
		files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "store", kind))
		ts.Check(err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			ts.Check(err)
			if len(data) == 0 {
				continue
			}
			data[len(data)/2] ^= 0xff
			ts.Check(os.WriteFile(file, data, 0o600))
			n++
		}
	}
	if n == 0 {
		ts.Fatalf("nothing to damage in %s", args[0])
	}
}
