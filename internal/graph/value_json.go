package graph

import (
	"bytes"
	"slices"
	"strings"
)

// appendCanonical reads any JSON value and appends its canonical form to dst:
// no white space, keys in the order of their bytes, numbers and strings
// written in one way. It notes numbers that are out of range.
func (r *jsonReader) appendCanonical(dst []byte) []byte {
	switch r.kind() {
	case kindObject:
		return r.appendObject(dst)
	case kindArray:
		dst = append(dst, '[')
		r.array(func(i int) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.appendCanonical(dst)
		})
		return append(dst, ']')
	case kindString:
		return appendString(dst, r.str())
	case kindNumber:
		text := r.number()
		if r.broken {
			return dst
		}
		d, problem := parseDecimal(text)
		if problem != "" {
			r.note(problem)
		}
		return d.append(dst)
	case kindNone:
		return dst
	default: // true, false, null
		return append(dst, r.skip()...)
	}
}

// member is one member of an object in the buffer that is being written.
type member struct {
	key        string
	start, end int
}

func (r *jsonReader) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	first := len(dst)
	var members []member
	r.object(func(key string) {
		m := member{key: key, start: len(dst)}
		dst = appendString(dst, key)
		dst = append(dst, ':')
		dst = r.appendCanonical(dst)
		m.end = len(dst)
		dst = append(dst, ',')
		members = append(members, m)
	})
	if len(members) == 0 {
		return append(dst, '}')
	}
	byKey := func(a, b member) int { return strings.Compare(a.key, b.key) }
	// What is too large is refused later, and not worth sorting.
	if len(dst)-first <= MaxValue && !slices.IsSortedFunc(members, byKey) {
		slices.SortFunc(members, byKey)
		unsorted := bytes.Clone(dst[first:])
		dst = dst[:first]
		for _, m := range members {
			dst = append(dst, unsorted[m.start-first:m.end-first]...)
			dst = append(dst, ',')
		}
	}
	dst[len(dst)-1] = '}'
	return dst
}

// appendString writes a JSON string in the form that encoding/json also gives
// a json.RawMessage, so that no later encoding changes a canonical value:
// < > & and the two Unicode line separators are escaped.
func appendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == 0xE2 && i+2 < len(s) && s[i+1] == 0x80 && s[i+2]&^1 == 0xA8 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[s[i+2]&0xF])
			i += 2
			from = i + 1
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, hexDigits[c>>4], hexDigits[c&0xF])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
