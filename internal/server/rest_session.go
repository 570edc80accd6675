package server

import (
	"context"
	"net/http"
	"time"

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

type cleanupBody struct {
	IdleSeconds *uint64 `json:"idle_seconds,omitempty" minimum:"0" maximum:"3153600000" doc:"Without a command for so long; default: a day"`
}

type cleanupResult struct {
	Removed []string `json:"removed" doc:"The deleted sessions"`
}

const (
	defaultIdle = 24 * time.Hour
	maxIdle     = 100 * 365 * 24 * time.Hour
)

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
	handle(a, route{
		method: http.MethodPost, path: "/sessions/cleanup", id: "cleanup-sessions", tag: "sessions", body: &cleanupBody{}, bodyOptional: true,
		summary:     "Delete the sessions that nobody needs",
		description: "Those without clients, without a project that has unsaved changes, and without a command for a time.",
	}, a.cleanup)
	a.registerHistory()
}

func (a *api) cleanup(ctx context.Context, _ *struct{}) (*answer[cleanupResult], error) {
	var b cleanupBody
	if err := readInto(ctx, &b, true); err != nil {
		return nil, err
	}
	idle := defaultIdle
	if b.IdleSeconds != nil {
		if *b.IdleSeconds > uint64(maxIdle/time.Second) {
			return nil, fault.New(fault.InvalidRequest, "idle_seconds is at most %d", maxIdle/time.Second).
				With(fault.Detail{Location: "idle_seconds", Message: "too large"})
		}
		idle = time.Duration(*b.IdleSeconds) * time.Second
	}
	removed, err := a.s.cfg.Sessions.Cleanup(ctx, idle)
	if len(removed) > 0 {
		a.s.log.InfoContext(ctx, "idle sessions are deleted", "sessions", removed, "idle", idle, "request_id", requestID(ctx))
	}
	return &answer[cleanupResult]{Body: cleanupResult{Removed: removed}}, err
}

type historyParams struct {
	PathSession
	ProjectID string `query:"project_id" doc:"An open project; default: the active one"`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most entries of each kind"`
}

func (a *api) registerHistory() {
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
	a.registerEvents()
}
