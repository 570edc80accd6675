package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/graphroom/graphroom/internal/fault"
)

const apiPrefix = "/api/v1"

// api describes and registers REST operations: huma parses their parameters and
// writes OpenAPI from the Go types, the body is read by decodeStrict, and every
// error leaves in the one shape.
type api struct {
	huma huma.API
	s    *Server
}

func newAPI(s *Server, mux *http.ServeMux) *api {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Graphroom",
				Version:     s.cfg.Version,
				Description: "Live project graphs: commands with undo and redo over REST, every change pushed to every client of the session over Socket.IO.",
			},
			Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName)},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{ownErrors},
	}
	a := &api{huma: humago.New(mux, config), s: s}
	a.huma.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) { next(ownStatus{ctx}) })
	return a
}

// schemaName keeps types of one name in two packages apart.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	pkg := path.Base(t.PkgPath())
	if t.Name() == "" || pkg == "." || pkg == "server" {
		return name
	}
	return strings.ToUpper(pkg[:1]) + pkg[1:] + name
}

// ownStatus corrects what huma decides by itself: an invalid parameter is 400
// here, and every error is plain application/json.
type ownStatus struct{ humaContext }

// humaContext keeps the embedded interface apart from its method Context.
type humaContext = huma.Context

// Unwrap lets humago find its own context.
func (c ownStatus) Unwrap() huma.Context { return c.humaContext }

// SetStatus implements huma.Context.
func (c ownStatus) SetStatus(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	c.humaContext.SetStatus(status)
}

// SetHeader implements huma.Context.
func (c ownStatus) SetHeader(name, value string) {
	if name == "Content-Type" && value == "application/problem+json" {
		value = "application/json"
	}
	c.humaContext.SetHeader(name, value)
}

// ownErrors turns the errors that huma makes (a wrong parameter) into ours.
func ownErrors(ctx huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	e := fault.New(codeOf(model.Status), "%s", model.Detail)
	for _, d := range model.Errors {
		if d != nil {
			e.Details = append(e.Details, fault.Detail{Location: d.Location, Message: d.Message})
		}
	}
	if len(e.Details) > 0 && e.Code == fault.InvalidRequest {
		e.Message = e.Details[0].Location + ": " + e.Details[0].Message
	}
	return newHTTPError(ctx.Context(), e), nil
}

// route is one operation: what stands in OpenAPI beside the Go types.
type route struct {
	method, path string
	id           string // operationId
	summary      string
	description  string
	tag          string
	status       int // of success; 0 = 200
	body         any // a pointer to the body's type, nil when none is read
	bodyOptional bool
	reply        any // a value of the answer's type where the handler's own type does not say it
}

// answer is a handler's result: huma sends Body and the headers.
type answer[T any] struct {
	Status int
	ETag   string `header:"ETag"`
	Body   T
}

// handle registers an operation that answers with JSON. A *fault.Error of the
// handler becomes the answer of its class; any other error is INTERNAL and only
// logged.
func handle[P, T any](a *api, rt route, h func(ctx context.Context, params *P) (*answer[T], error)) {
	status := rt.status
	if status == 0 {
		status = http.StatusOK
	}
	register(a, rt, func(ctx context.Context, params *P) (*answer[T], error) {
		out, err := h(ctx, params)
		if err != nil {
			return nil, err
		}
		if out.Status == 0 {
			out.Status = status
		}
		return out, nil
	})
}

// handleRaw registers an operation that answers with finished bytes.
func handleRaw[P any](a *api, rt route, h func(ctx context.Context, params *P) (*raw, error)) {
	register(a, rt, func(ctx context.Context, params *P) (*raw, error) {
		return h(ctx, params)
	})
}

// handleEmpty registers an operation that answers 204.
func handleEmpty[P any](a *api, rt route, h func(ctx context.Context, params *P) error) {
	rt.status = http.StatusNoContent
	register(a, rt, func(ctx context.Context, params *P) (*struct{}, error) {
		return nil, h(ctx, params)
	})
}

// register gives the operation to huma. Its body stands in OpenAPI only: huma
// would read and judge it by its own rules.
func register[P, T any](a *api, rt route, h func(ctx context.Context, params *P) (*T, error)) {
	op := a.operation(rt)
	huma.Register(a.huma, op, func(ctx context.Context, params *P) (*T, error) {
		ctx, cancel := context.WithTimeout(ctx, commandTimeout)
		defer cancel()
		out, err := h(ctx, params)
		if err != nil {
			return nil, a.refuse(ctx, err)
		}
		return out, nil
	})
	if rt.body == nil {
		return
	}
	a.huma.OpenAPI().Paths[op.Path].Post.RequestBody = &huma.RequestBody{
		Required: !rt.bodyOptional,
		Content:  jsonMedia(a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(rt.body).Elem(), true, rt.id)),
	}
}

// operation describes a route to huma.
func (a *api) operation(rt route) huma.Operation {
	registry := a.huma.OpenAPI().Components.Schemas
	op := huma.Operation{
		OperationID: rt.id, Method: rt.method, Path: apiPrefix + rt.path, Summary: rt.summary,
		Description: rt.description, Tags: []string{rt.tag}, DefaultStatus: rt.status,
		Responses: map[string]*huma.Response{"default": {
			Description: "Refused or failed; error.code says why",
			Content:     jsonMedia(registry.Schema(reflect.TypeFor[wireError](), true, "Error")),
		}},
	}
	if rt.reply != nil {
		op.Responses["200"] = &huma.Response{Description: "OK",
			Content: jsonMedia(registry.Schema(reflect.TypeOf(rt.reply), true, rt.id))}
	}
	return op
}

func jsonMedia(schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: schema}}
}

// refuse gives an error its status and headers and leaves it in the log.
func (a *api) refuse(ctx context.Context, err error) error {
	e := coded(err)
	logFault(ctx, a.s.log, e)
	var out error = newHTTPError(ctx, e)
	h := http.Header{}
	if tag := tagOf(err); tag != "" {
		h.Set("ETag", tag)
	}
	if retryAfter(h, e.Class); len(h) > 0 {
		out = huma.ErrorWithHeaders(out, h)
	}
	return out
}

// readInto decodes the request's body. Without a body, an operation that needs
// one is refused.
func readInto(ctx context.Context, into any, optional bool) error {
	body := requestOf(ctx).body
	if len(body) == 0 {
		if optional {
			return nil
		}
		return fault.New(fault.InvalidRequest, "a JSON body is required")
	}
	return decodeStrict(body, into, false)
}

// serveOpenAPI registers the description itself, encoded once.
func (a *api) serveOpenAPI(mux *http.ServeMux) error {
	schemas := a.huma.OpenAPI().Components.Schemas.Map()
	delete(schemas, "V2ErrorModel") // huma's own error, which never leaves the server
	delete(schemas, "V2ErrorDetail")
	data, err := json.MarshalIndent(a.huma.OpenAPI(), "", " ")
	if err != nil {
		return errors.Join(errors.New("server: openapi"), err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	})
	return nil
}
