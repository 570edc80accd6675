package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/project"
)

// Put says how a file becomes a saved project.
type Put struct {
	// Replace allows an id that is in use: the file becomes its next revision.
	Replace bool
	// Revision, with Replace, is the revision to be replaced; 0: whichever is
	// there, or none.
	Revision uint64
	// SavedAt is the time of the save.
	SavedAt time.Time
}

// Store saves f, which Decode gave. CONFLICT when the id is in use, or with
// Replace and Revision when another revision is there; the details then hold
// both revisions and nothing was changed. Open copies of the project stay as
// they are: their own next save finds the newer revision.
func Store(ctx context.Context, store project.Store, f File, how Put) (project.Summary, error) {
	saved := project.Saved{ProjectID: f.ProjectID, TemplateID: f.TemplateID, Name: f.Name, SavedAt: how.SavedAt, Graph: f.Graph}
	var expected uint64
	if how.Replace {
		expected = how.Revision
	}
	for {
		revision, err := store.Put(ctx, saved, expected)
		var stale *project.RevisionError
		switch {
		case err == nil:
			saved.Revision = revision
			saved.SavedAt = saved.SavedAt.UTC().Truncate(time.Millisecond)
			return saved.Summary(), nil
		case !errors.As(err, &stale):
			return project.Summary{}, err
		case !how.Replace:
			taken := *fault.From(err) // its details hold the revisions
			taken.Message = "project " + f.ProjectID + " is here already: import it with replace to save over it"
			return project.Summary{}, &taken
		case how.Revision != 0:
			return project.Summary{}, err
		}
		expected = stale.Current
	}
}
