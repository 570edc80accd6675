package server

import (
	"context"
	"net/http"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/session"
	"github.com/graphroom/graphroom/internal/transfer"
)

const (
	importPath = apiPrefix + "/projects/import"

	defaultMaxImport = 64 << 20
	// importsAtOnce bounds the memory that large files take while they are read.
	importsAtOnce = 2
)

// projectFile is a project file, for OpenAPI; internal/transfer reads and
// writes the bytes.
type projectFile struct {
	Format  string             `json:"format" enum:"graphroom-project"`
	Version int                `json:"version" minimum:"1" maximum:"1"`
	Project projectFileProject `json:"project"`
	Graph   projectFileGraph   `json:"graph"`
}

type projectFileProject struct {
	ProjectID  string `json:"project_id" pattern:"^[A-Za-z0-9_-]{1,128}$"`
	TemplateID string `json:"template_id"`
	Name       string `json:"name" maxLength:"1000"`
}

type projectFileGraph struct {
	ProjectID  string      `json:"project_id,omitempty"`
	TemplateID string      `json:"template_id"`
	Roots      []nodeShape `json:"roots"`
	Links      []linkShape `json:"links,omitempty"`
}

// download is a finished file.
type download struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

type importParams struct {
	Replace  bool   `query:"replace" doc:"Save over a project of the same id, as its next revision"`
	Revision uint64 `query:"revision" doc:"With replace: only over this revision"`
}

func (a *api) registerTransfer() {
	register(a, route{
		method: http.MethodGet, path: "/projects/{id}/export", id: "export-project", tag: "projects", reply: projectFile{},
		summary:     "Export a project as a file: the live copy with session_id, else the saved one",
		description: "Equal projects give equal bytes; imported and exported again, the file is the same byte for byte.",
	}, a.exportProject)
	handle(a, route{
		method: http.MethodPost, path: "/projects/import", id: "import-project", tag: "projects", status: http.StatusCreated,
		body: &projectFile{}, summary: "Save the project of a file",
		description: "A file with any fault is refused whole, with the place of every fault in the details. " +
			"CONFLICT when the id is in use: with replace it becomes the next revision. Open copies stay as they are.",
	}, a.importProject)
}

func (a *api) exportProject(ctx context.Context, p *ProjectParams) (*download, error) {
	f, err := a.exported(ctx, p)
	if err != nil {
		return nil, err
	}
	data, err := transfer.Encode(f)
	if err != nil {
		return nil, err
	}
	return &download{
		ContentType: transfer.MediaType,
		Disposition: `attachment; filename="` + f.ProjectID + `.graphroom.json"`, // an id holds nothing to escape
		Body:        data,
	}, nil
}

func (a *api) exported(ctx context.Context, p *ProjectParams) (f transfer.File, err error) {
	id, err := p.sessionID("")
	if err != nil {
		return f, err
	}
	if id == "" {
		saved, err := a.s.cfg.Projects.Get(ctx, p.ProjectID)
		return transfer.File{ProjectID: saved.ProjectID, TemplateID: saved.TemplateID, Name: saved.Name, Graph: saved.Graph}, err
	}
	err = a.view(ctx, &p.SessionParams, p.ProjectID, func(v session.View) error {
		f = transfer.File{
			ProjectID: v.ProjectID, TemplateID: v.TemplateID, Name: v.Name, Graph: v.Graph.AppendJSON(nil, v.ProjectID),
		}
		return nil
	})
	return f, err
}

func (a *api) importProject(ctx context.Context, p *importParams) (*answer[project.Summary], error) {
	if p.Revision != 0 && !p.Replace {
		return nil, fault.New(fault.InvalidRequest, "revision needs replace=true").
			With(fault.Detail{Location: "revision", Message: "needs replace=true"})
	}
	body := requestOf(ctx).body
	if len(body) == 0 {
		return nil, fault.New(fault.InvalidRequest, "a project file is required")
	}
	f, err := transfer.Decode(body, a.s.cfg.MaxImport, a.s.cfg.Templates.Get)
	if err != nil {
		return nil, err
	}
	saved, err := transfer.Store(ctx, a.s.cfg.Projects, f, transfer.Put{
		Replace: p.Replace, Revision: p.Revision, SavedAt: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	out := &answer[project.Summary]{Body: saved}
	if saved.Revision > 1 {
		out.Status = http.StatusOK
	}
	return out, nil
}

// isImport reports whether the request carries a project file.
func isImport(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == importPath }

// importSlots are the imports that may be under way, from the first byte of
// the file that is read.
type importSlots chan struct{}

// enter takes a slot; RATE_LIMITED when none is free. release gives it back.
func (s importSlots) enter() (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	default:
		return nil, fault.New(fault.RateLimited, "%d imports are under way: try again soon", cap(s))
	}
}

// bodyBounds gives the most bytes that the request's body may have and what
// judges its shape. A project file is larger and deeper than any other body,
// and its own reader names faults better.
func (s *Server) bodyBounds(r *http.Request) (limit int64, check func([]byte) error) {
	if isImport(r) {
		return s.cfg.MaxImport, func([]byte) error { return nil }
	}
	return s.cfg.MaxBody, checkJSON
}
