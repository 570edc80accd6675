package session

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/journal"
)

// Kinds of entries.
const (
	kindCommand = "command"
	kindUndo    = "undo"
	kindRedo    = "redo"
	kindSave    = "save"
	kindLoad    = "load" // a project created, or a saved one opened
)

// entryFormat names the stored form of an entry. A reader refuses a newer one.
const entryFormat = 1

// entry is what one command, undo, redo, save or load put into the journal.
// It holds everything that apply needs, so that a core is a function of its
// entries. First and Last come from the journal record, not from the body.
type entry struct {
	First uint64 `json:"-"`
	Last  uint64 `json:"-"`
	size  int    // of the journal record; 0 before it is one

	Format      int             `json:"v"`
	Kind        string          `json:"kind"`
	ProjectID   string          `json:"project"`
	CommandID   string          `json:"id"`
	CommandType string          `json:"type,omitempty"`
	Actor       string          `json:"actor"`
	Time        int64           `json:"time"` // Unix milliseconds
	Digest      string          `json:"digest,omitempty"`
	Changes     []graph.Change  `json:"changes,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`

	Label    string `json:"label,omitempty"`
	Coalesce string `json:"coalesce,omitempty"` // key given with the command
	Joined   bool   `json:"joined,omitempty"`   // it joined the history entry before it

	Scope   string          `json:"scope,omitempty"`
	Target  string          `json:"target,omitempty"` // command id undone or redone
	Steps   []step          `json:"steps,omitempty"`
	Applied []graph.Outcome `json:"applied,omitempty"`
	Skipped []graph.Outcome `json:"skipped,omitempty"`

	Loaded *loaded      `json:"loaded,omitempty"`
	opened *graph.Graph // Loaded's graph, made when it was planned; nil in recovery
	Saved  *savedMark   `json:"saved,omitempty"`

	graphs []graph.Event // of Changes, once they were asked for
}

// step is one history entry that an undo or redo turned: Count changes of the
// entry's list, in order, belong to it. Count 0 drops it from the history.
type step struct {
	Ref   uint64 `json:"ref"` // hist.ref
	Count int    `json:"n"`
}

// loaded carries a whole project. Blueprint is the template's source as it was
// then: a project's history never depends on a template file changed later.
type loaded struct {
	TemplateID string          `json:"template"`
	Name       string          `json:"name"`
	Revision   uint64          `json:"revision"`
	Blueprint  []byte          `json:"blueprint"`
	Graph      json.RawMessage `json:"graph"`
}

type savedMark struct {
	Name     string `json:"name"`
	Revision uint64 `json:"revision"`
}

// eventCount is how many numbered events the entry publishes, at least one.
func (e *entry) eventCount() uint64 { return 1 + uint64(len(e.graphEvents())) }

// graphEvents gives the events of the entry's changes. Changes must not change
// any more.
func (e *entry) graphEvents() []graph.Event {
	if e.graphs == nil {
		for i := range e.Changes {
			if one := e.Changes[i].Events(); e.graphs == nil {
				e.graphs = one
			} else {
				e.graphs = append(e.graphs, one...)
			}
		}
	}
	return e.graphs
}

func (e *entry) at() time.Time { return time.UnixMilli(e.Time).UTC() }

func encodeEntry(e *entry) (journal.Record, error) {
	data, err := e.appendJSON(make([]byte, 0, entrySize))
	if err != nil {
		return journal.Record{}, fmt.Errorf("encode entry %d: %w", e.First, err)
	}
	data = pack(data)
	return journal.Record{First: e.First, Last: e.Last, Data: data}, nil
}

// entrySize is what most entries fit into.
const entrySize = 768

// appendJSON writes what encoding/json makes of the entry. Commands, which are
// nearly all entries, are written without its detour; the rare fields go
// through it.
func (e *entry) appendJSON(dst []byte) ([]byte, error) {
	if e.Steps != nil || e.Applied != nil || e.Skipped != nil || e.Loaded != nil || e.Saved != nil {
		data, err := json.Marshal(e)
		return append(dst, data...), err
	}
	dst = strconv.AppendInt(append(dst, `{"v":`...), int64(e.Format), 10)
	dst = appendText(append(dst, `,"kind":`...), e.Kind)
	dst = appendText(append(dst, `,"project":`...), e.ProjectID)
	dst = appendText(append(dst, `,"id":`...), e.CommandID)
	optional := func(key, value string) {
		if value != "" {
			dst = appendText(append(append(append(dst, `,"`...), key...), `":`...), value)
		}
	}
	optional("type", e.CommandType)
	dst = appendText(append(dst, `,"actor":`...), e.Actor)
	dst = strconv.AppendInt(append(dst, `,"time":`...), e.Time, 10)
	optional("digest", e.Digest)
	for i := range e.Changes {
		if i == 0 {
			dst = append(dst, `,"changes":[`...)
		} else {
			dst = append(dst, ',')
		}
		one, err := e.Changes[i].MarshalJSON()
		if err != nil {
			return nil, err
		}
		dst = append(dst, one...)
	}
	if len(e.Changes) > 0 {
		dst = append(dst, ']')
	}
	if len(e.Result) > 0 {
		dst = append(append(dst, `,"result":`...), e.Result...)
	}
	optional("label", e.Label)
	optional("coalesce", e.Coalesce)
	if e.Joined {
		dst = append(dst, `,"joined":true`...)
	}
	optional("scope", e.Scope)
	optional("target", e.Target)
	return append(dst, '}'), nil
}

func decodeEntry(r journal.Record) (*entry, error) {
	e := &entry{First: r.First, Last: r.Last, size: len(r.Data)}
	data, err := unpack(r.Data)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", r.First, err)
	}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("entry %d: %w", r.First, err)
	}
	if e.Format != entryFormat {
		return nil, fmt.Errorf("entry %d: format %d, this program reads %d", r.First, e.Format, entryFormat)
	}
	if n := e.eventCount(); e.Last-e.First+1 != n {
		return nil, fmt.Errorf("entry %d: %d events numbered through %d", r.First, n, r.Last)
	}
	return e, nil
}
