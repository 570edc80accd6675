package session

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/graphroom/graphroom/internal/graph"
)

// snapshotFormat names the stored form of a core.
const snapshotFormat = 1

// coreImage is a snapshot: all that entries have made of a core.
type coreImage struct {
	Format   int            `json:"v"`
	Head     uint64         `json:"head"`
	Active   string         `json:"active"`
	Projects []projectImage `json:"projects"`
	Receipts []kept         `json:"receipts"`
}

type projectImage struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	TemplateID string      `json:"template"`
	Blueprint  []byte      `json:"blueprint"`
	Revision   uint64      `json:"revision"`
	ChangedAt  uint64      `json:"changed_at"`
	SavedAt    uint64      `json:"saved_at"`
	Graph      []byte      `json:"graph"`
	Done       []histImage `json:"done,omitempty"`
	Undone     []histImage `json:"undone,omitempty"`
}

type histImage struct {
	Ref         uint64         `json:"ref"`
	ID          string         `json:"id"`
	Actor       string         `json:"actor"`
	Type        string         `json:"type"`
	Label       string         `json:"label,omitempty"`
	Time        int64          `json:"time"`
	Coalesce    string         `json:"coalesce,omitempty"`
	UndoneBy    string         `json:"by,omitempty"`
	UndoneScope string         `json:"scope,omitempty"`
	Changes     []graph.Change `json:"changes"`
}

// encode gives the core's snapshot, packed, and its size before that. Equal
// cores give equal bytes.
func (c *core) encode(step func()) (data []byte, size int, err error) { return c.image().encode(step) }

// image takes what a snapshot holds out of the core: nothing in it changes when
// the core goes on, so it may be written elsewhere.
func (c *core) image() coreImage {
	img := coreImage{Format: snapshotFormat, Head: c.head, Active: c.active, Receipts: c.receipts.inOrder()}
	for _, id := range c.order {
		p := c.projects[id]
		img.Projects = append(img.Projects, projectImage{
			ID: p.id, Name: p.name, TemplateID: p.templateID, Blueprint: p.source, Revision: p.revision,
			ChangedAt: p.changedAt, SavedAt: p.savedAt, Graph: p.graph.Encode(),
			Done: p.history.images(true), Undone: p.history.images(false),
		})
	}
	return img
}

// encode packs what encoding/json makes of the image. step, if any, is called
// between its pieces.
func (img coreImage) encode(step func()) (data []byte, size int, err error) {
	p := newPacker(len(img.Receipts)*keptSize+len(img.Projects)*packFrom, step)
	if err := img.write(p); err != nil {
		return nil, 0, err
	}
	return p.done()
}

func (img coreImage) write(p *packer) error {
	p.buf = strconv.AppendInt(append(p.buf, `{"v":`...), int64(img.Format), 10)
	p.buf = strconv.AppendUint(append(p.buf, `,"head":`...), img.Head, 10)
	p.buf = appendText(append(p.buf, `,"active":`...), img.Active)
	p.buf = append(p.buf, `,"projects":[`...)
	for i := range img.Projects {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		if err := img.Projects[i].write(p); err != nil {
			return err
		}
	}
	p.buf = append(p.buf, `],"receipts":[`...)
	for i := range img.Receipts {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		if err := img.Receipts[i].write(p); err != nil {
			return err
		}
	}
	p.buf = append(p.buf, `]}`...)
	return nil
}

func (img *projectImage) write(p *packer) error {
	p.buf = appendText(append(p.buf, `{"id":`...), img.ID)
	p.buf = appendText(append(p.buf, `,"name":`...), img.Name)
	p.buf = appendText(append(p.buf, `,"template":`...), img.TemplateID)
	p.buf = append(p.buf, `,"blueprint":`...)
	p.base64(img.Blueprint)
	p.buf = strconv.AppendUint(append(p.buf, `,"revision":`...), img.Revision, 10)
	p.buf = strconv.AppendUint(append(p.buf, `,"changed_at":`...), img.ChangedAt, 10)
	p.buf = strconv.AppendUint(append(p.buf, `,"saved_at":`...), img.SavedAt, 10)
	p.buf = append(p.buf, `,"graph":`...)
	p.base64(img.Graph)
	if err := writeHistory(p, `,"done":[`, img.Done); err != nil {
		return err
	}
	if err := writeHistory(p, `,"undone":[`, img.Undone); err != nil {
		return err
	}
	p.buf = append(p.buf, '}')
	return nil
}

func writeHistory(p *packer, key string, history []histImage) error {
	for i := range history {
		h := &history[i]
		p.buf = append(p.buf, [...]string{key, `,`}[min(i, 1)]...)
		p.buf = strconv.AppendUint(append(p.buf, `{"ref":`...), h.Ref, 10)
		p.buf = appendText(append(p.buf, `,"id":`...), h.ID)
		p.buf = appendText(append(p.buf, `,"actor":`...), h.Actor)
		p.buf = appendText(append(p.buf, `,"type":`...), h.Type)
		p.text(`,"label":`, h.Label)
		p.buf = strconv.AppendInt(append(p.buf, `,"time":`...), h.Time, 10)
		p.text(`,"coalesce":`, h.Coalesce)
		p.text(`,"by":`, h.UndoneBy)
		p.text(`,"scope":`, h.UndoneScope)
		p.buf = append(p.buf, `,"changes":`...)
		if err := p.changes(h.Changes); err != nil {
			return err
		}
		p.buf = append(p.buf, '}')
	}
	if len(history) > 0 {
		p.buf = append(p.buf, ']')
	}
	return nil
}

func (h *history) images(done bool) []histImage {
	l := h.undone
	if done {
		l = h.done
	}
	out := make([]histImage, 0, l.Len())
	for el := l.Front(); el != nil; el = el.Next() {
		e, ok := el.Value.(*hist)
		if !ok {
			continue
		}
		out = append(out, histImage{
			Ref: e.ref, ID: e.id, Actor: e.actor, Type: e.typ, Label: e.label, Time: e.time,
			Coalesce: e.coalesce, UndoneBy: e.undoneBy, UndoneScope: e.undoneScope, Changes: e.changes,
		})
	}
	return out
}

// decode fills a new core from a snapshot, packed or not.
func (c *core) decode(data []byte) error {
	data, err := unpack(data)
	if err != nil {
		return err
	}
	var img coreImage
	if err := json.Unmarshal(data, &img); err != nil {
		return err
	}
	if img.Format != snapshotFormat {
		return fmt.Errorf("format %d, this program reads %d", img.Format, snapshotFormat)
	}
	c.head, c.active = img.Head, img.Active
	for _, k := range img.Receipts {
		c.receipts.push(k)
	}
	for _, pi := range img.Projects {
		bp, err := graph.ParseBlueprint(pi.TemplateID+".yaml", pi.Blueprint)
		if err != nil {
			return fmt.Errorf("project %s: blueprint: %w", pi.ID, err)
		}
		g, err := graph.DecodeGraph(bp, pi.Graph)
		if err != nil {
			return fmt.Errorf("project %s: graph: %w", pi.ID, err)
		}
		p := &openProject{
			id: pi.ID, name: pi.Name, templateID: pi.TemplateID, source: pi.Blueprint, revision: pi.Revision,
			graph: g, history: newHistory(c.limits.history), changedAt: pi.ChangedAt, savedAt: pi.SavedAt,
		}
		for _, h := range pi.Done {
			p.history.pushDone(h.hist())
		}
		for _, h := range pi.Undone {
			p.history.pushUndone(h.hist(), h.UndoneScope, h.UndoneBy)
		}
		c.projects[p.id] = p
		c.order = append(c.order, p.id)
	}
	return nil
}

func (h histImage) hist() *hist {
	return &hist{
		ref: h.Ref, id: h.ID, actor: h.Actor, typ: h.Type, label: h.Label,
		time: h.Time, coalesce: h.Coalesce, changes: h.Changes,
	}
}

type snapshotResult struct {
	through uint64 // entries through here need not be kept
	size    int    // before it was packed
	err     error
}

// maybeSnapshot writes a snapshot in the background when enough has been
// appended since the last one: at least the configured amounts, and as many
// bytes as the last snapshot had before it was packed, so that snapshots cost
// at most as much work as the journal itself.
func (l *live) maybeSnapshot() {
	cfg := &l.m.cfg
	if l.writing || l.sinceCount < cfg.SnapshotEntries || l.sinceBytes < max(cfg.SnapshotMinBytes, l.snapSize) {
		return
	}
	image := l.core.image()
	seq := l.core.head
	through := min(l.core.receipts.oldest()-1, seq) // what is remembered is also kept for replay
	l.writing, l.sinceBytes, l.sinceCount = true, 0, 0
	l.snapshots.Go(func() {
		pace := newPace(&l.m.turns)
		pace.begin()
		data, size, err := image.encode(pace.step)
		if err == nil {
			err = cfg.Journal.PutSnapshot(l.ctx, l.id, seq, data)
		}
		if err == nil && through > 0 {
			err = cfg.Journal.Trim(l.ctx, l.id, through)
		}
		l.snapshotEnd <- snapshotResult{through: through, size: size, err: err}
	})
}

func (l *live) snapshotWritten(r snapshotResult) {
	l.writing = false
	l.snapSize = r.size
	if r.err != nil {
		l.log.Warn("snapshot not written; the next load reads more of the journal", "err", r.err)
		return
	}
	if r.through >= l.firstSeq {
		l.firstSeq = r.through + 1
	}
}
