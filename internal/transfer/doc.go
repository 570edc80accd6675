// Package transfer is the project file: what export writes and import reads,
// over REST and on the command line alike.
//
// A file is one JSON object and a line feed:
//
//	{"format":"graphroom-project","version":1,
//	 "project":{"project_id":"…","template_id":"…","name":"…"},
//	 "graph":{…}}
//
// graph is the graph shape of docs/SPEC.md. What belongs to a store and not to
// the project (revision, time of the save, blueprint) is not in the file, so
// that export, import and export again give the same bytes everywhere.
//
// It owns the format and the rules of reading it (SPEC D-1 to D-6). It knows
// no HTTP, no flags and no open session. Its functions keep no state and are
// safe for concurrent use.
package transfer
