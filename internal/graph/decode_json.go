package graph

import (
	"strconv"

	"github.com/graphroom/graphroom/internal/fault"
)

// maxFaults bounds how many faults of one input are listed.
const maxFaults = 50

// jsonReader reads one JSON text strictly and in time linear in its length:
// no key twice, valid UTF-8, no lone surrogates, at most MaxNesting levels. It
// does not stop at a wrong type or an unknown field: those are noted with
// their place and reading goes on. It does stop at text that is not JSON; from
// then on every method returns at once with zero values.
type jsonReader struct {
	data  []byte
	pos   int
	depth int
	quiet int // > 0 while a value is read that will be read again

	root   string // what locations begin with
	path   []jsonStep
	faults []fault.Detail
	more   int  // faults beyond maxFaults
	broken bool // not JSON
}

// jsonStep is one step of a location: a key, or an index when key is nil.
type jsonStep struct {
	key   *string
	index int
}

func newJSONReader(data []byte, root string) *jsonReader {
	return &jsonReader{data: data, root: root}
}

// note adds a fault at the present place. Its text completes a sentence that
// begins with the place: "must be a string".
func (r *jsonReader) note(message string) {
	if r.quiet > 0 || r.broken {
		return
	}
	if len(r.faults) == maxFaults {
		r.more++
		return
	}
	r.faults = append(r.faults, fault.Detail{Location: r.location(), Message: message})
}

// noteAt adds a fault at a field of the present object.
func (r *jsonReader) noteAt(key, message string) {
	r.path = append(r.path, jsonStep{key: &key})
	r.note(message)
	r.path = r.path[:len(r.path)-1]
}

// fail ends the reading: what follows cannot be understood.
func (r *jsonReader) fail(message string) {
	if r.broken {
		return
	}
	r.quiet = 0
	r.note(message)
	r.broken = true
}

func (r *jsonReader) syntax(want string) {
	if r.pos >= len(r.data) {
		r.fail("is not valid JSON: it ends where " + want + " is expected")
		return
	}
	r.fail("is not valid JSON: " + want + " is expected at byte " + strconv.Itoa(r.pos+1))
}

// location writes the path, with keys and itself of bounded length.
func (r *jsonReader) location() string {
	const maxLocation = 300
	b := []byte(r.root)
	for _, s := range r.path {
		switch {
		case s.key == nil:
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
		case isPlain(*s.key):
			b = append(append(b, '.'), *s.key...)
		default:
			b = append(append(append(b, '['), quote(*s.key)...), ']')
		}
		if len(b) > maxLocation {
			return string(b) + "..."
		}
	}
	return string(b)
}

// isPlain reports whether a key can stand in a dotted path as it is.
func isPlain(key string) bool {
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return key != "" && len(key) <= 64
}

// space moves to the next byte that is not white space and returns it, 0 at
// the end.
func (r *jsonReader) space() byte {
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// A jsonKind is what a value is, named as in messages.
type jsonKind string

const (
	kindNone    jsonKind = ""
	kindObject  jsonKind = "an object"
	kindArray   jsonKind = "an array"
	kindString  jsonKind = "a string"
	kindNumber  jsonKind = "a number"
	kindBoolean jsonKind = "a boolean"
	kindNull    jsonKind = "null"
)

// kind looks at the value that comes next.
func (r *jsonReader) kind() jsonKind {
	if r.broken {
		return kindNone
	}
	switch c := r.space(); c {
	case '{':
		return kindObject
	case '[':
		return kindArray
	case '"':
		return kindString
	case 't', 'f':
		return kindBoolean
	case 'n':
		return kindNull
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return kindNumber
		}
		r.syntax("a value")
		return kindNone
	}
}

// want checks the kind of the next value. When it is another, it notes that,
// skips the value and returns false.
func (r *jsonReader) want(kind jsonKind) bool {
	got := r.kind()
	if got == kind {
		return true
	}
	if got != kindNone {
		r.note("must be " + string(kind) + ", not " + string(got))
		r.skip()
	}
	return false
}

// end checks that nothing follows the value.
func (r *jsonReader) end() {
	if r.space(); !r.broken && r.pos < len(r.data) {
		r.fail("is not valid JSON: something follows the value at byte " + strconv.Itoa(r.pos+1))
	}
}

// enter goes one level deeper.
func (r *jsonReader) enter() bool {
	r.depth++
	if r.depth > MaxNesting {
		r.fail("is nested deeper than " + strconv.Itoa(MaxNesting) + " levels")
	}
	return !r.broken
}

// object reads an object; the caller has seen that one comes. visit is called
// for every member and must read its value.
func (r *jsonReader) object(visit func(key string)) {
	defer func() { r.depth-- }()
	if !r.enter() {
		return
	}
	var seen keySet
	r.pos++
	if r.space() == '}' {
		r.pos++
		return
	}
	for !r.broken {
		if r.space() != '"' {
			r.syntax("a key")
			return
		}
		key := r.str()
		if !r.broken && r.space() != ':' {
			r.syntax("a colon")
		}
		if r.broken {
			return
		}
		r.pos++
		r.path = append(r.path, jsonStep{key: &key})
		if seen.add(key) {
			visit(key)
		} else {
			r.note("is there twice")
			r.skip()
		}
		r.path = r.path[:len(r.path)-1]
		if r.next('}') {
			return
		}
	}
}

// array reads an array; the caller has seen that one comes. visit is called
// for every element and must read it.
func (r *jsonReader) array(visit func(i int)) {
	defer func() { r.depth-- }()
	if !r.enter() {
		return
	}
	r.pos++
	if r.space() == ']' {
		r.pos++
		return
	}
	for i := 0; !r.broken; i++ {
		r.path = append(r.path, jsonStep{index: i})
		visit(i)
		r.path = r.path[:len(r.path)-1]
		if r.next(']') {
			return
		}
	}
}

// next reads the comma before another element, or the closing byte: true.
func (r *jsonReader) next(closing byte) bool {
	if r.broken {
		return true
	}
	switch r.space() {
	case closing:
		r.pos++
		return true
	case ',':
		r.pos++
		return false
	default:
		r.syntax("a comma or " + string(closing))
		return true
	}
}

// skip reads any value, checking it as strictly as the rest, and returns its
// bytes.
func (r *jsonReader) skip() []byte {
	kind := r.kind()
	start := r.pos
	switch kind {
	case kindObject:
		r.object(func(string) { r.skip() })
	case kindArray:
		r.array(func(int) { r.skip() })
	case kindString:
		r.str()
	case kindNumber:
		r.number()
	case kindBoolean:
		r.boolean()
	case kindNull:
		r.null()
	default: // broken
	}
	return r.data[start:r.pos]
}

// pass is skip without notes, for what is not looked at or will be read again.
// Text that is not JSON still ends the reading.
func (r *jsonReader) pass() {
	quiet := r.quiet
	r.quiet++
	r.skip()
	r.quiet = quiet
}

// boolean reads true or false; the caller has seen that one comes.
func (r *jsonReader) boolean() bool {
	if r.data[r.pos] == 't' {
		return r.literal("true")
	}
	r.literal("false")
	return false
}

// null reads null; the caller has seen that it comes.
func (r *jsonReader) null() { r.literal("null") }

func (r *jsonReader) literal(word string) bool {
	if len(r.data)-r.pos < len(word) || string(r.data[r.pos:r.pos+len(word)]) != word {
		r.syntax("a value")
		return false
	}
	r.pos += len(word)
	return true
}

// number reads a number and returns its text; the caller has seen that one
// comes.
func (r *jsonReader) number() string {
	start := r.pos
	if r.data[r.pos] == '-' {
		r.pos++
	}
	if r.pos < len(r.data) && r.data[r.pos] == '0' {
		r.pos++
	} else {
		r.digits()
	}
	if r.pos < len(r.data) && r.data[r.pos] == '.' {
		r.pos++
		r.digits()
	}
	if r.pos < len(r.data) && (r.data[r.pos] == 'e' || r.data[r.pos] == 'E') {
		r.pos++
		if r.pos < len(r.data) && (r.data[r.pos] == '+' || r.data[r.pos] == '-') {
			r.pos++
		}
		r.digits()
	}
	if r.broken {
		return ""
	}
	return string(r.data[start:r.pos])
}

// digits reads one or more digits.
func (r *jsonReader) digits() {
	start := r.pos
	for r.pos < len(r.data) && r.data[r.pos] >= '0' && r.data[r.pos] <= '9' {
		r.pos++
	}
	if r.pos == start {
		r.syntax("a digit")
	}
}

// keySet finds keys that come twice; the few keys of a usual object cost no
// map.
type keySet struct {
	few  []string
	many map[string]bool
}

// add reports whether the key is new.
func (s *keySet) add(key string) bool {
	if s.many != nil {
		if s.many[key] {
			return false
		}
		s.many[key] = true
		return true
	}
	for _, k := range s.few {
		if k == key {
			return false
		}
	}
	s.few = append(s.few, key)
	if len(s.few) > 12 {
		s.many = make(map[string]bool, 2*len(s.few))
		for _, k := range s.few {
			s.many[k] = true
		}
	}
	return true
}
