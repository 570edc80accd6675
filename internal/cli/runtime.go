package cli

import (
	"os"
	"runtime"
	"runtime/debug"
)

// What the server asks of Go's runtime; GOMAXPROCS and GOGC in the environment
// win. Both are for the evenness of answers beside a long command, and measured
// (docs/adr/0007).
const (
	// leastProcs is how many goroutines run at once, however few processors
	// there are. On one or two, a long command beside a collection or a
	// compaction holds all that Go has, and a request waits for a slice of Go's
	// scheduler, which is 10 ms; with one more, the kernel divides the time, in
	// shorter slices of its own.
	leastProcs = 3
	// collectAt is how much the heap may grow, in percent of what is in use,
	// before it is collected: half as often as by Go's default of 100.
	collectAt = 200
)

func setRuntime() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < leastProcs {
		runtime.GOMAXPROCS(leastProcs)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
}
