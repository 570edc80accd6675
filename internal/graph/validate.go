package graph

import "encoding/json"

// The codes of Issue.
const (
	IssueRequired = "required"           // a required property is not set
	IssueDangling = "dangling-reference" // a reference names a node that does not live
)

// Issue is something that a graph may hold but should not.
type Issue struct {
	NodeID     ID     `json:"node_id"`
	PropertyID string `json:"property_id,omitempty"`
	Code       string `json:"code"`
	Message    string `json:"message"`
}

// Validate lists what is incomplete, in the order of the tree and, for one
// node, of the blueprint. Never nil; linear in the graph.
func (g *Graph) Validate() []Issue {
	g.settled()
	issues := []Issue{}
	for _, s := range g.roots.all() {
		issues = g.validate(s.node, issues)
	}
	return issues
}

func (g *Graph) validate(n *node, issues []Issue) []Issue {
	for _, prop := range n.typ.Properties() {
		raw := n.cell(prop.ID).Raw
		if raw == nil {
			if prop.Required {
				issues = append(issues, Issue{n.id, prop.ID, IssueRequired, quote(n.name) + " has no " + prop.Label})
			}
			continue
		}
		var target ID
		if prop.Type == TypeReference && json.Unmarshal(raw, &target) == nil && g.nodes[target] == nil {
			issues = append(issues, Issue{n.id, prop.ID, IssueDangling, prop.Label + " of " + quote(n.name) + " names a node that does not exist"})
		}
	}
	for _, s := range n.children.all() {
		issues = g.validate(s.node, issues)
	}
	return issues
}
