// Command bench measures Graphroom against its goals and prints PASS or FAIL
// for each of them.
//
// It starts every server as a process of its own, drives it with the load
// client of bench/load, and reads the server's processor time and memory from
// /proc, so it runs on Linux only. Servers that are compared take turns in
// every round. The figures of all rounds go as JSON into bench/results. It
// ends with 1 when a goal was missed and with 2 when it could not measure.
//
//	go run ./bench                     everything, three rounds
//	go run ./bench -quick              one short round: a smoke test, its figures prove nothing
//	go run ./bench -only paced,idle    the scenarios whose names begin so
//	go run ./bench -list               the scenarios
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	quick, list bool
	only        string
	rounds      int
	results     string
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "one short round")
	flag.BoolVar(&o.list, "list", false, "name the scenarios and end")
	flag.StringVar(&o.only, "only", "", "comma-separated beginnings of scenario names; all when empty")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds (3, or 1 with -quick)")
	flag.StringVar(&o.results, "results", "", "folder for the JSON (bench/results)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed, err := run(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case failed:
		os.Exit(1)
	}
}

// wants says whether a scenario was asked for.
func (o options) wants(name string) bool {
	if o.only == "" {
		return true
	}
	for part := range strings.SplitSeq(o.only, ",") {
		if strings.HasPrefix(name, strings.TrimSpace(part)) {
			return true
		}
	}
	return false
}

func run(ctx context.Context, o options) (failed bool, err error) {
	if o.list {
		for _, s := range transportScenarios() {
			fmt.Printf("%-14s %s\n", s.name, s.about)
		}
		fmt.Printf("%-14s %s\n%-14s %s\n", "rest", "a REST command with and without the socket layer", "reach", "from a REST command to its event at the clients")
		fmt.Printf("%-14s %s\n%-14s %s\n", "size", "one command in a small and in a large project", "neighbours", "other sessions while a large subtree is deleted and restored")
		listDurable(os.Stdout)
		return false, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return false, err
	}
	if o.rounds <= 0 {
		o.rounds = 3
		if o.quick {
			o.rounds = 1
		}
	}
	if o.results == "" {
		o.results = filepath.Join(root, "bench", "results")
	}
	dir, err := os.MkdirTemp("", "graphroom-bench-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := newReport(ctx, root, o.quick, o.rounds)
	if err := benchProgram(ctx, o, root, dir, r); err != nil {
		return false, err
	}
	if err := benchDurable(ctx, o, root, dir, r); err != nil {
		return false, err
	}
	if err := benchTransport(ctx, o, root, dir, r); err != nil {
		return false, err
	}
	if len(r.Verdicts) == 0 {
		return false, errors.New("no scenario of that name; -list names them")
	}
	r.print(os.Stdout)
	path, err := r.write(o.results)
	if err != nil {
		return false, err
	}
	fmt.Println(path)
	return r.failed(), nil
}

// benchProgram runs the scenarios of the whole program.
func benchProgram(ctx context.Context, o options, root, dir string, r *report) error {
	if !o.wants("rest") && !o.wants("reach") && !o.wants("size") && !o.wants("neighbours") {
		return nil
	}
	binary, err := buildOurs(ctx, root, dir, "./cmd/graphroom")
	if err != nil {
		return err
	}
	if o.wants("rest") {
		if err := benchREST(ctx, o, binary, dir, r); err != nil {
			return fmt.Errorf("rest: %w", err)
		}
	}
	if o.wants("reach") {
		if err := benchReach(ctx, o, binary, dir, r); err != nil {
			return fmt.Errorf("reach: %w", err)
		}
	}
	if o.wants("size") {
		if err := benchSize(ctx, o, binary, dir, r); err != nil {
			return fmt.Errorf("size: %w", err)
		}
	}
	if o.wants("neighbours") {
		if err := benchNeighbours(ctx, o, binary, dir, r); err != nil {
			return fmt.Errorf("neighbours: %w", err)
		}
	}
	return nil
}

// benchTransport runs the transport scenarios, the peers taking turns at
// being first.
func benchTransport(ctx context.Context, o options, root, dir string, r *report) error {
	var scenarios []transport
	for _, s := range transportScenarios() {
		if o.wants(s.name) {
			scenarios = append(scenarios, s)
		}
	}
	if len(scenarios) == 0 {
		return nil
	}
	peers, err := transportPeers(ctx, root, dir, r)
	if err != nil {
		return err
	}
	for round := range o.rounds {
		for _, s := range scenarios {
			for i := range peers {
				p := peers[(i+round)%len(peers)]
				fmt.Fprintf(os.Stderr, "round %d of %d: %s on %s\n", round+1, o.rounds, s.name, p.name)
				got, err := s.run(ctx, p, round, o.quick)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", s.name, p.name, err)
				}
				r.Transport = append(r.Transport, got)
			}
		}
	}
	r.Verdicts = append(r.Verdicts, judgeTransport(r.Transport)...)
	return nil
}

func transportPeers(ctx context.Context, root, dir string, r *report) ([]peer, error) {
	a, err := ourPeer(ctx, root, dir)
	if err != nil {
		return nil, err
	}
	b, err := nodePeer(ctx, root)
	if errors.Is(err, errNoNode) {
		r.Verdicts = append(r.Verdicts, verdict{Goal: "transport against node", Found: err.Error(), Outcome: skip})
		return []peer{a}, nil
	}
	return []peer{a, b}, err
}

// moduleRoot is the folder of go.mod, from the working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run it inside the repository")
		}
		dir = parent
	}
}
