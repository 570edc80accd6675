package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/graphroom/graphroom/internal/fault"
)

const (
	headerRequestID = "X-Request-ID"
	headerSessionID = "X-Session-ID"
	headerActor     = "X-Actor"

	maxRequestID  = 128
	maxActor      = 128
	bodyDeadline  = 30 * time.Second // to read one request body
	replyDeadline = 60 * time.Second // to write one answer
)

type contextKey int

const requestKey contextKey = iota

// request is what the wrappers around the handlers know of one HTTP request.
type request struct {
	id   string
	body []byte // read to its end and checked; nil when there was none

	detach func()        // a graceful stop does not wait for the handler any more; may be called again
	long   time.Duration // how long it took until it was detached; 0 when it was not
}

// requestOf returns the request that ctx belongs to; never nil.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey).(*request); ok {
		return r
	}
	return &request{detach: func() {}}
}

// requestID is the id of the request that ctx belongs to, or "".
func requestID(ctx context.Context) string { return requestOf(ctx).id }

// newRequestID makes the 16 hex digits that name a request without an id.
func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// wellFormedID accepts the ids that are safe in a header, a log and a body.
func wellFormedID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:/+=", rune(c)) {
			return false
		}
	}
	return true
}

// identify gives every request its id before anything can fail (SPEC R-3).
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(headerRequestID)
		if !wellFormedID(id) {
			id = newRequestID()
		}
		w.Header().Set(headerRequestID, id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey, &request{id: id, detach: func() {}})))
	})
}

// statusWriter remembers what was answered, for the log, the metrics and the
// panic guard. Unwrap lets http.ResponseController reach the connection.
type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap returns the writer underneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// rest wraps the part of the server that answers one request at a time: the
// socket transport needs the bare connection and does not pass here.
func (s *Server) rest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(start.Add(replyDeadline)) // a test recorder has none
		defer func() {
			if p := recover(); p != nil {
				s.afterPanic(sw, r, p)
			}
			_ = control.SetWriteDeadline(time.Time{})
			took := time.Since(start)
			if long := requestOf(r.Context()).long; long > 0 {
				took = long // a stream's length says nothing of how fast answers are
			}
			s.metrics.request(r.Pattern, r.Method, sw.status, took)
			s.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", sw.status), slog.Int64("bytes", sw.bytes), slog.Duration("took", time.Since(start)),
				slog.String("request_id", requestID(r.Context())))
		}()
		if strings.HasPrefix(r.URL.Path, apiPrefix+"/") && r.URL.Path != apiPrefix+"/health" {
			if err := s.begin(); err != nil {
				writeError(sw, r, s.log, err)
				return
			}
			done := sync.OnceFunc(s.working.Done)
			defer done()
			requestOf(r.Context()).detach = func() {
				done()
				requestOf(r.Context()).long = time.Since(start)
			}
		}
		if isImport(r) {
			release, err := s.imports.enter()
			if err != nil {
				writeError(sw, r, s.log, err)
				return
			}
			defer release()
		}
		if err := s.readBody(sw, r); err != nil {
			writeError(sw, r, s.log, err)
			return
		}
		next.ServeHTTP(sw, r)
	})
}

// afterPanic answers INTERNAL where nothing was answered yet and cuts the
// connection where half an answer has left. The text of the panic stays here.
func (s *Server) afterPanic(w *statusWriter, r *http.Request, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "panic while answering", slog.Any("panic", p), slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.String("request_id", requestID(r.Context())), slog.String("stack", string(debug.Stack())))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeError(w, r, s.log, fault.New(fault.Internal, "internal error"))
}

// readBody takes the whole body, within its bounds of size, time, content type
// and shape, before any handler runs, and keeps it in the request's context.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	limit, check := s.bodyBounds(r)
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyDeadline))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return tooLarge(limit)
		}
		return fault.Wrap(err, fault.InvalidRequest, "the body could not be read to its end")
	}
	if len(body) == 0 {
		return nil
	}
	if err := jsonContent(r.Header); err != nil {
		return err
	}
	if err := check(body); err != nil {
		return err
	}
	requestOf(r.Context()).body = body
	return nil
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the body is larger than %d bytes", limit)
}

// jsonContent accepts application/json in UTF-8, uncompressed, and no other:
// the types that a web page may send without a preflight are refused with it.
func jsonContent(h http.Header) error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return fault.New(fault.UnsupportedMedia, "a body in content encoding %q is not read", clip(enc))
	}
	ct := h.Get("Content-Type")
	media, params, err := mime.ParseMediaType(ct)
	if err != nil || media != "application/json" {
		return fault.New(fault.UnsupportedMedia, "a body must be application/json, not %q", clip(ct))
	}
	if cs, ok := params["charset"]; ok && !strings.EqualFold(cs, "utf-8") {
		return fault.New(fault.UnsupportedMedia, "a body must be UTF-8, not %q", clip(cs))
	}
	return nil
}

// routes sends a request to its handler and answers 404 and 405 in the one
// error shape, which http.ServeMux alone would not.
func (s *Server) routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &headerProbe{header: http.Header{}}
		h.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			allow := probe.header.Get("Allow")
			w.Header().Set("Allow", allow)
			writeError(w, r, s.log, fault.New(fault.MethodNotAllowed, "%s is not possible on %s, only %s", r.Method, clip(r.URL.Path), allow))
			return
		}
		writeError(w, r, s.log, fault.New(fault.NotFound, "there is nothing at %s", clip(r.URL.Path)))
	})
}

// headerProbe learns what ServeMux would have answered.
type headerProbe struct {
	header http.Header
	status int
}

func (p *headerProbe) Header() http.Header         { return p.header }
func (p *headerProbe) WriteHeader(status int)      { p.status = status }
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }
