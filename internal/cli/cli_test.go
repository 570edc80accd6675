package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

func run(args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = Main(args, strings.NewReader(""), &o, &e)
	return status, o.String(), e.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parse resolves serve's options as Main does, without serving.
func parse(t *testing.T, args ...string) (serveCmd, error) {
	t.Helper()
	var grammar commands
	k, err := kong.New(&grammar, kong.DefaultEnvars("GRAPHROOM"), kong.Resolvers(&configFile{}), kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Parse(append([]string{"serve"}, args...))
	return grammar.Serve, err
}

// SPEC O-6: flag before environment before file before default.
func TestPrecedence(t *testing.T) {
	def, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if def.Listen != "127.0.0.1:5000" || !def.Realtime || def.MaxBody != 1<<20 || def.Journal != "pebble" || def.Sync != "always" {
		t.Errorf("defaults: %+v", def)
	}
	file := write(t, "c.yaml", "listen: 127.0.0.1:1\nrealtime: false\norigins: [https://a.example, https://b.example]\nmax-body: 2\nping-interval: 3s\n")
	got, err := parse(t, "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if got.Listen != "127.0.0.1:1" || got.Realtime || got.MaxBody != 2 || got.PingInterval.Seconds() != 3 {
		t.Errorf("file: %+v", got)
	}
	if diff := cmp.Diff([]string{"https://a.example", "https://b.example"}, got.Origins); diff != "" {
		t.Error(diff)
	}
	t.Setenv("GRAPHROOM_CONFIG", file)
	t.Setenv("GRAPHROOM_LISTEN", "127.0.0.1:2")
	if got, err = parse(t); err != nil || got.Listen != "127.0.0.1:2" || got.MaxBody != 2 {
		t.Errorf("environment over file: %v %+v", err, got)
	}
	if got, err = parse(t, "--listen", "127.0.0.1:3", "--realtime"); err != nil || got.Listen != "127.0.0.1:3" || !got.Realtime {
		t.Errorf("flag over all: %v %+v", err, got)
	}
}

// SPEC O-7: a file that cannot be understood is refused with its place.
func TestConfigFile(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key":    {"listen: a\nlisten-on: b\n", `line 2: unknown option "listen-on"`},
		"twice":          {"listen: a\nlisten: b\n", "line 2"},
		"a list":         {"- listen\n", "line 1: expected a mapping"},
		"nested":         {"listen:\n  host: a\n", `option "listen"`},
		"nested list":    {"origins: [[a]]\n", `option "origins"`},
		"not YAML":       {"a: [\n", "yaml"},
		"wrong type":     {"max-body: many\n", "max-body"},
		"bad enum":       {"journal: paper\n", "journal"},
		"config in file": {"config: x\n", "unknown option"},
	} {
		if _, err := parse(t, "--config", write(t, "c.yaml", tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if _, err := parse(t, "--config", "/does/not/exist"); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := parse(t, "--config", write(t, "c.yaml", "# nothing\n")); err != nil {
		t.Errorf("empty file: %v", err)
	}
	if _, err := parse(t, "--config", write(t, "c.yaml", strings.Repeat("# long\n", 200_000))); err == nil {
		t.Error("an oversized file was read")
	}
}

// SPEC O-8: a newcomer finds the way.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}} {
		status, out, _ := run(args...)
		if status != 0 || !strings.Contains(out, "serve") || !strings.Contains(out, "blueprint check") || !strings.Contains(out, "Start the server") {
			t.Errorf("%v: %d %s", args, status, out)
		}
	}
	status, out, _ := run("serve", "--help")
	for _, want := range []string{"--listen", "GRAPHROOM_LISTEN", "--insecure", "--origins", "127.0.0.1:5000", "Limits", "--config"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("serve --help lacks %q:\n%s", want, out)
		}
	}
	for _, args := range [][]string{{"nope"}, {"serve", "--nope"}, {"serve", "--log-level", "loud"}, {"blueprint", "check"}} {
		if status, _, errOut := run(args...); status != exitUsage || !strings.Contains(errOut, "--help") {
			t.Errorf("%v: %d %s", args, status, errOut)
		}
	}
	if status, out, _ := run("version"); status != 0 || !strings.HasPrefix(out, "graphroom ") {
		t.Errorf("version: %d %s", status, out)
	}
}

// SPEC O-9: blueprint check reports every fault with its place.
func TestBlueprintCheck(t *testing.T) {
	good := write(t, "good.yaml", "id: mine\nname: Mine\nversion: \"1\"\nnode_types:\n  - id: thing\n    label: Thing\n")
	if status, out, errOut := run("blueprint", "check", good); status != 0 || !strings.Contains(out, "ok: mine (1 node types, 0 link types)") {
		t.Errorf("%d %s %s", status, out, errOut)
	}
	bad := write(t, "bad.yaml", "id: bad\nnode_types:\n  - id: thing\n    colour: red\n    properties: 7\n")
	status, out, errOut := run("blueprint", "check", good, bad)
	if status != 1 || !strings.Contains(out, "good.yaml") || strings.Count(errOut, "bad.yaml:") < 2 {
		t.Errorf("%d %s %s", status, out, errOut)
	}
	if status, _, errOut := run("blueprint", "check", "/does/not/exist"); status != 1 || !strings.Contains(errOut, "no such file") {
		t.Errorf("%d %s", status, errOut)
	}
	var o, e bytes.Buffer
	if status := Main([]string{"blueprint", "check", "-"}, strings.NewReader("id: [\n"), &o, &e); status != 1 || e.Len() == 0 {
		t.Errorf("standard input: %d %s", status, &e)
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	full chan struct{} // closed at the last line of the greeting
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("Ctrl-C")) {
		close(l.full)
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// SPEC O-1, O-20: serve prints what to open before anything else and ends with 0.
func TestServe(t *testing.T) {
	for _, realtime := range []bool{true, false} {
		cmd, err := parse(t, "--listen", "127.0.0.1:0", "--journal", "memory")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Realtime = realtime
		out := &lockedBuffer{full: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		ended := make(chan struct{})
		go func() {
			result <- cmd.run(ctx, &streams{out: out, err: io.Discard}, slog.New(slog.DiscardHandler), func() { close(ended) })
		}()
		<-out.full
		text := out.String()
		_, rest, ok := strings.Cut(text, "Open ")
		url, _, _ := strings.Cut(rest, "\n")
		if !ok || !strings.HasPrefix(text, "Graphroom is ready. Open http://127.0.0.1:") {
			t.Fatalf("printed:\n%s", text)
		}
		if strings.Contains(text, "namespaces / and /graph") != realtime {
			t.Errorf("printed:\n%s", text)
		}
		resp, err := http.Get(url + "healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		cancel()
		<-ended
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	if status, _, errOut := run("serve", "--listen", "0.0.0.0:0", "--journal", "memory"); status != exitError || !strings.Contains(errOut, "--insecure") {
		t.Errorf("%d %s", status, errOut)
	}
}

// SPEC O-15: the log's form is chosen by option.
func TestLogger(t *testing.T) {
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": "msg=hello", "auto": "msg=hello"} {
		var b bytes.Buffer
		log, err := (&serveCmd{LogLevel: "info", LogFormat: format}).logger(&b)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("hidden")
		log.Info("hello")
		if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "hidden") {
			t.Errorf("%s: %s", format, &b)
		}
	}
}

// Every option of serve reaches the server under its own name.
func TestOptionsAreWired(t *testing.T) {
	var cmd serveCmd
	v := reflect.ValueOf(&cmd).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("value " + v.Type().Field(i).Name)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(1000 + i))
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{v.Type().Field(i).Name}))
		default:
			t.Fatalf("%s is of a kind that this test does not know", v.Type().Field(i).Name)
		}
	}
	options := reflect.ValueOf(cmd.options(slog.New(slog.DiscardHandler)))
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch name {
		case "Config", "LogLevel", "LogFormat": // they end here
			continue
		}
		got := options.FieldByName(name)
		if !got.IsValid() || !reflect.DeepEqual(got.Interface(), v.Field(i).Interface()) {
			t.Errorf("%s: the server gets %v", name, got)
		}
	}
}

// SPEC O-4: a limit of nothing is no limit that could work.
func TestLimitsArePositive(t *testing.T) {
	if _, err := parse(t); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"max-body", "max-import", "max-connections", "max-queue", "max-streams", "keep-entries",
		"history-limit", "snapshot-entries", "feed-bytes"} {
		for _, value := range []string{"0", "-1"} {
			if _, err := parse(t, "--"+flag+"="+value); err == nil || !strings.Contains(err.Error(), "--"+flag+" must be more than 0") {
				t.Errorf("%s=%s: %v", flag, value, err)
			}
		}
	}
	for _, flag := range []string{"shutdown-timeout", "ping-interval", "ping-timeout", "flush-interval", "idle-after"} {
		if _, err := parse(t, "--"+flag+"=0s"); err == nil || !strings.Contains(err.Error(), "--"+flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// The table of options in docs/SPEC.md names every flag of serve with its default.
func TestOptionTable(t *testing.T) {
	spec, err := os.ReadFile("../../docs/SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(spec)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `--") {
			name, _, _ := strings.Cut(strings.Trim(cells[1], " `"), " ")
			rows[strings.TrimPrefix(name, "--")] = strings.TrimSpace(cells[2])
		}
	}
	var grammar commands
	k, err := kong.New(&grammar, kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range k.Model.Children {
		if node.Name != "serve" {
			continue
		}
		for _, flag := range node.Flags {
			if flag.Name == "help" {
				continue
			}
			want := flag.Default
			switch {
			case flag.Name == "origins":
				want = "loopback"
			case flag.IsBool() && want == "":
				want = "false"
			case want == "":
				want = "none"
			}
			if rows[flag.Name] != want {
				t.Errorf("--%s: the table has %q, the default is %q", flag.Name, rows[flag.Name], want)
			}
			delete(rows, flag.Name)
		}
	}
	for name := range rows {
		t.Errorf("the table has --%s, serve does not", name)
	}
}
