package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/app"
)

// serving starts a server on a data folder.
func serving(t *testing.T, dir string) *app.App {
	t.Helper()
	a, err := app.Start(t.Context(), app.Options{
		Version: "test", Logger: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0", Data: dir, Realtime: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	return a
}

func request(t *testing.T, a *app.App, path, body string) map[string]any {
	t.Helper()
	resp, err := http.Post(a.URL()+"/api/v1"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	var v map[string]any
	if err != nil || resp.StatusCode >= 300 || json.Unmarshal(data, &v) != nil {
		t.Fatalf("%s: %d %s %v", path, resp.StatusCode, data, err)
	}
	return v
}

// seeded makes a data folder with a session and a saved project in it.
func seeded(t *testing.T) (dir, session, project string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	a := serving(t, dir)
	made := request(t, a, "/projects", `{"template_id":"outline","project_name":"Plan"}`)
	session, project = made["session_id"].(string), made["project_id"].(string)
	node := func(name string) {
		request(t, a, "/commands/execute", `{"session_id":"`+session+`","command_type":"CreateNode","data":{"blueprint_type_id":"item","name":"`+name+`"}}`)
	}
	node("early")
	request(t, a, "/projects/"+project+"/save", `{"session_id":"`+session+`"}`)
	node("afterwards")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir, session, project
}

// expect runs a command line and holds its status, and what it printed,
// against what is wanted; "!text" must not stand there.
func expect(t *testing.T, status int, args []string, want ...string) {
	t.Helper()
	got, out, errOut := run(args...)
	all := out + errOut
	if got != status {
		t.Errorf("%v: status %d, not %d\n%s", args, got, status, all)
	}
	for _, text := range want {
		text, not := strings.CutPrefix(text, "!")
		if strings.Contains(all, text) == not {
			t.Errorf("%v: %q\n%s", args, text, all)
		}
	}
}

// SPEC D-10: check says what it found, in lines or as JSON, and its status.
func TestCheckCommand(t *testing.T) {
	dir, session, _ := seeded(t)
	expect(t, 0, []string{"check", dir}, "1 sessions, 4 entries, ", " 1 saved projects", "\nok\n", "!session "+session)
	expect(t, 0, []string{"check", "-v", dir}, "session "+session+": 4 entries, seq 1 to 6", "\nok\n")
	expect(t, 0, []string{"check", "--json", dir}, `"sound": true`, `"found": []`, `"entries": 4`, "!ok\n")
	expect(t, 1, []string{"check", dir + "-none"}, "graphroom: ")
	expect(t, 1, []string{"check", "--json", dir + "-none"}, `"sound": false`, `"error": "`)

	files, err := filepath.Glob(filepath.Join(dir, "store", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			data[len(data)/2] ^= 0xff
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, 1, []string{"check", dir}, "!\nok\n")
	expect(t, 1, []string{"check", "--json", dir}, `"sound": false`)
}

// SPEC D-12, D-13: replay shows the graph as it was; a folder in use is refused.
func TestReplayCommand(t *testing.T) {
	dir, session, project := seeded(t)
	expect(t, 0, []string{"replay", dir, session}, "early", "afterwards")
	expect(t, 0, []string{"replay", dir, session, "--at", "3", "--project", project}, "early", "!afterwards")
	expect(t, 1, []string{"replay", dir, session, "--at", "99"}, "past the head")
	expect(t, 1, []string{"replay", dir, session, "--project", "nobody"}, "not open")
	expect(t, 1, []string{"replay", dir, "nobody"}, "unknown session")
	expect(t, 2, []string{"replay", dir}, "--help")
	serving(t, dir)
	expect(t, 1, []string{"replay", dir, session}, "in use by", "pid")
}

// SPEC D-2, D-3, D-5: export and import move a project byte for byte; a faulty
// file is refused with every place.
func TestTransferCommands(t *testing.T) {
	dir, _, project := seeded(t)
	tmp := t.TempDir()
	plan, other := filepath.Join(tmp, "plan.json"), filepath.Join(tmp, "other")
	expect(t, 0, []string{"export", dir, project, "-o", plan}, "!{")
	file, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, out, _ := run("export", dir, project); out != string(file) {
		t.Errorf("to standard output: %s\nto a file: %s", out, file)
	}
	expect(t, 1, []string{"export", dir, "nobody"}, `no saved project "nobody"`)
	expect(t, 1, []string{"export", dir, project, "-o", filepath.Join(tmp, "no", "such", "folder")}, "graphroom: ")
	expect(t, 1, []string{"export", dir, project, "-o", tmp}, "graphroom: ") // a folder cannot be replaced
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(tmp), "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}

	expect(t, 0, []string{"import", other, plan}, "imported "+project, `"Plan", template outline, revision 1`)
	if _, out, _ := run("export", other, project); out != string(file) {
		t.Errorf("after the import: %s", out)
	}
	expect(t, 1, []string{"import", other, plan}, "import it with replace")
	var out, errOut bytes.Buffer
	if status := Main([]string{"import", other, "-", "--replace", "--revision", "1"}, bytes.NewReader(file), &out, &errOut); status != 0 || !strings.Contains(out.String(), "revision 2") {
		t.Errorf("from standard input: %d %s%s", status, &out, &errOut)
	}
	expect(t, 1, []string{"import", other, plan, "--replace", "--revision", "1"}, "saved at revision 2")
	expect(t, 1, []string{"import", other, plan, "--revision", "1"}, "needs --replace")
	expect(t, 1, []string{"import", other, plan, "--max-bytes", "10"}, "larger than 10 bytes")
	expect(t, 1, []string{"import", other, plan + "x"}, "no such file")
	bad := write(t, "bad.json", strings.Replace(strings.Replace(string(file), `"version":1`, `"version":2`, 1), `"Plan"`, `7`, 1))
	fresh := filepath.Join(tmp, "fresh")
	expect(t, 1, []string{"import", fresh, bad}, "\n  version: ", "\n  project.name: must be a string")
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("a refused import made the folder: %v", err)
	}
}
