package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

// core is the state of one session and the pure part of a turn. Every decision
// is an entry made by a plan method, which reads only; apply is the one
// method that changes state, and the core is a function of the entries it
// applied. It knows no journal and no goroutine.
type core struct {
	id      string
	epoch   string
	created time.Time
	limits  coreLimits
	step    func() // nil, or called between the steps of long work

	head     uint64
	projects map[string]*openProject
	order    []string // project ids in the order they were first opened
	active   string
	receipts receipts
}

type coreLimits struct {
	history  int // undoable commands kept for each actor and project
	receipts int // entries whose command ids are remembered
	projects int // open projects in one session
}

// openProject is one open copy of a project.
type openProject struct {
	id         string
	name       string
	templateID string
	source     []byte // the blueprint's text
	revision   uint64
	graph      *graph.Graph
	history    *history
	changedAt  uint64 // last seq of the newest entry that changed the graph
	savedAt    uint64 // value of changedAt that the saved revision holds
}

func (p *openProject) dirty() bool { return p.revision == 0 || p.changedAt != p.savedAt }

func newCore(id, epoch string, created time.Time, limits coreLimits) *core {
	return &core{
		id: id, epoch: epoch, created: created, limits: limits,
		projects: map[string]*openProject{}, receipts: newReceipts(limits.receipts),
	}
}

// origin is what a plan needs from outside: ids and time.
type origin struct {
	newID func() graph.ID
	now   time.Time
}

// between has step called between the steps of long work.
func (c *core) between(step func()) {
	c.step = step
	for _, p := range c.projects {
		p.graph.Between(step)
	}
}

// find returns the open project of that id, or the active one for "".
func (c *core) find(projectID string) (*openProject, error) {
	if projectID == "" {
		if c.active == "" {
			if len(c.projects) > 0 {
				return nil, fault.New(fault.InvalidRequest, "the session has several open projects and none is active: name a project_id")
			}
			return nil, fault.New(fault.ProjectNotFound, "the session has no open project")
		}
		projectID = c.active
	}
	p := c.projects[projectID]
	if p == nil {
		return nil, fault.New(fault.ProjectNotFound, "project %q is not open in this session", clip(projectID))
	}
	return p, nil
}

// clip bounds what an error message repeats of the caller's input.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func (c *core) newEntry(kind, project, command, actor string, o origin) *entry {
	return &entry{
		Format: entryFormat, Kind: kind, First: c.head + 1, ProjectID: project,
		CommandID: command, Actor: actor, Time: o.now.UnixMilli(),
	}
}

// number gives the entry its last seq, after its changes are known.
func (e *entry) number() *entry {
	e.Last = e.First + e.eventCount() - 1
	return e
}

// planCommand decides one command. The graph is as it was when it returns.
func (c *core) planCommand(req Execute, cmd graph.Command, digest string, o origin) (*entry, error) {
	p, err := c.find(req.ProjectID)
	if err != nil {
		return nil, err
	}
	e := c.newEntry(kindCommand, p.id, req.CommandID, req.Actor, o)
	planned, err := p.graph.Plan(cmd, graph.Env{Writer: e.First, NewID: o.newID})
	if err != nil {
		return nil, err
	}
	if req.ExpectedSeq != nil && p.graph.ChangedSince(planned.Changes, *req.ExpectedSeq) {
		return nil, fault.New(fault.PreconditionFailed, "a node that the command touches has changed since seq %d", *req.ExpectedSeq).
			With(fault.Detail{Location: "current_seq", Message: fmt.Sprint(c.head)})
	}
	result, err := marshalBody(planned.Result)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "internal error")
	}
	e.CommandType, e.Digest, e.Result, e.Changes = req.Type, digest, result, planned.Changes
	if len(planned.Changes) > 0 {
		e.Label = graph.Label(cmd)
		if u, ok := cmd.(graph.UpdateProperty); ok && u.Coalesce != "" {
			e.Coalesce = u.Coalesce + "\x00" + u.NodeID.String() + "\x00" + u.PropertyID
			e.Joined = p.history.joins(req.Actor, e.Coalesce) != nil
		}
	}
	return e.number(), nil
}

// planStep decides an undo or redo: the inverse of the newest entry in scope
// that has anything left to turn. The graph is as it was when it returns.
func (c *core) planStep(undo bool, req Step, digest string, o origin) (*entry, error) {
	p, err := c.find(req.ProjectID)
	if err != nil {
		return nil, err
	}
	kind := kindUndo
	if !undo {
		kind = kindRedo
	}
	e := c.newEntry(kind, p.id, req.CommandID, req.Actor, o)
	e.Digest, e.Scope = digest, req.Scope
	if undo && req.To != "" {
		err = p.planBackTo(e, req)
	} else {
		err = p.planTurn(e, undo, req)
	}
	if err != nil {
		return nil, err
	}
	return e.number(), nil
}

func (p *openProject) planTurn(e *entry, undo bool, req Step) error {
	var skipped graph.Outcomes
	for h := p.history.candidate(undo, req.Scope, req.Actor); h != nil; h = p.history.nextCandidate(req.Scope, h) {
		inv := p.graph.Invert(h.changes, req.Policy == PolicyForce)
		skipped.Join(inv.Skipped)
		e.Steps = append(e.Steps, step{Ref: h.ref, Count: len(inv.Changes)})
		if len(inv.Changes) == 0 {
			continue
		}
		e.Target, e.CommandType = h.id, h.typ
		e.Changes, e.turned = inv.Changes, turnedBy(inv.Applied, skipped)
		return nil
	}
	if undo {
		return fault.New(fault.NothingToUndo, "there is nothing to undo in scope %s", req.Scope)
	}
	return fault.New(fault.NothingToRedo, "there is nothing to redo in scope %s", req.Scope)
}

// planBackTo undoes, newest first, everything in scope after the command named
// in req.To, as one entry.
func (p *openProject) planBackTo(e *entry, req Step) error {
	var turned []*hist
	h := p.history.candidate(true, req.Scope, req.Actor)
	for ; h != nil && h.id != req.To; h = p.history.nextCandidate(req.Scope, h) {
		turned = append(turned, h)
	}
	if h == nil {
		return fault.New(fault.InvalidRequest, "command %q is not in the history that can be undone", clip(req.To))
	}
	defer func() { p.graph.Revert(e.Changes) }()
	var applied, skipped graph.Outcomes
	for _, h := range turned {
		inv := p.graph.Invert(h.changes, req.Policy == PolicyForce)
		p.graph.Apply(inv.Changes, e.First)
		e.Steps = append(e.Steps, step{Ref: h.ref, Count: len(inv.Changes)})
		e.Changes = append(e.Changes, inv.Changes...)
		applied.Join(inv.Applied)
		skipped.Join(inv.Skipped)
		if e.Target == "" {
			e.Target, e.CommandType = h.id, h.typ
		}
	}
	e.turned = turnedBy(applied, skipped)
	if len(e.Changes) == 0 {
		return fault.New(fault.NothingToUndo, "there is nothing to undo after that command")
	}
	return nil
}

// planCreate decides a new project: one root node of the root type, named like
// the project.
func (c *core) planCreate(req NewProject, bp *graph.Blueprint, projectID, digest string, o origin) (*entry, error) {
	name, err := graph.CanonicalName(req.Name)
	if err != nil {
		return nil, fault.New(fault.InvalidRequest, "project_name: %s", fault.From(err).Message)
	}
	g := graph.New(bp)
	made, err := g.Plan(graph.CreateNode{BlueprintTypeID: bp.RootType().ID, Name: &name}, graph.Env{NewID: o.newID})
	if err != nil {
		return nil, err
	}
	g.Apply(made.Changes, 0)
	return c.planLoad(loaded{
		TemplateID: bp.ID(), Name: name, Blueprint: bp.Source(), Graph: g.AppendJSON(nil, projectID),
	}, projectID, req.CommandID, req.Actor, digest, false, o)
}

// planLoad decides to open that content as a project, in place of an open copy.
func (c *core) planLoad(l loaded, projectID, commandID, actor, digest string, force bool, o origin) (*entry, error) {
	if p := c.projects[projectID]; p != nil {
		if p.dirty() && !force {
			return nil, fault.New(fault.Conflict, "the open copy has changes that are not saved: save it, or load with force")
		}
	} else if len(c.projects) >= c.limits.projects {
		return nil, fault.New(fault.Conflict, "a session holds at most %d open projects", c.limits.projects)
	}
	e := c.newEntry(kindLoad, projectID, commandID, actor, o)
	e.Digest, e.Loaded = digest, &l
	var err error
	if e.opened, err = openLoaded(&l); err != nil { // a saved graph that its template, changed since, does not allow
		return nil, err
	}
	return e.number(), nil
}

func (c *core) planSaved(p *openProject, revision uint64, commandID, actor string, o origin) *entry {
	e := c.newEntry(kindSave, p.id, commandID, actor, o)
	e.Saved = &savedMark{Name: p.name, Revision: revision}
	return e.number()
}

// apply takes the entry into the state. It fails only for an entry that was
// not planned on this state, as when a journal is corrupt; the core is then
// unusable and must be discarded.
func (c *core) apply(e *entry) error {
	if e.First != c.head+1 {
		return fmt.Errorf("session %s: entry %d does not follow %d", c.id, e.First, c.head)
	}
	if e.Kind == kindLoad {
		if err := c.open(e); err != nil {
			return err
		}
	}
	p := c.projects[e.ProjectID]
	if p == nil {
		return fmt.Errorf("session %s: entry %d is of project %s, which is not open", c.id, e.First, e.ProjectID)
	}
	switch e.Kind {
	case kindCommand, kindUndo, kindRedo:
		if len(e.Changes) > 0 {
			if err := p.graph.Replay(e.Changes, e.Last); err != nil {
				return fmt.Errorf("session %s: entry %d: %w", c.id, e.First, err)
			}
			p.changedAt = e.Last
		}
		if err := p.history.apply(e); err != nil {
			return fmt.Errorf("session %s: entry %d: %w", c.id, e.First, err)
		}
	case kindSave:
		p.revision, p.savedAt = e.Saved.Revision, p.changedAt
	case kindLoad:
	default:
		return fmt.Errorf("session %s: entry %d has unknown kind %q", c.id, e.First, e.Kind)
	}
	c.head = e.Last
	c.receipts.add(e, p.history.done.Len() > 0, p.history.undone.Len() > 0)
	return nil
}

// openLoaded makes the graph of a loaded project. INVALID_REQUEST when the
// content and the template do not fit each other.
func openLoaded(l *loaded) (*graph.Graph, error) {
	bp, err := graph.ParseBlueprint(l.TemplateID+".yaml", l.Blueprint)
	if err != nil {
		return nil, err
	}
	return graph.Import(bp, l.Graph)
}

func (c *core) open(e *entry) error {
	l := e.Loaded
	g := e.opened
	if g == nil {
		var err error
		if g, err = openLoaded(l); err != nil {
			return fmt.Errorf("session %s: entry %d: %w", c.id, e.First, err)
		}
	}
	g.Between(c.step)
	if c.projects[e.ProjectID] == nil {
		c.order = append(c.order, e.ProjectID)
	}
	c.projects[e.ProjectID] = &openProject{
		id: e.ProjectID, name: l.Name, templateID: l.TemplateID, source: l.Blueprint, revision: l.Revision,
		graph: g, history: newHistory(c.limits.history), changedAt: e.Last, savedAt: e.Last,
	}
	c.active = e.ProjectID
	return nil
}

// digest identifies what a command id was used for. Two requests with one id
// are the same when their digests are.
func digest(kind, projectID, commandType string, data []byte) string {
	h := sha256.New()
	for _, part := range []string{kind, projectID, commandType} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte(":" + part))
	}
	h.Write(compactJSON(data))
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// compactJSON drops insignificant space; what is not JSON stays as it is.
func compactJSON(data []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(data))
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}
