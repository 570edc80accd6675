package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The outcomes of a goal.
const (
	pass = "PASS"
	fail = "FAIL"
	skip = "SKIP" // not measured in this run, or no peer to measure against
)

// verdict is one goal and whether it was met.
type verdict struct {
	Goal    string `json:"goal"`
	Found   string `json:"found"`
	Outcome string `json:"outcome"`
}

// judge makes a verdict.
func judge(met bool, found, goal string, args ...any) verdict {
	v := verdict{Goal: fmt.Sprintf(goal, args...), Found: found, Outcome: fail}
	if met {
		v.Outcome = pass
	}
	return v
}

// report is what a run writes as JSON: every figure of every round.
type report struct {
	Commit     string            `json:"commit"` // "-dirty" is appended when the tree differed
	Time       time.Time         `json:"time"`
	Quick      bool              `json:"quick"`
	Rounds     int               `json:"rounds"`
	Machine    machine           `json:"machine"`
	Transport  []sample          `json:"transport,omitempty"`
	REST       []restSample      `json:"rest,omitempty"`
	Latency    []offerSample     `json:"latency,omitempty"`
	Durable    []durableSample   `json:"durable,omitempty"`
	Size       []sizeSample      `json:"size,omitempty"`
	Neighbours []neighbourSample `json:"neighbours,omitempty"`
	Verdicts   []verdict         `json:"verdicts"`
}

// machine is where the figures come from.
type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	Node  string `json:"node,omitempty"`
	OS    string `json:"os"`
}

func newReport(ctx context.Context, root string, quick bool, rounds int) *report {
	commit := output(ctx, root, "git", "rev-parse", "HEAD")
	if commit != "" && output(ctx, root, "git", "status", "--porcelain", "--untracked-files=no") != "" {
		commit += "-dirty"
	}
	return &report{
		Commit: commit, Time: time.Now().UTC(), Quick: quick, Rounds: rounds,
		Machine: machine{
			CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(),
			Node: output(ctx, root, "node", "--version"), OS: runtime.GOOS + "/" + runtime.GOARCH,
		},
	}
}

// output is what a command prints, or nothing when it cannot be run.
func output(ctx context.Context, dir string, argv ...string) string {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	text, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// write puts the report into dir under a name made of its time.
func (r *report) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.Time.Format("20060102T150405Z")+".json")
	return path, os.WriteFile(path, append(text, '\n'), 0o644)
}

// print shows the medians of the rounds and the verdicts.
func (r *report) print(w io.Writer) {
	if len(r.Transport) > 0 {
		printTransport(w, r.Transport)
	}
	if len(r.REST) > 0 {
		printREST(w, r.REST)
	}
	if len(r.Latency) > 0 {
		printLatency(w, r.Latency)
	}
	if len(r.Durable) > 0 {
		printDurable(w, r.Durable)
	}
	if len(r.Size) > 0 {
		printSize(w, r.Size)
	}
	if len(r.Neighbours) > 0 {
		printNeighbours(w, r.Neighbours)
	}
	_, _ = fmt.Fprintln(w)
	counts := map[string]int{}
	for _, v := range r.Verdicts {
		counts[v.Outcome]++
		_, _ = fmt.Fprintf(w, "%s  %s: %s\n", v.Outcome, v.Goal, v.Found)
	}
	_, _ = fmt.Fprintf(w, "\n%d PASS, %d FAIL, %d SKIP\n", counts[pass], counts[fail], counts[skip])
}

// failed says whether any goal was missed.
func (r *report) failed() bool {
	return slices.ContainsFunc(r.Verdicts, func(v verdict) bool { return v.Outcome == fail })
}

func printTransport(w io.Writer, samples []sample) {
	_, _ = fmt.Fprint(w, "\nTransport: medians of the rounds; CPU is the server's, latency is emit to receive\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "scenario\tserver\trounds\tdeliveries/s\tCPU-s per million\tof node's\tp50 ms\tp99 ms\tRSS MiB\tpeak MiB\tKiB/conn\tlost\tproblems\t")
	for _, s := range transportScenarios() {
		for _, name := range []string{ours, node} {
			rows := pick(samples, s.name, name)
			if len(rows) == 0 {
				continue
			}
			m := medians(rows)
			share := "-"
			if other := pick(samples, s.name, node); len(other) > 0 && m.PerMillion > 0 && name == ours {
				share = fmt.Sprintf("1/%.1f", medians(other).PerMillion/m.PerMillion)
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%.3f\t%s\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t%d\t%d\t\n", s.name, name, len(rows), m.Rate, m.PerMillion, share,
				m.P50, m.P99, float64(m.RSS)/(1<<20), float64(m.PeakRSS)/(1<<20), m.PerConn/1024, total(rows, func(s sample) int { return s.Lost }), problems(rows))
		}
	}
	_ = t.Flush()
	for _, s := range samples {
		if s.Problem != "" {
			_, _ = fmt.Fprintf(w, "problem: %s, %s, round %d: %s\n", s.Scenario, s.Peer, s.Round, s.Problem)
		}
	}
}

// pick returns the samples of one scenario on one peer.
func pick(samples []sample, scenario, peer string) []sample {
	var out []sample
	for _, s := range samples {
		if s.Scenario == scenario && s.Peer == peer {
			out = append(out, s)
		}
	}
	return out
}

// medians takes every judged figure's own median over the rounds.
func medians(rows []sample) sample {
	m := rows[0]
	m.Rate = median(rows, func(s sample) float64 { return s.Rate })
	m.PerMillion = median(rows, func(s sample) float64 { return s.PerMillion })
	m.P50 = median(rows, func(s sample) float64 { return s.P50 })
	m.P99 = median(rows, func(s sample) float64 { return s.P99 })
	m.PerConn = median(rows, func(s sample) float64 { return s.PerConn })
	m.RSS = int64(median(rows, func(s sample) float64 { return float64(s.RSS) }))
	m.PeakRSS = int64(median(rows, func(s sample) float64 { return float64(s.PeakRSS) }))
	return m
}

func median[T any](rows []T, of func(T) float64) float64 {
	values := make([]float64, 0, len(rows))
	for _, row := range rows {
		values = append(values, of(row))
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

func total(rows []sample, of func(sample) int) int {
	sum := 0
	for _, row := range rows {
		sum += of(row)
	}
	return sum
}

// problems counts the rounds whose figures do not stand.
func problems(rows []sample) int {
	return total(rows, func(s sample) int {
		if s.Problem != "" || s.Disordered > 0 || s.Closed > 0 {
			return 1
		}
		return 0
	})
}
