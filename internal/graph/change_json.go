package graph

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/graphroom/graphroom/internal/fault"
)

// changeJSON is the journal form: exactly one field is set. Reading goes
// through it; what is written, one by one in turns of tens of thousands, is
// what encoding/json makes of it, without reflection and garbage.
type changeJSON struct {
	Create *birth    `json:"create,omitempty"`
	Delete *death    `json:"delete,omitempty"`
	Place  *placing  `json:"place,omitempty"`
	Link   *linking  `json:"link,omitempty"`
	Set    *setting  `json:"set,omitempty"`
	Keys   *rekeying `json:"keys,omitempty"`
}

// AppendJSON appends the journal form to dst. It fails for the zero Change
// only.
func (c Change) AppendJSON(dst []byte) ([]byte, error) {
	if c.body == nil {
		return dst, fault.New(fault.Internal, "an empty change cannot be written")
	}
	return append(c.body.appendJSON(append(dst, '{')), '}'), nil
}

// MarshalJSON gives the journal form. It fails for the zero Change only.
func (c Change) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil) }

// UnmarshalJSON reads what MarshalJSON wrote. Unknown fields, none or several
// kinds, and text that is not JSON are errors (INTERNAL: a journal is broken).
func (c *Change) UnmarshalJSON(data []byte) error {
	var form changeJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&form); err != nil {
		return fault.Wrap(err, fault.Internal, "a change in the journal cannot be read")
	}
	var body changeBody
	kinds := 0
	for _, kind := range []struct {
		set  bool
		body changeBody
	}{
		{form.Create != nil, form.Create}, {form.Delete != nil, form.Delete}, {form.Place != nil, form.Place},
		{form.Link != nil, form.Link}, {form.Set != nil, form.Set}, {form.Keys != nil, form.Keys},
	} {
		if kind.set {
			kinds++
			body = kind.body
		}
	}
	if kinds != 1 {
		return fault.New(fault.Internal, "a change in the journal has %d kinds instead of one", kinds)
	}
	c.body = body
	return nil
}

func (c *birth) appendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `"create":{"id":`...), c.ID)
	dst = c.Node.appendJSON(append(dst, `,"node":`...))
	if c.Grave != nil {
		dst = c.Grave.appendJSON(append(dst, `,"grave":`...))
	}
	return append(appendNonZero(dst, `,"i":`, uint64(c.Pos)), '}')
}

func (c *death) appendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `"delete":{"id":`...), c.ID)
	dst = c.Node.appendJSON(append(dst, `,"node":`...))
	return append(c.Grave.appendJSON(append(dst, `,"grave":`...)), '}')
}

func (c *placing) appendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `"place":{"id":`...), c.ID)
	dst = c.From.appendJSON(append(dst, `,"f":`...))
	dst = c.To.appendJSON(append(dst, `,"t":`...))
	return append(appendNonZero(dst, `,"i":`, uint64(c.Pos)), '}')
}

func (c *linking) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `"link":{"l":`...), c.Type)
	dst = appendID(append(dst, `,"p":`...), c.Parent)
	dst = appendID(append(dst, `,"c":`...), c.Child)
	dst = c.From.appendJSON(append(dst, `,"f":`...))
	dst = c.To.appendJSON(append(dst, `,"t":`...))
	return append(appendNonZero(dst, `,"i":`, uint64(c.Pos)), '}')
}

func (c *setting) appendJSON(dst []byte) []byte {
	dst = appendID(append(dst, `"set":{"id":`...), c.ID)
	dst = appendString(append(dst, `,"p":`...), c.Prop)
	dst = c.From.appendJSON(append(dst, `,"f":`...))
	return append(c.To.appendJSON(append(dst, `,"t":`...)), '}')
}

func (c *rekeying) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `"keys":{"l":`...), c.Type)
	if !c.Parent.IsZero() {
		dst = appendID(append(dst, `,"p":`...), c.Parent)
	}
	dst = appendNonZero(dst, `,"g":`, uint64(c.Gen))
	dst = append(dst, `,"items":[`...)
	for i, r := range c.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendID(append(dst, `{"id":`...), r.ID)
		dst = appendString(append(dst, `,"f":`...), r.From)
		dst = append(appendString(append(dst, `,"t":`...), r.To), '}')
	}
	return append(dst, `]}`...)
}

func (im *image) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"t":`...), im.Type)
	dst = appendString(append(dst, `,"n":`...), im.Name)
	dst = appendNonZero(dst, `,"nw":`, im.NamedBy)
	dst = appendNonZero(dst, `,"w":`, im.By)
	dst = im.Place.appendJSON(append(dst, `,"at":`...))
	for i, v := range im.Values {
		dst = append(dst, [...]string{`,"v":[`, `,`}[min(i, 1)]...)
		dst = appendString(append(dst, `{"p":`...), v.Prop)
		dst = append(appendCell(dst, v.Raw, v.By), '}')
	}
	if len(im.Values) > 0 {
		dst = append(dst, ']')
	}
	for i, l := range im.Links {
		dst = append(dst, [...]string{`,"l":[`, `,`}[min(i, 1)]...)
		dst = appendString(append(dst, `{"t":`...), l.Type)
		dst = appendID(append(dst, `,"p":`...), l.Parent)
		dst = appendID(append(dst, `,"c":`...), l.Child)
		dst = l.Place.appendJSON(append(dst, `,"at":`...))
		dst = append(appendNonZero(dst, `,"i":`, uint64(l.Pos)), '}')
	}
	if len(im.Links) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (p *place) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	at := len(dst)
	if !p.Parent.IsZero() {
		dst = appendID(append(dst, `,"p":`...), p.Parent)
	}
	if p.Key != "" {
		dst = appendString(append(dst, `,"k":`...), p.Key)
	}
	dst = appendNonZero(dst, `,"w":`, p.By)
	dst = appendNonZero(dst, `,"g":`, uint64(p.Gen))
	if !p.Prev.IsZero() {
		dst = appendID(append(dst, `,"a":`...), p.Prev)
	}
	if !p.Next.IsZero() {
		dst = appendID(append(dst, `,"b":`...), p.Next)
	}
	return closeObject(dst, at)
}

func (t *tomb) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	at := len(dst)
	dst = appendNonZero(dst, `,"w":`, t.By)
	if !t.Parent.IsZero() {
		dst = appendID(append(dst, `,"p":`...), t.Parent)
	}
	return closeObject(dst, at)
}

func (c *cell) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	at := len(dst)
	return closeObject(appendCell(dst, c.Raw, c.By), at)
}

// closeObject ends an object whose first member, if any, begins at at with a
// comma too many.
func closeObject(dst []byte, at int) []byte {
	if len(dst) > at {
		dst = append(dst[:at], dst[at+1:]...)
	}
	return append(dst, '}')
}

// appendCell writes a value and its writer, each only when there is one.
func appendCell(dst []byte, raw json.RawMessage, by uint64) []byte {
	if len(raw) > 0 {
		dst = append(append(dst, `,"v":`...), raw...)
	}
	return appendNonZero(dst, `,"w":`, by)
}

// appendNonZero writes a number under a key, unless it is 0.
func appendNonZero(dst []byte, key string, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, key...), n, 10)
}

// appendID writes an id as a JSON string.
func appendID(dst []byte, id ID) []byte {
	dst, _ = id.AppendText(append(dst, '"')) // it cannot fail
	return append(dst, '"')
}
