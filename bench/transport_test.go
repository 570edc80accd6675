package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestScenariosRunOnOurServer keeps the bench from rotting: each kind of
// drive, small and short. What it measures is not judged.
func TestScenariosRunOnOurServer(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ourPeer(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	scenarios := []transport{
		{name: "saturate", clients: 5, drive: saturate(64)},
		{name: "paced", clients: 11, stalled: 1, pad: 100, drive: paced(500)},
		{name: "callers", clients: 5, drive: callers(20)},
		{name: "idle", clients: 20, drive: idle},
	}
	for _, s := range scenarios {
		s.full = 200 * time.Millisecond
		got, err := s.run(t.Context(), p, 0, false)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		reading := uint64(s.clients - s.stalled)
		if got.Problem != "" || got.Lost != 0 || got.Closed != 0 || got.Disordered != 0 || got.Deliveries != got.Emitted*reading {
			t.Errorf("%s: %+v", s.name, got)
		}
		if s.name != "idle" && got.Emitted == 0 || got.RSS == 0 {
			t.Errorf("%s measured nothing: %+v", s.name, got)
		}
	}
}

func TestGoalsAreJudgedOnMedians(t *testing.T) {
	var samples []sample
	add := func(scenario, peer string, perMillion, p99, perConn float64, peak int64) {
		samples = append(samples, sample{Scenario: scenario, Peer: peer, PerMillion: perMillion, P99: p99, PerConn: perConn, PeakRSS: peak, Stalled: 10})
	}
	for _, cpu := range []float64{0.2, 0.3, 99} { // one bad round does not decide
		add("saturate-100", ours, cpu, 1, 0, 0)
		add("saturate-100", node, 9, 1, 0, 0)
	}
	add("paced-100", ours, 5, 2, 0, 0)
	add("paced-100", node, 9, 1, 0, 0)
	add("idle-5000", ours, 0, 0, 13<<10, 0)
	add("readers-100", ours, 1, 10, 0, 20<<20)
	add("stalled-110", ours, 1, 15, 0, 34<<20)
	var outcomes []string
	for _, v := range judgeTransport(samples) {
		outcomes = append(outcomes, v.Outcome+" "+strings.SplitN(v.Goal, ":", 2)[0])
	}
	want := "PASS saturate-100,FAIL paced-100,FAIL paced-100,FAIL idle-5000,PASS stalled-110,PASS stalled-110,PASS transport,PASS transport"
	if got := strings.Join(outcomes, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	add("paced-100", ours, 5, 2, 0, 0)
	samples[len(samples)-1].Lost = 1
	samples[len(samples)-1].Closed = 1
	verdicts := judgeTransport(samples)
	for _, v := range verdicts[len(verdicts)-2:] {
		if v.Outcome != fail {
			t.Errorf("a lost CONNECT and a closed reader gave %+v", v)
		}
	}
}

func TestReportSaysPassOrFailAndKeepsEveryRound(t *testing.T) {
	r := &report{Commit: "abc", Time: time.Unix(0, 0).UTC(), Rounds: 2, Verdicts: []verdict{judge(true, "1", "a"), judge(false, "2", "b %d", 3)}}
	r.Transport = []sample{{Scenario: "idle-5000", Peer: ours, PerConn: 1024}, {Scenario: "idle-5000", Peer: ours, Round: 1, Problem: "odd"}}
	var text strings.Builder
	r.print(&text)
	for _, want := range []string{"PASS  a: 1\n", "FAIL  b 3: 2\n", "1 PASS, 1 FAIL, 0 SKIP", "idle-5000", "problem: idle-5000, graphroom, round 1: odd"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, text.String())
		}
	}
	path, err := r.write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil || strings.Count(string(written), `"scenario": "idle-5000"`) != 2 || !strings.Contains(string(written), `"commit": "abc"`) {
		t.Errorf("wrote %s, %v", written, err)
	}
	if !r.failed() {
		t.Error("a missed goal was forgotten")
	}
}

func TestProcessorTimeIsRead(t *testing.T) {
	before, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end, n := time.Now().Add(10*time.Second), 0; time.Now().Before(end); n++ {
		if now, err := cpuOf(os.Getpid()); err != nil || now > before {
			return
		}
	}
	t.Errorf("%v seconds before and after ten seconds of work", before)
}
