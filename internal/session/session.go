package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

// ReasonSessionDeleted is the reason in session:disconnected when the session
// was deleted.
const ReasonSessionDeleted = "session-deleted"

// Session is a handle on one session: cheap, and valid for as long as its
// manager. The session itself is loaded when it is used.
//
// Every method that takes a context waits for the session's turn and returns
// UNAVAILABLE when the context ends first; the outcome is then unknown, and
// the same command id may be tried again. After Delete they return
// INVALID_SESSION.
type Session struct {
	m  *Manager
	id string
}

// ID is the session's id.
func (s *Session) ID() string { return s.id }

// visit takes one request through a turn of the session, loaded as needed.
func (s *Session) visit(ctx context.Context, r *request) error {
	for {
		l, err := s.m.acquire(s.id)
		if err != nil {
			return err
		}
		err = l.submit(ctx, r)
		s.m.release(l)
		if !errors.Is(err, errGone) {
			return err
		}
	}
}

// Bounds of what names a request, in bytes.
const (
	maxActor       = 256
	maxCommandType = 64
	anonymous      = "anonymous"
)

// identify checks and completes who asks and under which id.
func (s *Session) identify(commandID, actor *string) error {
	if *actor == "" {
		*actor = anonymous
	}
	if len(*actor) > maxActor {
		return fault.New(fault.InvalidRequest, "the actor is over %d bytes", maxActor)
	}
	if *commandID == "" {
		*commandID = s.m.cfg.NewID().String()
		return nil
	}
	id, err := graph.ParseID(*commandID)
	if err != nil {
		return fault.New(fault.InvalidRequest, "command_id is not a UUID")
	}
	*commandID = id.String()
	return nil
}

// Execute runs one command. A refusal is also published (command:failed); a
// repeated command id gives the first receipt again and publishes nothing.
// Codes: those of graph.Decode and graph.Plan, INVALID_REQUEST,
// PROJECT_NOT_FOUND, CONFLICT (id used for something else),
// PRECONDITION_FAILED, UNAVAILABLE.
func (s *Session) Execute(ctx context.Context, req Execute) (Receipt, error) {
	if err := s.identify(&req.CommandID, &req.Actor); err != nil {
		return Receipt{}, err
	}
	var out Receipt
	cmd, decodeErr := graph.Decode(req.Type, req.Data)
	sum := digest(kindCommand, req.ProjectID, req.Type, req.Data)
	req.Data = nil
	started := false
	err := s.visit(ctx, &request{
		run: func(t *turn) error {
			c := t.l.core
			k, err := c.receipts.find(req.CommandID, sum)
			if err != nil {
				return err
			}
			if k != nil {
				out = k.receipt()
				return c.addGraph(&out, req.IncludeGraph)
			}
			started = true
			t.hint(t.commandItem(EventCommandExecuting, t.after, req, executingBody{CommandType: commandType(req)}))
			if decodeErr != nil {
				return decodeErr
			}
			e, err := c.planCommand(req, cmd, sum, t.origin())
			if err != nil {
				return err
			}
			if err := t.commit(e); err != nil {
				return err
			}
			out = c.receipts.newest().receipt()
			return c.addGraph(&out, req.IncludeGraph)
		},
		failed: func(t *turn, err *fault.Error) {
			if started {
				t.out = append(t.out, t.commandItem(EventCommandFailed, t.head(), req, failedBody{
					CommandType: commandType(req), Error: failedError{Code: string(err.Code), Message: err.Message},
				}))
			}
		},
	})
	if err != nil {
		return Receipt{}, err
	}
	return out, nil
}

// commandType bounds what the events repeat of an unknown type.
func commandType(req Execute) string {
	if len(req.Type) > maxCommandType {
		return strings.ToValidUTF8(req.Type[:maxCommandType], "")
	}
	return req.Type
}

// head is the number that what is published next in this turn stands behind;
// a hint, which leaves at once, stands behind t.after.
func (t *turn) head() uint64 {
	if t.l.core == nil {
		return t.after
	}
	return t.l.core.head
}

// commandItem is a hint or failure: it has no number, and names the one that
// it stands behind.
func (t *turn) commandItem(name string, head uint64, req Execute, body any) Item {
	project := req.ProjectID
	if c := t.l.core; c != nil {
		if project == "" {
			project = c.active
		} else if c.projects[project] == nil {
			project = "" // not a project of this session: not repeated
		}
	}
	env := envelope{
		SessionID: t.l.id, ProjectID: project, Timestamp: timestamp(t.now),
		HeadSeq: &head, CommandID: req.CommandID, Actor: req.Actor,
	}
	return Item{Head: head, ProjectID: project, Name: name, Payload: payload(env, body)}
}

func (t *turn) origin() origin { return origin{newID: t.l.m.cfg.NewID, now: t.now} }

func (c *core) addGraph(r *Receipt, include bool) error {
	if !include {
		return nil
	}
	p, err := c.find(r.ProjectID)
	if err != nil {
		return err
	}
	r.Graph = p.graph.AppendJSON(nil, p.id)
	return nil
}

// Undo takes back the newest command in scope that has anything left to take
// back, or with To everything after that command. Codes: NOTHING_TO_UNDO,
// INVALID_REQUEST, PROJECT_NOT_FOUND, CONFLICT, UNAVAILABLE.
func (s *Session) Undo(ctx context.Context, req Step) (Receipt, error) {
	return s.step(ctx, true, req)
}

// Redo does the newest undone command in scope again. Codes as Undo, with
// NOTHING_TO_REDO.
func (s *Session) Redo(ctx context.Context, req Step) (Receipt, error) {
	if req.To != "" {
		return Receipt{}, fault.New(fault.InvalidRequest, "to is for undo only")
	}
	return s.step(ctx, false, req)
}

func (s *Session) step(ctx context.Context, undo bool, req Step) (Receipt, error) {
	if err := s.identify(&req.CommandID, &req.Actor); err != nil {
		return Receipt{}, err
	}
	switch req.Scope {
	case "":
		req.Scope = ScopeSession
	case ScopeSession, ScopeActor:
	default:
		return Receipt{}, fault.New(fault.InvalidRequest, "scope is %q or %q", ScopeSession, ScopeActor)
	}
	if req.Policy != "" && req.Policy != PolicyForce {
		return Receipt{}, fault.New(fault.InvalidRequest, "policy is %q or absent", PolicyForce)
	}
	kind := kindUndo
	if !undo {
		kind = kindRedo
	}
	sum := digest(kind, req.ProjectID, req.Scope+" "+req.Policy+" "+req.To, nil)
	var out Receipt
	err := s.visit(ctx, &request{run: func(t *turn) error {
		c := t.l.core
		k, err := c.receipts.find(req.CommandID, sum)
		if err != nil {
			return err
		}
		if k == nil {
			e, err := c.planStep(undo, req, sum, t.origin())
			if err != nil {
				return err
			}
			if err := t.commit(e); err != nil {
				return err
			}
			k = c.receipts.newest()
		}
		out = k.receipt()
		return c.addGraph(&out, req.IncludeGraph)
	}})
	if err != nil {
		return Receipt{}, err
	}
	return out, nil
}

// Read shows the open project ("" = the active one) to fn inside the turn: fn
// must not block. What fn makes of it is answered only when all that it has
// seen is durable. fn's error is returned as it is.
func (s *Session) Read(ctx context.Context, projectID string, fn func(View) error) error {
	return s.visit(ctx, &request{run: func(t *turn) error {
		c := t.l.core
		p, err := c.find(projectID)
		if err != nil {
			return err
		}
		return fn(View{
			SessionID: c.id, ProjectID: p.id, TemplateID: p.templateID, Name: p.name, Revision: p.revision,
			Dirty: p.dirty(), Epoch: c.epoch, Seq: c.head, Graph: p.graph,
		})
	}})
}

// Info describes the session as of one seq.
func (s *Session) Info(ctx context.Context) (Info, error) {
	var out Info
	err := s.visit(ctx, &request{run: func(t *turn) error {
		out = t.l.info()
		return nil
	}})
	if err != nil {
		return Info{}, err // out may still be written: the caller may have given up
	}
	return out, nil
}

func (l *live) info() Info {
	c := l.core
	out := Info{
		SessionID: c.id, Epoch: c.epoch, Seq: c.head, FirstSeq: max(l.firstSeq, 1), CreatedAt: c.created,
		ClientCount: len(l.clients), Clients: []Client{}, ActiveProject: c.active, Projects: []ProjectInfo{},
	}
	for _, key := range l.joined {
		out.Clients = append(out.Clients, l.clients[key])
	}
	for _, id := range c.order {
		p := c.projects[id]
		pi := ProjectInfo{
			ProjectID: id, TemplateID: p.templateID, Name: p.name, Revision: p.revision, Dirty: p.dirty(),
			Active: id == c.active, NodeCount: p.graph.Len(),
			UndoAvailable: p.history.done.Len() > 0, RedoAvailable: p.history.undone.Len() > 0,
		}
		if pi.Active {
			out.NodeCount, out.UndoAvailable, out.RedoAvailable = pi.NodeCount, pi.UndoAvailable, pi.RedoAvailable
		}
		out.Projects = append(out.Projects, pi)
	}
	return out
}

// Join registers a socket and decides where its stream begins. The session
// stays loaded until the function it returns is called, once, with the reason
// to tell the others; that waits for its turn.
func (s *Session) Join(ctx context.Context, cl Client, opt JoinOptions) (Joined, func(reason string), error) {
	l, err := s.m.acquire(s.id)
	if err != nil {
		return Joined{}, nil, err
	}
	l.followers.Add(1)
	var out Joined
	joined := false // belongs to the turn, as out does until it is answered
	err = l.submit(ctx, &request{run: func(t *turn) (err error) {
		out, err = l.join(t, cl, opt)
		joined = err == nil
		return err
	}})
	depart := func(reason string) {
		// errGone: the session was deleted or its manager closed; nobody is left to tell.
		if err := l.submit(l.ctx, &request{run: func(t *turn) error {
			if joined {
				l.leave(t, cl.Key, reason)
			}
			return nil
		}}); err != nil && !errors.Is(err, errGone) {
			l.log.Warn("leave", "client", cl.ID, "err", err)
		}
		l.followers.Add(-1)
		s.m.release(l)
	}
	if err != nil {
		if errors.Is(err, errGone) {
			err = unknown(s.id)
		}
		go depart("gave up") // it may have joined although ctx ended; ends with its turn or with the session
		return Joined{}, nil, err
	}
	return out, depart, nil
}

// Sync decides, like Join, how a client gets to where the stream is, without
// registering anyone: for one that has joined already, and for followers that
// are no clients. Hello is empty.
func (s *Session) Sync(ctx context.Context, opt JoinOptions) (Joined, error) {
	var out Joined
	err := s.visit(ctx, &request{run: func(t *turn) error {
		if err := t.flush(); err != nil {
			return err
		}
		out = t.l.standing(t, opt)
		return nil
	}})
	if err != nil {
		return Joined{}, err
	}
	return out, nil
}

// Follow returns the session's feed and keeps the session loaded until release
// is called.
func (s *Session) Follow() (feed *Feed, release func(), err error) {
	l, err := s.m.acquire(s.id)
	if err != nil {
		return nil, nil, err
	}
	l.followers.Add(1)
	return l.feed, func() {
		l.followers.Add(-1)
		s.m.release(l)
	}, nil
}

// HistoryEntry is one undoable or undone command.
type HistoryEntry struct {
	CommandID   string          `json:"command_id"`
	CommandType string          `json:"command_type"`
	Label       string          `json:"label"`
	Actor       string          `json:"actor"`
	Time        string          `json:"timestamp"`
	State       string          `json:"state"` // done or undone
	UndoneBy    string          `json:"undone_by,omitempty"`
	Touches     []graph.Outcome `json:"touches"`                // what undo (or redo) would change now; at most graph.MaxOutcomes
	Blocked     []graph.Outcome `json:"blocked,omitempty"`      // what it would skip, and why; the same
	TouchesMore int             `json:"touches_more,omitempty"` // how many Touches does not list
	BlockedMore int             `json:"blocked_more,omitempty"`
}

// History lists the project's undoable commands, newest first, then the undone
// ones, the next to redo first; at most limit of each.
func (s *Session) History(ctx context.Context, projectID string, limit int) ([]HistoryEntry, error) {
	out := []HistoryEntry{}
	err := s.visit(ctx, &request{run: func(t *turn) error {
		p, err := t.l.core.find(projectID)
		if err != nil {
			return err
		}
		add := func(h *hist, state string) {
			inv := p.graph.Invert(h.changes, false)
			out = append(out, HistoryEntry{
				CommandID: h.id, CommandType: h.typ, Label: h.label, Actor: h.actor,
				Time: timestamp(time.UnixMilli(h.time)), State: state, UndoneBy: h.undoneBy,
				Touches: outcomes(inv.Applied.List), Blocked: inv.Skipped.List,
				TouchesMore: inv.Applied.More, BlockedMore: inv.Skipped.More,
			})
		}
		n := 0
		for el := p.history.done.Back(); el != nil && n < limit; el = el.Prev() {
			add(el.Value.(*hist), "done")
			n++
		}
		n = 0
		for el := p.history.undone.Back(); el != nil && n < limit; el = el.Prev() {
			add(el.Value.(*hist), "undone")
			n++
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return out, nil
}
