package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/journal"
	"github.com/graphroom/graphroom/internal/journal/pebble"
)

// refused fails unless Open is refused with the code and a message that holds
// every part.
func refused(t *testing.T, o pebble.Options, code fault.Code, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := pebble.Open(ctx, o)
	if err == nil {
		shut(t, s)
		t.Fatal("the directory was opened")
	}
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want code %s", err, code)
	}
	for _, p := range parts {
		if !strings.Contains(fault.From(err).Message, p) {
			t.Fatalf("message %q does not say %q", fault.From(err).Message, p)
		}
	}
}

// SPEC J-30
func TestSecondOpenNamesTheOwner(t *testing.T) {
	o := pebble.Options{Dir: t.TempDir()}
	s := open(t, o)
	refused(t, o, fault.Conflict, "in use", fmt.Sprintf("pid %d", os.Getpid()))
	shut(t, s)
	shut(t, open(t, o))
	if _, err := os.Stat(filepath.Join(o.Dir, "OWNER")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("OWNER is left behind: %v", err)
	}

	mem := pebble.Options{Dir: "data", FS: vfs.NewMem()}
	s = open(t, mem)
	refused(t, mem, fault.Conflict, "in use", "pid")
	shut(t, s)
}

// TestHelperProcess is not a test: TestOtherProcessHoldsTheLock runs it as
// another process that holds the directory until its input ends.
func TestHelperProcess(t *testing.T) {
	dir := os.Getenv("GRAPHROOM_TEST_HOLD")
	if dir == "" {
		t.Skip("only as a helper process")
	}
	s := open(t, pebble.Options{Dir: dir})
	if err := s.Create(t.Context(), "s", nil); err != nil {
		t.Fatal(err)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// SPEC J-30: killed, the other process leaves an openable directory.
func TestOtherProcessHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), "GRAPHROOM_TEST_HOLD="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	if _, err := io.ReadFull(stdout, buf); err != nil || string(buf) != "held" {
		t.Fatalf("got %q, %v", buf, err)
	}
	refused(t, pebble.Options{Dir: dir}, fault.Conflict, "in use", fmt.Sprintf("pid %d on ", cmd.Process.Pid))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	s := open(t, pebble.Options{Dir: dir})
	defer shut(t, s)
	if _, err := s.Head(t.Context(), "s"); err != nil {
		t.Fatalf("an acknowledged session is gone after kill -9: %v", err)
	}
}

// SPEC J-31
func TestFormat(t *testing.T) {
	dir := t.TempDir()
	o := pebble.Options{Dir: filepath.Join(dir, "deep", "er")}
	format := filepath.Join(o.Dir, "FORMAT")
	shut(t, open(t, o))
	text, err := os.ReadFile(format)
	if err != nil || string(text) != "graphroom-store 1\n" {
		t.Fatalf("FORMAT says %q, %v", text, err)
	}
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(format, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("graphroom-store 2\n")
	refused(t, o, fault.Conflict, "format 2", "newer graphroom", "up to format 1", o.Dir)
	for _, bad := range []string{"", "graphroom-store", "graphroom-store x", "graphroom-store 0", "something 1", strings.Repeat("z", 5000)} {
		write(bad)
		refused(t, o, fault.Conflict, "not a graphroom data directory")
	}
	if err := os.Remove(format); err != nil {
		t.Fatal(err)
	}
	refused(t, o, fault.Conflict, "no FORMAT file")
	write("graphroom-store 1\n")
	shut(t, open(t, o))
}

func TestOpenRefusals(t *testing.T) {
	refused(t, pebble.Options{}, fault.InvalidRequest, "no data directory")

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, pebble.Options{Dir: file}, fault.Unavailable, file)
	refused(t, pebble.Options{Dir: filepath.Join(t.TempDir(), "none"), ReadOnly: true}, fault.Unavailable, "none")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mem := vfs.NewMem()
	if s, err := pebble.Open(ctx, pebble.Options{Dir: "data", FS: mem}); err == nil {
		shut(t, s) // it was quick
	} else if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// The opening that was given up lets the directory go.
	for {
		s, err := pebble.Open(t.Context(), pebble.Options{Dir: "data", FS: mem})
		if err == nil {
			shut(t, s)
			return
		}
		if !fault.Is(err, fault.Conflict) {
			t.Fatal(err)
		}
	}
}

// SPEC J-23: a directory that cannot be written to is refused with its reason.
func TestReadOnlyDirectory(t *testing.T) {
	mem := vfs.NewMem()
	shut(t, open(t, options(mem)))
	b := &breaker{n: 1, err: syscall.EROFS, match: func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }}
	refused(t, options(errorfs.Wrap(mem, b)), fault.Unavailable, "data", "read-only")
	fresh := options(errorfs.Wrap(vfs.NewMem(), b))
	refused(t, fresh, fault.Unavailable, "data", "read-only")
	shut(t, open(t, options(mem)))
}

// SPEC J-33: opened read-only, a store answers reads and changes nothing.
func TestReadOnlyStore(t *testing.T) {
	mem := vfs.NewMem()
	o := options(mem)
	s := open(t, o)
	c := &client{s: s, l: newLedger()}
	c.run(t.Context())
	shut(t, s)
	before := listing(t, mem, "data/store")

	o.ReadOnly = true
	s = open(t, o)
	recs, err := s.Read(t.Context(), "a", 0, 1<<20)
	if err != nil || len(recs) == 0 {
		t.Fatalf("read %d records, %v", len(recs), err)
	}
	if k, err := s.Key(t.Context(), "signing", nil); err != nil || string(k) != "secret" {
		t.Fatalf("key %q, %v", k, err)
	}
	sum, err := s.Verify(t.Context(), func(p pebble.Problem) { t.Error(p) })
	if err != nil || sum.Sessions != 3 || sum.Projects != 1 {
		t.Fatalf("verified %+v, %v", sum, err)
	}
	_, key := s.Key(t.Context(), "other", func() ([]byte, error) { return []byte("x"), nil })
	for what, err := range map[string]error{
		"append": s.Append(t.Context(), "a", 1, nil), "create": s.Create(t.Context(), "new", nil),
		"delete": s.Delete(t.Context(), "a"), "trim": s.Trim(t.Context(), "a", 5),
		"snapshot": s.PutSnapshot(t.Context(), "a", 1, nil), "key": key,
		"project": s.Projects().Delete(t.Context(), "p"),
	} {
		if !errors.Is(err, journal.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	shut(t, s)
	if after := listing(t, mem, "data/store"); after != before {
		t.Fatalf("the files changed from\n%s\nto\n%s", before, after)
	}
}

// SPEC J-33: what a crash left can be checked without being touched.
func TestReadOnlyAfterACrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := filled(t, mem)
	left := imageOf(mem)
	shut(t, s)
	before := listing(t, left, "data/store")
	o := options(left)
	o.ReadOnly = true
	s = open(t, o)
	if got := problems(t, s); len(got) > 0 {
		t.Fatalf("got %q", got)
	}
	if h, err := s.Head(t.Context(), "a"); err != nil || h.Last != 20 {
		t.Fatalf("head %+v, %v", h, err)
	}
	shut(t, s)
	if after := listing(t, left, "data/store"); after != before {
		t.Fatalf("the files changed from\n%s\nto\n%s", before, after)
	}
}

// SPEC J-34
func TestCloseLeavesNothingToReplay(t *testing.T) {
	mem := vfs.NewMem()
	shut(t, filled(t, mem))
	var log bytes.Buffer
	o := options(mem)
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	shut(t, open(t, o))
	replayed := 0
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "WAL") || !strings.Contains(line, "replayed") && !strings.Contains(line, "stopped reading") {
			continue
		}
		replayed++
		if !strings.Contains(line, "replayed 0 keys in 0 batches") && !strings.Contains(line, "read 0 keys in 0 batches") {
			t.Errorf("%s", line)
		}
	}
	if replayed == 0 {
		t.Fatalf("no word of the replay in %s", log.String())
	}
}

func listing(t *testing.T, fs vfs.FS, dir string) string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		info, err := fs.Stat(fs.PathJoin(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, n, info.Size())
	}
	return b.String()
}

func TestSyncModeText(t *testing.T) {
	for _, m := range []pebble.SyncMode{pebble.SyncAlways, pebble.SyncInterval} {
		if got, err := pebble.ParseSyncMode(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := pebble.ParseSyncMode("never"); err == nil {
		t.Error("never is no mode")
	}
}

func TestLogsGoToTheLogger(t *testing.T) {
	var out bytes.Buffer
	o := options(vfs.NewMem())
	o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	shut(t, open(t, o))
	if !strings.Contains(out.String(), "level=DEBUG msg=\"pebble: ") {
		t.Fatalf("got %q", out.String())
	}
}

func TestStats(t *testing.T) {
	s := open(t, options(vfs.NewMem()))
	c := &client{s: s, l: newLedger()}
	c.run(t.Context())
	st := s.Stats()
	if st.Commits == 0 || st.Groups == 0 || st.DiskBytes == 0 || st.MemoryBytes == 0 || st.Sessions != 3 {
		t.Fatalf("got %+v", st)
	}
	shut(t, s)
	if after := s.Stats(); after.Commits < st.Commits || after.DiskBytes != 0 {
		t.Fatalf("closed: %+v", after)
	}
}

func TestKeys(t *testing.T) {
	mem, ctx := vfs.NewMem(), t.Context()
	s := open(t, options(mem))
	boom := errors.New("no entropy")
	if _, err := s.Key(ctx, "a", func() ([]byte, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	make1 := func(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }
	for _, bad := range []func() ([]byte, error){make1(nil), make1(make([]byte, pebble.MaxKey+1))} {
		if _, err := s.Key(ctx, "a", bad); !errors.Is(err, journal.ErrInvalid) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", strings.Repeat("n", pebble.MaxKey+1)} {
		if _, err := s.Key(ctx, name, make1([]byte("x"))); !errors.Is(err, journal.ErrInvalid) {
			t.Fatal(err)
		}
	}
	want := []byte{0, 1, 2, 255}
	for range 2 {
		got, err := s.Key(ctx, "a", make1(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %v, %v", got, err)
		}
		got[0] = 9
		got, err = s.Key(ctx, "a", make1([]byte("other")))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %v, %v", got, err)
		}
		shut(t, s)
		s = open(t, options(mem))
	}
	shut(t, s)
	if _, err := s.Key(ctx, "a", nil); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatal(err)
	}
}
