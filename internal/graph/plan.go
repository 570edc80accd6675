package graph

import (
	"slices"

	"github.com/graphroom/graphroom/internal/fault"
)

// Env is what planning takes from outside.
type Env struct {
	// Writer identifies the entry that is planned: its first seq, never 0 for
	// a command.
	Writer uint64
	// NewID makes a new random id. It is called once for each new node whose
	// id the client did not choose.
	NewID func() ID
}

// Planned is a decided command: what will change, and the command's result.
// No changes: the command asks for what is there already.
type Planned struct {
	Changes []Change
	Result  any // marshals to the result of the receipt
}

// The results of commands.
type (
	// NodeResult is the result of CreateNode and DuplicateNode.
	NodeResult struct {
		NodeID ID `json:"node_id"`
	}
	// BatchResult is the result of Batch: that of each command, in order.
	BatchResult struct {
		Results []any `json:"results"`
	}
	// NoResult is the result of all others, an empty object.
	NoResult struct{}
)

// Plan decides a command on the present state: the changes that it comes to,
// or a coded refusal (docs/SPEC.md, rules G). The graph is left exactly as it
// was. The time it takes depends on the nodes that the command touches, not on
// the size of the graph.
func (g *Graph) Plan(cmd Command, env Env) (Planned, error) {
	g.settled()
	p := planner{g: g, env: env}
	result, err := p.plan(cmd)
	if err != nil {
		p.undo()
		return Planned{}, err
	}
	p.hold()
	return Planned{Changes: p.changes, Result: result}, nil
}

// planner works on the graph itself, so that each step of a command sees what
// the steps before it did. At the end its changes are taken back or held.
type planner struct {
	g       *Graph
	env     Env
	changes []Change
	gone    []*node // in order

	moved bulk
}

// do applies a change and keeps it. It fits by construction; should it not,
// that is a fault of this package.
func (p *planner) do(body changeBody) {
	if d, ok := body.(*death); ok {
		p.gone = append(doubled(p.gone), p.g.nodes[d.ID])
	}
	must(body.apply(p.g))
	p.g.between()
	p.changes = append(doubled(p.changes), Change{body})
}

// doubled makes room as append does for short slices: a long one that grows by
// a quarter each time leaves five times its size behind.
func doubled[T any](s []T) []T {
	if len(s) == cap(s) {
		return slices.Grow(s, max(1, len(s)))
	}
	return s
}

// hold leaves the changes made. Nobody can tell: the Apply that nearly always
// follows finds its work done, and whatever else is asked of the graph first
// begins with settled, which takes them back.
func (p *planner) hold() {
	if len(p.changes) > 0 {
		p.g.held = p
	}
}

// settled makes the graph what it was before the last plan, when that was not
// applied. Every exported method begins with it.
func (g *Graph) settled() {
	if p := g.held; p != nil {
		g.held = nil
		p.undo()
	}
}

// undo brings the graph back to what it was, marks and all: the nodes that
// went come back themselves, and not others from their images.
func (p *planner) undo() {
	for _, c := range slices.Backward(p.changes) {
		p.g.between()
		d, ok := c.body.(*death)
		if !ok {
			must(c.body.revert(p.g))
			continue
		}
		n := p.gone[len(p.gone)-1]
		p.gone = p.gone[:len(p.gone)-1]
		must(p.g.replant(n, &d.Node))
		delete(p.g.tombs, d.ID)
	}
}

func (p *planner) plan(cmd Command) (any, error) {
	switch c := cmd.(type) {
	case CreateNode:
		return p.createNode(c)
	case DeleteNode:
		return NoResult{}, p.deleteNode(c)
	case MoveNode:
		return NoResult{}, p.moveNode(c)
	case LinkNode:
		return NoResult{}, p.linkNode(c)
	case UnlinkNode:
		return NoResult{}, p.unlinkNode(c)
	case UpdateProperty:
		return NoResult{}, p.updateProperty(c.NodeID, c.PropertyID, c.Value, "data.value")
	case SetProperties:
		return NoResult{}, p.setProperties(c)
	case DeleteProperty:
		return NoResult{}, p.deleteProperty(c)
	case DuplicateNode:
		return p.duplicateNode(c)
	case Batch:
		return p.batch(c)
	default:
		return nil, fault.New(fault.InvalidCommand, "there is no such command")
	}
}

// batch plans each command on what the ones before it left. Commands of a
// batch refer to nodes that the same batch creates by node_ids that the
// client chose.
func (p *planner) batch(c Batch) (any, error) {
	if len(c.Commands) == 0 || len(c.Commands) > MaxBatch {
		return nil, fault.New(fault.InvalidCommand, "a Batch holds 1 to %d commands", MaxBatch)
	}
	results := make([]any, len(c.Commands))
	for i, cmd := range c.Commands {
		if _, nested := cmd.(Batch); nested {
			return nil, fault.New(fault.InvalidCommand, "a Batch holds no Batch")
		}
		move, isMove := cmd.(MoveNode)
		if !isMove {
			p.moved = bulk{}
		}
		var err error
		if isMove {
			err = p.moveInBatch(move)
			results[i] = NoResult{}
		} else {
			results[i], err = p.plan(cmd)
		}
		if err != nil {
			return nil, inBatch(i, err)
		}
	}
	return BatchResult{results}, nil
}

// inBatch says which command of a batch was refused.
func inBatch(i int, err error) error {
	e := *fault.From(err)
	e.Message = "command " + itoa(i) + " of the batch: " + e.Message
	for j, d := range e.Details {
		if j == 0 {
			e.Details = append([]fault.Detail(nil), e.Details...)
		}
		e.Details[j].Location = "commands[" + itoa(i) + "]." + d.Location
	}
	return &e
}

// node finds a live node by the id that a field of the command gave.
func (p *planner) node(id ID) (*node, error) {
	if n := p.g.nodes[id]; n != nil {
		return n, nil
	}
	if _, dead := p.g.tombs[id]; dead {
		return nil, fault.New(fault.NodeNotFound, "node %s was deleted", id)
	}
	return nil, fault.New(fault.NodeNotFound, "there is no node %s", id)
}

// parent finds the node that a command names as parent; nil for the zero id.
func (p *planner) parent(id ID) (*node, error) {
	if id.IsZero() {
		return nil, nil
	}
	return p.node(id)
}
