package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
	"github.com/graphroom/graphroom/internal/project"
)

// Format and Version name the file's format in the file.
const (
	Format  = "graphroom-project"
	Version = 1
)

// MediaType is the content type of a project file.
const MediaType = "application/json"

// MaxFaults bounds how many faults of one file are listed.
const MaxFaults = 100

// maxNesting is how deep a file may be nested: a graph of the deepest allowed
// tree with the deepest allowed value in it.
const maxNesting = 2*graph.MaxDepth + graph.MaxNesting + 16

// File is a project as a file holds it. Graph has the graph shape and carries
// the same project and template ids.
type File struct {
	ProjectID  string
	TemplateID string
	Name       string
	Graph      json.RawMessage
}

// envelope is the file in the order in which it is written.
type envelope struct {
	Format  string          `json:"format"`
	Version int             `json:"version"`
	Project header          `json:"project"`
	Graph   json.RawMessage `json:"graph"`
}

type header struct {
	ProjectID  string `json:"project_id"`
	TemplateID string `json:"template_id"`
	Name       string `json:"name"`
}

// Encode writes the file. Graph must be the bytes of graph.AppendJSON; equal
// projects give equal bytes.
func Encode(f File) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(f.Graph) + 512)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(envelope{
		Format: Format, Version: Version,
		Project: header{f.ProjectID, f.TemplateID, f.Name}, Graph: f.Graph,
	})
	if err != nil {
		return nil, fmt.Errorf("transfer: encode project %s: %w", f.ProjectID, err)
	}
	return b.Bytes(), nil
}

// Saved gives the file of a saved project.
func Saved(s project.Saved) ([]byte, error) {
	return Encode(File{ProjectID: s.ProjectID, TemplateID: s.TemplateID, Name: s.Name, Graph: s.Graph})
}

// Decode reads a file whole and holds its graph against the template's rules.
// templates gives a blueprint by its id, nil when it is unknown. limit is the
// most bytes that a file may have. The graph of the result is in canonical
// form: for a file that Encode wrote, the very bytes it had.
//
// Codes: TOO_LARGE over the limit; TEMPLATE_NOT_FOUND when everything but the
// graph could be read and the template is not here; INVALID_REQUEST otherwise,
// with every fault and its place in the details, up to MaxFaults. Nothing is
// taken from a file with faults.
func Decode(data []byte, limit int64, templates func(id string) *graph.Blueprint) (File, error) {
	if int64(len(data)) > limit {
		return File{}, fault.New(fault.TooLarge, "the project file is larger than %d bytes", limit)
	}
	if err := wellFormed(data); err != nil {
		return File{}, err
	}
	r := reader{}
	f := r.file(data)
	if f.TemplateID == "" || f.Graph == nil {
		return File{}, r.err()
	}
	bp := templates(f.TemplateID)
	if bp == nil {
		if err := r.err(); err != nil {
			return File{}, err
		}
		return File{}, fault.New(fault.TemplateNotFound, "the file's template %q is not here", clip(f.TemplateID)).
			With(fault.Detail{Location: "project.template_id", Message: "is no template of this server"})
	}
	g, err := graph.Import(bp, f.Graph)
	if err != nil {
		r.take(err)
	}
	if err := r.err(); err != nil {
		return File{}, err
	}
	f.Graph = g.AppendJSON(make([]byte, 0, len(f.Graph)), f.ProjectID)
	return f, nil
}

// wellFormed refuses what encoding/json would read otherwise than it stands
// there, or not in bounded depth.
func wellFormed(data []byte) error {
	if !utf8.Valid(data) {
		return broken("is not valid UTF-8")
	}
	if at := tooDeep(data); at >= 0 {
		return broken("is nested deeper than %d levels at byte %d", maxNesting, at+1)
	}
	var v json.RawMessage
	err := json.Unmarshal(data, &v)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case asSyntax(err, &syntax):
		return broken("is not valid JSON: %s at byte %d", syntax.Error(), syntax.Offset)
	default:
		return broken("is not valid JSON")
	}
}

func broken(format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidRequest, "the project file %s", message).
		With(fault.Detail{Location: "file", Message: message})
}

// tooDeep gives the first byte past maxNesting, or -1. It counts brackets
// outside strings, so that it also holds for text that is not JSON.
func tooDeep(data []byte) int {
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
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func itoa(n int) string { return strconv.Itoa(n) }
