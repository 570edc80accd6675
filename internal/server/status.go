package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/graphroom/graphroom/internal/fault"
)

// statusOf is the only place where an error class becomes an HTTP status.
func statusOf(class fault.Class) int {
	switch class {
	case fault.ClassInvalid:
		return http.StatusBadRequest
	case fault.ClassNotFound:
		return http.StatusNotFound
	case fault.ClassConflict:
		return http.StatusConflict
	case fault.ClassPrecondition:
		return http.StatusPreconditionFailed
	case fault.ClassUnauthorized:
		return http.StatusUnauthorized
	case fault.ClassForbidden:
		return http.StatusForbidden
	case fault.ClassMethod:
		return http.StatusMethodNotAllowed
	case fault.ClassTooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.ClassMedia:
		return http.StatusUnsupportedMediaType
	case fault.ClassLimited:
		return http.StatusTooManyRequests
	case fault.ClassUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// codeOf is the code for a status that some library chose, not we.
func codeOf(status int) fault.Code {
	switch status {
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusMethodNotAllowed:
		return fault.MethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case http.StatusUnsupportedMediaType:
		return fault.UnsupportedMedia
	case http.StatusTooManyRequests:
		return fault.RateLimited
	case http.StatusServiceUnavailable:
		return fault.Unavailable
	case http.StatusUnauthorized:
		return fault.Unauthorized
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusConflict:
		return fault.Conflict
	}
	if status >= 500 {
		return fault.Internal
	}
	return fault.InvalidRequest
}

// coded gives every error a code. A wait that the caller's context ended says
// that the outcome is unknown; anything else without a code is INTERNAL.
func coded(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Unavailable, "the request ended before the outcome was known; send it again with the same command_id")
	}
	return fault.From(err)
}

// wireError is the body of every refusal over HTTP (SPEC R-2).
type wireError struct {
	Error wireErrorBody `json:"error"`
}

type wireErrorBody struct {
	Code      fault.Code     `json:"code" doc:"Stable, upper-case name of the error: match on this" example:"NODE_NOT_FOUND"`
	Message   string         `json:"message" doc:"For people; may change"`
	RequestID string         `json:"request_id" doc:"Also in the X-Request-ID header and in the server's log"`
	Details   []fault.Detail `json:"details,omitempty" doc:"The places in the input that are wrong"`
}

// httpError is a coded error on its way through huma: it carries its status and
// marshals to the wire shape.
type httpError struct {
	wireError
	status int
}

func newHTTPError(ctx context.Context, e *fault.Error) *httpError {
	return &httpError{status: statusOf(e.Class), wireError: wireError{Error: wireErrorBody{
		Code: e.Code, Message: e.Message, RequestID: requestID(ctx), Details: e.Details,
	}}}
}

// GetStatus implements huma.StatusError.
func (e *httpError) GetStatus() int { return e.status }

// Error implements error.
func (e *httpError) Error() string {
	return string(e.wireError.Error.Code) + ": " + e.wireError.Error.Message
}

// MarshalJSON leaves the status out and the embedded body in.
func (e *httpError) MarshalJSON() ([]byte, error) { return json.Marshal(e.wireError) }

// writeError answers a request outside huma in the same shape.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	e := coded(err)
	logFault(r.Context(), log, e)
	body := newHTTPError(r.Context(), e)
	data, merr := json.Marshal(body)
	if merr != nil {
		data = []byte(`{"error":{"code":"INTERNAL","message":"internal error"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	retryAfter(h, e.Class)
	w.WriteHeader(body.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(data, '\n'))
	}
}

// retryAfter tells clients of the two classes that may pass by themselves.
func retryAfter(h http.Header, class fault.Class) {
	if class == fault.ClassUnavailable || class == fault.ClassLimited {
		h.Set("Retry-After", "1")
	}
}

// logFault keeps what the client is not told.
func logFault(ctx context.Context, log *slog.Logger, e *fault.Error) {
	switch {
	case e.Class == fault.ClassInternal:
		log.LogAttrs(ctx, slog.LevelError, "internal error", slog.String("request_id", requestID(ctx)), slog.Any("error", e))
	case e.Class == fault.ClassUnavailable && e.Err != nil:
		log.LogAttrs(ctx, slog.LevelWarn, "unavailable", slog.String("request_id", requestID(ctx)), slog.Any("error", e))
	}
}

// ackError is the refusal in an acknowledgement: {ok: false, error: {…}}.
type ackError struct {
	OK    bool         `json:"ok"`
	Error ackErrorBody `json:"error"`
}

type ackErrorBody struct {
	Code    fault.Code     `json:"code"`
	Message string         `json:"message"`
	Details []fault.Detail `json:"details,omitempty"`
}

func newAckError(e *fault.Error) ackError {
	return ackError{Error: ackErrorBody{Code: e.Code, Message: e.Message, Details: e.Details}}
}

// connectErrorData is the data of a CONNECT_ERROR (SPEC X-3).
type connectErrorData struct {
	Code fault.Code `json:"code"`
}
