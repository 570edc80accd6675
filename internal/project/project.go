// Package project is the store of saved projects: one graph with a name and a
// revision, that any session may open again.
//
// It owns the interface, its errors and the checks that drivers share. It does
// not know what is in a graph. Drivers: project/memory, and the pebble store
// of the data directory (internal/journal/pebble), both behind the contract
// suite in projecttest.
//
// Every method of a Store is safe for concurrent use. A Put or Delete that
// returned nil is durable (as far as the driver keeps anything), and readers
// see only durable state. Contexts are honoured before a call began; a write
// that waits to become durable is not cancelled.
package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
)

// Bounds of what a Store takes, in bytes. More is refused with TOO_LARGE.
const (
	MaxID    = 128
	MaxName  = 4 << 10
	MaxGraph = 1 << 30
)

// Saved is one saved project.
type Saved struct {
	// ProjectID is 1 to MaxID of A-Z a-z 0-9 _ -.
	ProjectID string `json:"project_id"`
	// TemplateID names the blueprint.
	TemplateID string `json:"template_id"`
	Name       string `json:"name"`
	// Revision counts the saves from 1. Put sets it; what the caller put there
	// is ignored.
	Revision uint64 `json:"revision"`
	// SavedAt is kept in UTC to the millisecond.
	SavedAt time.Time `json:"saved_at"`
	// Graph is kept byte for byte.
	Graph json.RawMessage `json:"graph"`
}

// Summary is a Saved without its graph.
type Summary struct {
	ProjectID  string    `json:"project_id"`
	TemplateID string    `json:"template_id"`
	Name       string    `json:"name"`
	Revision   uint64    `json:"revision"`
	SavedAt    time.Time `json:"saved_at"`
	// GraphBytes is the size of the graph.
	GraphBytes int64 `json:"graph_bytes"`
}

// Store keeps saved projects.
type Store interface {
	// Put saves s if the stored revision is expected (0: nothing is stored) and
	// returns the new revision, expected+1. CONFLICT otherwise, and nothing is
	// changed: errors.As finds a *RevisionError with both revisions.
	// UNAVAILABLE means that it may or may not have been saved. The store keeps
	// no reference to s.Graph.
	Put(ctx context.Context, s Saved, expected uint64) (uint64, error)

	// Get returns the saved project; PROJECT_NOT_FOUND when there is none. The
	// graph belongs to the caller.
	Get(ctx context.Context, id string) (Saved, error)

	// List returns up to limit summaries with ids greater than after, sorted by
	// id; limit <= 0 means 1000. Its cost does not depend on the graphs' sizes.
	List(ctx context.Context, after string, limit int) ([]Summary, error)

	// Delete removes the project; PROJECT_NOT_FOUND when there is none. Saved
	// again, its revisions begin at 1.
	Delete(ctx context.Context, id string) error
}

// ErrUncertain is wrapped by the UNAVAILABLE of a Put or Delete that was begun
// and whose outcome is not known.
var ErrUncertain = errors.New("project: outcome unknown")

// RevisionError says that the stored revision was not the expected one. It is
// wrapped in the CONFLICT that Put returns.
type RevisionError struct {
	ProjectID string
	// Expected is what the caller gave, Current what is stored; 0 is nothing.
	Expected, Current uint64
}

// Error names the project and both revisions.
func (e *RevisionError) Error() string {
	return fmt.Sprintf("project %s: revision %d is stored, %d was expected", e.ProjectID, e.Current, e.Expected)
}

// Conflict is the answer for a Put whose expected revision is not the stored
// one; its details carry both revisions for the client.
func Conflict(id string, expected, current uint64) error {
	e := &RevisionError{ProjectID: id, Expected: expected, Current: current}
	return fault.Wrap(e, fault.Conflict,
		"project %s is saved at revision %d; this copy is of revision %d", id, current, expected).
		With(
			fault.Detail{Location: "revision.current", Message: strconv.FormatUint(current, 10)},
			fault.Detail{Location: "revision.expected", Message: strconv.FormatUint(expected, 10)},
		)
}

// NotFound is the answer for an unknown or malformed project id.
func NotFound(id string) error {
	if len(id) > MaxID {
		id = id[:MaxID] + "…"
	}
	return fault.New(fault.ProjectNotFound, "no saved project %q", id)
}

// CheckID reports whether id is well formed: 1 to MaxID of A-Z a-z 0-9 _ -.
func CheckID(id string) bool {
	if len(id) == 0 || len(id) > MaxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Check returns nil when s may be stored: INVALID_REQUEST for a malformed id,
// TOO_LARGE over a bound. Every driver calls it before it writes anything.
func Check(s Saved) error {
	switch {
	case !CheckID(s.ProjectID):
		return fault.New(fault.InvalidRequest, "malformed project id")
	case len(s.Name) > MaxName || len(s.TemplateID) > MaxName:
		return fault.New(fault.TooLarge, "the project's name or template id is over %d bytes", MaxName)
	case len(s.Graph) > MaxGraph:
		return fault.New(fault.TooLarge, "the project's graph is over %d bytes", MaxGraph)
	}
	return nil
}

// Summary returns s without its graph.
func (s Saved) Summary() Summary {
	return Summary{
		ProjectID: s.ProjectID, TemplateID: s.TemplateID, Name: s.Name,
		Revision: s.Revision, SavedAt: s.SavedAt, GraphBytes: int64(len(s.Graph)),
	}
}
