package server

import (
	"context"
	"encoding/json"
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

// Kinds of command in the metrics.
const (
	kindExecute = "execute"
	kindUndo    = "undo"
	kindRedo    = "redo"
)

// executeBody is what command:execute and POST /commands/execute carry.
type executeBody struct {
	SessionID   string          `json:"session_id,omitempty" doc:"The session; or the X-Session-ID header. A socket's own session otherwise."`
	ProjectID   string          `json:"project_id,omitempty" doc:"An open project; default: the active one"`
	CommandID   string          `json:"command_id,omitempty" format:"uuid" doc:"Chosen by the client, so that it can safely try again: the same id twice runs once"`
	CommandType string          `json:"command_type" example:"CreateNode" doc:"CreateNode, DeleteNode, LinkNode, UnlinkNode, MoveNode, UpdateProperty, SetProperties, DeleteProperty, DuplicateNode or Batch"`
	Data        json.RawMessage `json:"data" doc:"The command's own fields"`
	ExpectedSeq *uint64         `json:"expected_seq,omitempty" doc:"Refuse with PRECONDITION_FAILED when a node that the command touches has changed after this seq"`
	Include     string          `json:"include,omitempty" enum:"graph" doc:"graph: the answer holds the whole graph too; as ?include=graph"`
}

// stepBody is what command:undo, command:redo and POST …/undo|redo carry.
type stepBody struct {
	SessionID string `json:"session_id,omitempty" doc:"Must be the session of the path or of the socket"`
	ProjectID string `json:"project_id,omitempty" doc:"An open project; default: the active one"`
	Scope     string `json:"scope,omitempty" enum:"session,actor" doc:"session (default): the last command of anyone; actor: the caller's last"`
	Policy    string `json:"policy,omitempty" enum:"force" doc:"force: also where a value was changed since"`
	CommandID string `json:"command_id,omitempty" format:"uuid" doc:"The request's own id, so that it can be tried again"`
	To        string `json:"to,omitempty" doc:"Undo only: everything after that command"`
	Include   string `json:"include,omitempty" enum:"graph" doc:"graph: the answer holds the whole graph too"`
}

// execute is the one way of a command, whatever it came over.
func (s *Server) execute(ctx context.Context, via string, sess *session.Session, actor string, b *executeBody) (session.Receipt, error) {
	receipt, err := s.executed(ctx, sess, actor, b)
	s.metrics.command(via, kindExecute, err)
	return receipt, err
}

func (s *Server) executed(ctx context.Context, sess *session.Session, actor string, b *executeBody) (session.Receipt, error) {
	include, err := includeGraph(b.Include)
	if err != nil {
		return session.Receipt{}, err
	}
	if b.CommandType == "" {
		return session.Receipt{}, missing("command_type")
	}
	if b.Data == nil {
		return session.Receipt{}, missing("data")
	}
	return sess.Execute(ctx, session.Execute{
		ProjectID: b.ProjectID, CommandID: b.CommandID, Actor: actor, Type: b.CommandType, Data: b.Data,
		ExpectedSeq: b.ExpectedSeq, IncludeGraph: include,
	})
}

// step is the one way of an undo (or redo).
func (s *Server) step(ctx context.Context, via, kind string, sess *session.Session, actor string, b *stepBody) (session.Receipt, error) {
	receipt, err := s.stepped(ctx, kind, sess, actor, b)
	s.metrics.command(via, kind, err)
	return receipt, err
}

func (s *Server) stepped(ctx context.Context, kind string, sess *session.Session, actor string, b *stepBody) (session.Receipt, error) {
	include, err := includeGraph(b.Include)
	if err != nil {
		return session.Receipt{}, err
	}
	req := session.Step{
		ProjectID: b.ProjectID, CommandID: b.CommandID, Actor: actor, Scope: b.Scope, Policy: b.Policy, To: b.To, IncludeGraph: include,
	}
	if kind == kindUndo {
		return sess.Undo(ctx, req)
	}
	return sess.Redo(ctx, req)
}

func includeGraph(include string) (bool, error) {
	switch include {
	case "":
		return false, nil
	case "graph":
		return true, nil
	default:
		return false, fault.New(fault.InvalidRequest, "include may only be %q", "graph").
			With(fault.Detail{Location: "include", Message: "unknown value"})
	}
}

func missing(field string) error {
	return fault.New(fault.InvalidRequest, "%s is required", field).With(fault.Detail{Location: field, Message: "required"})
}

// actorOf names who asks over REST: the X-Actor header, else "" (anonymous).
func actorOf(header string) (string, error) {
	if header == "" {
		return "", nil
	}
	if !printable(header, maxActor) {
		return "", fault.New(fault.InvalidRequest, "%s must be 1 to %d printable characters", headerActor, maxActor)
	}
	return header, nil
}

// printable accepts UTF-8 text of at most that many characters, none of them a control.
func printable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// SessionParams are how a request names its session and its actor. It is
// exported, as the other …Params are, only because huma finds no parameters in
// an embedded struct that is not.
type SessionParams struct {
	SessionQuery  string `query:"session_id" doc:"The session, when neither path nor body names it"`
	SessionHeader string `header:"X-Session-ID" doc:"The session, as another way to name it"`
	Actor         string `header:"X-Actor" doc:"Who asks; default: anonymous"`
}

// sessionID is the one session that body, query and header agree on; "" when
// none of them names one.
func (p *SessionParams) sessionID(fromBody string) (string, error) {
	id := ""
	for _, candidate := range []string{fromBody, p.SessionQuery, p.SessionHeader} {
		if candidate == "" {
			continue
		}
		if id != "" && candidate != id {
			return "", fault.New(fault.InvalidRequest, "the request names two sessions, %q and %q", clip(id), clip(candidate))
		}
		id = candidate
	}
	return id, nil
}

// find gives the session that the request names; INVALID_SESSION when there is
// none of that id, INVALID_REQUEST when the request names none.
func (a *api) find(ctx context.Context, p *SessionParams, fromBody string) (*session.Session, error) {
	id, err := p.sessionID(fromBody)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, missing("session_id")
	}
	return a.s.cfg.Sessions.Get(ctx, id)
}

type executeParams struct {
	SessionParams
	IdempotencyParams
	Include string `query:"include" doc:"graph: the answer holds the whole graph too"`
	IfMatch string `header:"If-Match" doc:"The ETag of the graph that the client knows, as expected_seq: 412 when a node that the command touches has changed since"`
}

func (a *api) registerCommands() {
	handle(a, route{
		method: http.MethodPost, path: "/commands/execute", id: "execute-command", tag: "commands", body: &executeBody{},
		summary:     "Execute one command",
		description: "Answers when the change is durable. Every client of the session gets command:executing, the graph events and command:executed, or command:failed.",
	}, func(ctx context.Context, p *executeParams) (*answer[session.Receipt], error) {
		var b executeBody
		if err := readInto(ctx, &b, false); err != nil {
			return nil, err
		}
		if p.Include != "" {
			b.Include = p.Include
		}
		sess, err := a.find(ctx, &p.SessionParams, b.SessionID)
		if err != nil {
			return nil, err
		}
		actor, err := actorOf(p.Actor)
		if err != nil {
			return nil, err
		}
		if b.CommandID, err = p.commandID(sess.ID(), b.CommandID); err != nil {
			return nil, err
		}
		if err := expect(ctx, sess, p.IfMatch, &b); err != nil {
			return nil, err
		}
		receipt, err := a.s.execute(ctx, "rest", sess, actor, &b)
		if err != nil {
			return nil, tagged(ctx, sess, b.ProjectID, err)
		}
		return &answer[session.Receipt]{Body: receipt}, nil
	})
	a.registerStep(kindUndo, "Undo", "Takes back the newest command in scope that has anything left to take back, as a new entry of its own.")
	a.registerStep(kindRedo, "Redo", "Does the newest undone command in scope again.")
}

type stepParams struct {
	IdempotencyParams
	ID            string `path:"id" doc:"The session"`
	SessionHeader string `header:"X-Session-ID" doc:"When given, must be the session of the path"`
	Actor         string `header:"X-Actor" doc:"Who asks; default: anonymous"`
	Include       string `query:"include" doc:"graph: the answer holds the whole graph too"`
}

func (a *api) registerStep(kind, title, description string) {
	handle(a, route{
		method: http.MethodPost, path: "/sessions/{id}/" + kind, id: kind, tag: "commands", body: &stepBody{}, bodyOptional: true,
		summary: title + " one command", description: description,
	}, func(ctx context.Context, p *stepParams) (*answer[session.Receipt], error) {
		var b stepBody
		if err := readInto(ctx, &b, true); err != nil {
			return nil, err
		}
		if p.Include != "" {
			b.Include = p.Include
		}
		names := SessionParams{SessionQuery: p.ID, SessionHeader: p.SessionHeader}
		sess, err := a.find(ctx, &names, b.SessionID)
		if err != nil {
			return nil, err
		}
		actor, err := actorOf(p.Actor)
		if err != nil {
			return nil, err
		}
		if b.CommandID, err = p.commandID(sess.ID(), b.CommandID); err != nil {
			return nil, err
		}
		receipt, err := a.s.step(ctx, "rest", kind, sess, actor, &b)
		if err != nil {
			return nil, err
		}
		return &answer[session.Receipt]{Body: receipt}, nil
	})
}
