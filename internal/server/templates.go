package server

import (
	"slices"
	"strings"

	"github.com/graphroom/graphroom/internal/graph"
)

// Templates is the set of blueprints that projects may be made from. It never
// changes and is safe for concurrent use.
type Templates struct {
	list []*graph.Blueprint
	byID map[string]*graph.Blueprint
}

// NewTemplates makes the set, sorted by id. Of two with one id the later wins.
func NewTemplates(blueprints []*graph.Blueprint) *Templates {
	t := &Templates{byID: map[string]*graph.Blueprint{}}
	for _, bp := range blueprints {
		t.byID[bp.ID()] = bp
	}
	for _, bp := range t.byID {
		t.list = append(t.list, bp)
	}
	slices.SortFunc(t.list, func(a, b *graph.Blueprint) int { return strings.Compare(a.ID(), b.ID()) })
	return t
}

// Get returns the blueprint with that id, or nil.
func (t *Templates) Get(id string) *graph.Blueprint { return t.byID[id] }

// All returns the blueprints sorted by id; the slice must not be changed.
func (t *Templates) All() []*graph.Blueprint { return t.list }
