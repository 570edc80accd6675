package pebble_test

import (
	"testing"
	"time"

	"github.com/graphroom/graphroom/internal/journal/pebble"
	"github.com/graphroom/graphroom/internal/project"
	"github.com/graphroom/graphroom/internal/project/projecttest"
)

func TestProjectContract(t *testing.T) {
	for _, mode := range []pebble.SyncMode{pebble.SyncAlways, pebble.SyncInterval} {
		t.Run(mode.String(), func(t *testing.T) {
			projecttest.Run(t, projecttest.Driver{
				Open: func(t testing.TB) (project.Store, func() project.Store) {
					o := pebble.Options{Dir: t.TempDir(), Sync: mode, MemTableBytes: 256 << 10}
					s := open(t, o)
					t.Cleanup(func() { shut(t, s) })
					return s.Projects(), func() project.Store {
						shut(t, s)
						s = open(t, o)
						return s.Projects()
					}
				},
			})
		})
	}
}

func savedProject(id string) project.Saved {
	return project.Saved{ProjectID: id, TemplateID: "outline", Name: "n", SavedAt: time.UnixMilli(1), Graph: []byte("{}")}
}
