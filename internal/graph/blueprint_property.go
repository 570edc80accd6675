package graph

import (
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/graphroom/graphroom/internal/fault"
)

// PropertyTypes lists every property type in the order of the documentation.
func PropertyTypes() []PropertyType {
	return []PropertyType{
		TypeText, TypeNumber, TypeInteger, TypeCurrency, TypeBoolean, TypeDate,
		TypeDatetime, TypeSelect, TypeMultiselect, TypeURL, TypeJSON, TypeReference,
	}
}

// rules says which keys a property type has besides those that all have.
func (t PropertyType) rules() (options, bounds, text bool) {
	switch t {
	case TypeSelect, TypeMultiselect:
		return true, false, false
	case TypeNumber, TypeInteger, TypeCurrency, TypeDate, TypeDatetime:
		return false, true, false
	case TypeText, TypeURL:
		return false, false, true
	default:
		return false, false, false
	}
}

// propertyKeys are the places of keys that are read once the type is known.
type propertyKeys struct {
	id, typ, options, min, max, pattern, maxLength, def *yaml.Node
}

// property reads one property and adds it to its node type.
func (p *blueprintParser) property(t *NodeType, n *yaml.Node) {
	prop := &Property{}
	var at propertyKeys
	keep := func(name string, required bool, target **yaml.Node) yamlKey {
		return yamlKey{name, required, func(n *yaml.Node) { *target = n }}
	}
	p.mapping(n, "a property",
		keep("id", true, &at.id),
		yamlKey{"label", false, func(n *yaml.Node) { prop.Label = p.line(n, "the label", maxTitle) }},
		yamlKey{"description", false, p.prose(&prop.Description)},
		keep("type", true, &at.typ),
		yamlKey{"required", false, func(n *yaml.Node) { prop.Required = p.yes(n, "required") }},
		keep("default", false, &at.def),
		keep("options", false, &at.options),
		keep("min", false, &at.min),
		keep("max", false, &at.max),
		keep("pattern", false, &at.pattern),
		keep("max_length", false, &at.maxLength),
	)
	if at.id != nil {
		prop.ID, _ = p.identifier(at.id, "the id of a property")
	}
	if prop.Label == "" {
		prop.Label = titleWords(prop.ID)
	}
	if at.typ != nil && p.propertyType(at.typ, prop) {
		p.propertyRules(t.ID, prop, n, at)
	}
	switch {
	case prop.ID == "":
	case prop.ID == NameProperty:
		p.note(at.id, "every node has a %s already: choose another id", NameProperty)
	case t.byID[prop.ID] != nil:
		p.note(at.id, "the property %s is there twice", prop.ID)
	default:
		t.byID[prop.ID] = prop
		t.properties = append(t.properties, prop)
	}
}

func (p *blueprintParser) propertyType(n *yaml.Node, prop *Property) bool {
	s, ok := p.text(n, "the type of a property")
	if !ok {
		return false
	}
	if !slices.Contains(PropertyTypes(), PropertyType(s)) {
		var all []string
		for _, t := range PropertyTypes() {
			all = append(all, string(t))
		}
		p.note(n, "the type %s is unknown: use one of %s", quote(s), strings.Join(all, ", "))
		return false
	}
	prop.Type = PropertyType(s)
	return true
}

// propertyRules reads the keys that depend on the type, the default last
// because it has to keep the others.
func (p *blueprintParser) propertyRules(typeID string, prop *Property, n *yaml.Node, at propertyKeys) {
	options, bounds, text := prop.Type.rules()
	before := len(p.faults)
	p.forbid(prop, !options, "options", at.options)
	p.forbid(prop, !bounds, "min", at.min)
	p.forbid(prop, !bounds, "max", at.max)
	p.forbid(prop, !text, "pattern", at.pattern)
	p.forbid(prop, !text, "max_length", at.maxLength)
	switch {
	case options && at.options == nil:
		p.note(n, "a %s property needs the key options", prop.Type)
	case options:
		p.options(typeID, prop, at.options)
	case bounds:
		p.bounds(prop, at)
	case text:
		if at.maxLength != nil {
			prop.MaxLength = p.count(at.maxLength, "max_length", 1, MaxText)
		}
		if at.pattern != nil {
			p.pattern(prop, at.pattern)
		}
	}
	if at.def != nil && len(p.faults) == before {
		prop.Default = p.value(prop, "default", at.def)
	}
}

func (p *blueprintParser) forbid(prop *Property, forbidden bool, key string, n *yaml.Node) {
	if forbidden && n != nil {
		p.note(n, "%s does not go with the type %s", key, prop.Type)
	}
}

// value reads a YAML value as a value of the property, or notes why it is
// none and returns nil.
func (p *blueprintParser) value(prop *Property, key string, n *yaml.Node) json.RawMessage {
	if kindOf(n) == yamlEmpty {
		p.note(n, "%s is empty", key)
		return nil
	}
	raw := p.json(n, nil, 0)
	if raw == nil {
		return nil
	}
	probe := *prop
	probe.ID = key
	canonical, err := probe.Canonical(raw)
	if err != nil {
		p.note(n, "%s", fault.From(err).Message)
		return nil
	}
	return canonical
}

func (p *blueprintParser) bounds(prop *Property, at propertyKeys) {
	if at.min != nil {
		prop.Min = p.value(prop, "min", at.min)
	}
	if prop.Min != nil && prop.Type.isNumber() {
		prop.min, _ = parseDecimal(string(prop.Min))
	}
	if at.max != nil {
		// Against min too: a max below it is refused with that reason.
		prop.Max = p.value(prop, "max", at.max)
	}
	if prop.Max != nil && prop.Type.isNumber() {
		prop.max, _ = parseDecimal(string(prop.Max))
	}
}

func (t PropertyType) isNumber() bool {
	return t == TypeNumber || t == TypeInteger || t == TypeCurrency
}

// maxPatternSize bounds a compiled pattern, and with it the time that one
// value takes: about one step for every character and instruction.
const (
	maxPattern     = 500 // bytes of a pattern's text
	maxPatternSize = 5000
)

func (p *blueprintParser) pattern(prop *Property, n *yaml.Node) {
	s, ok := p.text(n, "the pattern")
	if !ok {
		return
	}
	if len(s) > maxPattern {
		p.note(n, "the pattern is longer than %d bytes", maxPattern)
		return
	}
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		p.note(n, "the pattern is not valid RE2: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return
	}
	if patternSize(tree) > maxPatternSize {
		p.note(n, "the pattern repeats too much")
		return
	}
	// The parsed form closes what the text may leave open, such as \Q.
	compiled, err := regexp.Compile(`\A(?:` + tree.String() + `)\z`)
	if err != nil {
		p.note(n, "the pattern is not valid RE2")
		return
	}
	prop.Pattern, prop.pattern = s, compiled
}

// patternSize estimates the instructions of a pattern without compiling it.
func patternSize(tree *syntax.Regexp) int {
	size := 1 + len(tree.Rune)
	for _, sub := range tree.Sub {
		size += patternSize(sub)
		if size > maxPatternSize {
			return size
		}
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(1, tree.Min, tree.Max)
	}
	return size
}

const (
	maxOptionID    = 100
	maxOptionColor = 64
)

// options reads the options of a select or multiselect property.
func (p *blueprintParser) options(typeID string, prop *Property, n *yaml.Node) {
	prop.optionAt = map[string]int{}
	p.list(n, "options", maxOptions, func(n *yaml.Node) {
		o, ok := p.option(n)
		if !ok {
			return
		}
		if o.ID == "" {
			o.ID = optionID(typeID, prop.ID, o.Name)
		}
		for _, key := range []string{o.ID, o.Name} {
			if other, clash := prop.optionAt[key]; clash {
				p.note(n, "the option %s clashes with the option %s: every id and name must be its own",
					quote(o.Name), quote(prop.Options[other].Name))
				return
			}
		}
		prop.optionAt[o.ID] = len(prop.Options)
		prop.optionAt[o.Name] = len(prop.Options)
		prop.Options = append(prop.Options, o)
	})
	if kindOf(n) == yamlList && len(n.Content) == 0 {
		p.note(n, "options must have at least one element")
	}
}

// option reads one option: its name, or a mapping.
func (p *blueprintParser) option(n *yaml.Node) (Option, bool) {
	var o Option
	before := len(p.faults)
	if kindOf(n) != yamlMapping {
		o.Name = p.line(n, "an option", maxTitle)
		return o, len(p.faults) == before
	}
	p.mapping(n, "an option",
		yamlKey{"name", true, func(n *yaml.Node) { o.Name = p.line(n, "the name of an option", maxTitle) }},
		yamlKey{"id", false, func(n *yaml.Node) { o.ID = p.line(n, "the id of an option", maxOptionID) }},
		yamlKey{"color", false, func(n *yaml.Node) { o.Color = p.line(n, "the color of an option", maxOptionColor) }},
		yamlKey{"bullet", false, func(n *yaml.Node) { o.Bullet = p.line(n, "the bullet of an option", maxOptionColor) }},
	)
	return o, len(p.faults) == before && !p.full
}

// optionID derives the id of an option that has none in the file: a UUID of
// version 8 made of the SHA-256 of "type/property/name". It is part of stored
// data: never change it.
func optionID(typeID, propertyID, name string) string {
	sum := sha256.Sum256([]byte("graphroom option " + typeID + "/" + propertyID + "/" + name))
	id := ID(sum[:16])
	id[6] = id[6]&0x0F | 0x80
	id[8] = id[8]&0x3F | 0x80
	return id.String()
}
