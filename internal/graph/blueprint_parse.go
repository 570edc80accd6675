package graph

import (
	"bytes"
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/graphroom/graphroom/internal/fault"
)

// The limits of a blueprint file. They are refused with INVALID_REQUEST.
const (
	MaxBlueprintBytes = 1 << 20
	maxNodeTypes      = 500
	maxLinkTypes      = 100
	maxProperties     = 200  // of one node type
	maxOptions        = 500  // of one property
	maxTitle          = 200  // characters of a label or name in a file
	maxProse          = 4000 // bytes of a description
)

// ParseBlueprint reads one blueprint file, which is YAML. It is strict:
// unknown or repeated keys, wrong types, ids that nothing defines and defaults
// that their own property refuses are faults. The error is a *fault.Error
// INVALID_REQUEST that lists every fault, in the order of the file, with a
// place "file:line:column"; file is only a name for that, nothing is opened.
// No input takes more than bounded time and memory. It keeps no part of data.
func ParseBlueprint(file string, data []byte) (*Blueprint, error) {
	f := &fileReader{file: file}
	if len(data) > MaxBlueprintBytes {
		f.note(nil, "the file is larger than %d bytes", MaxBlueprintBytes)
		return nil, f.err()
	}
	n := f.document(data)
	if n == nil {
		return nil, f.err()
	}
	p := &blueprintParser{fileReader: f, bp: &Blueprint{
		nodeByID: map[string]*NodeType{},
		linkByID: map[string]*LinkType{},
		source:   bytes.Clone(data),
	}}
	p.blueprint(n)
	if err := f.err(); err != nil {
		return nil, err
	}
	return p.bp, nil
}

// Problems lists the faults in an error of ParseBlueprint, one to a line of a
// report: its details, or the error itself when it has none. Problems(nil) is
// empty.
func Problems(err error) []fault.Detail {
	if err == nil {
		return nil
	}
	var e *fault.Error
	if errors.As(err, &e) && len(e.Details) > 0 {
		return e.Details
	}
	return []fault.Detail{{Message: fault.From(err).Message}}
}

// blueprintParser builds a blueprint from a YAML tree.
type blueprintParser struct {
	*fileReader
	bp    *Blueprint
	names []typeName // node type ids used before all were known
}

// typeName is a place that names a node type.
type typeName struct {
	at   *yaml.Node
	id   string
	what string
}

func (p *blueprintParser) blueprint(n *yaml.Node) {
	bp := p.bp
	if n = p.follow(n); n == nil {
		return
	}
	var roots []*yaml.Node
	p.mapping(n, "the blueprint",
		yamlKey{"id", true, func(n *yaml.Node) { bp.id, _ = p.identifier(n, "the id of the blueprint") }},
		yamlKey{"version", true, p.version},
		yamlKey{"name", true, func(n *yaml.Node) { bp.name = p.line(n, "the name of the blueprint", maxTitle) }},
		yamlKey{"description", false, p.prose(&bp.description)},
		yamlKey{"node_types", true, func(n *yaml.Node) {
			p.list(n, "node_types", maxNodeTypes, func(n *yaml.Node) {
				if root := p.nodeType(n); root != nil {
					roots = append(roots, root)
				}
			})
			if kindOf(n) == yamlList && len(n.Content) == 0 {
				p.note(n, "node_types must have at least one element")
			}
		}},
		yamlKey{"link_types", false, func(n *yaml.Node) {
			p.list(n, "link_types", maxLinkTypes, p.linkType)
		}},
	)
	if len(roots) > 1 {
		for _, second := range roots[1:] {
			p.note(second, "only one node type can be the root")
		}
	}
	if bp.root == nil && len(bp.nodeTypes) > 0 {
		bp.root = bp.nodeTypes[0]
	}
	for _, name := range p.names {
		if bp.nodeByID[name.id] == nil {
			p.note(name.at, "%s names the node type %s, which does not exist", name.what, quote(name.id))
		}
	}
}

// version takes text or a number, as its author wrote it.
func (p *blueprintParser) version(n *yaml.Node) {
	if kindOf(n) == yamlNumber {
		p.bp.version = n.Value
		return
	}
	p.bp.version = p.line(n, "the version", maxIdentifier)
}

// prose reads a description, which may have several lines.
func (p *blueprintParser) prose(target *string) func(n *yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := p.text(n, "the description")
		if ok && len(s) > maxProse {
			p.note(n, "the description is longer than %d bytes", maxProse)
			return
		}
		*target = s
	}
}

// nodeType reads one node type. It returns the place of "root: true".
func (p *blueprintParser) nodeType(n *yaml.Node) (root *yaml.Node) {
	t := &NodeType{allowedSet: map[string]bool{}, byID: map[string]*Property{}}
	var at, properties *yaml.Node
	p.mapping(n, "a node type",
		yamlKey{"id", true, func(n *yaml.Node) {
			at = n
			t.ID, _ = p.identifier(n, "the id of a node type")
		}},
		yamlKey{"label", false, func(n *yaml.Node) { t.Label = p.line(n, "the label", maxTitle) }},
		yamlKey{"description", false, p.prose(&t.Description)},
		yamlKey{"root", false, func(n *yaml.Node) {
			if p.yes(n, "root") {
				root = n
			}
		}},
		yamlKey{"allowed_children", false, func(n *yaml.Node) {
			t.allowed = p.typeNames(n, "allowed_children")
		}},
		// Read last: the ids of options depend on the id of the type.
		yamlKey{"properties", false, func(n *yaml.Node) { properties = n }},
	)
	for _, id := range t.allowed {
		t.allowedSet[id] = true
	}
	if t.Label == "" {
		t.Label = titleWords(t.ID)
	}
	if properties != nil {
		p.list(properties, "properties", maxProperties, func(n *yaml.Node) { p.property(t, n) })
	}
	switch {
	case t.ID == "":
	case p.bp.nodeByID[t.ID] != nil:
		p.note(at, "the node type %s is there twice", t.ID)
	default:
		p.bp.nodeByID[t.ID] = t
		p.bp.nodeTypes = append(p.bp.nodeTypes, t)
		if root != nil && p.bp.root == nil {
			p.bp.root = t
		}
	}
	return root
}

// typeNames reads a list of node type ids. That they exist is checked when
// the whole file was read.
func (p *blueprintParser) typeNames(n *yaml.Node, what string) []string {
	var ids []string
	seen := map[string]bool{}
	p.list(n, what, maxNodeTypes, func(n *yaml.Node) {
		id, ok := p.identifier(n, "a node type in "+what)
		switch {
		case !ok:
		case seen[id]:
			p.note(n, "%s names %s twice", what, id)
		default:
			seen[id] = true
			ids = append(ids, id)
			p.names = append(p.names, typeName{n, id, what})
		}
	})
	return ids
}

func (p *blueprintParser) linkType(n *yaml.Node) {
	l := &LinkType{}
	var at *yaml.Node
	types := func(what string, target *[]string) yamlKey {
		return yamlKey{what, false, func(n *yaml.Node) {
			*target = p.typeNames(n, what)
			if kindOf(n) == yamlList && len(n.Content) == 0 {
				p.note(n, "%s is empty: leave it out to allow every node type", what)
			}
		}}
	}
	flag := func(what string, target *bool) yamlKey {
		return yamlKey{what, false, func(n *yaml.Node) { *target = p.yes(n, what) }}
	}
	p.mapping(n, "a link type",
		yamlKey{"id", true, func(n *yaml.Node) {
			at = n
			l.ID, _ = p.identifier(n, "the id of a link type")
		}},
		yamlKey{"label", false, func(n *yaml.Node) { l.Label = p.line(n, "the label", maxTitle) }},
		yamlKey{"description", false, p.prose(&l.Description)},
		types("parent_types", &l.ParentTypes),
		types("child_types", &l.ChildTypes),
		yamlKey{"max_parents", false, func(n *yaml.Node) {
			l.MaxParents = p.count(n, "max_parents", 1, 1_000_000)
		}},
		flag("acyclic", &l.Acyclic),
		flag("ordered", &l.Ordered),
		flag("unique", &l.Unique),
	)
	if l.Label == "" {
		l.Label = titleWords(l.ID)
	}
	switch {
	case l.ID == "":
	case l.ID == ChildLink:
		p.note(at, "the link type %s is built in: use allowed_children of the node types", ChildLink)
	case p.bp.linkByID[l.ID] != nil:
		p.note(at, "the link type %s is there twice", l.ID)
	default:
		p.bp.linkByID[l.ID] = l
		p.bp.linkTypes = append(p.bp.linkTypes, l)
	}
}
