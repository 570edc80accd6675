package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/session"
)

// The shapes of graph bytes, for OpenAPI: the bytes themselves come from
// graph.AppendJSON.
type (
	graphShape struct {
		ProjectID  string      `json:"project_id"`
		TemplateID string      `json:"template_id"`
		Roots      []nodeShape `json:"roots" doc:"The nodes without a parent, in order"`
		Links      []linkShape `json:"links" doc:"All links but those of the containment tree"`
		Seq        uint64      `json:"seq" doc:"The session's last event that this graph holds"`
		Epoch      string      `json:"epoch"`
	}
	treeShape struct {
		Roots []nodeShape `json:"roots"`
		Links []linkShape `json:"links" doc:"The links with both ends in the answer"`
		Seq   uint64      `json:"seq"`
		Epoch string      `json:"epoch"`
	}
	nodeShape struct {
		ID              string         `json:"id" format:"uuid"`
		Name            string         `json:"name"`
		BlueprintTypeID string         `json:"blueprint_type_id"`
		Position        int            `json:"position"`
		Properties      map[string]any `json:"properties"`
		Children        []nodeShape    `json:"children"`
	}
	linkShape struct {
		LinkType string `json:"link_type"`
		ParentID string `json:"parent_id" format:"uuid"`
		ChildID  string `json:"child_id" format:"uuid"`
		Position int    `json:"position"`
	}
)

// raw is an answer whose bytes are made already.
type raw struct {
	Status      int
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag"`
	Body        []byte
}

type graphParams struct {
	SessionParams
	ProjectID   string `query:"project_id" doc:"An open project; default: the active one"`
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of an earlier answer: 304 when nothing has changed since"`
}

type treeParams struct {
	PathSession
	ProjectID string `query:"project_id" doc:"An open project; default: the active one"`
	Root      string `query:"root" doc:"Only the subtree of this node"`
	Depth     int    `query:"depth" minimum:"0" maximum:"200" doc:"Levels to show; 0 (default): all. A node at the last level has no field children."`
	Fields    string `query:"fields" doc:"Fields of a node besides its id, separated by commas: name, blueprint_type_id, position, properties, child_count; default: all but child_count"`

	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of an earlier answer: 304 when nothing has changed since"`
}

type nodeParams struct {
	ProjectParams
	NodeID string `path:"node_id" format:"uuid" doc:"The node"`
}

type searchBody struct {
	SessionID  string          `json:"session_id,omitempty" doc:"The session, for the live copy; default: the saved one"`
	Text       string          `json:"text,omitempty" doc:"In the name, upper and lower case alike"`
	TypeID     string          `json:"blueprint_type_id,omitempty" doc:"The node type"`
	PropertyID string          `json:"property_id,omitempty" doc:"A property that is set"`
	Value      json.RawMessage `json:"value,omitempty" doc:"With property_id: that has this value"`
	Under      string          `json:"under,omitempty" format:"uuid" doc:"In the subtree of this node, itself included"`
	Cursor     string          `json:"cursor,omitempty" doc:"next of the page before"`
	Limit      int             `json:"limit,omitempty" minimum:"1" maximum:"500" doc:"Hits of a page; default 50"`
}

func (a *api) search(ctx context.Context, p *ProjectParams) (*answer[graph.Page], error) {
	var b searchBody
	if err := readInto(ctx, &b, true); err != nil {
		return nil, err
	}
	id, err := p.sessionID(b.SessionID)
	if err != nil {
		return nil, err
	}
	q := graph.Query{Text: b.Text, TypeID: b.TypeID, PropertyID: b.PropertyID, Value: b.Value, Cursor: b.Cursor, Limit: b.Limit}
	if b.Under != "" {
		if q.Under, err = graph.ParseID(b.Under); err != nil {
			return nil, fault.New(fault.InvalidRequest, "under is not a UUID")
		}
	}
	var page graph.Page
	err = a.view(ctx, &SessionParams{SessionQuery: id}, p.ProjectID, func(v session.View) (err error) {
		page, err = v.Graph.Search(q)
		return err
	})
	return &answer[graph.Page]{Body: page}, err
}

type validation struct {
	ProjectID string        `json:"project_id"`
	Valid     bool          `json:"valid"`
	Issues    []graph.Issue `json:"issues"`
}

func (a *api) registerGraph() {
	handleRaw(a, route{
		method: http.MethodGet, path: "/graph", id: "get-graph", tag: "graph", reply: graphShape{},
		summary: "Read the graph of an open project",
	}, a.getGraph)
	handleRaw(a, route{
		method: http.MethodGet, path: "/sessions/{id}/graph/tree", id: "graph-tree", tag: "graph", reply: treeShape{},
		summary: "Read a part of the containment tree",
	}, func(ctx context.Context, p *treeParams) (*raw, error) {
		options, err := p.options()
		if err != nil {
			return nil, err
		}
		out := &raw{Status: http.StatusOK, ContentType: "application/json"}
		err = a.view(ctx, &SessionParams{SessionQuery: p.ID}, p.ProjectID, func(v session.View) error {
			out.ETag = etag(v.Epoch, v.ProjectID, v.Seq)
			if matches(p.IfNoneMatch, out.ETag) {
				out.Status = http.StatusNotModified
				return nil
			}
			tree, err := v.Graph.Tree(options)
			if err == nil {
				out.Body = appendSeq(tree, v.Seq, v.Epoch)
			}
			return err
		})
		return out, err
	})
	handle(a, route{
		method: http.MethodGet, path: "/projects/{id}/graph/nodes/{node_id}", id: "get-node", tag: "graph",
		summary: "Read one node with its ancestors and links",
	}, func(ctx context.Context, p *nodeParams) (*answer[graph.NodeDetail], error) {
		id, err := graph.ParseID(p.NodeID)
		if err != nil {
			return nil, fault.New(fault.InvalidRequest, "node_id is not a UUID")
		}
		var node graph.NodeDetail
		err = a.view(ctx, &p.SessionParams, p.ProjectID, func(v session.View) (err error) {
			node, err = v.Graph.Node(id)
			return err
		})
		return &answer[graph.NodeDetail]{Body: node}, err
	})
	handle(a, route{
		method: http.MethodPost, path: "/projects/{id}/graph/search", id: "search-graph", tag: "graph",
		body: &searchBody{}, summary: "Find nodes by name, type or property value",
	}, a.search)
	handle(a, route{
		method: http.MethodGet, path: "/projects/{id}/validate", id: "validate-project", tag: "projects",
		summary: "List what is missing or wrong in a project",
	}, func(ctx context.Context, p *ProjectParams) (*answer[validation], error) {
		out := validation{ProjectID: p.ProjectID, Issues: []graph.Issue{}}
		err := a.view(ctx, &p.SessionParams, p.ProjectID, func(v session.View) error {
			out.Issues = append(out.Issues, v.Graph.Validate()...)
			return nil
		})
		out.Valid = len(out.Issues) == 0
		return &answer[validation]{Body: out}, err
	})
}

func (p *treeParams) options() (graph.TreeOptions, error) {
	o := graph.TreeOptions{Depth: p.Depth}
	if p.Root != "" {
		id, err := graph.ParseID(p.Root)
		if err != nil {
			return o, fault.New(fault.InvalidRequest, "root is not a UUID")
		}
		o.Root = id
	}
	if p.Fields != "" {
		o.Fields = strings.Split(p.Fields, ",")
	}
	return o, nil
}

func (a *api) getGraph(ctx context.Context, p *graphParams) (*raw, error) {
	sess, err := a.find(ctx, &p.SessionParams, "")
	if err != nil {
		return nil, err
	}
	out := &raw{Status: http.StatusOK, ContentType: "application/json"}
	err = sess.Read(ctx, p.ProjectID, func(v session.View) error {
		out.ETag = etag(v.Epoch, v.ProjectID, v.Seq)
		if matches(p.IfNoneMatch, out.ETag) {
			out.Status = http.StatusNotModified
			return nil
		}
		out.Body = appendSeq(v.Graph.AppendJSON(nil, v.ProjectID), v.Seq, v.Epoch)
		return nil
	})
	return out, err
}

// appendSeq puts seq and epoch at the end of a graph's JSON object.
func appendSeq(object []byte, seq uint64, epoch string) []byte {
	object = append(object[:len(object)-1], `,"seq":`...)
	object = strconv.AppendUint(object, seq, 10)
	object = append(object, `,"epoch":`...)
	name, err := json.Marshal(epoch)
	if err != nil {
		name = []byte(`""`)
	}
	object = append(object, name...)
	return append(object, '}')
}

// etag names the bytes of a project's graph at one seq of one history.
func etag(epoch, projectID string, seq uint64) string {
	return `"` + epoch + "." + projectID + "." + strconv.FormatUint(seq, 10) + `"`
}

// matches judges an If-None-Match header; weak validators are as good here.
func matches(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}
