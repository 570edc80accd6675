package session

import (
	"bytes"
	"context"
	"errors"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
)

// CreateProject makes a project from a template and opens it here as the
// active one. Codes: TEMPLATE_NOT_FOUND, INVALID_REQUEST, CONFLICT, UNAVAILABLE.
func (s *Session) CreateProject(ctx context.Context, req NewProject) (Opened, error) {
	if err := s.identify(&req.CommandID, &req.Actor); err != nil {
		return Opened{}, err
	}
	bp := s.m.cfg.Templates(req.TemplateID)
	if bp == nil {
		return Opened{}, fault.New(fault.TemplateNotFound, "unknown template %q", clip(req.TemplateID))
	}
	projectID := s.m.cfg.NewID().String()
	sum := digest(kindLoad, req.TemplateID, req.Name, nil)
	return s.open(ctx, req.CommandID, sum, func(t *turn) (*entry, error) {
		return t.l.core.planCreate(req, bp, projectID, sum, t.origin())
	})
}

// Load opens the saved project here as the active one, in place of an open
// copy, whose history it clears. CONFLICT when that copy has unsaved changes,
// unless force. Codes also: PROJECT_NOT_FOUND, TEMPLATE_NOT_FOUND, UNAVAILABLE.
func (s *Session) Load(ctx context.Context, projectID, commandID, actor string, force bool) (Opened, error) {
	if err := s.identify(&commandID, &actor); err != nil {
		return Opened{}, err
	}
	saved, err := s.m.cfg.Projects.Get(ctx, projectID)
	if err != nil {
		return Opened{}, err
	}
	bp := s.m.cfg.Templates(saved.TemplateID)
	if bp == nil {
		return Opened{}, fault.New(fault.TemplateNotFound, "the project's template %q is not here", clip(saved.TemplateID))
	}
	content := loaded{
		TemplateID: saved.TemplateID, Name: saved.Name, Revision: saved.Revision,
		Blueprint: bp.Source(), Graph: saved.Graph,
	}
	sum := digest(kindLoad, projectID, "", nil)
	return s.open(ctx, commandID, sum, func(t *turn) (*entry, error) {
		return t.l.core.planLoad(content, projectID, commandID, actor, sum, force, t.origin())
	})
}

// open takes a load through a turn. A repeated command id answers with the
// project as it is now.
func (s *Session) open(ctx context.Context, commandID, sum string, plan func(*turn) (*entry, error)) (Opened, error) {
	var out Opened
	err := s.visit(ctx, &request{run: func(t *turn) error {
		c := t.l.core
		k, err := c.receipts.find(commandID, sum)
		if err != nil {
			return err
		}
		if k == nil {
			e, err := plan(t)
			if err != nil {
				return err
			}
			if err := t.commit(e); err != nil {
				return err
			}
			k = c.receipts.newest()
		}
		p, err := c.find(k.ProjectID)
		if err != nil {
			return err
		}
		out = Opened{
			SessionID: c.id, ProjectID: p.id, TemplateID: p.templateID, Name: p.name,
			Revision: p.revision, Seq: k.Last, Graph: p.graph.AppendJSON(nil, p.id),
		}
		return nil
	}})
	if err != nil {
		return Opened{}, err
	}
	return out, nil
}

// Save makes the open copy durable as a new revision of the saved project.
// CONFLICT when another session has saved a newer one (both revisions are in
// the details), unless force. Codes also: PROJECT_NOT_FOUND, UNAVAILABLE.
func (s *Session) Save(ctx context.Context, projectID, commandID, actor string, force bool) (Saved, error) {
	if err := s.identify(&commandID, &actor); err != nil {
		return Saved{}, err
	}
	sum := digest(kindSave, projectID, "", nil)
	var out Saved
	err := s.visit(ctx, &request{run: func(t *turn) error {
		c := t.l.core
		k, err := c.receipts.find(commandID, sum)
		if err != nil {
			return err
		}
		if k == nil {
			if k, err = t.save(projectID, commandID, actor, sum, force); err != nil {
				return err
			}
		}
		out = Saved{SessionID: c.id, ProjectID: k.ProjectID, Revision: k.Revision, Seq: k.Last}
		if p := c.projects[k.ProjectID]; p != nil {
			out.Name = p.name
		}
		return nil
	}})
	if err != nil {
		return Saved{}, err
	}
	return out, nil
}

// save stores the project as it is in the journal: what this turn has applied
// so far becomes durable first, so that no saved project is ahead of it.
func (t *turn) save(projectID, commandID, actor, sum string, force bool) (*kept, error) {
	c := t.l.core
	p, err := c.find(projectID)
	if err != nil {
		return nil, err
	}
	if err := t.flush(); err != nil {
		return nil, err
	}
	content := project.Saved{
		ProjectID: p.id, TemplateID: p.templateID, Name: p.name,
		SavedAt: t.now, Graph: p.graph.AppendJSON(nil, p.id),
	}
	revision, err := putProject(t.l.ctx, t.l.m.cfg.Projects, content, p.revision, force)
	if err != nil {
		return nil, err
	}
	e := c.planSaved(p, revision, commandID, actor, t.origin())
	e.Digest = sum
	if err := t.commit(e); err != nil {
		return nil, err
	}
	return c.receipts.newest(), nil
}

// putProject stores content over the revision that the open copy stands on.
// When this very content is stored already as the next revision, an earlier
// save got that far and its entry was lost in a crash: it counts as saved.
func putProject(ctx context.Context, store project.Store, content project.Saved, expected uint64, force bool) (uint64, error) {
	for {
		revision, err := store.Put(ctx, content, expected)
		var stale *project.RevisionError
		if !errors.As(err, &stale) {
			return revision, err
		}
		if force {
			expected = stale.Current
			continue
		}
		if stale.Current == expected+1 {
			stored, getErr := store.Get(ctx, content.ProjectID)
			if getErr == nil && stored.Revision == stale.Current && bytes.Equal(stored.Graph, content.Graph) {
				return stored.Revision, nil
			}
		}
		return 0, err
	}
}
