package graph

import (
	"strconv"
	"unicode/utf8"
)

// str reads a string and returns what it means; the caller has seen that one
// comes.
func (r *jsonReader) str() string {
	r.pos++
	start := r.pos
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			s := r.data[start:r.pos]
			if !utf8.Valid(s) {
				r.fail("is not valid UTF-8")
				return ""
			}
			r.pos++
			return string(s)
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			r.syntax("an escaped control character")
			return ""
		}
		r.pos++
	}
	r.syntax("the end of a string")
	return ""
}

// escaped reads the rest of a string from its first backslash on.
func (r *jsonReader) escaped(start int) string {
	out := append([]byte(nil), r.data[start:r.pos]...)
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; {
		case c == '"':
			if !utf8.Valid(out) {
				r.fail("is not valid UTF-8")
				return ""
			}
			r.pos++
			return string(out)
		case c == '\\':
			out = r.escape(out)
			if r.broken {
				return ""
			}
		case c < ' ':
			r.syntax("an escaped control character")
			return ""
		default:
			out = append(out, c)
			r.pos++
		}
	}
	r.syntax("the end of a string")
	return ""
}

// escape reads one escape sequence and appends what it means.
func (r *jsonReader) escape(out []byte) []byte {
	if r.pos+1 >= len(r.data) {
		r.pos = len(r.data)
		r.syntax("an escape")
		return out
	}
	c := r.data[r.pos+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return r.unicode(out)
	default:
		r.syntax("a known escape")
		return out
	}
	r.pos += 2
	return append(out, c)
}

// unicode reads \uXXXX, or the two of a surrogate pair.
func (r *jsonReader) unicode(out []byte) []byte {
	first := r.hex4(r.pos)
	if first < 0 {
		r.syntax("an escape of four hexadecimal digits")
		return out
	}
	r.pos += 6
	if first < 0xD800 || first > 0xDFFF {
		return utf8.AppendRune(out, first)
	}
	second := r.hex4(r.pos)
	if first > 0xDBFF || second < 0xDC00 || second > 0xDFFF {
		r.fail("is not valid Unicode: half of a surrogate pair stands alone before byte " + strconv.Itoa(r.pos+1))
		return out
	}
	r.pos += 6
	return utf8.AppendRune(out, (first-0xD800)<<10|(second-0xDC00)+0x10000)
}

// hex4 reads \uXXXX at a position; -1 when there is none.
func (r *jsonReader) hex4(at int) rune {
	if at+6 > len(r.data) || r.data[at] != '\\' || r.data[at+1] != 'u' {
		return -1
	}
	var v rune
	for _, c := range r.data[at+2 : at+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | rune(c)
	}
	return v
}
