// Package pebble is the default journal driver: one embedded Pebble store in
// the data directory, which holds every session's journal and snapshot, the
// saved projects and the server's keys.
//
// It owns the data directory while it is open: a lock keeps other processes
// out, a FORMAT file names the version of what is stored, and an OWNER file
// names the process for the error message of the next one. It does not know
// what records, snapshots or graphs say.
//
// # Writing
//
// One goroutine (the committer) merges the batches of all callers that wait
// into one, applies it and hands it to a second one (the waiter) that waits
// for its fsync and wakes the callers: concurrent appends of many sessions
// share fsyncs. Neither caller ever enters Pebble's commit pipeline itself,
// because that pipeline cannot go on after a failed commit and must not be let
// return: what gets stuck there is the committer, for good, and nobody else.
//
// # What is promised
//
// With SyncAlways (the default) a nil answer means that the change is on disk,
// synced. With SyncInterval it means that the change is in the store's log
// buffer and will be synced within Interval, plus the time that sync takes:
// kill -9, a crash and power loss can lose the newest changes up to that age,
// but always a suffix of all changes in their order, never one from the
// middle and never half of an Append. Saved projects and keys are synced
// before they are answered in both modes.
//
// # Failure
//
// The first failed write, fsync or manifest change, and writes that stall or
// background work that fails for longer than StallTimeout, fail the store for
// good: Failed is closed, waiting mutations get ErrUncertain, all later calls
// ErrUnavailable, and nothing more is acknowledged. Close is then bounded and
// leaves the parked goroutines, the open files and the lock to the end of the
// process, which should follow. The next Open settles every uncertain outcome.
//
// # Concurrency
//
// All methods are safe for concurrent use. A session's Create and Delete
// exclude everything else on it, so readers never see a session half made or
// half gone.
package pebble
