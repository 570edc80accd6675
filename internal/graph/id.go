package graph

import (
	"encoding/hex"

	"github.com/graphroom/graphroom/internal/fault"
)

// idTextLen is the length of a UUID in its text form, 8-4-4-4-12.
const idTextLen = 36

// ID is the identity of a node: a UUID of any version. The zero ID means
// "none" and is never the id of a node; its text form is empty.
type ID [16]byte

// ParseID reads the canonical text form of a UUID, 8-4-4-4-12 hexadecimal
// digits in either case. Braces, "urn:uuid:", missing hyphens and the nil UUID
// are refused with INVALID_REQUEST.
func ParseID(s string) (ID, error) {
	if id, ok := parseID(s); ok && !id.IsZero() {
		return id, nil
	}
	return ID{}, fault.New(fault.InvalidRequest, "%s is not a node id: %s", quote(s), idHint)
}

// idHint completes every message about a malformed id.
const idHint = "a UUID like 3f2c8a52-6b0e-4c7e-9b77-0d6a5d3f1e20 is expected"

func parseID(s string) (ID, bool) {
	var id ID
	if len(s) != idTextLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, false
	}
	at := 0
	for _, group := range [...]string{s[0:8], s[9:13], s[14:18], s[19:23], s[24:36]} {
		n, err := hex.Decode(id[at:], []byte(group))
		if err != nil {
			return ID{}, false
		}
		at += n
	}
	return id, true
}

// String returns the lower-case text form, or "" for the zero ID.
func (id ID) String() string {
	b, _ := id.AppendText(nil)
	return string(b)
}

// IsZero reports whether the ID is the zero ID, "none".
func (id ID) IsZero() bool { return id == ID{} }

// AppendText appends the text form to b. The error is always nil.
func (id ID) AppendText(b []byte) ([]byte, error) {
	if id.IsZero() {
		return b, nil
	}
	b = hex.AppendEncode(b, id[0:4])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[4:6])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[6:8])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[8:10])
	b = append(b, '-')
	return hex.AppendEncode(b, id[10:16]), nil
}

// MarshalText gives the text form; the error is always nil.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(make([]byte, 0, idTextLen)) }

// UnmarshalText reads what MarshalText wrote, so the empty text is the zero
// ID. Anything else must be as ParseID wants it (INVALID_REQUEST).
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
