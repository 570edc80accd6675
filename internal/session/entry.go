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

	Scope  string `json:"scope,omitempty"`
	Target string `json:"target,omitempty"` // command id undone or redone
	Steps  []step `json:"steps,omitempty"`
	turned

	Loaded *loaded      `json:"loaded,omitempty"`
	opened *graph.Graph // Loaded's graph, made when it was planned; nil in recovery
	Saved  *savedMark   `json:"saved,omitempty"`
}

// turned is what became of the changes that an undo or redo took back.
type turned struct {
	Applied     []graph.Outcome `json:"applied,omitempty"`
	Skipped     []graph.Outcome `json:"skipped,omitempty"`
	AppliedMore int             `json:"applied_more,omitempty"` // beyond the listed ones
	SkippedMore int             `json:"skipped_more,omitempty"`
}

func turnedBy(applied, skipped graph.Outcomes) turned {
	return turned{Applied: applied.List, Skipped: skipped.List, AppliedMore: applied.More, SkippedMore: skipped.More}
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
func (e *entry) eventCount() uint64 {
	n := uint64(1)
	for _, c := range e.Changes {
		n += uint64(c.EventCount())
	}
	return n
}

func (e *entry) at() time.Time { return time.UnixMilli(e.Time).UTC() }

// encodeEntry makes the record of an entry. step, if any, is called between its
// changes.
func encodeEntry(e *entry, step func()) (journal.Record, error) {
	p := newPacker(entrySize+len(e.Changes)*changeSize, step)
	if err := e.write(p); err != nil {
		return journal.Record{}, fmt.Errorf("encode entry %d: %w", e.First, err)
	}
	data, _, err := p.done()
	if err != nil {
		return journal.Record{}, fmt.Errorf("encode entry %d: %w", e.First, err)
	}
	return journal.Record{First: e.First, Last: e.Last, Data: data}, nil
}

// What most entries and changes fit into.
const (
	entrySize  = 512
	changeSize = 256
)

// write gives p what encoding/json makes of the entry, without its detour.
func (e *entry) write(p *packer) error {
	p.buf = strconv.AppendInt(append(p.buf, `{"v":`...), int64(e.Format), 10)
	p.buf = appendText(append(p.buf, `,"kind":`...), e.Kind)
	p.buf = appendText(append(p.buf, `,"project":`...), e.ProjectID)
	p.buf = appendText(append(p.buf, `,"id":`...), e.CommandID)
	p.text(`,"type":`, e.CommandType)
	p.buf = appendText(append(p.buf, `,"actor":`...), e.Actor)
	p.buf = strconv.AppendInt(append(p.buf, `,"time":`...), e.Time, 10)
	p.text(`,"digest":`, e.Digest)
	if len(e.Changes) > 0 {
		p.buf = append(p.buf, `,"changes":`...)
		if err := p.changes(e.Changes); err != nil {
			return err
		}
	}
	if len(e.Result) > 0 {
		p.buf = append(p.buf, `,"result":`...)
		p.raw(e.Result)
	}
	p.text(`,"label":`, e.Label)
	p.text(`,"coalesce":`, e.Coalesce)
	if e.Joined {
		p.buf = append(p.buf, `,"joined":true`...)
	}
	p.text(`,"scope":`, e.Scope)
	p.text(`,"target":`, e.Target)
	if len(e.Steps) > 0 {
		if err := p.value(`,"steps":`, e.Steps); err != nil {
			return err
		}
	}
	if err := e.turned.write(p); err != nil {
		return err
	}
	if e.Loaded != nil {
		e.Loaded.write(p)
	}
	if e.Saved != nil {
		if err := p.value(`,"saved":`, e.Saved); err != nil {
			return err
		}
	}
	p.buf = append(p.buf, '}')
	return nil
}

func (t *turned) write(p *packer) error {
	if len(t.Applied) > 0 {
		if err := p.value(`,"applied":`, t.Applied); err != nil {
			return err
		}
	}
	if len(t.Skipped) > 0 {
		if err := p.value(`,"skipped":`, t.Skipped); err != nil {
			return err
		}
	}
	p.number(`,"applied_more":`, uint64(t.AppliedMore))
	p.number(`,"skipped_more":`, uint64(t.SkippedMore))
	return nil
}

func (l *loaded) write(p *packer) {
	p.buf = appendText(append(p.buf, `,"loaded":{"template":`...), l.TemplateID)
	p.buf = appendText(append(p.buf, `,"name":`...), l.Name)
	p.buf = strconv.AppendUint(append(p.buf, `,"revision":`...), l.Revision, 10)
	p.buf = append(p.buf, `,"blueprint":`...)
	p.base64(l.Blueprint)
	p.buf = append(p.buf, `,"graph":`...)
	p.raw(l.Graph)
	p.buf = append(p.buf, '}')
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
