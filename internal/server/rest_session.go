package server

import (
	"context"
	"net/http"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

type createSessionBody struct {
	SessionID string `json:"session_id,omitempty" pattern:"^[A-Za-z0-9_-]{1,128}$" doc:"Chosen by the client; default: a new UUID"`
}

type pageParams struct {
	After string `query:"after" doc:"Go on after this id: the next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most entries in the answer"`
}

type sessionPage struct {
	Sessions []session.Summary `json:"sessions"`
	Next     string            `json:"next,omitempty" doc:"Pass as after to go on; absent on the last page"`
}

type eventPage struct {
	SessionID string         `json:"session_id"`
	Epoch     string         `json:"epoch"`
	HeadSeq   uint64         `json:"head_seq"`
	Events    []session.Item `json:"events" doc:"{event, seq, data} in the order of seq"`
	Next      uint64         `json:"next" doc:"Pass as after to go on"`
	More      bool           `json:"more" doc:"There is more right now"`
}

type historyPage struct {
	SessionID string                 `json:"session_id"`
	ProjectID string                 `json:"project_id"`
	Entries   []session.HistoryEntry `json:"entries" doc:"What can be undone, newest first, then what can be redone, next first"`
}

// PathSession is the session of a route below /sessions/{id}.
type PathSession struct {
	ID string `path:"id" doc:"The session"`
}

func (a *api) registerSessions() {
	handle(a, route{
		method: http.MethodPost, path: "/sessions", id: "create-session", tag: "sessions", status: http.StatusCreated,
		body: &createSessionBody{}, bodyOptional: true, summary: "Make a session",
	}, func(ctx context.Context, _ *struct{}) (*answer[session.Info], error) {
		var b createSessionBody
		if err := readInto(ctx, &b, true); err != nil {
			return nil, err
		}
		sess, err := a.s.cfg.Sessions.Create(ctx, b.SessionID)
		if err != nil {
			return nil, err
		}
		info, err := sess.Info(ctx)
		return &answer[session.Info]{Body: info}, err
	})
	handle(a, route{
		method: http.MethodGet, path: "/sessions", id: "list-sessions", tag: "sessions", summary: "List sessions",
	}, func(ctx context.Context, p *pageParams) (*answer[sessionPage], error) {
		list, err := a.s.cfg.Sessions.List(ctx, p.After, p.Limit)
		if err != nil {
			return nil, err
		}
		page := sessionPage{Sessions: list}
		if len(list) == p.Limit {
			page.Next = list[len(list)-1].SessionID
		}
		return &answer[sessionPage]{Body: page}, nil
	})
	handle(a, route{
		method: http.MethodGet, path: "/sessions/{id}/info", id: "session-info", tag: "sessions", summary: "Describe a session",
	}, func(ctx context.Context, p *PathSession) (*answer[session.Info], error) {
		sess, err := a.s.cfg.Sessions.Get(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		info, err := sess.Info(ctx)
		return &answer[session.Info]{Body: info}, err
	})
	handleEmpty(a, route{
		method: http.MethodDelete, path: "/sessions/{id}", id: "delete-session", tag: "sessions", summary: "Delete a session for good",
		description: "Its clients get session:disconnected with reason session-deleted and are disconnected. Saved projects stay.",
	}, func(ctx context.Context, p *PathSession) error {
		return a.s.cfg.Sessions.Delete(ctx, p.ID)
	})
	a.registerStream()
}

type historyParams struct {
	PathSession
	ProjectID string `query:"project_id" doc:"An open project; default: the active one"`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most entries of each kind"`
}

type eventParams struct {
	PathSession
	After uint64 `query:"after" doc:"Events with a greater seq"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most events in the answer"`
}

func (a *api) registerStream() {
	handle(a, route{
		method: http.MethodGet, path: "/sessions/{id}/history", id: "session-history", tag: "sessions",
		summary: "List what can be undone and redone",
	}, func(ctx context.Context, p *historyParams) (*answer[historyPage], error) {
		sess, err := a.s.cfg.Sessions.Get(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		page := historyPage{SessionID: p.ID, ProjectID: p.ProjectID}
		if page.ProjectID == "" {
			info, err := sess.Info(ctx)
			if err != nil {
				return nil, err
			}
			page.ProjectID = info.ActiveProject
		}
		page.Entries, err = sess.History(ctx, page.ProjectID, p.Limit)
		return &answer[historyPage]{Body: page}, err
	})
	handle(a, route{
		method: http.MethodGet, path: "/sessions/{id}/events", id: "session-events", tag: "sessions",
		summary:     "Read the numbered events after a seq",
		description: "What was missed, in pages. CONFLICT when the events after that seq are no longer kept: read the graph instead.",
	}, func(ctx context.Context, p *eventParams) (*answer[eventPage], error) {
		sess, err := a.s.cfg.Sessions.Get(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		info, err := sess.Info(ctx)
		if err != nil {
			return nil, err
		}
		if p.After > info.Seq {
			return nil, fault.New(fault.Conflict, "seq %d is past the head %d: this is not the history you know", p.After, info.Seq)
		}
		items, err := sess.Events(ctx, p.After, p.Limit)
		if err != nil {
			return nil, err
		}
		page := eventPage{SessionID: p.ID, Epoch: info.Epoch, HeadSeq: info.Seq, Events: items, Next: p.After}
		if page.Events == nil {
			page.Events = []session.Item{}
		}
		if n := len(items); n > 0 {
			page.Next = items[n-1].Seq
			page.HeadSeq = max(page.HeadSeq, page.Next)
			page.More = page.Next < page.HeadSeq
		}
		return &answer[eventPage]{Body: page}, nil
	})
}
