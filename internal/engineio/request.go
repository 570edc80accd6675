package engineio

import (
	"net/http"
	"strconv"
)

// The codes of refused requests, as engine.io servers number them.
const (
	codeUnknownTransport = 0
	codeUnknownSID       = 1
	codeBadMethod        = 2
	codeBadRequest       = 3
	codeForbidden        = 4
	codeBadRevision      = 5
)

func codeMessage(code int) string {
	switch code {
	case codeUnknownTransport:
		return "Transport unknown"
	case codeUnknownSID:
		return "Session ID unknown"
	case codeBadMethod:
		return "Bad handshake method"
	case codeForbidden:
		return "Forbidden"
	case codeBadRevision:
		return "Unsupported protocol version"
	default:
		return "Bad request"
	}
}

// refuse answers a request that the server does not take.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status, code int) {
	s.cfg.Logger.Debug("engine.io request refused", "status", status, "code", code,
		"method", r.Method, "transport", r.URL.Query().Get("transport"), "remote", r.RemoteAddr)
	body := []byte(`{"code":` + strconv.Itoa(code) + `,"message":` + string(jsonString(codeMessage(code))) + `}`)
	_ = respond(w, status, "application/json", body) // the peer may be gone
}

// respond writes a whole response. No browser takes it for a page: the type is
// never sniffed, and a body is JSON, packets, or "ok".
func respond(w http.ResponseWriter, status int, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, err := w.Write(body) //nolint:gosec // G705: see above
	return err
}

// allowOrigin lets the page that CheckOrigin admitted read the answer, with
// credentials.
func allowOrigin(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers what a browser asks before a request of another origin.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	headers := r.Header.Get("Access-Control-Request-Headers")
	if headers == "" {
		headers = "Content-Type"
	}
	h.Set("Access-Control-Allow-Headers", headers)
	h.Set("Access-Control-Max-Age", "600")
	h.Add("Vary", "Access-Control-Request-Headers")
	w.WriteHeader(http.StatusNoContent)
}

// keptHeaders are the headers of a handshake that stay in memory as long as
// its conn: those that say who the peer is.
func keptHeaders() []string {
	return []string{
		"Authorization", "Cookie", "Origin", "User-Agent", "Accept-Language",
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip",
		"X-Request-Id", "Traceparent", "Tracestate", "X-Actor", "X-Session-Id",
	}
}

// keepRequest copies what Conn.Request promises, at most limit bytes of
// headers.
func keepRequest(r *http.Request, limit int) *http.Request {
	kept := &http.Request{
		Method: r.Method, URL: r.URL, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Host: r.Host, RemoteAddr: r.RemoteAddr, RequestURI: r.RequestURI, TLS: r.TLS, Header: make(http.Header, 4),
	}
	size := 0
	for _, name := range keptHeaders() {
		for _, value := range r.Header[name] {
			size += len(name) + len(value)
			if limit > 0 && size > limit {
				return kept
			}
			kept.Header[name] = append(kept.Header[name], value)
		}
	}
	return kept
}
