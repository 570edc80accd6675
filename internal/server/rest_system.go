package server

import (
	"context"
	"embed"
	"net/http"
)

//go:embed docs/docs.html docs/docs.css docs/docs.js
var docsFiles embed.FS

type health struct {
	Status   string `json:"status" enum:"ok,unavailable"`
	Realtime bool   `json:"realtime" doc:"The socket layer is up"`
	Version  string `json:"version"`
	Sessions int    `json:"sessions" doc:"Sessions in memory"`
	Sockets  int    `json:"sockets" doc:"Joined sockets"`
	Streams  int    `json:"streams" doc:"Open event streams over HTTP"`
	Reason   string `json:"reason,omitempty"`
}

// registerSystem adds the operations about the server itself.
func (a *api) registerSystem() {
	handle(a, route{
		method: http.MethodGet, path: "/health", id: "health", tag: "server", summary: "Ask whether the server works and what it does",
	}, func(context.Context, *struct{}) (*answer[health], error) {
		h := health{Status: "ok", Realtime: a.s.sockets != nil, Version: a.s.cfg.Version, Sessions: a.s.cfg.Sessions.Loaded(), Streams: a.s.streams.count()}
		if a.s.sockets != nil {
			h.Sockets = a.s.sockets.count()
		}
		out := &answer[health]{Body: h}
		if err := a.s.ready(); err != nil {
			out.Status = http.StatusServiceUnavailable
			out.Body.Status, out.Body.Reason = "unavailable", coded(err).Message
		}
		return out, nil
	})
}

// ready tells whether new work is welcome.
func (s *Server) ready() error {
	if s.draining.Load() {
		return errDraining()
	}
	if s.cfg.Ready == nil {
		return nil
	}
	return s.cfg.Ready()
}

// mountSystem adds what is outside /api/v1 and outside OpenAPI.
func (s *Server) mountSystem(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, coded(err).Message)
			return
		}
		plain(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", metricsHandler(s.cfg.Registry))
	mux.HandleFunc("GET /docs", docsFile("docs/docs.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /docs/docs.css", docsFile("docs/docs.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /docs/docs.js", docsFile("docs/docs.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs", http.StatusFound) })
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// docsFile serves a page of our own that loads nothing from anywhere else.
func docsFile(name, contentType string) http.HandlerFunc {
	data, err := docsFiles.ReadFile(name)
	if err != nil {
		panic(err) // embedded at build time
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(data)
	}
}
