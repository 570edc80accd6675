package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/session"
)

type createProjectBody struct {
	TemplateID  string `json:"template_id" example:"outline" doc:"A blueprint: see GET /templates"`
	ProjectName string `json:"project_name" doc:"Also the name of the project's root node"`
	SessionID   string `json:"session_id,omitempty" doc:"The session to open it in; default: a new one"`
	CommandID   string `json:"command_id,omitempty" format:"uuid" doc:"So that the request can be tried again"`
}

type keepBody struct {
	SessionID string `json:"session_id" doc:"The session; or the X-Session-ID header"`
	Force     bool   `json:"force,omitempty" doc:"Save: over a newer revision. Load: over unsaved changes."`
	CommandID string `json:"command_id,omitempty" format:"uuid" doc:"So that the request can be tried again"`
}

type projectPage struct {
	Projects []project.Summary `json:"projects"`
	Next     string            `json:"next,omitempty" doc:"Pass as after to go on; absent on the last page"`
}

// projectState is one project: its live copy in a session, or the saved one.
type projectState struct {
	SessionID  string          `json:"session_id,omitempty"`
	ProjectID  string          `json:"project_id"`
	TemplateID string          `json:"template_id"`
	Name       string          `json:"name"`
	Revision   uint64          `json:"revision" doc:"Saved revision; 0: never saved"`
	Dirty      bool            `json:"dirty" doc:"The live copy has changes that are not saved"`
	SavedAt    *time.Time      `json:"saved_at,omitempty"`
	Seq        uint64          `json:"seq,omitempty"`
	Epoch      string          `json:"epoch,omitempty"`
	Graph      json.RawMessage `json:"graph"`
}

// ProjectParams are the parameters of a project's routes.
type ProjectParams struct {
	SessionParams
	ProjectID string `path:"id" doc:"The project"`
}

type createProjectParams struct {
	SessionParams
	IdempotencyParams
}

type keepParams struct {
	IdempotencyParams
	ProjectID     string `path:"id" doc:"The project"`
	SessionHeader string `header:"X-Session-ID" doc:"The session, as another way to name it"`
	Actor         string `header:"X-Actor" doc:"Who asks; default: anonymous"`
}

func (a *api) registerProjects() {
	handle(a, route{
		method: http.MethodPost, path: "/projects", id: "create-project", tag: "projects", status: http.StatusCreated,
		body: &createProjectBody{}, summary: "Make a project from a template and open it in a session",
	}, a.createProject)
	handle(a, route{
		method: http.MethodGet, path: "/projects", id: "list-projects", tag: "projects", summary: "List the saved projects",
	}, func(ctx context.Context, p *pageParams) (*answer[projectPage], error) {
		list, err := a.s.cfg.Projects.List(ctx, p.After, p.Limit)
		if err != nil {
			return nil, err
		}
		page := projectPage{Projects: list}
		if page.Projects == nil {
			page.Projects = []project.Summary{}
		}
		if len(list) == p.Limit {
			page.Next = list[len(list)-1].ProjectID
		}
		return &answer[projectPage]{Body: page}, nil
	})
	handle(a, route{
		method: http.MethodGet, path: "/projects/{id}", id: "get-project", tag: "projects",
		summary: "Read a project: the live copy with session_id, else the saved one",
	}, a.getProject)
	handleEmpty(a, route{
		method: http.MethodDelete, path: "/projects/{id}", id: "delete-project", tag: "projects",
		summary: "Delete a saved project", description: "Open copies stay as they are and can be saved again.",
	}, func(ctx context.Context, p *ProjectParams) error { return a.s.cfg.Projects.Delete(ctx, p.ProjectID) })
	a.registerKeep()
}

func (a *api) createProject(ctx context.Context, p *createProjectParams) (*answer[session.Opened], error) {
	var b createProjectBody
	if err := readInto(ctx, &b, false); err != nil {
		return nil, err
	}
	if b.TemplateID == "" {
		return nil, missing("template_id")
	}
	if b.ProjectName == "" {
		return nil, missing("project_name")
	}
	actor, err := actorOf(p.Actor)
	if err != nil {
		return nil, err
	}
	id, err := p.sessionID(b.SessionID)
	if err != nil {
		return nil, err
	}
	sess, created, err := a.sessionFor(ctx, id, p, b.CommandID)
	if err != nil {
		return nil, err
	}
	req := session.NewProject{TemplateID: b.TemplateID, Name: b.ProjectName, Actor: actor}
	var opened session.Opened
	if req.CommandID, err = p.commandID(sess.ID(), b.CommandID); err == nil {
		opened, err = sess.CreateProject(ctx, req)
	}
	if err != nil && created {
		// The session was made for this project alone.
		if _, derr := a.s.cfg.Sessions.DeleteEmpty(context.WithoutCancel(ctx), sess.ID()); derr != nil {
			a.s.log.WarnContext(ctx, "an empty session is left behind", "session", sess.ID(), "error", derr)
		}
	}
	return &answer[session.Opened]{Body: opened}, err
}

// sessionFor gives the session that a new project is to be opened in. Where the
// request names none it is made; sent again under the same key, the request
// finds the one that it made before.
func (a *api) sessionFor(ctx context.Context, id string, p *createProjectParams, commandID string) (sess *session.Session, created bool, err error) {
	if id != "" {
		sess, err = a.s.cfg.Sessions.Get(ctx, id)
		return sess, false, err
	}
	if id, err = p.newSessionID(commandID); err != nil {
		return nil, false, err
	}
	sess, err = a.s.cfg.Sessions.Create(ctx, id)
	if id != "" && fault.Is(err, fault.Conflict) {
		sess, err = a.s.cfg.Sessions.Get(ctx, id)
		return sess, false, err
	}
	return sess, err == nil, err
}

func (a *api) getProject(ctx context.Context, p *ProjectParams) (*answer[projectState], error) {
	id, err := p.sessionID("")
	if err != nil {
		return nil, err
	}
	if id == "" {
		saved, err := a.s.cfg.Projects.Get(ctx, p.ProjectID)
		if err != nil {
			return nil, err
		}
		return &answer[projectState]{Body: projectState{
			ProjectID: saved.ProjectID, TemplateID: saved.TemplateID, Name: saved.Name, Revision: saved.Revision,
			SavedAt: &saved.SavedAt, Graph: saved.Graph,
		}}, nil
	}
	var out projectState
	err = a.view(ctx, &p.SessionParams, p.ProjectID, func(v session.View) error {
		out = projectState{
			SessionID: v.SessionID, ProjectID: v.ProjectID, TemplateID: v.TemplateID, Name: v.Name, Revision: v.Revision,
			Dirty: v.Dirty, Seq: v.Seq, Epoch: v.Epoch, Graph: v.Graph.AppendJSON(nil, v.ProjectID),
		}
		return nil
	})
	return &answer[projectState]{Body: out}, err
}

func (a *api) registerKeep() {
	handle(a, route{
		method: http.MethodPost, path: "/projects/{id}/save", id: "save-project", tag: "projects", body: &keepBody{},
		summary:     "Save the live copy as a new revision",
		description: "CONFLICT when another session has saved a newer revision, unless force.",
	}, func(ctx context.Context, p *keepParams) (*answer[session.Saved], error) {
		b, sess, actor, err := a.keep(ctx, p)
		if err != nil {
			return nil, err
		}
		saved, err := sess.Save(ctx, p.ProjectID, b.CommandID, actor, b.Force)
		return &answer[session.Saved]{Body: saved}, err
	})
	handle(a, route{
		method: http.MethodPost, path: "/projects/{id}/load", id: "load-project", tag: "projects", body: &keepBody{},
		summary:     "Open the saved project in a session, in place of its open copy",
		description: "Clears the copy's history. CONFLICT over unsaved changes, unless force.",
	}, func(ctx context.Context, p *keepParams) (*answer[session.Opened], error) {
		b, sess, actor, err := a.keep(ctx, p)
		if err != nil {
			return nil, err
		}
		opened, err := sess.Load(ctx, p.ProjectID, b.CommandID, actor, b.Force)
		return &answer[session.Opened]{Body: opened}, err
	})
}

// keep reads what save and load have in common.
func (a *api) keep(ctx context.Context, p *keepParams) (b keepBody, sess *session.Session, actor string, err error) {
	if err = readInto(ctx, &b, true); err != nil {
		return b, nil, "", err
	}
	if actor, err = actorOf(p.Actor); err != nil {
		return b, nil, "", err
	}
	if sess, err = a.find(ctx, &SessionParams{SessionHeader: p.SessionHeader}, b.SessionID); err != nil {
		return b, nil, "", err
	}
	b.CommandID, err = p.commandID(sess.ID(), b.CommandID)
	return b, sess, actor, err
}

// view shows a project to fn: with a session its live copy, inside the turn, so
// that fn must not block; else the saved one.
func (a *api) view(ctx context.Context, p *SessionParams, projectID string, fn func(session.View) error) error {
	id, err := p.sessionID("")
	if err != nil {
		return err
	}
	if id != "" {
		sess, err := a.s.cfg.Sessions.Get(ctx, id)
		if err != nil {
			return err
		}
		return sess.Read(ctx, projectID, fn)
	}
	saved, err := a.s.cfg.Projects.Get(ctx, projectID)
	if err != nil {
		return err
	}
	bp := a.s.cfg.Templates.Get(saved.TemplateID)
	if bp == nil {
		return fault.New(fault.TemplateNotFound, "the project's template %q is not here", clip(saved.TemplateID))
	}
	g, err := graph.Import(bp, saved.Graph)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "internal error")
	}
	return fn(session.View{
		ProjectID: saved.ProjectID, TemplateID: saved.TemplateID, Name: saved.Name, Revision: saved.Revision, Graph: g,
	})
}
