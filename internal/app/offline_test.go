package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

// folder makes a data folder with one session of 1 + 2×commands events and one
// saved project of that session.
func folder(t *testing.T, commands int) (dir, sessionID, projectID, graph string) {
	t.Helper()
	o, _ := options(t)
	o.Journal = "pebble"
	a := start(t, o)
	_, project := post(t, a.URL()+"/api/v1/projects", `{"template_id":"outline","project_name":"Plan"}`)
	sessionID, projectID = field(project, "session_id"), field(project, "project_id")
	for n := range commands {
		if code, text := post(t, a.URL()+"/api/v1/commands/execute", create(sessionID, n)); code != 200 {
			t.Fatalf("%d %s", code, text)
		}
	}
	if code, text := post(t, a.URL()+"/api/v1/projects/"+projectID+"/save", `{"session_id":"`+sessionID+`"}`); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	_, graph = get(t, a.URL()+"/api/v1/graph?session_id="+sessionID)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	graph, _, _ = strings.Cut(graph, `,"seq":`)
	return o.Data, sessionID, projectID, graph + "}"
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// SPEC D-10: check counts what is there, finds a damaged byte, and changes nothing.
func TestCheck(t *testing.T) {
	dir, id, _, _ := folder(t, 20)
	var reports []session.Report
	var problems []string
	report := CheckReport{
		Problem: func(text string) { problems = append(problems, text) },
		Session: func(r session.Report) { reports = append(reports, r) },
	}
	for range 2 {
		reports = nil
		sum, err := Check(t.Context(), dir, "", quiet(), report)
		if err != nil || sum.Sessions != 1 || sum.Entries != 22 || sum.Projects != 1 || sum.Problems != 0 || sum.Bytes == 0 {
			t.Errorf("%+v, %v, %s", sum, err, problems)
		}
		if len(reports) != 1 || reports[0].SessionID != id || reports[0].HeadSeq != 42 || reports[0].Entries != 22 {
			t.Errorf("%+v", reports)
		}
	}
	if _, err := Check(t.Context(), dir, dir+"/none", quiet(), CheckReport{}); err == nil {
		t.Error("a missing templates folder went unnoticed")
	}
	if _, err := Check(t.Context(), dir+"-none", "", quiet(), CheckReport{}); err == nil {
		t.Error("a missing data folder went unnoticed")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ended, dir, "", quiet(), CheckReport{}); err == nil {
		t.Error("an interrupted check says that all is well")
	}
	logs, err := filepath.Glob(filepath.Join(dir, "store", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, file := range logs {
		if ext := filepath.Ext(file); ext != ".log" && ext != ".sst" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < 1000 {
			continue
		}
		data[len(data)/2] ^= 0xff
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		damaged++
	}
	sum, err := Check(t.Context(), dir, "", quiet(), report)
	if damaged == 0 || (err == nil && sum.Problems == 0) {
		t.Errorf("%d damaged files of %v: %+v, %v", damaged, logs, sum, err)
	}
}

// SPEC D-12: the graph as it was after any seq, from the folder alone.
func TestGraphAt(t *testing.T) {
	dir, id, project, graph := folder(t, 3)
	for seq, nodes := range map[uint64]int{0: 4, 1: 1, 3: 2, 5: 3, 7: 4} {
		got, err := GraphAt(t.Context(), dir, id, project, seq, quiet())
		if err != nil || bytes.Count(got, []byte(`"blueprint_type_id"`)) != nodes {
			t.Errorf("at %d: %s, %v", seq, got, err)
		}
		if (seq == 0 || seq == 7) && string(got) != graph {
			t.Errorf("at %d: %s\nlive: %s", seq, got, graph)
		}
	}
	if _, err := GraphAt(t.Context(), dir, "none", "", 0, quiet()); !fault.Is(err, fault.InvalidSession) {
		t.Error(err)
	}
	if _, err := GraphAt(t.Context(), dir, id, "none", 0, quiet()); !fault.Is(err, fault.ProjectNotFound) {
		t.Error(err)
	}
}

// SPEC D-2, D-3, D-5: a project goes from one folder to another byte for byte;
// a faulty file is refused before the folder is touched.
func TestExportImport(t *testing.T) {
	dir, _, project, _ := folder(t, 5)
	file, err := Export(t.Context(), dir, project, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), dir, "none", quiet()); !fault.Is(err, fault.ProjectNotFound) {
		t.Error(err)
	}
	other := ImportOptions{Dir: filepath.Join(t.TempDir(), "other"), MaxBytes: 1 << 20, Logger: quiet()}
	for name, bad := range map[string]io.Reader{
		"a wrong format": strings.NewReader(strings.Replace(string(file), "graphroom-project", "x", 1)),
		"half a file":    bytes.NewReader(file[:len(file)/2]),
		"nothing":        strings.NewReader(""),
		"unreadable":     unreadable{},
		"too large":      strings.NewReader(strings.Repeat(" ", 1<<20+1)),
	} {
		if _, err := Import(t.Context(), bad, other); err == nil {
			t.Errorf("%s was imported", name)
		}
	}
	if _, err := os.Stat(other.Dir); !os.IsNotExist(err) {
		t.Errorf("a refused import made the folder: %v", err)
	}
	broken := other
	broken.Templates = other.Dir + "/none"
	if _, err := Import(t.Context(), bytes.NewReader(file), broken); err == nil {
		t.Error("a missing templates folder went unnoticed")
	}
	for n, replace := range []bool{false, true, true} {
		o := other
		o.Replace, o.Revision = replace, uint64(n)
		saved, err := Import(t.Context(), bytes.NewReader(file), o)
		if err != nil || saved.Revision != uint64(n)+1 || saved.ProjectID != project {
			t.Errorf("import %d: %+v, %v", n, saved, err)
		}
	}
	if _, err := Import(t.Context(), bytes.NewReader(file), other); !fault.Is(err, fault.Conflict) {
		t.Errorf("without replace: %v", err)
	}
	back, err := Export(t.Context(), other.Dir, project, quiet())
	if err != nil || !bytes.Equal(back, file) {
		t.Errorf("%s\n%s\n%v", file, back, err)
	}
	if sum, err := Check(t.Context(), other.Dir, "", quiet(), CheckReport{}); err != nil || sum.Projects != 1 || sum.Problems != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}

type unreadable struct{}

func (unreadable) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// SPEC D-13: a folder that a server has open is refused, with its process named.
func TestOfflineWhileServing(t *testing.T) {
	o, _ := options(t)
	o.Journal = "pebble"
	start(t, o)
	_, err := Check(t.Context(), o.Data, "", quiet(), CheckReport{})
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("%v", err)
	}
}
