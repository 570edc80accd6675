// Command soak kills a real server process again and again under load and
// looks whether anything that was acknowledged is lost, done twice or out of
// order.
//
// Each round starts the server on the same data folder, lets writers over REST
// and over sockets work until a number of commands chosen by the seed has been
// acknowledged, and ends the process with SIGKILL; some rounds kill it while it
// starts. Writers whose answer never came ask again with the same command_id.
// Clients come back with their epoch and last_seq. After every restart each
// receipt and each client's stream is compared with the journal, which is read
// over GET /sessions/{id}/events, and every few rounds the stopped data folder
// is verified with `graphroom check`.
//
// It prints one JSON object and ends with 0 when nothing was lost, doubled or
// reordered, with 1 when something was, and with 2 when it could not look.
//
//	go run ./soak -rounds 200
//	go run ./soak -rounds 50 -seed 7 -keep
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	o := options{log: os.Stderr}
	var results string
	var keep bool
	flag.IntVar(&o.rounds, "rounds", 200, "kills")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the load and of the moments of the kills")
	flag.IntVar(&o.sessions, "sessions", 4, "sessions")
	flag.IntVar(&o.acks, "acks", 600, "most acknowledged commands before a kill")
	flag.IntVar(&o.checkEvery, "check-every", 20, "rounds between two verifications of the data folder")
	flag.StringVar(&o.binary, "binary", "", "server to run; default: built from this module")
	flag.StringVar(&results, "results", "", "file for the JSON; default: standard output only")
	flag.BoolVar(&keep, "keep", false, "keep the data folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, o, results, keep))
}

func run(ctx context.Context, o options, results string, keep bool) int {
	dir, err := os.MkdirTemp("", "graphroom-soak-")
	if err != nil {
		return broken(err)
	}
	if keep {
		fmt.Fprintln(os.Stderr, "soak: data in", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	o.data = filepath.Join(dir, "data")
	if o.binary == "" {
		if o.binary, err = build(ctx, dir); err != nil {
			return broken(err)
		}
	}
	res, err := soak(ctx, o)
	text, jerr := json.MarshalIndent(res, "", "  ")
	if jerr != nil {
		return broken(jerr)
	}
	fmt.Println(string(text))
	if results != "" {
		if werr := os.WriteFile(results, append(text, '\n'), 0o644); werr != nil {
			return broken(werr)
		}
	}
	switch {
	case err != nil:
		return broken(err)
	case res.Verdict != verdictPass:
		return 1
	}
	return 0
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "soak:", err)
	return 2
}
