package graph

import (
	"encoding/json"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// The bounds of a page.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// Query says what to look for: every field that is set must hold.
type Query struct {
	Text       string          // in the name, upper and lower case alike
	TypeID     string          // the node type
	PropertyID string          // a property that is set
	Value      json.RawMessage // with PropertyID: that has this value
	Under      ID              // in the subtree of this node, itself included
	Cursor     string          // Page.Next of the page before; "": the first page
	Limit      int             // hits of a page, 1 to MaxPage; 0: DefaultPage
}

// Page is one page of hits.
type Page struct {
	Hits []Hit  `json:"hits"`
	Next string `json:"next,omitempty"` // cursor of the next page; "": this is the last one
}

// Hit is a node that matches.
type Hit struct {
	ID              ID     `json:"id"`
	Name            string `json:"name"`
	BlueprintTypeID string `json:"blueprint_type_id"`
	ParentID        *ID    `json:"parent_id"`
}

// Search finds nodes.
func (g *Graph) Search(q Query) (Page, error) {
	if q.Limit < 0 || q.Limit > MaxPage {
		return Page{}, fault.New(fault.InvalidRequest, "limit must be from 1 to %d", MaxPage)
	}
	page := Page{Hits: []Hit{}}
	var walk func(list *siblings)
	walk = func(list *siblings) {
		for _, s := range list.all() {
			n := s.node
			if strings.Contains(strings.ToLower(n.name), strings.ToLower(q.Text)) && (q.TypeID == "" || n.typ.ID == q.TypeID) {
				page.Hits = append(page.Hits, Hit{n.id, n.name, n.typ.ID, orNull(idOf(n.parent))})
			}
			walk(&n.children)
		}
	}
	walk(&g.roots)
	return page, nil
}
