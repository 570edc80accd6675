package graph

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/graphroom/graphroom/internal/fault"
)

// maxVisits bounds the work on one file once its aliases are followed. A
// value counts 1, and 1 more for every 64 bytes of its text.
const maxVisits = 100_000

// fileReader walks a YAML tree and notes what is wrong with it, with line and
// column, without stopping at the first fault.
type fileReader struct {
	file   string
	faults []filePlace
	more   int // faults beyond maxNoted
	visits int
	full   bool // maxVisits was passed; nothing more is read
}

// filePlace is a fault with its place.
type filePlace struct {
	line, column int
	message      string
}

// How many faults of one file are kept, and how many of them are listed.
const (
	maxNoted = 1000
	maxShown = 100
)

// note adds a fault at a node. Its text is a sentence without a full stop.
func (f *fileReader) note(n *yaml.Node, format string, args ...any) {
	if len(f.faults) == maxNoted {
		f.more++
		return
	}
	p := filePlace{line: 1, column: 1, message: fmt.Sprintf(format, args...)}
	if n != nil {
		p.line, p.column = max(1, n.Line), max(1, n.Column)
	}
	f.faults = append(f.faults, p)
}

// err gives all faults in the order of the file, or nil.
func (f *fileReader) err() error {
	if len(f.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(f.faults, func(a, b filePlace) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	var details []fault.Detail
	for i, p := range f.faults {
		if i == maxShown {
			details = append(details, fault.Detail{
				Location: f.file,
				Message:  strconv.Itoa(len(f.faults)-maxShown+f.more) + " more faults",
			})
			break
		}
		details = append(details, fault.Detail{
			Location: f.file + ":" + strconv.Itoa(p.line) + ":" + strconv.Itoa(p.column),
			Message:  p.message,
		})
	}
	message := "is not a valid blueprint: " + f.faults[0].message
	if n := len(f.faults) - 1 + f.more; n > 0 {
		message += " (and " + strconv.Itoa(n) + " more)"
	}
	return fault.New(fault.InvalidRequest, "%s %s", details[0].Location, message).With(details...)
}

// document parses the text as one YAML document and returns its content, or
// nil after noting why not.
func (f *fileReader) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := decodeYAML(decoder)
	switch {
	case errors.Is(err, io.EOF):
		f.note(nil, "the file is empty")
		return nil
	case err != nil:
		f.noteSyntax(err)
		return nil
	}
	if next, err := decodeYAML(decoder); err == nil {
		f.note(next, "a second YAML document begins: one file holds one blueprint")
	} else if !errors.Is(err, io.EOF) {
		f.noteSyntax(err)
	}
	return doc.Content[0]
}

// decodeYAML reads the next document. A panic of the YAML library is a syntax
// error of the file, not the end of the program.
func decodeYAML(d *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	doc = new(yaml.Node)
	if err := d.Decode(doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, io.EOF
	}
	return doc, nil
}

// noteSyntax notes an error of the YAML library at the line that it names.
func (f *fileReader) noteSyntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	n := &yaml.Node{Line: 1, Column: 1}
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		n.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	f.note(n, "not valid YAML: %s", text)
}

// follow returns the node that an alias stands for, or the node itself, and
// nil once the file has cost too much.
func (f *fileReader) follow(n *yaml.Node) *yaml.Node {
	if f.full {
		return nil
	}
	place := n
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	f.visits += 1 + len(n.Value)/64
	if f.visits > maxVisits {
		f.full = true
		f.note(place, "the file holds too much, or its aliases multiply too much")
		return nil
	}
	return n
}

// The names of what a YAML value can be, for messages.
const (
	yamlMapping = "a mapping"
	yamlList    = "a list"
	yamlText    = "text"
	yamlNumber  = "a number"
	yamlBool    = "true or false"
	yamlEmpty   = "empty"
	yamlTime    = "a date"
)

// kindOf names what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return yamlMapping
	case yaml.SequenceNode:
		return yamlList
	default: // a scalar
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!merge":
		return yamlText
	case "!!int", "!!float":
		return yamlNumber
	case "!!bool":
		return yamlBool
	case "!!null":
		return yamlEmpty
	case "!!timestamp":
		return yamlTime
	default:
		return "tagged " + tag
	}
}

// yamlKey is one key that a mapping may have.
type yamlKey struct {
	name     string
	required bool
	read     func(n *yaml.Node) // gets the value with its alias followed
}

// mapping reads a mapping with these keys and no others, in the order of the
// file. what names the thing for messages.
func (f *fileReader) mapping(n *yaml.Node, what string, known ...yamlKey) {
	if kindOf(n) != yamlMapping {
		f.note(n, "%s must be a mapping, not %s", what, kindOf(n))
		return
	}
	seen := make([]bool, len(known))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := f.follow(n.Content[i]), f.follow(n.Content[i+1])
		if key == nil || value == nil {
			return
		}
		at := slices.IndexFunc(known, func(k yamlKey) bool {
			return key.Kind == yaml.ScalarNode && k.name == key.Value
		})
		switch {
		case at < 0:
			f.note(n.Content[i], "%s has no key %s: the keys are %s", what, quote(key.Value), keyNames(known))
		case seen[at]:
			f.note(n.Content[i], "the key %s is there twice", key.Value)
		default:
			seen[at] = true
			known[at].read(value)
		}
	}
	for i, k := range known {
		if k.required && !seen[i] {
			f.note(n, "%s needs the key %s", what, k.name)
		}
	}
}

func keyNames(known []yamlKey) string {
	var names []string
	for _, k := range known {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

// list reads a list of at most limit elements.
func (f *fileReader) list(n *yaml.Node, what string, limit int, read func(n *yaml.Node)) {
	if kindOf(n) != yamlList {
		f.note(n, "%s must be a list, not %s", what, kindOf(n))
		return
	}
	if len(n.Content) > limit {
		f.note(n, "%s has %d elements: at most %d are allowed", what, len(n.Content), limit)
		return
	}
	for _, c := range n.Content {
		if c = f.follow(c); c == nil {
			return
		}
		read(c)
	}
}

// text reads text; numbers, dates and the like need quotes.
func (f *fileReader) text(n *yaml.Node, what string) (string, bool) {
	switch kind := kindOf(n); kind {
	case yamlText:
		return n.Value, true
	case yamlEmpty:
		f.note(n, "%s is empty (a value that begins with # needs quotes)", what)
	case yamlNumber, yamlBool, yamlTime:
		f.note(n, "%s must be text, not %s: write it in quotes", what, kind)
	default:
		f.note(n, "%s must be text, not %s", what, kind)
	}
	return "", false
}

// line reads one line of text of 1 to limit characters, or returns "".
func (f *fileReader) line(n *yaml.Node, what string, limit int) string {
	s, ok := f.text(n, what)
	if !ok {
		return ""
	}
	problem := checkLine(s, limit)
	if strings.TrimSpace(s) == "" {
		problem = "must not be blank"
	}
	if problem != "" {
		f.note(n, "%s %s", what, problem)
		return ""
	}
	return s
}

// maxIdentifier is the longest id in a file, in characters.
const maxIdentifier = 64

// identifier reads an id: a letter, then letters, digits, _ and -.
func (f *fileReader) identifier(n *yaml.Node, what string) (string, bool) {
	s, ok := f.text(n, what)
	if !ok {
		return "", false
	}
	if !isIdentifier(s) {
		f.note(n, "%s must be a letter and then letters, digits, _ or -, at most %d, not %s", what, maxIdentifier, quote(s))
		return "", false
	}
	return s, true
}

func isIdentifier(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= maxIdentifier
}

// yes reads true or false.
func (f *fileReader) yes(n *yaml.Node, what string) bool {
	if kindOf(n) != yamlBool {
		f.note(n, "%s must be true or false, not %s", what, kindOf(n))
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// count reads a whole number between least and most.
func (f *fileReader) count(n *yaml.Node, what string, least, most int) int {
	if kindOf(n) != yamlNumber {
		f.note(n, "%s must be a number, not %s", what, kindOf(n))
		return least
	}
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < least || v > most {
		f.note(n, "%s must be a whole number from %d to %d, not %s", what, least, most, quote(n.Value))
		return least
	}
	return v
}

// json writes a YAML value as JSON. It returns nil after noting a fault.
func (f *fileReader) json(n *yaml.Node, dst []byte, depth int) []byte {
	if depth > MaxNesting {
		f.note(n, "the value is nested deeper than %d levels", MaxNesting)
		return nil
	}
	switch kind := kindOf(n); kind {
	case yamlMapping, yamlList:
		return f.jsonContainer(n, dst, depth)
	case yamlText, yamlTime:
		return appendString(dst, strings.ToValidUTF8(n.Value, "\uFFFD"))
	case yamlBool:
		return strconv.AppendBool(dst, strings.EqualFold(n.Value, "true"))
	case yamlEmpty:
		return append(dst, "null"...)
	case yamlNumber:
		r := newJSONReader([]byte(n.Value), "")
		if r.kind() == kindNumber {
			r.number()
			r.end()
		}
		if r.broken {
			f.note(n, "%s is not a number as JSON writes it", quote(n.Value))
			return nil
		}
		return append(dst, n.Value...)
	default:
		f.note(n, "the value must not be %s", kind)
		return nil
	}
}

func (f *fileReader) jsonContainer(n *yaml.Node, dst []byte, depth int) []byte {
	begin, end := byte('['), byte(']')
	if n.Kind == yaml.MappingNode {
		begin, end = '{', '}'
	}
	dst = append(dst, begin)
	for i, c := range n.Content {
		c = f.follow(c)
		if c == nil {
			return nil
		}
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		switch {
		case i == 0:
		case n.Kind == yaml.MappingNode && !isKey:
			dst = append(dst, ':')
		default:
			dst = append(dst, ',')
		}
		if isKey && kindOf(c) != yamlText {
			f.note(c, "a key must be text, not %s: write it in quotes", kindOf(c))
			return nil
		}
		if dst = f.json(c, dst, depth+1); dst == nil {
			return nil
		}
	}
	return append(dst, end)
}
