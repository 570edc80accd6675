package graph

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// field is one field that an object may have.
type field struct {
	name      string
	required  bool
	readsNull bool   // null goes to read instead of meaning "absent"
	read      func() // reads the value that comes next
}

func required(name string, read func()) field {
	return field{name: name, required: true, readsNull: true, read: read}
}

func optional(name string, read func()) field { return field{name: name, read: read} }

// fields reads an object with these fields and no others.
func (r *jsonReader) fields(known ...field) {
	if !r.want(kindObject) {
		return
	}
	seen := make([]bool, len(known))
	r.object(func(key string) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key })
		switch {
		case i < 0:
			r.note("is unknown: the fields are " + fieldNames(known))
			r.skip()
		case r.kind() == kindNull && !known[i].readsNull:
			r.null()
		default:
			seen[i] = true
			known[i].read()
		}
	})
	for i, f := range known {
		if f.required && !seen[i] {
			r.noteAt(f.name, "is required")
		}
	}
}

func fieldNames(known []field) string {
	var names []string
	for _, f := range known {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// The following make the read function of a field that stores into its
// target. On a fault the target keeps its value.

// text reads a string of at least one character.
func (r *jsonReader) text(target *string) func() {
	return func() {
		if !r.want(kindString) {
			return
		}
		s := r.str()
		if s == "" {
			r.note("must not be empty")
			return
		}
		*target = s
	}
}

// token reads an id or key that is not a UUID: 1 to MaxToken characters.
func (r *jsonReader) token(target *string) func() {
	return func() {
		var s string
		r.text(&s)()
		if problem := checkLine(s, MaxToken); problem != "" {
			r.note(problem)
			return
		}
		if s != "" {
			*target = s
		}
	}
}

// line reads one line of text, maybe empty.
func (r *jsonReader) line(target *string, limit int) func() {
	return func() {
		if !r.want(kindString) {
			return
		}
		s := r.str()
		if problem := checkLine(s, limit); problem != "" {
			r.note(problem)
			return
		}
		*target = s
	}
}

func (r *jsonReader) name(target **string) func() {
	return func() {
		var s string
		r.line(&s, MaxName)()
		*target = &s
	}
}

func (r *jsonReader) id(target *ID) func() {
	return func() {
		if !r.want(kindString) {
			return
		}
		s := r.str()
		id, ok := parseID(s)
		if !ok || id.IsZero() {
			r.note("must be a node id, not " + quote(s) + ": " + idHint)
			return
		}
		*target = id
	}
}

// nullable lets null stand for the zero value.
func (r *jsonReader) nullable(read func()) func() {
	return func() {
		if r.kind() == kindNull {
			r.null()
			return
		}
		read()
	}
}

func (r *jsonReader) flag(target *bool) func() {
	return func() {
		if r.want(kindBoolean) {
			*target = r.boolean()
		}
	}
}

// index reads a whole number from 0 on. Numbers that no list can reach all
// mean the end.
func (r *jsonReader) index(target **int) func() {
	return func() {
		if !r.want(kindNumber) {
			return
		}
		text := r.number()
		if r.broken {
			return
		}
		d, problem := parseDecimal(text)
		switch {
		case problem == "" && d.places() > 0:
			problem = "must be a whole number"
		case problem == "" && d.sign() < 0:
			problem = "must be 0 or more"
		}
		if problem != "" {
			r.note(problem)
			return
		}
		n, err := strconv.Atoi(string(d.append(nil)))
		if err != nil || n > math.MaxInt32 {
			n = math.MaxInt32
		}
		*target = &n
	}
}

// value reads the value of a property. null is refused here already, because
// no property takes it.
func (r *jsonReader) value() json.RawMessage {
	if r.kind() == kindNull {
		r.note("must not be null: DeleteProperty removes a value")
	}
	return r.skip()
}

// properties reads an object of property values.
func (r *jsonReader) properties(target *[]PropertyValue) func() {
	return func() {
		if !r.want(kindObject) {
			return
		}
		list := []PropertyValue{}
		r.object(func(id string) {
			if id == "" || utf8.RuneCountInString(id) > MaxToken {
				r.note("must be named by a property id of 1 to " + strconv.Itoa(MaxToken) + " characters")
			}
			list = append(list, PropertyValue{ID: id, Value: r.value()})
		})
		slices.SortFunc(list, func(a, b PropertyValue) int { return strings.Compare(a.ID, b.ID) })
		*target = list
	}
}

// at gives the fields that say where among its siblings a node goes.
func (r *jsonReader) at(target *At) []field {
	return []field{
		optional("index", r.index(&target.Index)),
		optional("before", r.id(&target.Before)),
		optional("after", r.id(&target.After)),
	}
}

// checkAt refuses more than one place.
func (r *jsonReader) checkAt(at At) {
	n := 0
	for _, set := range []bool{at.Index != nil, !at.Before.IsZero(), !at.After.IsZero()} {
		if set {
			n++
		}
	}
	if n > 1 {
		r.note("must have only one of index, before and after")
	}
}
