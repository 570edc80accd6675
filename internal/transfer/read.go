package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/project"
)

// reader takes the head of a file apart, noting each fault with its place and
// going on behind it.
type reader struct {
	faults []fault.Detail
	more   int
}

func (r *reader) note(place, message string) {
	if len(r.faults) == MaxFaults {
		r.more++
		return
	}
	r.faults = append(r.faults, fault.Detail{Location: place, Message: message})
}

// take adds the faults that the graph's own reader found.
func (r *reader) take(err error) {
	e := fault.From(err)
	if len(e.Details) == 0 {
		r.note("graph", e.Message)
	}
	for _, d := range e.Details {
		r.note(d.Location, d.Message)
	}
}

// err gives all noted faults as one error, or nil.
func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	message := r.faults[0].Location + " " + r.faults[0].Message
	if n := len(r.faults) - 1 + r.more; n > 0 {
		message += " (and " + itoa(n) + " more)"
	}
	if r.more > 0 {
		r.faults = append(r.faults, fault.Detail{Location: "file", Message: "has " + itoa(r.more) + " more faults"})
	}
	return fault.New(fault.InvalidRequest, "%s", message).With(r.faults...)
}

// member is one field of an object and what reads it.
type member struct {
	name string
	read func(place string, raw json.RawMessage)
}

// file reads everything but the graph, which it hands over as it stands.
func (r *reader) file(data []byte) File {
	var f File
	r.object("", data, []member{
		{"format", func(place string, raw json.RawMessage) {
			if got, ok := r.text(place, raw); ok && got != Format {
				r.note(place, "is "+quote(got)+", a project file says "+quote(Format))
			}
		}},
		{"version", r.version},
		{"project", func(place string, raw json.RawMessage) {
			r.object(place, raw, []member{
				{"project_id", func(place string, raw json.RawMessage) { f.ProjectID = r.projectID(place, raw) }},
				{"template_id", func(place string, raw json.RawMessage) { f.TemplateID, _ = r.text(place, raw) }},
				{"name", func(place string, raw json.RawMessage) { f.Name = r.name(place, raw) }},
			})
		}},
		{"graph", func(_ string, raw json.RawMessage) { f.Graph = raw }},
	})
	if f.ProjectID != "" && f.Graph != nil {
		r.sameProject(f)
	}
	return f
}

// object visits the members of an object: each that is known once, each that
// is missing, unknown or repeated as a fault. data is valid JSON.
func (r *reader) object(place string, data []byte, members []member) {
	within := func(key string) string {
		if place == "" {
			return key
		}
		return place + "." + key
	}
	here := place
	if here == "" {
		here = "file"
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		r.note(here, "must be an object")
		return
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		key, isKey := token.(string)
		var raw json.RawMessage
		if err != nil || !isKey || dec.Decode(&raw) != nil {
			r.note(here, "cannot be read")
			return
		}
		if seen[key] {
			r.note(within(clip(key)), "is there twice")
			continue
		}
		seen[key] = true
		known := false
		for _, m := range members {
			if m.name == key {
				known = true
				m.read(within(key), raw)
			}
		}
		if !known {
			r.note(within(clip(key)), "is not known")
		}
	}
	for _, m := range members {
		if !seen[m.name] {
			r.note(within(m.name), "is required")
		}
	}
}

func (r *reader) version(place string, raw json.RawMessage) {
	var v int
	switch {
	case json.Unmarshal(raw, &v) != nil || v < 1:
		r.note(place, "must be a positive integer")
	case v > Version:
		r.note(place, "is "+itoa(v)+", made by a newer graphroom; this one reads up to "+itoa(Version))
	}
}

// text reads a string that is not empty, as strictly as the graph is read.
func (r *reader) text(place string, raw json.RawMessage) (string, bool) {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		r.note(place, "must be a string")
		return "", false
	}
	if s == "" {
		r.note(place, "must not be empty")
		return "", false
	}
	return s, true
}

func (r *reader) projectID(place string, raw json.RawMessage) string {
	id, ok := r.text(place, raw)
	if ok && !project.CheckID(id) {
		r.note(place, "must be 1 to "+itoa(project.MaxID)+" of A-Z a-z 0-9 _ -")
		return ""
	}
	return id
}

func (r *reader) name(place string, raw json.RawMessage) string {
	name, err := graph.CanonicalNameValue(raw)
	if err == nil {
		return name
	}
	for _, d := range fault.From(err).Details {
		r.note(place+strings.TrimPrefix(d.Location, "name"), d.Message)
	}
	return ""
}

// sameProject holds the graph's own project_id against the head's. Whatever
// else is wrong with the graph is its own reader's to say.
func (r *reader) sameProject(f File) {
	var g struct {
		ProjectID *string `json:"project_id"`
	}
	if json.Unmarshal(f.Graph, &g) == nil && g.ProjectID != nil && *g.ProjectID != f.ProjectID {
		r.note("graph.project_id", "is "+quote(*g.ProjectID)+", but project.project_id is "+quote(f.ProjectID))
	}
}

func quote(s string) string {
	b, err := json.Marshal(clip(s))
	if err != nil {
		return "?"
	}
	return string(b)
}

func asSyntax(err error, into **json.SyntaxError) bool { return errors.As(err, into) }
