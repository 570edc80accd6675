package session

import (
	"encoding/json"
	"time"

	"github.com/graphroom/graphroom/internal/graph"
)

// Scopes of undo and redo.
const (
	ScopeSession = "session" // the last command of anyone
	ScopeActor   = "actor"   // the caller's last command
)

// PolicyForce applies an inverse even where someone has changed the value since.
const PolicyForce = "force"

// Execute asks for one command. ProjectID may be empty: the active project is
// meant. CommandID may be empty: the server chooses one. Data is the command's
// own JSON object; it is not retained after Execute returned.
type Execute struct {
	ProjectID    string
	CommandID    string
	Actor        string
	Type         string
	Data         json.RawMessage
	ExpectedSeq  *uint64 // refuse with PRECONDITION_FAILED when a touched node changed after it
	IncludeGraph bool    // put the whole graph into the receipt
}

// Step asks for one undo or redo.
type Step struct {
	ProjectID    string
	CommandID    string // the request's own id; empty: the server chooses one
	Actor        string
	Scope        string // "" and "session", or "actor"
	Policy       string // "" or "force"
	To           string // undo only: back to just after this command
	IncludeGraph bool
}

// Receipt answers Execute, Undo and Redo. The same command_id gets an equal
// receipt for as long as the entry is kept.
type Receipt struct {
	Success       bool            `json:"success"`
	CommandID     string          `json:"command_id"`
	ProjectID     string          `json:"project_id"`
	CommandType   string          `json:"command_type,omitempty"`
	Result        json.RawMessage `json:"result,omitempty"`
	Seq           uint64          `json:"seq"`
	UndoAvailable bool            `json:"undo_available"`
	RedoAvailable bool            `json:"redo_available"`
	Undone        string          `json:"undone,omitempty"`       // undo: the command that was undone
	Redone        string          `json:"redone,omitempty"`       // redo: the command that was redone
	Applied       []graph.Outcome `json:"applied,omitzero"`       // undo and redo: always there; at most graph.MaxOutcomes
	Skipped       []graph.Outcome `json:"skipped,omitzero"`       // the same
	AppliedMore   int             `json:"applied_more,omitempty"` // how many Applied does not list
	SkippedMore   int             `json:"skipped_more,omitempty"`
	Graph         json.RawMessage `json:"graph,omitempty"`
}

// NewProject asks for a project made from a template and opened here. A
// repeated CommandID answers with the project that the first one made.
type NewProject struct {
	TemplateID string
	Name       string
	Actor      string
	CommandID  string
}

// Opened answers CreateProject and Load.
type Opened struct {
	SessionID  string          `json:"session_id"`
	ProjectID  string          `json:"project_id"`
	TemplateID string          `json:"template_id"`
	Name       string          `json:"name"`
	Revision   uint64          `json:"revision"`
	Seq        uint64          `json:"seq"`
	Graph      json.RawMessage `json:"graph"`
}

// Saved answers Save.
type Saved struct {
	SessionID string `json:"session_id"`
	ProjectID string `json:"project_id"`
	Name      string `json:"name"`
	Revision  uint64 `json:"revision"`
	Seq       uint64 `json:"seq"`
}

// View is what Read shows of one open project, all as of Seq. Graph belongs to
// the session's goroutine: it must be neither kept nor changed.
type View struct {
	SessionID  string
	ProjectID  string
	TemplateID string
	Name       string
	Revision   uint64 // the saved revision this copy stands on; 0 = never saved
	Dirty      bool   // changed since it was saved or loaded
	Epoch      string
	Seq        uint64
	Graph      *graph.Graph
}

// ProjectInfo describes one open project.
type ProjectInfo struct {
	ProjectID     string `json:"project_id"`
	TemplateID    string `json:"template_id"`
	Name          string `json:"name"`
	Revision      uint64 `json:"revision"`
	Dirty         bool   `json:"dirty"`
	Active        bool   `json:"active"`
	NodeCount     int    `json:"node_count"`
	UndoAvailable bool   `json:"undo_available"`
	RedoAvailable bool   `json:"redo_available"`
}

// Info describes a session. The fields without a project of their own speak of
// the active project.
type Info struct {
	SessionID     string        `json:"session_id"`
	Epoch         string        `json:"epoch"`
	Seq           uint64        `json:"seq"`
	FirstSeq      uint64        `json:"first_seq"` // the oldest event still kept for replay; seq+1 when there is none
	CreatedAt     time.Time     `json:"created_at"`
	ClientCount   int           `json:"client_count"`
	Clients       []Client      `json:"clients"`
	ActiveProject string        `json:"active_project_id,omitempty"`
	Projects      []ProjectInfo `json:"projects"`
	NodeCount     int           `json:"node_count"`
	UndoAvailable bool          `json:"undo_available"`
	RedoAvailable bool          `json:"redo_available"`
}

// Client is one joined socket. Key identifies the socket and is not shown;
// ID, Name and Color are what the client said of itself.
type Client struct {
	Key   string `json:"-"`
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Color string `json:"color,omitempty"`
}

// JoinOptions say where a joining client stands. LastSeq with Epoch asks for
// what it missed; Snapshot asks for the state when nothing can be replayed.
type JoinOptions struct {
	Epoch    string
	LastSeq  *uint64
	Snapshot bool
}

// Joined says how a client starts: it gets Hello, then either the numbered
// events after ReplayAfter up to HeadSeq or the State, then every item of the
// Feed from Cursor on. All of it was decided in one turn, so nothing is lost
// or doubled between the parts.
type Joined struct {
	Epoch       string
	HeadSeq     uint64
	ClientCount int
	Recovered   bool
	Replay      bool   // send the events after ReplayAfter, through HeadSeq
	ReplayAfter uint64 //
	Hello       Item   // session:connected, for the joiner alone
	State       []Item // project:loaded of every open project, for the joiner alone
	Cursor      uint64
}
