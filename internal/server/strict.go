package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graphroom/graphroom/internal/fault"
)

const maxNesting = 100

// checkJSON refuses what encoding/json would let pass and a strict reader must
// not: invalid UTF-8, text after the value, a key twice in one object, nesting
// past maxNesting (SPEC R-6). It makes one pass, without building values.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return fault.New(fault.InvalidRequest, "the body is not valid UTF-8")
	}
	if err := checkNesting(data); err != nil { // first: json.Valid alone would go 10,000 deep
		return err
	}
	if !json.Valid(data) {
		var v any
		err := json.Unmarshal(data, &v)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fault.New(fault.InvalidRequest, "the body is not valid JSON: %s", syntax.Error()).
				With(fault.Detail{Location: "byte " + strconv.FormatInt(syntax.Offset, 10), Message: syntax.Error()})
		}
		return fault.New(fault.InvalidRequest, "the body is not valid JSON")
	}
	return checkKeys(data)
}

// checkNesting counts brackets outside strings, so that it also holds for input
// that is not JSON.
func checkNesting(data []byte) error {
	depth := 0
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return fault.New(fault.InvalidRequest, "the body nests deeper than %d levels", maxNesting)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// checkKeys looks for a key that stands twice in one object of valid JSON.
func checkKeys(data []byte) error {
	type level struct {
		keys map[string]bool // nil for an array
		path string
	}
	var stack []level
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			stack = append(stack, level{keys: map[string]bool{}})
		case '[':
			stack = append(stack, level{})
		case '}', ']':
			stack = stack[:len(stack)-1]
		case '"':
			end := stringEnd(data, i)
			if len(stack) == 0 || !isKey(data, end) {
				i = end - 1
				continue
			}
			top := &stack[len(stack)-1]
			key := unquote(data[i:end])
			if top.keys[key] {
				path := make([]string, 0, len(stack))
				for _, l := range stack[:len(stack)-1] {
					if l.path != "" {
						path = append(path, l.path)
					}
				}
				where := strings.Join(append(path, key), ".")
				return fault.New(fault.InvalidRequest, "the key %q stands twice in one object", clip(key)).
					With(fault.Detail{Location: where, Message: "duplicate key"})
			}
			top.keys[key] = true
			top.path = key
			i = end - 1
		}
	}
	return nil
}

// stringEnd is the offset after the closing quote of the string at i.
func stringEnd(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// isKey reports whether the string that ended at i is followed by a colon.
func isKey(data []byte, i int) bool {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i < len(data) && data[i] == ':'
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

// decodeStrict reads a JSON object that passed checkJSON into the struct that
// into points to. Fields match by their exact name, an unknown one is refused
// unless lenient, and the message names the field. The result shares no memory
// with data.
func decodeStrict(data []byte, into any, lenient bool) error {
	t := reflect.TypeOf(into).Elem()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return fault.New(fault.InvalidRequest, "a JSON object is expected")
	}
	known := map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			known[name] = i
		}
	}
	if !lenient {
		var unknown []fault.Detail
		for name := range fields {
			if _, ok := known[name]; !ok {
				unknown = append(unknown, fault.Detail{Location: clip(name), Message: "unknown field"})
			}
		}
		if len(unknown) > 0 {
			sortDetails(unknown)
			return fault.New(fault.InvalidRequest, "unknown field %q", unknown[0].Location).With(unknown...)
		}
	}
	v := reflect.ValueOf(into).Elem()
	for name, i := range known {
		raw, ok := fields[name]
		if !ok || string(raw) == "null" {
			continue // null says: not given
		}
		if err := json.Unmarshal(raw, v.Field(i).Addr().Interface()); err != nil {
			var coded *fault.Error
			if errors.As(err, &coded) {
				return coded
			}
			want := typeName(t.Field(i).Type)
			return fault.New(fault.InvalidRequest, "%s must be %s", name, want).With(fault.Detail{Location: name, Message: "must be " + want})
		}
	}
	return nil
}

// typeName says in a client's words what a Go field holds.
func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Uint64:
		return "an integer of 0 or more"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

func sortDetails(d []fault.Detail) {
	slices.SortFunc(d, func(a, b fault.Detail) int { return strings.Compare(a.Location, b.Location) })
}
