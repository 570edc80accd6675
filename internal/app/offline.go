package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/journal/pebble"
	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/session"
	"github.com/graphroom/graphroom/internal/transfer"
)

// The offline operations work on a data folder that no server has open: each
// takes the folder's lock for as long as it works, and answers CONFLICT with
// the other process named when somebody holds it.

// offlineClose bounds how long an offline operation waits for its store.
const offlineClose = 30 * time.Second

// offline opens the data folder, runs work and closes it again.
func offline(ctx context.Context, dir string, readOnly bool, log *slog.Logger, work func(*pebble.Store) error) (err error) {
	opening, cancel := context.WithTimeout(ctx, 10*openTimeout) // a log to replay may be long
	defer cancel()
	db, err := pebble.Open(opening, pebble.Options{Dir: dir, ReadOnly: readOnly, Logger: log})
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), offlineClose)
		defer cancel()
		err = errors.Join(err, db.Close(closing))
	}()
	return work(db)
}

// Checked is what Check has looked at and found.
type Checked struct {
	Sessions  int   `json:"sessions"`
	Entries   int   `json:"entries"`
	Snapshots int   `json:"snapshots"`
	Compared  int   `json:"snapshots_compared"` // with what their entries make
	Projects  int   `json:"projects"`
	Keys      int   `json:"keys"`
	Bytes     int64 `json:"bytes"` // of all entries, snapshots and saved graphs
	Problems  int   `json:"problems"`
}

// CheckReport receives what Check finds while it looks. Its functions may be
// nil.
type CheckReport struct {
	Problem func(text string)
	Session func(session.Report)
}

// Check reads a data folder whole, without changing it: every stored value
// against its checksum and its neighbours, every entry by applying it, every
// snapshot against its entries, every saved project by reading its graph.
// Problems are reported, not returned; the error is for what kept it from
// looking. Saved projects of a template that is neither built in nor in the
// templates folder are read but not held against a template.
func Check(ctx context.Context, dir, templates string, log *slog.Logger, report CheckReport) (Checked, error) {
	var sum Checked
	blueprints, err := loadTemplates(templates, log)
	if err != nil {
		return sum, err
	}
	c := checker{sum: &sum, report: report, find: finder(blueprints)}
	err = offline(ctx, dir, true, log, func(db *pebble.Store) error {
		s, err := db.Verify(ctx, func(p pebble.Problem) { c.problem(p.String()) })
		sum.Sessions, sum.Entries, sum.Snapshots = s.Sessions, s.Records, s.Snapshots
		sum.Projects, sum.Keys, sum.Bytes = s.Projects, s.Keys, s.Bytes
		if err != nil {
			return err
		}
		if err := c.sessions(ctx, db); err != nil {
			return err
		}
		return c.projects(ctx, db.Projects())
	})
	return sum, err
}

const checkPage = 256

type checker struct {
	sum    *Checked
	report CheckReport
	find   func(id string) *graph.Blueprint
}

func (c *checker) problem(text string) {
	c.sum.Problems++
	if c.report.Problem != nil {
		c.report.Problem(text)
	}
}

func (c *checker) sessions(ctx context.Context, db *pebble.Store) error {
	after := ""
	for {
		ids, err := db.Sessions(ctx, after, checkPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			rep, err := session.Verify(ctx, db, id)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				c.problem("session " + id + ": " + err.Error())
				continue
			}
			if rep.Replayed {
				c.sum.Compared++
			}
			for _, p := range rep.Problems {
				c.problem("session " + id + ": " + p)
			}
			if c.report.Session != nil {
				c.report.Session(rep)
			}
		}
		after = ids[len(ids)-1]
	}
}

func (c *checker) projects(ctx context.Context, store project.Store) error {
	after := ""
	for {
		page, err := store.List(ctx, after, checkPage)
		if err != nil && ctx.Err() == nil {
			return nil // damage, which db.Verify has reported with its place
		}
		if err != nil || len(page) == 0 {
			return err
		}
		for _, s := range page {
			if err := c.project(ctx, store, s.ProjectID); err != nil {
				c.problem("project " + s.ProjectID + ": " + err.Error())
			}
		}
		after = page[len(page)-1].ProjectID
	}
}

// project reads one saved graph as an import would.
func (c *checker) project(ctx context.Context, store project.Store, id string) error {
	saved, err := store.Get(ctx, id)
	if err != nil {
		return nil //nolint:nilerr // db.Verify has reported it with its place
	}
	file, err := transfer.Saved(saved)
	if err != nil {
		return err
	}
	_, err = transfer.Decode(file, int64(len(file)), c.find)
	if fault.Is(err, fault.TemplateNotFound) {
		return nil
	}
	return err
}

func finder(blueprints []*graph.Blueprint) func(id string) *graph.Blueprint {
	byID := map[string]*graph.Blueprint{}
	for _, bp := range blueprints {
		byID[bp.ID()] = bp // of two with one id the later wins, as in a server
	}
	return func(id string) *graph.Blueprint { return byID[id] }
}

// GraphAt gives a project of a session as it was right after seq, in the graph
// shape; seq 0 is now, project "" the one that was active then. Codes: those of
// session.GraphAt.
func GraphAt(ctx context.Context, dir, sessionID, projectID string, seq uint64, log *slog.Logger) ([]byte, error) {
	var out []byte
	err := offline(ctx, dir, true, log, func(db *pebble.Store) (err error) {
		out, err = session.GraphAt(ctx, db, sessionID, projectID, seq)
		return err
	})
	return out, err
}

// Export gives the project file of a saved project. PROJECT_NOT_FOUND when it
// is unknown.
func Export(ctx context.Context, dir, projectID string, log *slog.Logger) ([]byte, error) {
	var out []byte
	err := offline(ctx, dir, true, log, func(db *pebble.Store) error {
		saved, err := db.Projects().Get(ctx, projectID)
		if err != nil {
			return err
		}
		out, err = transfer.Saved(saved)
		return err
	})
	return out, err
}

// ImportOptions say where a project file goes.
type ImportOptions struct {
	Dir       string // data folder; made when missing
	Templates string // folder of further blueprints; none
	MaxBytes  int64  // of the file
	Replace   bool
	Revision  uint64 // with Replace: the revision to be replaced; 0: whichever is there
	Logger    *slog.Logger
}

// Import saves the project of a file in a data folder. A file with any fault
// is refused whole, before the folder is touched. Codes: those of
// transfer.Decode and transfer.Store.
func Import(ctx context.Context, file io.Reader, o ImportOptions) (project.Summary, error) {
	blueprints, err := loadTemplates(o.Templates, o.Logger)
	if err != nil {
		return project.Summary{}, err
	}
	data, err := io.ReadAll(io.LimitReader(file, o.MaxBytes+1))
	if err != nil {
		return project.Summary{}, err
	}
	decoded, err := transfer.Decode(data, o.MaxBytes, finder(blueprints))
	if err != nil {
		return project.Summary{}, err
	}
	var out project.Summary
	err = offline(ctx, o.Dir, false, o.Logger, func(db *pebble.Store) (err error) {
		out, err = transfer.Store(ctx, db.Projects(), decoded, transfer.Put{
			Replace: o.Replace, Revision: o.Revision, SavedAt: time.Now(),
		})
		return err
	})
	return out, err
}
