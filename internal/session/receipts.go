package session

import (
	"encoding/json"
	"strconv"

	"github.com/graphroom/graphroom/internal/fault"
)

// kept is what is remembered of one entry: enough to give its receipt again
// and to know where the replay window begins.
type kept struct {
	CommandID string          `json:"id"`
	Digest    string          `json:"digest,omitempty"`
	Kind      string          `json:"kind"`
	ProjectID string          `json:"project"`
	Type      string          `json:"type,omitempty"`
	Target    string          `json:"target,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	turned
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Time     int64  `json:"time"`
	Revision uint64 `json:"revision,omitempty"`
	Undo     bool   `json:"undo,omitempty"`
	Redo     bool   `json:"redo,omitempty"`
}

// keptSize is what most receipts take as JSON.
const keptSize = 320

// write gives p what encoding/json makes of it.
func (k *kept) write(p *packer) error {
	p.buf = appendText(append(p.buf, `{"id":`...), k.CommandID)
	p.text(`,"digest":`, k.Digest)
	p.buf = appendText(append(p.buf, `,"kind":`...), k.Kind)
	p.buf = appendText(append(p.buf, `,"project":`...), k.ProjectID)
	p.text(`,"type":`, k.Type)
	p.text(`,"target":`, k.Target)
	if len(k.Result) > 0 {
		p.buf = append(p.buf, `,"result":`...)
		p.raw(k.Result)
	}
	if err := k.turned.write(p); err != nil {
		return err
	}
	p.buf = strconv.AppendUint(append(p.buf, `,"first":`...), k.First, 10)
	p.buf = strconv.AppendUint(append(p.buf, `,"last":`...), k.Last, 10)
	p.buf = strconv.AppendInt(append(p.buf, `,"time":`...), k.Time, 10)
	p.number(`,"revision":`, k.Revision)
	if k.Undo {
		p.buf = append(p.buf, `,"undo":true`...)
	}
	if k.Redo {
		p.buf = append(p.buf, `,"redo":true`...)
	}
	p.buf = append(p.buf, '}')
	p.spill()
	return nil
}

// receipts remembers the newest entries by command id: a ring of bounded
// length, and the index into it.
type receipts struct {
	limit int
	ring  []kept
	start int
	byID  map[string]int // position in ring
}

func newReceipts(limit int) receipts {
	return receipts{limit: max(limit, 1), byID: map[string]int{}}
}

func (r *receipts) add(e *entry, undo, redo bool) {
	k := kept{
		CommandID: e.CommandID, Digest: e.Digest, Kind: e.Kind, ProjectID: e.ProjectID, Type: e.CommandType,
		Target: e.Target, Result: e.Result, turned: e.turned,
		First: e.First, Last: e.Last, Time: e.Time, Undo: undo, Redo: redo,
	}
	if e.Saved != nil {
		k.Revision = e.Saved.Revision
	}
	r.push(k)
}

func (r *receipts) push(k kept) {
	if len(r.ring) < r.limit {
		r.byID[k.CommandID] = len(r.ring)
		r.ring = append(r.ring, k)
		return
	}
	old := &r.ring[r.start]
	if r.byID[old.CommandID] == r.start {
		delete(r.byID, old.CommandID)
	}
	*old = k
	r.byID[k.CommandID] = r.start
	r.start = (r.start + 1) % len(r.ring)
}

// find returns the entry that this command id made, nil when there is none
// that is remembered, or CONFLICT when the id was used for something else.
func (r *receipts) find(commandID, digest string) (*kept, error) {
	i, ok := r.byID[commandID]
	if !ok {
		return nil, nil
	}
	k := &r.ring[i]
	if k.Digest != digest {
		return nil, fault.New(fault.Conflict, "command_id %s was used before with another payload", commandID)
	}
	return k, nil
}

// inOrder lists what is remembered, oldest first.
func (r *receipts) inOrder() []kept {
	out := make([]kept, 0, len(r.ring))
	out = append(out, r.ring[r.start:]...)
	return append(out, r.ring[:r.start]...)
}

// newest is the entry remembered last; there must be one.
func (r *receipts) newest() *kept {
	if len(r.ring) < r.limit || r.start == 0 {
		return &r.ring[len(r.ring)-1]
	}
	return &r.ring[r.start-1]
}

// oldest is the first seq that the window covers; 0 when nothing is remembered.
func (r *receipts) oldest() uint64 {
	if len(r.ring) == 0 {
		return 0
	}
	return r.ring[r.start].First
}

func (k *kept) receipt() Receipt {
	out := Receipt{
		Success: true, CommandID: k.CommandID, ProjectID: k.ProjectID, CommandType: k.Type, Result: k.Result,
		Seq: k.Last, UndoAvailable: k.Undo, RedoAvailable: k.Redo,
	}
	if k.Kind == kindUndo || k.Kind == kindRedo {
		out.Applied, out.Skipped = outcomes(k.Applied), outcomes(k.Skipped)
		out.AppliedMore, out.SkippedMore = k.AppliedMore, k.SkippedMore
	}
	switch k.Kind {
	case kindUndo:
		out.Undone = k.Target
	case kindRedo:
		out.Redone = k.Target
	}
	return out
}
